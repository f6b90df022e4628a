//! The backlog of a fan-out: the newest samples, which all of its subscribers read, and which of them a subscriber skips.
//!
//! A subscriber skips the samples that left the window before it read them. If sync points are required, it then skips
//! on to the next one, because the samples before it cannot be used without those that are gone.

#![forbid(unsafe_code)]

use crate::sample::shared::SharedSample;
use std::{collections::VecDeque, mem};

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

    /// Moves `position` to the next sample that its subscriber can use, and counts those that it skips. Returns that
    /// sample, if it was sent already.
    pub(super) fn skip_to_next(&self, position: &mut Position) -> Option<&Sent> {
        if position.next < self.first {
            position.skipped += self.first - position.next;
            position.next = self.first;
            // What follows a gap may need a sample that is in it.
            position.needs_sync_point = position.require_sync_point;
        }
        loop {
            let sent = self.get(position.next)?;
            if sent.sync_point || !position.needs_sync_point {
                return Some(sent);
            }
            position.skipped += 1;
            position.next += 1;
        }
    }

    fn get(&self, sequence: u64) -> Option<&Sent> {
        let at = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.samples.get(at)
    }
}

/// Where a subscriber reads in the window.
pub(super) struct Position {
    /// The sequence number of the next sample.
    next: u64,
    /// How many samples were skipped since the last delivery.
    skipped: u64,
    /// Whether the next delivery must be a sync point.
    needs_sync_point: bool,
    require_sync_point: bool,
}

impl Position {
    /// The position of a new subscriber: at the newest sample, or at the newest sync point if they are required. At the
    /// end, if there is none.
    pub(super) fn newest(window: &Window, require_sync_point: bool) -> Self {
        let mut newest_first = (window.first..window.end()).rev();
        let next = newest_first.find(|&sequence| {
            let sent = window.get(sequence);
            sent.is_some_and(|sent| !require_sync_point || sent.sync_point)
        });
        Position {
            next: next.unwrap_or(window.end()),
            skipped: 0,
            needs_sync_point: require_sync_point,
            require_sync_point,
        }
    }

    /// The sequence number of the next sample.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// How many samples were skipped since the last delivery.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Moves on, because the sample at this position is delivered. Returns how many were skipped before it.
    pub(super) fn advance(&mut self) -> u64 {
        self.next += 1;
        self.needs_sync_point = false;
        mem::take(&mut self.skipped)
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
