//! The operations on a pool.

use super::held::Edit;
use sample_pool::{Pool, Properties};

/// How the pool is built. The first operations configure it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_waiters: usize,
    pub(crate) priority_buffers: usize,
    /// The limit of each of the two quotas.
    pub(crate) limit: usize,
    pub(crate) track_holders: bool,
    pub(crate) zero_on_release: bool,
    pub(crate) measure_waits: bool,
}

impl Settings {
    pub(crate) fn build(&self) -> Pool {
        let pool = Pool::builder()
            .buffers(0)
            .size(0)
            .align(1)
            .max_waiters(self.max_waiters)
            .priority_buffers(self.priority_buffers)
            .track_holders(self.track_holders)
            .zero_on_release(self.zero_on_release)
            .measure_waits(self.measure_waits)
            .build_uncommitted();
        pool.expect("it asks for nothing")
    }
}

/// What a get is called on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Payer {
    Pool,
    Quota,
    HighPriority,
}

impl Payer {
    pub(crate) const QUOTAS: [Payer; 2] = [Payer::Quota, Payer::HighPriority];
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    One,
    Owned,
    Many(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    Release,
    Drain,
}

/// A first number chooses among the existing objects.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Begin(Payer, Ask),
    Poll(usize),
    Abandon(usize),
    Try(Payer),
    TryMany(Payer, usize),
    TryUpTo(Payer, usize),
    Edit(usize, Edit),
    Share(usize),
    Duplicate(usize, usize, usize),
    Unshare(usize),
    /// Makes a sample a part.
    Divide(usize),
    /// A part, the way to split it, and where.
    Split(usize, usize, usize),
    Join(usize, usize),
    IntoBytes(usize),
    Release(usize),
    /// Releases up to so many handles. Exclusive samples that follow one another are a batch.
    ReleaseAll(usize, usize),
    Notify(bool),
    Listen(Happening),
    PollEvent(usize),
    ForgetEvent(usize),
    Decommit,
    Commit,
    Flush(bool),
    SetProperties(Properties),
    CloneHandle,
    DropHandle,
}

/// Whether no pool can have so many buffers. With 32 bits the largest number is one that a pool can have, if they have no
/// bytes.
pub(crate) fn is_too_large(buffers: usize, stride: usize) -> bool {
    let bytes = buffers.checked_mul(stride);
    bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) || u32::try_from(buffers).is_err()
}
