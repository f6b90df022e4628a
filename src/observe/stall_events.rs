//! The `tracing` events of a stall.

#![forbid(unsafe_code)]

use crate::{
    observe::stall::Stall,
    sync::events::{emit, printed},
    values::escape::escaped,
};

/// The largest number of quotas, and of call sites, that are reported for one stall. A server can have a quota for each
/// of its connections.
const MAX_EVENTS: usize = 16;

/// Emits several events, each of which is one line of a log: the stall, then the quotas that gets wait for, then the
/// call sites that hold samples.
pub(crate) fn emit_stall(stall: &Stall) {
    let pool = printed(stall.report.name.as_deref());
    let pool = pool.as_deref();
    let status = &stall.report.status;
    emit(|| {
        tracing::warn!(
            target: "sample_pool",
            pool,
            waited = ?stall.waited,
            quota = printed(stall.quota.as_deref()).as_deref(),
            waiting = stall.waiting,
            buffers = status.buffers,
            free = status.free,
            outstanding = status.outstanding,
            "a get has waited too long"
        );
    });
    let quotas = stall.report.quotas.iter();
    for quota in quotas.filter(|quota| quota.waiting > 0).take(MAX_EVENTS) {
        emit(|| {
            tracing::warn!(
                target: "sample_pool",
                pool,
                quota = &*escaped(&quota.name),
                in_use = quota.in_use,
                limit = quota.limit,
                waiting = quota.waiting,
                "gets wait for a quota"
            );
        });
    }
    for site in stall.report.call_sites.iter().flatten().take(MAX_EVENTS) {
        emit(|| {
            tracing::warn!(
                target: "sample_pool",
                pool,
                location = %site.location,
                quota = printed(site.quota.as_deref()).as_deref(),
                samples = site.samples,
                oldest = ?site.oldest,
                bytes_used = site.bytes_used,
                bytes_pinned = site.bytes_pinned,
                handles = site.handles,
                "samples are held while a get waits"
            );
        });
    }
}
