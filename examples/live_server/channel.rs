//! Channels: the newest frame, the numbering, and who follows.
//!
//! # How many samples a channel can hold
//!
//! Frames reach viewers through a short backlog, so that two frames in one packet do not look like a
//! lag: at most [`BACKLOG`] samples, the newest among them. One more is being filled. Channels together
//! may hold half of the pool; the other half is for frames that are on their way to slow viewers (see
//! [`crate::viewers`]). So neither can ever exhaust it, and ingest never waits for good.

use crate::frame::Frame;
use sample_pool::{Pool, Sample};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast;

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
    by_name: Mutex<BTreeMap<String, Arc<Channel>>>,
}

#[derive(Debug)]
pub(crate) struct Channel {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    live: bool,
    /// The number of the last frame; the first one is 1. Goes on from one source to the next.
    sequence: u64,
    newest: Option<Arc<Frame>>,
    /// `None` once the server ends: then the viewers' streams end as well.
    followers: Option<broadcast::Sender<Arc<Frame>>>,
}

/// What somebody sees who joins a channel.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) newest: Option<Arc<Frame>>,
    pub(crate) next: broadcast::Receiver<Arc<Frame>>,
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
    pub(crate) fn new(pool: &Pool) -> Arc<Self> {
        Arc::new(Channels {
            most: most_channels(pool.properties().buffers),
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
            .or_insert_with(|| Arc::new(Channel::new(name)))
            .clone();
        // Still under the first lock, so that nobody forgets the channel meanwhile.
        let mut state = lock(&channel.state);
        if state.live || state.followers.is_none() {
            return Err(Unavailable::Busy);
        }
        state.live = true;
        drop((state, by_name));
        let channels = self.clone();
        Ok(Source { channels, channel })
    }

    /// Forgets a channel that has shown nothing and is followed by nobody: its source was refused.
    fn forget_if_unused(&self, channel: &Channel) {
        let mut by_name = lock(&self.by_name);
        let state = lock(&channel.state);
        let followers = state.followers.as_ref();
        let unused = !state.live
            && state.sequence == 0
            && followers.is_none_or(|followers| followers.receiver_count() == 0);
        if unused {
            by_name.remove(&channel.name);
        }
    }

    pub(crate) fn status(&self) -> Vec<ChannelStatus> {
        let by_name = lock(&self.by_name);
        by_name.values().map(|channel| channel.status()).collect()
    }

    /// Lets go of every frame and ends every viewer's stream.
    pub(crate) fn end(&self) {
        for channel in lock(&self.by_name).values() {
            let mut state = lock(&channel.state);
            let (newest, followers) = (state.newest.take(), state.followers.take());
            drop(state);
            drop((newest, followers));
        }
    }
}

impl Channel {
    fn new(name: &str) -> Self {
        Channel {
            name: name.to_owned(),
            state: Mutex::new(State {
                live: false,
                sequence: 0,
                newest: None,
                followers: Some(broadcast::Sender::new(BACKLOG)),
            }),
        }
    }

    pub(crate) fn newest(&self) -> Option<Arc<Frame>> {
        lock(&self.state).newest.clone()
    }

    /// The newest frame, and all that follow it without a gap. `None` once the server ends.
    pub(crate) fn follow(&self) -> Option<Following> {
        let state = lock(&self.state);
        let followers = state.followers.as_ref()?;
        Some(Following {
            newest: state.newest.clone(),
            next: followers.subscribe(),
        })
    }

    fn status(&self) -> ChannelStatus {
        let state = lock(&self.state);
        ChannelStatus {
            name: self.name.clone(),
            live: state.live,
            sequence: state.sequence,
            viewers: state
                .followers
                .as_ref()
                .map_or(0, broadcast::Sender::receiver_count),
        }
    }
}

/// The right to feed a channel.
#[derive(Debug)]
pub(crate) struct Source {
    channels: Arc<Channels>,
    channel: Arc<Channel>,
}

impl Source {
    /// Numbers a frame and gives it to everybody who follows.
    pub(crate) fn publish(&self, sample: Sample) {
        let mut state = lock(&self.channel.state);
        let sequence = state.sequence + 1;
        let frame = Arc::new(Frame::new(sample, &self.channel.name, sequence));
        let Some(followers) = &state.followers else {
            return;
        };
        // It fails when nobody follows; the newest frame is kept all the same.
        let _nobody = followers.send(frame.clone());
        state.sequence = sequence;
        let last = state.newest.replace(frame);
        drop(state);
        drop(last);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        lock(&self.channel.state).live = false;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    fn pool() -> Pool {
        frame::pool(20, 1024).expect("a small pool")
    }

    fn sample(pool: &Pool) -> Sample {
        pool.try_get_buffer().expect("one is home")
    }

    #[test]
    fn a_channel_has_one_source_at_a_time_and_its_numbers_go_on() {
        let pool = pool();
        let channels = Channels::new(&pool);
        let first = channels.open("cam").unwrap();
        assert_eq!(channels.open("cam").unwrap_err(), Unavailable::Busy);
        first.publish(sample(&pool));
        drop(first);
        let second = channels.open("cam").unwrap();
        second.publish(sample(&pool));
        let newest = channels.find("cam").and_then(|cam| cam.newest());
        assert_eq!(newest.map(|frame| frame.sequence()), Some(2));
    }

    #[test]
    fn names_and_the_number_of_channels_are_limited() {
        let channels = Channels::new(&pool());
        for name in ["", "Cam", "a/b", "cam.jpg", &"x".repeat(33)] {
            assert_eq!(channels.open(name).unwrap_err(), Unavailable::BadName);
        }
        let most = most_channels(20);
        let pool = pool();
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
        let channels = Channels::new(&pool());
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
        let channels = Channels::new(&pool);
        let source = channels.open("cam").unwrap();
        source.publish(sample(&pool));
        let cam = channels.find("cam").unwrap();
        let mut following = cam.follow().unwrap();
        source.publish(sample(&pool));
        assert_eq!(following.newest.take().unwrap().sequence(), 1);
        assert_eq!(following.next.try_recv().unwrap().sequence(), 2);
        channels.end();
        assert!(cam.follow().is_none());
        drop((cam, following, source));
        assert_eq!(pool.free_count(), 20);
    }
}
