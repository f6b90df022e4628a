//! The backlog of a fan-out: the newest samples, which all of its subscribers read, and which of them a subscriber skips.
//!
//! Samples make up *frames*. A sample that was sent whole is a frame of its own. A frame that is still arriving has one
//! sample or several, and its newest sample grows.
//!
//! | a sample is | it has all of its bytes | left by                                                                  |
//! |-------------|-------------------------|--------------------------------------------------------------------------|
//! | `Arriving`  | no                      | bytes of another buffer: `Continued`; the end of the frame: `Complete`; an abort: `Aborted` |
//! | `Continued` | yes                     | –                                                                        |
//! | `Complete`  | yes, and its frame too  | –                                                                        |
//! | `Aborted`   | no, it never will       | –                                                                        |
//!
//! A subscriber skips the samples that left the window before the subscriber had received all of their bytes, the samples of
//! aborted frames, and what follows a gap up to the beginning of a frame. If sync points are required, it then skips on to the next one, because
//! the samples before it cannot be used without those that are gone.
//!
//! # Invariants
//!
//! - **FW1** Only the newest sample is `Arriving`, and only while a frame is arriving. So no sample that leaves the window
//!   still grows. `arriving_frames::the_samples_of_a_frame_are_never_mixed_with_others`
//! - **FW2** The samples of a frame follow each other without a gap, and one that is `Continued` is never the newest.
//!   `arriving_frames::the_samples_of_a_frame_are_never_mixed_with_others`
//! - **FW3** A subscriber that received a part of a frame receives its end, or one delivery that says that it was aborted,
//!   and nothing in between. `arriving_frames_model::*`

#![forbid(unsafe_code)]

use crate::sample::shared::SharedSample;
use std::{collections::VecDeque, mem};

/// How many bytes of a frame that is arriving wake subscribers again, unless
/// [`notify_every`](super::FanOut::notify_every) sets another number.
pub(super) const NOTIFY_EVERY: usize = 4096;

/// The newest samples. Sequence numbers count from the first sample that was sent.
pub(super) struct Window {
    /// The sequence number of the oldest sample in the window.
    pub(super) first: u64,
    pub(super) samples: VecDeque<Sent>,
    /// The length of the sample before the oldest one, if its frame goes on in the oldest one.
    evicted_len: Option<usize>,
    /// Whether the fan-out is closed: no sample is added any more.
    pub(super) closed: bool,
    /// The frame that is arriving, if there is one.
    pub(super) arriving: Option<FrameId>,
    /// The number of the last frame that was started. Frames that were sent whole are not counted.
    started: u64,
}

/// Identifies a frame that was started, among those of its fan-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameId(u64);

pub(super) struct Sent {
    pub(super) sample: SharedSample,
    /// Whether it can be used without earlier samples. Kept here, because slices of a sample share its properties and
    /// one slice alone can be a sync point.
    pub(super) sync_point: bool,
    /// Whether a frame begins with it.
    pub(super) begins: bool,
    pub(super) state: State,
}

/// How far a sample and its frame have arrived. See the table of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// More bytes can be added to it.
    Arriving,
    /// It has all of its bytes, and its frame goes on in the next sample.
    Continued,
    /// It has all of its bytes, and so has its frame.
    Complete,
    /// Nothing more comes of its frame, which is not complete.
    Aborted,
}

impl Sent {
    /// Whether it is a whole frame.
    fn is_whole(&self) -> bool {
        self.begins && self.state == State::Complete
    }
}

/// What comes next for a subscriber.
pub(super) enum Next<'a> {
    /// The bytes of this sample from the position's offset on.
    Bytes(&'a Sent),
    /// The frame of which it received a part does not go on, for everybody or only for this subscriber.
    Aborted { sequence: u64, skipped: u64 },
    /// Nothing yet.
    Nothing,
}

impl Window {
    /// Creates an empty window with capacity for `backlog` samples.
    pub(super) fn new(backlog: usize) -> Self {
        assert!(backlog > 0, "the backlog of a fan-out must not be zero");
        Window {
            first: 0,
            samples: allocate(backlog),
            evicted_len: None,
            closed: false,
            arriving: None,
            started: 0,
        }
    }

    /// Returns the sequence number of the next sample to be sent.
    pub(super) fn end(&self) -> u64 {
        self.first + self.samples.len() as u64
    }

    /// Removes the oldest sample if there are `backlog` of them. The caller drops it after the lock is released.
    pub(super) fn make_room(&mut self, backlog: usize) -> Option<Sent> {
        if self.samples.len() < backlog {
            return None;
        }
        let oldest = self.samples.pop_front()?;
        self.first += 1;
        self.evicted_len = (oldest.state == State::Continued).then(|| oldest.sample.len());
        Some(oldest)
    }

    /// Moves all samples out, and an empty queue in.
    pub(super) fn clear(&mut self, samples: &mut VecDeque<Sent>) {
        self.first = self.end();
        self.evicted_len = None;
        mem::swap(&mut self.samples, samples);
    }

    /// Starts a frame, which is the only one that is arriving.
    pub(super) fn start(&mut self) -> FrameId {
        self.started += 1;
        *self.arriving.insert(FrameId(self.started))
    }

    /// Adds bytes to the sample that is arriving. Returns them if they do not lie directly behind it, or if there is none.
    pub(super) fn grow(&mut self, bytes: SharedSample) -> Result<(), SharedSample> {
        match self.samples.back_mut() {
            // Joining drops a handle that is not the last, so it runs no release callback.
            Some(newest) if newest.state == State::Arriving => newest.sample.try_unsplit(bytes),
            _ => Err(bytes),
        }
    }

    /// Ends the sample that is arriving. Returns whether there is one.
    pub(super) fn end_sample(&mut self, state: State) -> bool {
        let newest = self.samples.back_mut();
        let Some(newest) = newest.filter(|newest| newest.state == State::Arriving) else {
            return false;
        };
        newest.state = state;
        true
    }

    /// Aborts the frame that is arriving. Returns whether that is a change for subscribers.
    pub(super) fn abort(&mut self) -> bool {
        self.arriving.take().is_some() && self.end_sample(State::Aborted)
    }

    /// Moves `position` to the next sample that its subscriber can use, and counts those that it skips.
    #[inline]
    pub(super) fn next(&self, position: &mut Position) -> Next<'_> {
        // Most samples are sent whole, to subscribers that keep up.
        match self.get(position.next) {
            Some(sent) if sent.is_whole() && position.suits(sent) => Next::Bytes(sent),
            _ => self.find_next(position),
        }
    }

    fn find_next(&self, position: &mut Position) -> Next<'_> {
        if self.has_all_of_evicted(position) {
            position.move_to(self.first);
        }
        if position.next < self.first {
            let (sequence, skipped) = (position.next, self.first - position.next);
            position.move_to(self.first);
            // What follows a gap may need a sample that is in it.
            position.needs_sync_point = position.require_sync_point;
            if mem::take(&mut position.inside) {
                return Next::Aborted { sequence, skipped };
            }
            position.skipped += skipped;
        }
        while let Some(sent) = self.get(position.next) {
            let (last, state) = self.last_of_frame(position.next);
            if position.inside {
                if state == State::Aborted {
                    position.move_to(last + 1);
                    position.needs_sync_point = position.require_sync_point;
                    position.inside = false;
                    let (sequence, skipped) = (last, 0);
                    return Next::Aborted { sequence, skipped };
                }
                let has_more = position.offset < sent.sample.len();
                match sent.state {
                    // The end of a frame is delivered even if its last bytes were delivered before.
                    State::Complete => return Next::Bytes(sent),
                    _ if has_more => return Next::Bytes(sent),
                    State::Continued => position.move_to(position.next + 1),
                    State::Arriving | State::Aborted => return Next::Nothing,
                }
                continue;
            }
            if state == State::Aborted {
                // Its frame is missing, and what follows may need it.
                position.needs_sync_point = position.require_sync_point;
            }
            if !position.suits(sent) || state == State::Aborted {
                position.skipped += 1;
                position.next += 1;
            } else if state == State::Arriving && position.whole_frames {
                return Next::Nothing;
            } else {
                return Next::Bytes(sent);
            }
        }
        Next::Nothing
    }

    /// Whether the only sample that left the window at `position` is one of which all bytes were delivered, so that the
    /// rest of its frame is in the window.
    fn has_all_of_evicted(&self, position: &Position) -> bool {
        position.inside
            && position.next + 1 == self.first
            && self.evicted_len == Some(position.offset)
    }

    /// Returns the last sample that is there of the frame of `sequence`, and how far that frame has arrived.
    fn last_of_frame(&self, mut sequence: u64) -> (u64, State) {
        loop {
            match self.get(sequence).map(|sent| sent.state) {
                Some(State::Continued) => sequence += 1,
                // FW2: it is not missing.
                state => return (sequence, state.unwrap_or(State::Aborted)),
            }
        }
    }

    fn get(&self, sequence: u64) -> Option<&Sent> {
        let at = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.samples.get(at)
    }

    /// Returns how many samples a subscriber at `position` has not received yet. One of which it has all bytes that are
    /// there does not count, unless the end of its frame or its abort is still to be delivered.
    pub(super) fn lag(&self, position: &Position) -> u64 {
        let lag = self.end() - position.next.max(self.first);
        let has_all = self.get(position.next).is_some_and(|sent| {
            let goes_on = matches!(sent.state, State::Arriving | State::Continued);
            goes_on && sent.sample.len() == position.offset
        });
        lag - u64::from(has_all)
    }
}

/// Where a subscriber reads in the window.
pub(super) struct Position {
    /// The sequence number of the next sample.
    next: u64,
    /// How many bytes of it were delivered.
    offset: usize,
    /// Whether a part of a frame was delivered, and not its end.
    inside: bool,
    /// How many samples were skipped since the last delivery.
    skipped: u64,
    /// Whether the next delivery must be a sync point.
    needs_sync_point: bool,
    require_sync_point: bool,
    /// Whether a frame is delivered only when it is complete.
    whole_frames: bool,
}

/// What is delivered of a sample.
pub(super) struct Piece {
    pub(super) offset: usize,
    pub(super) skipped: u64,
    pub(super) begins_frame: bool,
    pub(super) ends_frame: bool,
}

impl Position {
    /// The position of a new subscriber: at the newest frame, or at the newest one that begins with a sync point if they
    /// are required. At the end, if there is none.
    pub(super) fn newest(window: &Window, require_sync_point: bool, whole_frames: bool) -> Self {
        let (mut found, mut arriving) = (None, None);
        let mut state = State::Aborted;
        let sequences = (window.first..window.end()).rev();
        for (sequence, sent) in sequences.zip(window.samples.iter().rev()) {
            if sent.state != State::Continued {
                state = sent.state;
            }
            if !sent.begins || (require_sync_point && !sent.sync_point) {
                continue;
            }
            match state {
                State::Aborted => {}
                // Delivered once it is complete, if no other one is before it.
                State::Arriving if whole_frames => arriving = Some(sequence),
                _ => {
                    found = Some(sequence);
                    break;
                }
            }
        }
        Position {
            next: found.or(arriving).unwrap_or(window.end()),
            offset: 0,
            inside: false,
            skipped: 0,
            needs_sync_point: require_sync_point,
            require_sync_point,
            whole_frames,
        }
    }

    /// The sequence number of the next sample.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Whether a part of a frame was delivered, and not its end.
    pub(super) fn is_inside(&self) -> bool {
        self.inside
    }

    /// How many samples were skipped since the last delivery.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether a subscriber that is in no frame can begin one with `sent`. Inside a frame it can be `true` at that frame's
    /// first sample only (FW2). To deliver the rest of that sample is right then, so the caller need not check `inside`.
    fn suits(&self, sent: &Sent) -> bool {
        sent.begins && (sent.sync_point || !self.needs_sync_point)
    }

    fn move_to(&mut self, sequence: u64) {
        (self.next, self.offset) = (sequence, 0);
    }

    /// Moves on, because all that is there of the sample at this position is delivered.
    pub(super) fn advance(&mut self, sent: &Sent) -> Piece {
        let piece = Piece {
            offset: self.offset,
            skipped: mem::take(&mut self.skipped),
            begins_frame: !self.inside,
            ends_frame: sent.state == State::Complete,
        };
        match sent.state {
            State::Arriving | State::Aborted => self.offset = sent.sample.len(),
            State::Continued | State::Complete => self.move_to(self.next + 1),
        }
        self.inside = !piece.ends_frame;
        self.needs_sync_point = false;
        piece
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
