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

mod delivery;
mod hold_limit;
mod status;
mod subscriber;
mod window;

pub use delivery::Received;
pub use hold_limit::Hands;
pub use status::FanOutStatus;
pub use subscriber::Subscriber;

pub use crate::error::SendError;

#[cfg(feature = "metrics")]
pub(crate) use status::Counts;

use crate::{
    shared::SharedSample,
    sync::{Ordering, StatisticU64, watch},
};
use status::Skipped;
use std::{fmt, mem, sync::Arc};
use window::{Sent, Window};

/// Sends samples to many subscribers, each at its own pace, none of which can hold the pool.
///
/// It keeps the newest samples, the *backlog*, for subscribers that have not taken them yet. A subscriber that
/// lags by more skips samples, and [`Received::missed`] says how many. By default it goes on with any sample. Where
/// a sample cannot be used without earlier ones, set [`require_sync_point(true)`](FanOut::require_sync_point):
/// subscribers then begin and resume at a sync point only. [Sending](FanOut::send) never waits.
///
/// # The end
///
/// [`close`](FanOut::close) ends it for all subscribers, whoever else has a handle to it; dropping it does the same.
/// Subscribers still get what is in the backlog, and then the end. The backlog is therefore kept until the last
/// subscriber is dropped, and while the closed `FanOut` itself exists; [`clear`](FanOut::clear) drops it at once.
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
/// let video = FanOut::new(4, 3).require_sync_point(true); // 7 buffers, and 1 for the producer
/// let mut viewer = video.subscribe(1);
/// for number in 0..10 {
///     let mut frame = pool.get_buffer().await?; // never waits for a viewer
///     frame.put_u32(number);
///     frame.properties_mut().set_sync_point(number % 2 == 0); // a key frame
///     video.send(frame.freeze())?;
/// }
/// video.close();
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
    require_sync_point: bool,
    /// How many samples were sent. Written under the window's lock.
    sent: Arc<StatisticU64>,
    skipped: Skipped,
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
    /// If one of them is zero, or so large that memory for their places is refused: it is allocated here.
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
    /// If the backlog is zero, or so large that memory for its places is refused: it is allocated here.
    ///
    /// # Examples
    ///
    /// See [`Hands`].
    #[must_use]
    pub fn with_hands(backlog: usize, hands: &Hands) -> Self {
        FanOut {
            window: watch::Sender::new(Window::new(backlog)),
            number: hands.join(),
            hands: hands.clone(),
            backlog,
            require_sync_point: false,
            sent: Arc::new(StatisticU64::new(0)),
            skipped: Skipped::default(),
        }
    }

    /// Whether subscribers begin, and resume after they lagged, at sync points only. Default no: with any sample.
    ///
    /// A *sync point* is a sample that can be used without earlier ones, such as a key frame. A sample is one if its
    /// [`sync_point`](crate::SampleProperties::sync_point) is set, or if it was sent by
    /// [`send_sync_point`](FanOut::send_sync_point). With `true`, subscribers get nothing until a sync point was sent.
    ///
    /// # Examples
    ///
    /// See [`FanOut`].
    #[must_use]
    pub fn require_sync_point(mut self, yes: bool) -> Self {
        self.require_sync_point = yes;
        self
    }

    /// Sends a sample to all subscribers. Never waits.
    ///
    /// If the backlog is full, its oldest sample is dropped, and a subscriber that has not taken it has missed it.
    /// It succeeds if there are no subscribers too: later ones find the sample in the backlog. Nothing is allocated.
    ///
    /// # Errors
    ///
    /// [`SendError`] after a [`close`](FanOut::close). The sample was dropped. Trying again cannot help.
    ///
    /// # Examples
    ///
    /// See [`FanOut`].
    pub fn send(&self, sample: SharedSample) -> Result<(), SendError> {
        let sync_point = sample.properties().sync_point();
        self.push(Sent { sample, sync_point })
    }

    /// Sends a sample as a sync point, whatever its properties say. Otherwise like [`send`](FanOut::send).
    ///
    /// Slices share the properties of their sample, so that none of them can be marked alone. The frames of a
    /// `FrameReader` of the feature `stream` are slices: this marks one of them at the send.
    /// [`Received::sync_point`] says so to subscribers.
    ///
    /// # Errors
    ///
    /// [`SendError`] after a [`close`](FanOut::close). The sample was dropped. Trying again cannot help.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// use sample_pool::{Pool, fan_out::FanOut};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build()?;
    /// let mut read = pool.get_buffer().await?;
    /// read.put_slice(b"IPP");
    /// let read = read.freeze();
    ///
    /// let video = FanOut::new(4, 3).require_sync_point(true);
    /// for at in 0..read.len() {
    ///     let frame = read.slice(at..at + 1);
    ///     match &frame[..] {
    ///         b"I" => video.send_sync_point(frame)?,
    ///         _ => video.send(frame)?,
    ///     }
    /// }
    /// let frame = video.subscribe(1).next().await.expect("it is in the backlog");
    /// assert_eq!((&frame[..], frame.sync_point()), (&b"I"[..], true));
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_sync_point(&self, sample: SharedSample) -> Result<(), SendError> {
        self.push(Sent {
            sample,
            sync_point: true,
        })
    }

    fn push(&self, sent: Sent) -> Result<(), SendError> {
        // Whatever is not kept is dropped after the lock: the release may run a callback.
        let mut sent = Some(sent);
        let mut oldest = None;
        self.window.send_if_modified(|window| {
            if window.closed {
                return false;
            }
            if window.samples.len() == self.backlog {
                oldest = window.samples.pop_front();
                window.first += 1;
            }
            window.samples.extend(sent.take());
            self.sent.store(window.end(), Ordering::Relaxed);
            true
        });
        drop(oldest);
        match sent {
            Some(_dropped) => Err(SendError::new()),
            None => Ok(()),
        }
    }

    /// Ends it for all subscribers: they get what is in the backlog, and then `None`. Never waits.
    ///
    /// It needs no exclusive access, so that a fan-out that an accept loop keeps in an `Arc` can be closed by its
    /// producer. Later [sends](FanOut::send) fail, and a later subscriber gets what is in the backlog too. The backlog
    /// is not dropped; [`clear`](FanOut::clear) does that. Closing again has no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, fan_out::FanOut};
    /// use std::sync::Arc;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().build()?;
    /// let video = Arc::new(FanOut::new(4, 3));
    /// let accept_loop = video.clone(); // which subscribes for each connection
    /// let mut viewer = accept_loop.subscribe(1);
    ///
    /// video.send(pool.get_buffer().await?.freeze())?;
    /// video.close();
    /// assert!(video.send(pool.get_buffer().await?.freeze()).is_err());
    /// assert!(viewer.next().await.is_some()); // from the backlog
    /// assert!(viewer.next().await.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) {
        self.window
            .send_if_modified(|window| !mem::replace(&mut window.closed, true));
    }

    /// Whether it was [closed](FanOut::close), so that every [send](FanOut::send) fails.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.window.borrow().closed
    }

    /// Drops the backlog: before a drain is awaited, or when what it has is out of date. Subscribers
    /// have missed what they did not take.
    ///
    /// # Panics
    ///
    /// If memory for another empty backlog is refused. Nothing was dropped then.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().buffers(1).build().unwrap();
    /// let video = sample_pool::fan_out::FanOut::new(4, 3);
    /// video.send(pool.try_get_buffer()?.freeze())?;
    /// assert_eq!(pool.free_count(), 0);
    /// video.clear();
    /// assert_eq!(pool.free_count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear(&self) {
        let mut empty = window::allocate(self.backlog);
        self.window.send_modify(|window| {
            window.first = window.end();
            mem::swap(&mut window.samples, &mut empty);
        });
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

    #[cfg(feature = "metrics")]
    pub(crate) fn counts(&self) -> Counts {
        Counts::new(self.sent.clone(), self.skipped.clone())
    }

    /// How many samples are sent, kept, held and skipped. Not a snapshot.
    ///
    /// # Examples
    ///
    /// See [`FanOutStatus`].
    #[must_use]
    pub fn status(&self) -> FanOutStatus {
        let backlog = self.window.borrow().samples.len();
        FanOutStatus {
            subscribers: self.subscribers(),
            backlog,
            held: self.hands.taken_of(self.number),
            sent: self.sent.load(Ordering::Relaxed),
            skipped: self.skipped.get(),
        }
    }
}

/// Says how many samples are kept and by whom; never prints bytes.
impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Before the chain, which writes to whatever is foreign: the window is locked while it is looked at.
        let (backlog, closed) = {
            let window = self.window.borrow();
            (window.samples.len(), window.closed)
        };
        f.debug_struct("FanOut")
            .field("backlog", &backlog)
            .field("in_hands", &self.in_hands())
            .field("subscribers", &self.subscribers())
            .field("closed", &closed)
            .finish_non_exhaustive()
    }
}
