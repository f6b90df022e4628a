//! The backlog of a fan-out: the newest samples, which all of its subscribers read.

use crate::sample::shared::SharedSample;
use std::collections::VecDeque;

/// The newest samples. Sequence numbers count from the first sample that was sent.
pub(super) struct Window {
    /// The sequence number of the oldest sample in the window.
    pub(super) first: u64,
    pub(super) samples: VecDeque<Sent>,
    /// Whether the fan-out is closed: no sample is added any more.
    pub(super) closed: bool,
}

pub(super) struct Sent {
    pub(super) sample: SharedSample,
    /// Whether it can be used without earlier samples. Kept here, because slices of a sample share its properties and
    /// one slice alone can be a sync point.
    pub(super) sync_point: bool,
}

impl Window {
    /// Creates an empty window with capacity for `backlog` samples.
    pub(super) fn new(backlog: usize) -> Self {
        assert!(backlog > 0, "the backlog of a fan-out must not be zero");
        Window {
            first: 0,
            samples: allocate(backlog),
            closed: false,
        }
    }

    /// Returns the sequence number of the next sample to be sent.
    pub(super) fn end(&self) -> u64 {
        self.first + self.samples.len() as u64
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Sent> {
        let at = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.samples.get(at)
    }
}

/// Allocates an empty queue with capacity for `backlog` samples.
///
/// The number is the user's, so refused memory is a panic and does not abort the process.
pub(super) fn allocate(backlog: usize) -> VecDeque<Sent> {
    let mut samples = VecDeque::new();
    if let Err(error) = samples.try_reserve_exact(backlog) {
        panic!("no memory for a backlog of {backlog} samples: {error}");
    }
    samples
}
