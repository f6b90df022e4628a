//! Channels: a fan-out each, the numbering, and who feeds it.
//!
//! # How many samples a channel can hold
//!
//! Frames reach viewers through a short backlog, so that two frames in one packet do not look like a
//! lag: at most [`BACKLOG`] samples, the newest among them. One more is being filled. Channels together
//! may hold half of the pool; the other half is for frames that are on their way to slow viewers (see
//! [`crate::viewers`]). So neither can ever exhaust it, and ingest never waits for good.

use crate::frame;
use sample_pool::{
    Pool, Sample,
    fan_out::{FanOut, Hands, Subscriber},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many frames a viewer may be behind before it skips.
pub(crate) const BACKLOG: usize = 4;

/// The samples that a channel can hold: its backlog, and the one being filled.
const SAMPLES_PER_CHANNEL: usize = BACKLOG + 1;

/// How many channels a pool of `buffers` carries.
pub(crate) fn most_channels(buffers: usize) -> usize {
    buffers / 2 / SAMPLES_PER_CHANNEL
}

/// Why somebody cannot feed a channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// The name is not 1 to 32 characters of `a-z`, `0-9`, `_` and `-`.
    BadName,
    /// Another source feeds it.
    Busy,
    /// There are as many channels as the pool carries.
    TooMany { most: usize },
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::BadName => {
                f.write_str("a channel's name is 1 to 32 characters of a-z, 0-9, _ and -")
            }
            Unavailable::Busy => f.write_str("another source feeds this channel"),
            Unavailable::TooMany { most } => {
                write!(f, "all {most} channels that the pool carries are taken")
            }
        }
    }
}

/// All channels, by name.
#[derive(Debug)]
pub(crate) struct Channels {
    most: usize,
    /// What viewers of all channels hold.
    hands: Hands,
    by_name: Mutex<BTreeMap<String, Arc<Channel>>>,
}

#[derive(Debug)]
pub(crate) struct Channel {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    live: bool,
    /// The number of the last frame; the first one is 1. Goes on from one source to the next.
    sequence: u64,
    /// `None` once the server ends: then the viewers' streams end as well.
    frames: Option<FanOut>,
}

/// What `/status` tells of a channel.
#[derive(Debug)]
pub(crate) struct ChannelStatus {
    pub(crate) name: String,
    pub(crate) live: bool,
    pub(crate) sequence: u64,
    pub(crate) viewers: usize,
}

impl Channels {
    pub(crate) fn new(pool: &Pool, hands: &Hands) -> Arc<Self> {
        Arc::new(Channels {
            most: most_channels(pool.properties().buffers),
            hands: hands.clone(),
            by_name: Mutex::default(),
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
        if !by_name.contains_key(name) && by_name.len() >= self.most {
            return Err(Unavailable::TooMany { most: self.most });
        }
        let channel = by_name
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Channel::new(&self.hands)))
            .clone();
        // Still under the first lock, so that nobody forgets the channel meanwhile.
        let mut state = lock(&channel.state);
        if state.live || state.frames.is_none() {
            return Err(Unavailable::Busy);
        }
        state.live = true;
        drop((state, by_name));
        Ok(Source {
            channels: self.clone(),
            name: name.to_owned(),
            channel,
        })
    }

    /// Forgets a channel that has shown nothing and is followed by nobody: its source was refused.
    fn forget_if_unused(&self, name: &str, channel: &Channel) {
        let mut by_name = lock(&self.by_name);
        let state = lock(&channel.state);
        if !state.live && state.sequence == 0 && state.viewers() == 0 {
            by_name.remove(name);
        }
    }

    pub(crate) fn status(&self) -> Vec<ChannelStatus> {
        let by_name = lock(&self.by_name);
        let status = by_name.iter().map(|(name, channel)| channel.status(name));
        status.collect()
    }

    /// Lets go of every frame and ends every viewer's stream.
    pub(crate) fn end(&self) {
        for channel in lock(&self.by_name).values() {
            let frames = lock(&channel.state).frames.take();
            // Or they would stay until the last viewer has left.
            if let Some(frames) = frames {
                frames.clear();
            }
        }
    }
}

impl State {
    fn viewers(&self) -> usize {
        self.frames.as_ref().map_or(0, FanOut::subscribers)
    }
}

impl Channel {
    fn new(hands: &Hands) -> Self {
        Channel {
            state: Mutex::new(State {
                live: false,
                sequence: 0,
                // Each JPEG can be shown without another.
                frames: Some(FanOut::with_hands(BACKLOG, hands).resume_anywhere(true)),
            }),
        }
    }

    /// The newest frame, and all that follow it, one at a time. `None` once the server ends.
    pub(crate) fn follow(&self) -> Option<Subscriber> {
        let state = lock(&self.state);
        state.frames.as_ref().map(|frames| frames.subscribe(1))
    }

    fn status(&self, name: &str) -> ChannelStatus {
        let state = lock(&self.state);
        ChannelStatus {
            name: name.to_owned(),
            live: state.live,
            sequence: state.sequence,
            viewers: state.viewers(),
        }
    }
}

/// The right to feed a channel.
#[derive(Debug)]
pub(crate) struct Source {
    channels: Arc<Channels>,
    name: String,
    channel: Arc<Channel>,
}

impl Source {
    /// Numbers a frame and gives it to everybody who follows.
    pub(crate) fn publish(&self, mut sample: Sample) {
        let mut state = lock(&self.channel.state);
        let sequence = state.sequence + 1;
        let Some(frames) = &state.frames else {
            return;
        };
        frame::make_part(&mut sample, sequence);
        frames.send(sample.freeze());
        state.sequence = sequence;
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        lock(&self.channel.state).live = false;
        self.channels.forget_if_unused(&self.name, &self.channel);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;
    use futures::FutureExt;

    fn channels(pool: &Pool) -> Arc<Channels> {
        Channels::new(pool, &Hands::new(10))
    }

    fn pool() -> Pool {
        frame::pool(20, 1024).expect("a small pool")
    }

    fn sample(pool: &Pool) -> Sample {
        pool.try_get_buffer().expect("one is home")
    }

    /// Which frame is the next one.
    fn next(frames: &mut Subscriber) -> u64 {
        let frame = frames.next().now_or_never().flatten();
        frame.expect("there is one").number() + 1
    }

    #[test]
    fn a_channel_has_one_source_at_a_time_and_its_numbers_go_on() {
        let pool = pool();
        let channels = channels(&pool);
        let first = channels.open("cam").unwrap();
        assert_eq!(channels.open("cam").unwrap_err(), Unavailable::Busy);
        first.publish(sample(&pool));
        drop(first);
        let second = channels.open("cam").unwrap();
        second.publish(sample(&pool));
        let mut frames = channels.find("cam").and_then(|cam| cam.follow()).unwrap();
        assert_eq!(next(&mut frames), 2);
        assert_eq!(channels.status()[0].sequence, 2);
    }

    #[test]
    fn names_and_the_number_of_channels_are_limited() {
        let pool = pool();
        let channels = channels(&pool);
        for name in ["", "Cam", "a/b", "cam.jpg", &"x".repeat(33)] {
            assert_eq!(channels.open(name).unwrap_err(), Unavailable::BadName);
        }
        let most = most_channels(20);
        for number in 0..most {
            let source = channels.open(&format!("cam-{number}")).unwrap();
            source.publish(sample(&pool));
        }
        let one_more = channels.open("one_more").unwrap_err();
        assert_eq!(one_more, Unavailable::TooMany { most });
        assert!(
            channels.open("cam-0").is_ok(),
            "known ones can be fed again"
        );
    }

    /// Or anybody who posts nonsense could use up the names.
    #[test]
    fn a_source_that_sent_no_frame_leaves_no_channel() {
        let channels = channels(&pool());
        for number in 0..100 {
            drop(channels.open(&format!("refused-{number}")).unwrap());
        }
        assert!(channels.status().is_empty());
    }

    #[test]
    fn what_all_channels_keep_is_at_most_half_of_the_pool() {
        for buffers in [10, 20, 128, 1000] {
            assert!(most_channels(buffers) >= 1);
            assert!(most_channels(buffers) * SAMPLES_PER_CHANNEL <= buffers / 2);
        }
    }

    #[test]
    fn whoever_joins_gets_the_newest_frame_and_then_every_one() {
        let pool = pool();
        let channels = channels(&pool);
        let source = channels.open("cam").unwrap();
        source.publish(sample(&pool));
        source.publish(sample(&pool));
        let cam = channels.find("cam").unwrap();
        let mut frames = cam.follow().unwrap();
        source.publish(sample(&pool));
        assert_eq!(next(&mut frames), 2);
        assert_eq!(next(&mut frames), 3);
        channels.end();
        assert!(cam.follow().is_none());
        assert_eq!(pool.free_count(), 20, "while a viewer is still there");
        assert!(frames.next().now_or_never().expect("it ends").is_none());
    }
}
