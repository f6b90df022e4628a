//! Events for `tracing`.
//!
//! A subscriber is foreign code: it may call back into the pool, block or panic. So an event is emitted
//! once the lock is free and the life cycle is not busy, after what it tells of has happened, and never on
//! a hit. Its panic is swallowed, because what is lost with the stack that it would unwind can be a sample.
//!
//! A subscriber that takes its own buffers from a pool would be told of itself without end, so what
//! happens inside an event is not told.

#![forbid(unsafe_code)]

use crate::{engine::Engine, escape::escaped, foreign, raw::waiter::Ticket, watch_waits::Stall};
use std::{borrow::Cow, cell::Cell, io, sync::Arc};

thread_local! {
    /// Whether this thread is inside an event of ours.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

#[cold]
fn emit(event: impl FnOnce()) {
    if INSIDE.replace(true) {
        return;
    }
    foreign::quietly(event);
    INSIDE.set(false);
}

/// A field for a name that a user gave. A subscriber may print it as it is.
fn printed(name: &Option<Arc<str>>) -> Option<Cow<'_, str>> {
    name.as_deref().map(escaped)
}

macro_rules! event {
    ($level:ident, $engine:expr, $($rest:tt)+) => {
        emit(|| tracing::event!(
            target: "sample_pool",
            tracing::Level::$level,
            pool = printed(&$engine.settings.name).as_deref(),
            $($rest)+
        ))
    };
}

pub(crate) fn wait_began(engine: &Engine, ticket: &Ticket, wanted: usize) {
    let seat = ticket.number().get();
    event!(TRACE, engine, seat, wanted, "a get waits in line");
}

pub(crate) fn wait_ended(engine: &Engine, ticket: &Ticket, how: &'static str) {
    let seat = ticket.number().get();
    event!(TRACE, engine, seat, how, "a get waits no more");
}

pub(crate) fn exhausted(engine: &Engine, wanted: usize) {
    event!(
        DEBUG,
        engine,
        wanted,
        "a get that may not wait found too few samples"
    );
}

pub(crate) fn drain_began(engine: &Engine) {
    event!(DEBUG, engine, "a drain began");
}

pub(crate) fn drain_cancelled(engine: &Engine) {
    event!(DEBUG, engine, "a commit cancelled a drain");
}

pub(crate) fn drain_ended(engine: &Engine) {
    event!(DEBUG, engine, "a drain ended");
}

pub(crate) fn memory_kept(engine: &Engine, bytes: usize, reason: &io::Error) {
    event!(
        WARN,
        engine,
        bytes,
        reason = %reason,
        "the system did not take back the memory of a pool that has drained"
    );
}

pub(crate) fn no_huge_pages(engine: &Engine, reason: &io::Error) {
    event!(DEBUG, engine, reason = %reason, "the system refused huge pages");
}

pub(crate) fn callback_panicked(engine: &Engine) {
    event!(ERROR, engine, "a release callback panicked");
}

/// How many quotas and call sites are told of one stall. A server can have a quota for each of its connections.
const MOST: usize = 16;

/// Several events, each of which is one line of a log: the stall, then the quotas that are waited for and who holds
/// samples.
pub(crate) fn long_wait(wait: &Stall) {
    let pool = printed(&wait.report.name);
    let pool = pool.as_deref();
    let status = &wait.report.status;
    emit(|| {
        tracing::warn!(
            target: "sample_pool",
            pool,
            waited = ?wait.waited,
            quota = printed(&wait.quota).as_deref(),
            waiting = wait.waiting,
            buffers = status.buffers,
            free = status.free,
            outstanding = status.outstanding,
            "a get has waited for long"
        );
    });
    let quotas = wait.report.quotas.iter();
    for quota in quotas.filter(|quota| quota.waiting > 0).take(MOST) {
        emit(|| {
            tracing::warn!(
                target: "sample_pool",
                pool,
                quota = &*escaped(&quota.name),
                in_use = quota.in_use,
                limit = quota.limit,
                waiting = quota.waiting,
                "gets wait for room in a quota"
            );
        });
    }
    for site in wait.report.call_sites.iter().flatten().take(MOST) {
        emit(|| {
            tracing::warn!(
                target: "sample_pool",
                pool,
                location = %site.location,
                quota = printed(&site.quota).as_deref(),
                samples = site.samples,
                oldest = ?site.oldest,
                bytes_used = site.bytes_used,
                bytes_pinned = site.bytes_pinned,
                handles = site.handles,
                "samples are held, while a get waits"
            );
        });
    }
}
