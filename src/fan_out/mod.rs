//! One producer, many subscribers, and a limit on how many samples they hold together.
//!
//! | who holds a sample    | how many samples         | until                                          |
//! |-----------------------|--------------------------|------------------------------------------------|
//! | the backlog           | `backlog`                | as many newer samples were sent                |
//! | the subscribers       | the hold limit           | every subscriber that received it dropped it   |
//!
//! A sample is a buffer, however many parts of it are sent one after the other: a frame that is still arriving is sent as
//! it is written ([`FanOut::start_frame`]), and subscribers receive what is there. The repository has a guide,
//! `docs/guide/low-latency.md`.
//!
//! # When to use a broadcast channel instead
//!
//! [`FanOut`] is for live data: it never slows the producer down, and a subscriber that is too slow skips samples. A
//! source that is faster than real time, such as a file or a TCP connection, fills the backlog in one burst. Then even
//! a fast subscriber skips samples before its task has run once.
//!
//! Where every byte must arrive, the producer must wait for the slowest consumer. For that a
//! `tokio::sync::broadcast` channel is enough. Give it a capacity of at least the number of buffers: then it never
//! drops a message, and the producer waits in `get_buffer` for the slowest consumer:
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
//! let packets = broadcast::Sender::<Bytes>::new(4); // at least as many as buffers
//!
//! let (mut client, mut far_side) = tokio::io::duplex(64);
//! let mut queue = packets.subscribe();
//! let client = tokio::spawn(async move {
//!     while let Ok(packet) = queue.recv().await {
//!         // Without a time limit, one client that stalls would stop all others.
//!         match timeout(Duration::from_secs(5), client.write_all(&packet)).await {
//!             Ok(Ok(())) => {}
//!             _closed_or_stalled => return,
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
//!     let _no_receivers = packets.send(sample.into_bytes());
//! }
//! drop(packets);
//! client.await?;
//! # assert_eq!(far_side.await??.len(), 400);
//! assert_eq!(pool.free_count(), 4);
//! # Ok(())
//! # }
//! ```
//!
//! # Why it is built on a watch channel
//!
//! The backlog is the value of a `tokio::sync::watch` channel: all subscribers read the same value, and each has a
//! position of its own. The channel does the wake-ups and tells both sides when the other is dropped. The alternatives
//! were rejected:
//!
//! - `broadcast` clones a message before the receiver can refuse it. At the hold limit, a subscriber would have to hold
//!   the sample or lose it. It also rounds its capacity up, and cannot drop what it keeps when the pool is drained.
//! - An `mpsc` channel for each subscriber would hold as many backlogs as there are subscribers.
//!
//! # Locks
//!
//! - **FO1** The lock of the hold limit is taken while the lock of the window is held, and never the other way round.
//! - **FO2** No user code runs under a lock. Under them a sample is only cloned. It is dropped after them, because that
//!   can run a release callback, and tasks are woken after them. `fan_out::a_release_callback_may_use_the_fan_out`
//!
//! Tokio wakes the tasks. If a waker panics, the tasks behind it may not be woken, until the next sample or at all. The
//! wakers of an executor do not panic.

#![forbid(unsafe_code)]

// | module              | what it has                                                                  |
// |---------------------|------------------------------------------------------------------------------|
// | `window`            | the backlog: which samples there are, and which ones a subscriber skips      |
// | `arriving`          | a frame that is sent while it arrives                                        |
// | `subscriber`        | how a subscriber receives; as a stream: `subscriber_stream`, `subscriber_waits` |
// | `delivery`          | what it receives                                                             |
// | `hold_limit`        | how many samples the subscribers hold together                               |
// | `status`            | the figures                                                                  |

mod arriving;
mod delivery;
mod hold_limit;
mod status;
mod subscriber;
mod subscriber_stream;
mod subscriber_waits;
mod window;

pub use arriving::ArrivingFrame;
pub use delivery::Delivery;
pub use hold_limit::HoldLimit;
pub use status::FanOutStatus;
pub use subscriber::Subscriber;

pub use crate::values::error::{AppendError, SendError};

#[cfg(feature = "metrics")]
pub(crate) use status::Counts;

use crate::{
    sample::shared::SharedSample,
    sync::{Ordering, StatisticU64, watch},
};
use status::SkipCounter;
use std::{fmt, mem, sync::Arc};
use window::{Sent, State, Window};

/// Sends samples to many subscribers, each at its own pace, and limits how many samples they hold.
///
/// It keeps the newest samples, the *backlog*, for subscribers that have not received them yet. A subscriber that lags
/// by more skips samples, and [`Delivery::skipped`] returns how many. By default it continues with any sample. Where a
/// sample cannot be used without earlier ones, set [`require_sync_point(true)`](FanOut::require_sync_point):
/// subscribers then start and continue at a sync point only. [Sending](FanOut::send) never waits.
///
/// # The hold limit
///
/// The subscribers together hold at most a given number of different samples; a sample that many of them hold counts
/// once. So a fan-out and all of its subscribers never hold more than `backlog + limit` samples, of which the frame that
/// [is arriving](FanOut::start_frame) has its share. If the pool has more
/// buffers than that, the fan-out never keeps the producer waiting for one. At the limit, a subscriber that needs
/// another sample waits, and lags meanwhile. [`Delivery::reclaim_requested`] notifies the holders of the sample that
/// has been held for longest.
///
/// # Sharing
///
/// A fan-out is not `Clone`, because it ends when it is dropped. Tasks share it in an [`Arc`]. A
/// [`Subscriber`] and an [`ArrivingFrame`] do not borrow it.
///
/// # The end
///
/// [`close`](FanOut::close) ends it for all subscribers, also if other tasks still have a handle to it. Dropping it does
/// the same. Subscribers receive the samples of the backlog, and then the end. The backlog is therefore kept until the
/// last subscriber is dropped, and as long as the closed `FanOut` itself exists. [`clear`](FanOut::clear) drops it at
/// once.
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
/// let frame = viewer.recv().await.expect("the backlog");
/// assert_eq!((&frame[..], frame.skipped()), (&6u32.to_be_bytes()[..], 6));
/// # Ok(())
/// # }
/// ```
pub struct FanOut {
    window: watch::Sender<Window>,
    hold_limit: HoldLimit,
    /// Identifies this fan-out among those that share the hold limit.
    id: u64,
    backlog: usize,
    require_sync_point: bool,
    /// How many bytes of a frame that is arriving wake subscribers again.
    notify_every: usize,
    /// How many samples were sent. Written under the window's lock.
    sent: Arc<StatisticU64>,
    skipped: SkipCounter,
    /// Each subscriber holds a clone. The receivers of the window cannot be counted instead: a subscriber that waits as a
    /// stream has two.
    subscribers: Arc<()>,
}

impl FanOut {
    /// Creates a fan-out that keeps the `backlog` newest samples, and lets its subscribers hold `limit` different samples
    /// beside them.
    ///
    /// Both count samples, not bytes. The backlog must hold at least as many samples as are sent in one go, before the
    /// task of a subscriber can run. To share a fan-out among tasks, put it in an `Arc`.
    ///
    /// # Panics
    ///
    /// If one of them is zero, or if the memory to keep track of so many samples cannot be allocated. It is allocated
    /// here.
    #[must_use]
    pub fn new(backlog: usize, limit: usize) -> Self {
        FanOut::with_limit(backlog, &HoldLimit::new(limit))
    }

    /// Creates a fan-out that keeps the `backlog` newest samples, and shares `limit` with other fan-outs.
    ///
    /// All fan-outs that share a limit, with all of their subscribers, never hold more samples than the sum of their
    /// backlogs and the limit.
    ///
    /// # Panics
    ///
    /// If the backlog is zero, or if the memory for so many samples cannot be allocated. It is allocated here.
    ///
    /// # Examples
    ///
    /// See [`HoldLimit`].
    #[must_use]
    pub fn with_limit(backlog: usize, limit: &HoldLimit) -> Self {
        FanOut {
            window: watch::Sender::new(Window::new(backlog)),
            id: limit.register_fan_out(),
            hold_limit: limit.clone(),
            backlog,
            require_sync_point: false,
            notify_every: window::NOTIFY_EVERY,
            sent: Arc::new(StatisticU64::new(0)),
            skipped: SkipCounter::default(),
            subscribers: Arc::new(()),
        }
    }

    /// Sets whether subscribers start, and continue after they lagged, at sync points only. The default is `false`: any
    /// sample will do.
    ///
    /// A *sync point* is a sample that can be used without earlier ones, such as a key frame. A sample is a sync point if
    /// its [`sync_point`](crate::SampleProperties::sync_point) is set, or if it was sent by
    /// [`send_sync_point`](FanOut::send_sync_point). With `true`, subscribers receive nothing before a sync point was
    /// sent.
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
    /// If the backlog is full, its oldest sample is dropped, and the subscribers that have not received it skip it. It
    /// also succeeds if there are no subscribers: later ones find the sample in the backlog. Nothing is allocated. A frame
    /// that [is arriving](FanOut::start_frame) is aborted.
    ///
    /// # Errors
    ///
    /// [`SendError`] after [`close`](FanOut::close). The sample was dropped. Trying again cannot help.
    ///
    /// # Examples
    ///
    /// See [`FanOut`].
    pub fn send(&self, sample: SharedSample) -> Result<(), SendError> {
        let sync_point = sample.properties().sync_point();
        self.push(sample, sync_point)
    }

    /// Sends a sample as a sync point, whatever its properties are. Otherwise like [`send`](FanOut::send).
    ///
    /// The slices of a sample share its properties, so a slice alone cannot be marked there. The frames of a
    /// `FrameReader` (feature `stream`) are slices. This method marks one of them when it is sent, and
    /// [`Delivery::sync_point`] tells subscribers.
    ///
    /// # Errors
    ///
    /// [`SendError`] after [`close`](FanOut::close). The sample was dropped. Trying again cannot help.
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
    /// let frame = video.subscribe(1).recv().await.expect("it is in the backlog");
    /// assert_eq!((&frame[..], frame.sync_point()), (&b"I"[..], true));
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_sync_point(&self, sample: SharedSample) -> Result<(), SendError> {
        self.push(sample, true)
    }

    fn push(&self, sample: SharedSample, sync_point: bool) -> Result<(), SendError> {
        // Both are dropped after the lock is released, because the drop may run a release callback (FO2).
        let mut sent = Some(Sent {
            sample,
            sync_point,
            begins: true,
            state: State::Complete,
        });
        let mut oldest = None;
        self.window.send_if_modified(|window| {
            if window.closed {
                return false;
            }
            // Its subscribers would wait for its rest, in front of this sample (FW1).
            window.abort();
            oldest = window.make_room(self.backlog);
            window.samples.extend(sent.take());
            self.sent.store(window.end(), Ordering::Relaxed);
            true
        });
        drop(oldest);
        match sent {
            Some(_refused) => Err(SendError::new()),
            None => Ok(()),
        }
    }

    /// Ends the fan-out for all subscribers: they receive the samples of the backlog, and then `None`. Never waits.
    ///
    /// It takes `&self`, so a producer can close a fan-out that an accept loop also has in an `Arc`. Later
    /// [sends](FanOut::send) fail, and later subscribers receive the samples of the backlog too. The backlog is not
    /// dropped; [`clear`](FanOut::clear) does that. A frame that [is arriving](FanOut::start_frame) is aborted. Closing
    /// again has no effect.
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
    /// let accept_loop = video.clone(); // subscribes for each connection
    /// let mut viewer = accept_loop.subscribe(1);
    ///
    /// video.send(pool.get_buffer().await?.freeze())?;
    /// video.close();
    /// assert!(video.send(pool.get_buffer().await?.freeze()).is_err());
    /// assert!(viewer.recv().await.is_some()); // from the backlog
    /// assert!(viewer.recv().await.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) {
        self.window.send_if_modified(|window| {
            window.abort();
            !mem::replace(&mut window.closed, true)
        });
    }

    /// Returns whether it was [closed](FanOut::close). If so, every [send](FanOut::send) fails.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.window.borrow().closed
    }

    /// Drops the samples of the backlog. Subscribers skip those that they have not received. A frame that
    /// [is arriving](FanOut::start_frame) is aborted.
    ///
    /// Call it before you await a drain of the pool, or when the samples are out of date.
    ///
    /// # Panics
    ///
    /// If the memory for another empty backlog cannot be allocated. Then nothing was dropped.
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
        // Swapped and then dropped after the lock is released (FO2), which needs a second queue of the same capacity.
        let mut samples = window::allocate(self.backlog);
        self.window.send_modify(|window| {
            window.abort();
            window.clear(&mut samples);
        });
    }

    /// Returns how many subscribers there are.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        Arc::strong_count(&self.subscribers) - 1
    }

    /// Returns how many different samples subscribers hold. With a shared [`HoldLimit`], the subscribers of all fan-outs
    /// that share it are counted.
    #[must_use]
    pub fn held(&self) -> usize {
        self.hold_limit.held()
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn counts(&self) -> Counts {
        Counts::new(self.sent.clone(), self.skipped.clone())
    }

    /// Returns how many samples were sent, kept, held and skipped.
    ///
    /// The figures are read one after another, so they can be of slightly different moments.
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
            held: self.hold_limit.held_of(self.id),
            sent: self.sent.load(Ordering::Relaxed),
            skipped: self.skipped.get(),
        }
    }
}

/// Closes it: a frame that is arriving keeps the window, and subscribers would wait for its rest.
impl Drop for FanOut {
    fn drop(&mut self) {
        self.close();
    }
}

/// Shows how many samples are kept and held; never bytes.
impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Before the formatter is used: it calls user code, which must not run while the window is locked (FO2).
        let (backlog, closed) = {
            let window = self.window.borrow();
            (window.samples.len(), window.closed)
        };
        f.debug_struct("FanOut")
            .field("backlog", &backlog)
            .field("held", &self.held())
            .field("subscribers", &self.subscribers())
            .field("closed", &closed)
            .finish_non_exhaustive()
    }
}
