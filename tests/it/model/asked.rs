//! The model of a get: the number of samples that it requests, and its state.

use super::operations::Payer;
use sample_pool::GetBufferError;

/// Where a get stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    New,
    /// In the line of its quota.
    WaitingForRoom,
    /// Charged, and not polled since.
    Admitted,
    /// As that, and everybody was turned away since.
    TurnedAway(GetBufferError),
    /// In the pool's line.
    Waiting {
        gathered: usize,
    },
    Handed,
    /// In the line of its quota, for which nothing was charged, or in the pool's.
    Failed(GetBufferError, usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) payer: Payer,
    pub(crate) wanted: usize,
    pub(crate) stage: Stage,
    pub(crate) wakes: usize,
}
