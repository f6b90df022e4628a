//! Channels: a fan-out each, the numbering, and who feeds it.
//!
//! A channel outlives its source: the last frames stay, and the numbers go on with the next one. When the next one
//! sends something else, another kind of stream or one with another init segment, a new fan-out takes the place of the old
//! one, and the viewers' responses end: they come back and get the new kind.

use crate::{
    jpeg::{parser::Skipped, part},
    memory::{self, BACKLOG, FRAGMENT_SAMPLES, MOST_PIECES, PICTURE_SAMPLES},
    mp4::InitSegment,
    pace::{Follower, Pace},
};
use sample_pool::{
    Pool, Quota, Sample,
    fan_out::{Delivery, FanOut, HoldLimit, Subscriber},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// What a channel carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Jpeg,
    /// A new viewer needs this before any fragment.
    Mp4(Arc<InitSegment>),
}

/// Why somebody cannot feed a channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// The name is not 1 to 32 characters of `a-z`, `0-9`, `_` and `-`.
    BadName,
    /// Another source feeds it.
    Busy,
    /// The server ends.
    Ending,
    /// The channel was removed while this source fed it.
    Removed,
    /// The other channels leave no room for what this one may hold.
    NoRoom { needed: usize, left: usize },
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::BadName => {
                f.write_str("a channel's name is 1 to 32 characters of a-z, 0-9, _ and -")
            }
            Unavailable::Busy => f.write_str("another source feeds this channel"),
            Unavailable::Ending => f.write_str("the server is ending"),
            Unavailable::Removed => f.write_str("the channel was removed"),
            Unavailable::NoRoom { needed, left } => write!(
                f,
                "too many channels: this one may hold {needed} buffers, and the others, which keep theirs until they are removed, leave {left}; see --buffers"
            ),
        }
    }
}

/// All channels, by name.
#[derive(Debug)]
pub(crate) struct Channels {
    pool: Pool,
    /// How many samples they may hold together.
    most: usize,
    /// What viewers of all channels hold.
    hold_limit: HoldLimit,
    by_name: Mutex<BTreeMap<String, Arc<Channel>>>,
    /// How many were removed. Changes with `by_name` locked.
    removed: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Channel {
    name: Arc<str>,
    /// Turns true when it is removed.
    removed: watch::Sender<bool>,
    /// How many channels were removed before it was made: another of the same name has another number.
    generation: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    live: bool,
    /// How many samples its source may hold before it has sent a whole frame.
    reserved: usize,
    /// The number of the last frame; the first one is 1. Goes on from one source to the next.
    sequence: u64,
    /// What its sources sent that is in no frame.
    skipped: Skipped,
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    /// No source has sent a whole frame yet.
    NotBegun,
    Begun {
        kind: Kind,
        frames: FanOut,
        pace: Arc<Pace>,
    },
    /// The server ends: then the viewers' responses end as well.
    Ended,
    /// The channel is removed, and they end as well.
    Removed,
}

/// A viewer's way through a channel.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) channel: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) frames: Subscriber,
    /// How many samples were sent to it so far.
    pub(crate) sent: Arc<AtomicU64>,
    /// How many of the newest are kept for it.
    pub(crate) window: usize,
    /// How far it is, for the source that may wait for it.
    follower: Follower,
}

impl Following {
    /// Waits for the next sample, or the next bytes of one, and takes it; `None` when the stream has ended. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        let received = self.frames.recv().await;
        if let Some(received) = &received {
            // More may come of a sample that does not end its frame.
            let has_all = received.ends_frame() || received.is_aborted();
            self.follower
                .goes_on_with(received.sequence() + u64::from(has_all));
        }
        received
    }

    /// Takes no more, so that the source does not wait for it.
    pub(crate) fn is_done(&self) {
        self.follower.is_done();
    }
}

/// What `/status` tells of a channel.
#[derive(Debug)]
pub(crate) struct ChannelStatus {
    pub(crate) name: Arc<str>,
    pub(crate) live: bool,
    pub(crate) sequence: u64,
    pub(crate) skipped: Skipped,
    pub(crate) viewers: usize,
    /// `None` until there was a frame.
    pub(crate) kind: Option<Kind>,
}

impl Channels {
    pub(crate) fn new(pool: &Pool, hold_limit: &HoldLimit) -> Arc<Self> {
        Arc::new(Channels {
            pool: pool.clone(),
            most: memory::for_channels(pool.properties().buffers),
            hold_limit: hold_limit.clone(),
            by_name: Mutex::default(),
            removed: AtomicU64::new(0),
        })
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Channel>> {
        lock(&self.by_name).get(name).cloned()
    }

    /// Opens a channel for a source; it is the only one until the [`Source`] is dropped.
    pub(crate) fn open(self: &Arc<Self>, name: &str) -> Result<Source, Unavailable> {
        if !is_name(name) {
            return Err(Unavailable::BadName);
        }
        let mut by_name = lock(&self.by_name);
        if !by_name.contains_key(name) {
            // It may turn out to need more.
            self.admit(by_name.iter(), PICTURE_SAMPLES)?;
        }
        let generation = self.removed.load(Ordering::Relaxed);
        let new = || Arc::new(Channel::new(name, generation));
        let channel = by_name.entry(name.to_owned()).or_insert_with(new).clone();
        // Still under the first lock, so that no other task forgets the channel meanwhile.
        let mut state = lock(&channel.state);
        match state.stream {
            Stream::Ended => return Err(Unavailable::Ending),
            Stream::Removed => return Err(Unavailable::Removed),
            _ if state.live => return Err(Unavailable::Busy),
            _ => state.live = true,
        }
        drop((state, by_name));
        let pictures = self.quota(&channel, PICTURE_SAMPLES);
        Ok(Source {
            channels: self.clone(),
            channel,
            pictures,
        })
    }

    /// Where a source gets its samples, in the name of its channel. A sample counts until the last viewer has dropped it, so
    /// beside the share of the channel there is room for what viewers hold: a slow one must not make the source wait.
    fn quota(&self, channel: &Channel, share: usize) -> Quota {
        let most = share + self.hold_limit.limit();
        self.pool.quota(channel.name.clone(), most)
    }

    /// Whether there is room for `needed` samples beside what the channels of `others` may hold.
    fn admit<'a>(
        &self,
        others: impl Iterator<Item = (&'a String, &'a Arc<Channel>)>,
        needed: usize,
    ) -> Result<(), Unavailable> {
        let shares = others.map(|(_, channel)| channel.share());
        let left = self.most.saturating_sub(shares.sum());
        if needed > left {
            return Err(Unavailable::NoRoom { needed, left });
        }
        Ok(())
    }

    /// Forgets a channel that has shown nothing and has no viewers: its source was refused.
    fn forget_if_unused(&self, channel: &Arc<Channel>) {
        let mut by_name = lock(&self.by_name);
        let known = by_name.get(&*channel.name);
        // Another source may have come, been refused and forgotten it since, and the next one feeds a new channel.
        if !known.is_some_and(|known| Arc::ptr_eq(known, channel)) {
            return;
        }
        let state = lock(&channel.state);
        if !state.live && matches!(state.stream, Stream::NotBegun) {
            by_name.remove(&*channel.name);
        }
    }

    pub(crate) fn status(&self) -> Vec<ChannelStatus> {
        let by_name = lock(&self.by_name);
        by_name.values().map(|channel| channel.status()).collect()
    }

    /// Ends every viewer's response, once it has the frames that are there for it.
    pub(crate) fn end(&self) {
        let by_name = lock(&self.by_name);
        let channels = by_name.values();
        let end = |channel: &Arc<Channel>| {
            std::mem::replace(&mut lock(&channel.state).stream, Stream::Ended)
        };
        let before: Vec<_> = channels.map(end).collect();
        // Samples are released without these locks. What is in a window stays for the viewers.
        drop(by_name);
        drop(before);
    }
}

impl Channel {
    fn new(name: &str, generation: u64) -> Self {
        Channel {
            name: name.into(),
            removed: watch::Sender::new(false),
            generation,
            state: Mutex::new(State {
                live: false,
                reserved: 0,
                sequence: 0,
                skipped: Skipped::default(),
                stream: Stream::NotBegun,
            }),
        }
    }

    /// What to show first, and all that follows it, one sample at a time, as it arrives. `None` before the first frame, and
    /// once the server ends.
    pub(crate) fn follow(&self) -> Option<Following> {
        self.follow_with(|frames| frames.subscribe(1))
    }

    /// As [`follow`](Channel::follow), and each frame only when all of it is there.
    pub(crate) fn follow_whole_frames(&self) -> Option<Following> {
        self.follow_with(|frames| frames.subscribe_to_whole_frames(1))
    }

    fn follow_with(&self, subscribe: impl FnOnce(&FanOut) -> Subscriber) -> Option<Following> {
        let state = lock(&self.state);
        let Stream::Begun { kind, frames, pace } = &state.stream else {
            return None;
        };
        // Nothing is sent while this is locked.
        let frames = subscribe(frames);
        let sent = pace.sent().clone();
        let next = sent.load(Ordering::Relaxed) - frames.lag() as u64;
        Some(Following {
            channel: self.name.clone(),
            kind: kind.clone(),
            follower: pace.follow(next),
            frames,
            sent,
            window: match kind {
                Kind::Jpeg => BACKLOG,
                Kind::Mp4(_) => MOST_PIECES,
            },
        })
    }

    /// How many samples it may hold.
    fn share(&self) -> usize {
        let state = lock(&self.state);
        let share = match &state.stream {
            Stream::Begun {
                kind: Kind::Mp4(_), ..
            } => FRAGMENT_SAMPLES,
            _ => PICTURE_SAMPLES,
        };
        share.max(state.reserved)
    }

    fn status(&self) -> ChannelStatus {
        let state = lock(&self.state);
        let (kind, viewers) = match &state.stream {
            Stream::Begun { kind, frames, .. } => (Some(kind.clone()), frames.subscribers()),
            Stream::NotBegun | Stream::Ended | Stream::Removed => (None, 0),
        };
        ChannelStatus {
            name: self.name.clone(),
            live: state.live,
            sequence: state.sequence,
            skipped: state.skipped,
            viewers,
            kind,
        }
    }
}

/// The right to feed a channel.
#[derive(Debug)]
pub(crate) struct Source {
    channels: Arc<Channels>,
    channel: Arc<Channel>,
    pictures: Quota,
}

impl Source {
    /// Where the samples of pictures come from.
    pub(crate) fn pictures(&self) -> &Quota {
        &self.pictures
    }

    /// Where the samples of fragments come from, if there is room for it: it may fill several at a time, and those of all
    /// sources must not be more than there are.
    pub(crate) fn reserve_fragments(&self) -> Result<Quota, Unavailable> {
        let by_name = lock(&self.channels.by_name);
        let others = by_name
            .iter()
            .filter(|(name, _)| ***name != *self.channel.name);
        self.channels.admit(others, FRAGMENT_SAMPLES)?;
        let mut state = lock(&self.channel.state);
        if let Stream::Removed = state.stream {
            return Err(Unavailable::Removed);
        }
        state.reserved = FRAGMENT_SAMPLES;
        drop((state, by_name));
        Ok(self.channels.quota(&self.channel, FRAGMENT_SAMPLES))
    }

    /// Says what it sends, before the first frame. Ends the viewers of anything else.
    pub(crate) fn begin(&self, kind: Kind) -> Result<(), Unavailable> {
        let by_name = lock(&self.channels.by_name);
        let needed = match kind {
            Kind::Jpeg => PICTURE_SAMPLES,
            Kind::Mp4(_) => FRAGMENT_SAMPLES,
        };
        let others = by_name
            .iter()
            .filter(|(name, _)| ***name != *self.channel.name);
        self.channels.admit(others, needed)?;
        let (window, needs_sync) = match kind {
            // Each picture can be shown without another.
            Kind::Jpeg => (BACKLOG, false),
            Kind::Mp4(_) => (MOST_PIECES, true),
        };
        let frames =
            FanOut::with_limit(window, &self.channels.hold_limit).require_sync_point(needs_sync);
        let mut state = lock(&self.channel.state);
        let before = match &state.stream {
            Stream::Ended => return Err(Unavailable::Ending),
            Stream::Removed => return Err(Unavailable::Removed),
            Stream::Begun { kind: before, .. } if *before == kind => return Ok(()),
            _ => {
                let pace = Pace::new(window);
                std::mem::replace(&mut state.stream, Stream::Begun { kind, frames, pace })
            }
        };
        drop((state, by_name));
        if let Stream::Begun { frames, .. } = before {
            // Its samples are not counted for the channel any more, so they must not wait for its viewers.
            frames.clear();
        }
        Ok(())
    }

    /// The next frame will have this number, if it is a higher one.
    #[allow(
        dead_code,
        reason = "an edge keeps its origin's numbers: see examples/many_machines"
    )]
    pub(crate) fn number_from(&self, sequence: u64) {
        let mut state = lock(&self.channel.state);
        state.sequence = state.sequence.max(sequence.saturating_sub(1));
    }

    /// Waits until so many samples can be published without a loss for any viewer that reads at once, and tells for how
    /// long. Who publishes without it is as fast as what it sends is live.
    pub(crate) async fn room(&self, samples: usize) -> Duration {
        let pace = match &lock(&self.channel.state).stream {
            Stream::Begun { pace, .. } => pace.clone(),
            Stream::NotBegun | Stream::Ended | Stream::Removed => return Duration::ZERO,
        };
        let began = Instant::now();
        pace.room(samples).await;
        began.elapsed()
    }

    /// Counts what it sent that is in no frame.
    pub(crate) fn skip(&self, skipped: Skipped) {
        if skipped != Skipped::default() {
            let mut state = lock(&self.channel.state);
            state.skipped.add(skipped);
        }
    }

    /// Numbers a picture and gives it to everybody who follows.
    pub(crate) fn publish(&self, mut sample: Sample) {
        let mut state = lock(&self.channel.state);
        let sequence = state.sequence + 1;
        let Stream::Begun { frames, pace, .. } = &state.stream else {
            return;
        };
        part::make_part(&mut sample, sequence);
        pace.count();
        let _sent = frames.send(sample.freeze()); // never closed
        state.sequence = sequence;
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let mut state = lock(&self.channel.state);
        state.live = false;
        state.reserved = 0;
        drop(state);
        self.channels.forget_if_unused(&self.channel);
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=32).contains(&name.len()) && name.bytes().all(allowed)
}

/// Nothing that panics runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[path = "channel_arriving.rs"]
mod arriving;
#[path = "channel_removal.rs"]
mod removal;

pub(crate) use arriving::Arriving;

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
