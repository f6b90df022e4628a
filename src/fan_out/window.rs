//! The newest samples of a fan-out, which all of its subscribers look at.

use crate::shared::SharedSample;
use std::collections::VecDeque;

/// The newest samples, numbered in the order in which they were sent.
pub(super) struct Window {
    /// The number of the first.
    pub(super) first: u64,
    pub(super) samples: VecDeque<Sent>,
    /// Whether the samples are the last ones: none is added any more.
    pub(super) closed: bool,
}

pub(super) struct Sent {
    pub(super) sample: SharedSample,
    /// Whether it can be used without earlier ones. Kept beside the sample: slices share their properties.
    pub(super) sync_point: bool,
}

impl Window {
    /// An empty window with room for `backlog` samples.
    pub(super) fn new(backlog: usize) -> Self {
        assert!(backlog > 0, "the backlog of a fan-out must not be zero");
        Window {
            first: 0,
            samples: allocate(backlog),
            closed: false,
        }
    }

    /// The number of the next sample to come.
    pub(super) fn end(&self) -> u64 {
        self.first + self.samples.len() as u64
    }

    pub(super) fn get(&self, number: u64) -> Option<&Sent> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.samples.get(at)
    }
}

/// An empty queue with room for `backlog` samples. The number is the user's, so refused memory is a panic and does
/// not abort the process.
pub(super) fn allocate(backlog: usize) -> VecDeque<Sent> {
    let mut samples = VecDeque::new();
    if let Err(error) = samples.try_reserve_exact(backlog) {
        panic!("no memory for a backlog of {backlog} samples: {error}");
    }
    samples
}
