//! Events for `tracing`.
//!
//! A subscriber is user code: it can call the pool, block or panic. So an event is emitted while the lock is free and
//! the life cycle is not busy, after the change that it reports, and never on the fast path. A panic of a subscriber is
//! caught, because unwinding the caller's stack could lose a sample.
//!
//! A subscriber that gets its own buffers from a pool would cause events inside its events without end. So a thread
//! that is inside an event emits no other.

#![forbid(unsafe_code)]

use crate::{sync::user_code, values::escape::escaped};
use std::{borrow::Cow, cell::Cell, io};

thread_local! {
    /// Whether this thread is inside an event of this crate.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Emits `event`, unless this thread is inside another event. Catches its panic.
#[cold]
pub(crate) fn emit(event: impl FnOnce()) {
    if INSIDE.replace(true) {
        return;
    }
    // A panic must not skip the next line: this thread would emit no event again.
    user_code::quietly(event);
    INSIDE.set(false);
}

/// The field for a name that a user gave, escaped, because a subscriber may print it unescaped.
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
