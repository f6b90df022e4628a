//! The `tracing` events of a stall.

#![forbid(unsafe_code)]

use crate::{
    observe::stall::Stall,
    sync::events::{emit, printed},
    values::escape::escaped,
};

/// The largest number of quotas, and of call sites, that are reported for one stall. A server can have a quota for each
/// of its connections.
const MOST: usize = 16;

/// Emits several events, each of which is one line of a log: the stall, then the quotas that gets wait for, then the
/// call sites that hold samples.
pub(crate) fn long_wait(wait: &Stall) {
    let pool = printed(wait.report.name.as_deref());
    let pool = pool.as_deref();
    let status = &wait.report.status;
    emit(|| {
        tracing::warn!(
            target: "sample_pool",
            pool,
            waited = ?wait.waited,
            quota = printed(wait.quota.as_deref()).as_deref(),
            waiting = wait.waiting,
            buffers = status.buffers,
            free = status.free,
            outstanding = status.outstanding,
            "a get has waited too long"
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
                "gets wait for a quota"
            );
        });
    }
    for site in wait.report.call_sites.iter().flatten().take(MOST) {
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
