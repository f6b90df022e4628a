//! The model of a get: the number of samples that it requests, and its state.

use super::operations::Payer;
use sample_pool::GetBufferError;

/// The state of a get.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    New,
    /// Queued in its quota.
    WaitingForRoom,
    /// Admitted, and not polled since.
    Admitted,
    /// Admitted, not polled since, and a decommit or a flush has failed all waiters since.
    TurnedAway(GetBufferError),
    /// Queued in the pool.
    Waiting {
        gathered: usize,
    },
    Handed,
    /// Failed while queued in its quota, when nothing was in use for it, or while queued in the pool. The number is
    /// what is in use for it.
    Failed(GetBufferError, usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) payer: Payer,
    pub(crate) wanted: usize,
    pub(crate) stage: Stage,
    pub(crate) wakes: usize,
}
