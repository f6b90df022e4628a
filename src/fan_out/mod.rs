//! One producer, many subscribers, and a bound on what they hold together.
//!
//! | who pins a sample     | how many at most         | for how long                                   |
//! |-----------------------|--------------------------|------------------------------------------------|
//! | the window            | the backlog              | until as many newer ones were sent             |
//! | the hands             | the places in the hands  | until every subscriber that took it lets go    |
//!
//! # Nothing slows the producer down
//!
//! [`FanOut`] is for what is live: whoever is slow misses something, and nobody waits for him. Whatever is faster
//! than real time, a file or a TCP connection, fills the backlog in one burst, and then even a fast subscriber
//! has missed something before its task has run. Where every byte has to arrive, the producer must wait for the
//! slowest, and a `tokio::sync::broadcast` channel is all that is needed. With room for as many as there are
//! buffers it never drops one, and who waits is whoever takes the next buffer:
//!
//! ```
//! use bytes::{BufMut, Bytes};
//! use sample_pool::Pool;
//! use std::time::Duration;
//! use tokio::{io::AsyncWriteExt, sync::broadcast, time::timeout};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::builder().buffers(4).build()?;
//! let packets = broadcast::Sender::<Bytes>::new(4); // no fewer than buffers
//!
//! let (mut client, mut far_side) = tokio::io::duplex(64);
//! let mut queue = packets.subscribe();
//! let client = tokio::spawn(async move {
//!     while let Ok(packet) = queue.recv().await {
//!         // Without a limit one client that stalls would stop all of them.
//!         match timeout(Duration::from_secs(5), client.write_all(&packet)).await {
//!             Ok(Ok(())) => {}
//!             _gone_or_stalled => return,
//!         }
//!     }
//! });
//! # let far_side = tokio::spawn(async move {
//! #     let mut all = Vec::new();
//! #     tokio::io::AsyncReadExt::read_to_end(&mut far_side, &mut all).await.map(|_| all)
//! # });
//!
//! for number in 0..100 {
//!     let mut sample = pool.get_buffer().await?; // waits for the slowest
//!     sample.put_u32(number);
//!     let _nobody_listens = packets.send(sample.into_bytes());
//! }
//! drop(packets);
//! client.await?;
//! # assert_eq!(far_side.await??.len(), 400);
//! assert_eq!(pool.free_count(), 4);
//! # Ok(())
//! # }
//! ```
//!
//! # Why a watch channel
//!
//! The window is the value of a `tokio::sync::watch` channel: every subscriber looks at the same
//! window, from a place of its own. Tokio's `broadcast` is nearer at first sight, but it clones a sample
//! out before anybody can say no, so that a subscriber without a place in the hands would have to pin it
//! or lose it; it rounds its length up; and it cannot give up what it keeps when the pool is drained. An
//! `mpsc` for each subscriber would pin as many backlogs as there are subscribers. Wake-ups, the end,
//! and leaving are the channel's.
//!
//! # Locks
//!
//! The channel's lock on the window is held while the one on the hands is taken, never the other way
//! round. A sample is only cloned under them; it is dropped, which may run foreign code, after them. So is everybody
//! woken.
//!
//! Wake-ups are Tokio's: if a waker panics, those behind it may sleep on, until the next sample or for good. An
//! executor's own wakers do not panic.

#![forbid(unsafe_code)]

mod hands;
mod received;
mod subscriber;

pub use hands::Hands;
pub use received::Received;
pub use subscriber::Subscriber;

use crate::{shared::SharedSample, sync::watch};
use std::{collections::VecDeque, fmt, mem};

/// Sends samples to many subscribers, each at its own pace, none of which can hold the pool.
///
/// It keeps the newest samples, the *backlog*, for those that are not there yet. A subscriber that lags
/// by more skips to the next [sync point](crate::SampleProperties::sync_point), and
/// [is told](Received::missed) how many it missed. Until a sync point is sent subscribers are given nothing; for
/// samples that need no others, say [`resume_anywhere(true)`](FanOut::resume_anywhere). [Sending](FanOut::send)
/// never waits.
///
/// When it is dropped, subscribers still get what is in the backlog, which is therefore kept until the last of them is
/// dropped: whoever replaces a fan-out by another one [clears](FanOut::clear) it first.
///
/// What subscribers have taken and not let go of is *in their hands*, where there are places for a
/// stated number of different samples; a sample that many have counts once. So a fan-out and all of its
/// subscribers never pin more than `backlog + in_hands` samples, whatever they do: with more buffers
/// than that, the producer is never without one on their account. When all places are taken, a
/// subscriber that wants another sample waits, and lags meanwhile; [`Received::wanted_back`] tells those
/// that stand in its way.
///
/// # Examples
///
/// ```
/// use bytes::BufMut;
/// use sample_pool::{Pool, fan_out::FanOut};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(8).build()?;
/// let video = FanOut::new(4, 3); // and 1 for the producer
/// let mut viewer = video.subscribe(1);
/// for number in 0..10 {
///     let mut frame = pool.get_buffer().await?; // never waits for a viewer
///     frame.put_u32(number);
///     frame.properties_mut().set_sync_point(number % 2 == 0); // a key frame
///     video.send(frame.freeze());
/// }
/// drop(video);
/// let frame = viewer.next().await.expect("the backlog");
/// assert_eq!((&frame[..], frame.missed()), (&6u32.to_be_bytes()[..], 6));
/// # Ok(())
/// # }
/// ```
pub struct FanOut {
    window: watch::Sender<Window>,
    hands: Hands,
    /// Its number among those that share the hands.
    number: u64,
    backlog: usize,
    resume_anywhere: bool,
}

/// The newest samples, numbered in the order in which they were sent.
struct Window {
    /// The number of the first.
    first: u64,
    samples: VecDeque<SharedSample>,
}

impl Window {
    /// The number of the next sample to come.
    fn end(&self) -> u64 {
        self.first + self.samples.len() as u64
    }

    fn get(&self, number: u64) -> Option<&SharedSample> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.samples.get(at)
    }
}

impl FanOut {
    /// Keeps the `backlog` newest samples, and lets subscribers have `in_hands` different ones beside
    /// them.
    ///
    /// Both count samples, not bytes: how many are sent in one go, before a subscriber's task can run, is the
    /// least that the backlog must hold. Tasks share a fan-out in an `Arc`.
    ///
    /// # Panics
    ///
    /// If one of them is zero, or more than memory can hold: the places are allocated here.
    #[must_use]
    pub fn new(backlog: usize, in_hands: usize) -> Self {
        FanOut::with_hands(backlog, &Hands::new(in_hands))
    }

    /// Keeps the `backlog` newest samples, and shares the places in the hands with whoever has them.
    ///
    /// All fan-outs that share them, with all subscribers, never pin more than the backlogs and the places
    /// together.
    ///
    /// # Panics
    ///
    /// If the backlog is zero, or more than memory can hold: its places are allocated here.
    ///
    /// # Examples
    ///
    /// See [`Hands`].
    #[must_use]
    pub fn with_hands(backlog: usize, hands: &Hands) -> Self {
        assert!(backlog > 0, "a window of no samples shows nothing");
        FanOut {
            window: watch::Sender::new(Window {
                first: 0,
                samples: VecDeque::with_capacity(backlog),
            }),
            number: hands.join(),
            hands: hands.clone(),
            backlog,
            resume_anywhere: false,
        }
    }

    /// Whether subscribers begin, and go on after they lagged, with any sample. Otherwise, and by default,
    /// only with a sync point: without one they are given nothing. For samples that need no other.
    #[must_use]
    pub fn resume_anywhere(mut self, yes: bool) -> Self {
        self.resume_anywhere = yes;
        self
    }

    /// Sends a sample to all subscribers. Never waits.
    ///
    /// The oldest of a full backlog is let go of, and whoever did not take it has missed it. Nothing is
    /// allocated.
    ///
    /// # Examples
    ///
    /// See [`FanOut`].
    pub fn send(&self, sample: SharedSample) {
        let mut oldest = None;
        self.window.send_modify(|window| {
            if window.samples.len() == self.backlog {
                oldest = window.samples.pop_front();
                window.first += 1;
            }
            window.samples.push_back(sample);
        });
        drop(oldest);
    }

    /// Lets go of the backlog: before a drain is awaited, or when what it has is out of date. Subscribers
    /// have missed what they did not take.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().buffers(1).build().unwrap();
    /// let video = sample_pool::fan_out::FanOut::new(4, 3);
    /// video.send(pool.try_get_buffer()?.freeze());
    /// assert_eq!(pool.free_count(), 0);
    /// video.clear();
    /// assert_eq!(pool.free_count(), 1);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    pub fn clear(&self) {
        let mut empty = VecDeque::with_capacity(self.backlog);
        self.window.send_modify(|window| {
            window.first = window.end();
            mem::swap(&mut window.samples, &mut empty);
        });
    }

    /// Subscribes; `holds` is how many samples the subscriber can have at a time, [`usize::MAX`] for no bound but
    /// the places in the hands.
    ///
    /// It begins with the newest sync point of the backlog, or the next to come. Allocates a little; after
    /// that, being sent samples does not.
    ///
    /// # Panics
    ///
    /// If `holds` is zero.
    ///
    /// # Examples
    ///
    /// See [`FanOut`].
    #[must_use]
    pub fn subscribe(&self, holds: usize) -> Subscriber {
        Subscriber::new(self, holds)
    }

    /// How many subscribers there are.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.window.receiver_count()
    }

    /// How many different samples are in the hands of subscribers; of all that share them.
    #[must_use]
    pub fn in_hands(&self) -> usize {
        self.hands.taken()
    }
}

/// Says how many samples are kept and by whom; never prints bytes.
impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Before the chain, which writes to whatever is foreign: the window is locked while it is looked at.
        let backlog = self.window.borrow().samples.len();
        f.debug_struct("FanOut")
            .field("backlog", &backlog)
            .field("in_hands", &self.in_hands())
            .field("subscribers", &self.subscribers())
            .finish_non_exhaustive()
    }
}
