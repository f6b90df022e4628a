//! Events for `tracing`.
//!
//! A subscriber is foreign code: it may call back into the pool, block or panic. So an event is emitted
//! once the lock is free and the life cycle is not busy, after what it tells of has happened, and never on
//! a hit. Its panic is swallowed, because what is lost with the stack that it would unwind can be a sample.
//!
//! A subscriber that takes its own buffers from a pool would be told of itself without end, so what
//! happens inside an event is not told.

#![forbid(unsafe_code)]

use crate::{sync::user_code, values::escape::escaped};
use std::{borrow::Cow, cell::Cell, io};

thread_local! {
    /// Whether this thread is inside an event of ours.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

#[cold]
pub(crate) fn emit(event: impl FnOnce()) {
    if INSIDE.replace(true) {
        return;
    }
    user_code::quietly(event);
    INSIDE.set(false);
}

/// A field for a name that a user gave. A subscriber may print it as it is.
pub(crate) fn printed(name: Option<&str>) -> Option<Cow<'_, str>> {
    name.map(escaped)
}

macro_rules! event {
    ($level:ident, $pool:expr, $($rest:tt)+) => {
        emit(|| tracing::event!(
            target: "sample_pool",
            tracing::Level::$level,
            pool = printed($pool).as_deref(),
            $($rest)+
        ))
    };
}

pub(crate) fn wait_began(pool: Option<&str>, waiter: u32, wanted: usize) {
    event!(TRACE, pool, waiter, wanted, "a get waits");
}

pub(crate) fn wait_ended(pool: Option<&str>, waiter: u32, how: &'static str) {
    event!(TRACE, pool, waiter, how, "a get stopped waiting");
}

pub(crate) fn exhausted(pool: Option<&str>, wanted: usize) {
    event!(DEBUG, pool, wanted, "a get failed: the pool is exhausted");
}

pub(crate) fn drain_began(pool: Option<&str>) {
    event!(DEBUG, pool, "a drain began");
}

pub(crate) fn drain_cancelled(pool: Option<&str>) {
    event!(DEBUG, pool, "a commit cancelled a drain");
}

pub(crate) fn drain_ended(pool: Option<&str>) {
    event!(DEBUG, pool, "a drain ended");
}

pub(crate) fn memory_kept(pool: Option<&str>, bytes: usize, reason: &io::Error) {
    event!(
        WARN,
        pool,
        bytes,
        reason = %reason,
        "the system did not take back the memory of a pool that has drained"
    );
}

pub(crate) fn no_huge_pages(pool: Option<&str>, reason: &io::Error) {
    event!(DEBUG, pool, reason = %reason, "the system refused huge pages");
}

pub(crate) fn callback_panicked(pool: Option<&str>) {
    event!(ERROR, pool, "a release callback panicked");
}
