//! A subscriber, which reads the window from a position of its own.
//!
//! | waits for                                    | woken by                              |
//! |----------------------------------------------|---------------------------------------|
//! | a permit: it holds as many samples as it may | drop of one of its deliveries         |
//! | a sample                                     | a send, a close, a dropped fan-out; of a frame that is arriving, as [`arriving`](super::arriving) says |
//! | the hold limit                               | a held sample whose last holder drops it; inside a frame also as for a sample, because an abort needs no room |
//!
//! The waits are done in this order, each only if the one before is over. [`recv`](Subscriber::recv) and the
//! [`Stream`](futures::Stream) share [`try_next`](Subscriber::try_next), which never waits. It first marks both channels
//! as seen, so a change after it wakes the task. Which samples a subscriber skips, and which bytes of a frame that is
//! arriving it receives next, is decided in [`window`](super::window).

use super::{
    FanOut,
    delivery::Delivery,
    hold_limit::{AtLimit, HeldSamples, HoldLimit, SampleId},
    status::SkipCounter,
    subscriber_waits::Waits,
    window::{Next, Position, Window},
};
use crate::sync::{OwnedSemaphorePermit, Semaphore, watch};
use futures::future;
use std::{fmt, pin::pin, sync::Arc};
use tokio::task::coop;

/// A subscriber of a [`FanOut`], which receives its samples at its own pace.
///
/// Samples are received in the order in which they were sent. [`recv`](Subscriber::recv) waits for the next one. A
/// subscriber is also a [`Stream`](futures::Stream) of [`Delivery`]s, which ends when `recv` would return `None`.
///
/// A consumer that keeps a delivery while it asks for the next one needs `subscribe(2)`. With `subscribe(1)` it waits for
/// itself for ever, without an error. One that keeps all of them, as `StreamExt::collect` does, waits at the hold limit.
///
/// # Examples
///
/// With `StreamExt::next`, in a loop:
///
/// ```
/// use futures::StreamExt;
/// use sample_pool::{Pool, fan_out::FanOut};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = Pool::builder().build()?;
/// let video = FanOut::new(4, 3);
/// let mut viewer = video.subscribe(1);
/// for _ in 0..3 {
///     video.send(pool.get_buffer().await?.freeze())?;
/// }
/// video.close();
/// let mut received = 0;
/// while let Some(frame) = viewer.next().await {
///     assert_eq!(frame.sequence(), received);
///     received += 1;
/// }
/// assert_eq!(received, 3);
/// # Ok(())
/// # }
/// ```
///
/// As the body of an HTTP response. hyper takes several chunks ahead, so only `subscribe(1)` limits a slow client to
/// one sample:
///
/// ```
/// use bytes::BufMut;
/// use futures::StreamExt;
/// use http_body_util::{BodyExt, StreamBody};
/// use hyper::body::Frame;
/// use sample_pool::{Pool, fan_out::FanOut};
/// use std::convert::Infallible;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = Pool::builder().build()?;
/// let video = FanOut::new(4, 3);
/// let frames = video.subscribe(1);
/// let mut body = StreamBody::new(
///     frames.map(|frame| Ok::<_, Infallible>(Frame::data(frame.into_bytes()))),
/// );
/// let mut frame = pool.get_buffer().await?;
/// frame.put_slice(b"a picture");
/// video.send(frame.freeze())?;
/// let chunk = body.frame().await.expect("it was sent")?;
/// assert_eq!(chunk.into_data().expect("it has no trailers"), "a picture");
/// # Ok(())
/// # }
/// ```
pub struct Subscriber {
    pub(super) window: watch::Receiver<Window>,
    pub(super) hold_limit: HoldLimit,
    /// The id of its fan-out in the hold limit.
    fan_out: u64,
    pub(super) releases: watch::Receiver<HeldSamples>,
    /// One permit for each sample that this subscriber may hold.
    pub(super) permits: Arc<Semaphore>,
    /// The permit for the next sample, if it was acquired.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    position: Position,
    /// The samples skipped by all subscribers of the fan-out. Updated at a delivery only if something was skipped, so
    /// that a subscriber that keeps up does not write to memory that all subscribers share.
    skip_counter: SkipCounter,
    /// Counts this subscriber for as long as it lives.
    _counted: Arc<()>,
    /// The waits of the stream.
    pub(super) waits: Waits,
    /// Whether the end was returned.
    pub(super) is_ended: bool,
}

/// The result of [`Subscriber::try_next`].
pub(super) enum TryNext {
    Delivered(Delivery),
    /// There is a sample, but the hold limit is reached.
    AtLimit(AtLimit),
    /// As `AtLimit`, and the sample is of a frame of which a part was delivered, and which can still be aborted.
    AtLimitInFrame(AtLimit),
    /// All samples of the window were delivered.
    Empty,
    /// As `Empty`, and no sample will come.
    Ended,
}

impl FanOut {
    /// Creates a subscriber that can hold up to `max_held` samples at a time. Two deliveries of one sample count as two here,
    /// and as one for the hold limit.
    ///
    /// With [`usize::MAX`], only the hold limit of the fan-out applies. The subscriber starts with the newest sample of
    /// the backlog, or with the next one if the backlog is empty. If
    /// [sync points are required](FanOut::require_sync_point), it starts with the newest or the next sync point. If that
    /// frame is still [arriving](FanOut::start_frame), the first delivery is what is there of its first sample. This
    /// allocates a little memory. Receiving samples allocates none, except on the first waits as a
    /// [`Stream`](futures::Stream).
    ///
    /// # Panics
    ///
    /// If `max_held` is zero.
    ///
    /// # Examples
    ///
    /// See [`FanOut`].
    #[must_use]
    pub fn subscribe(&self, max_held: usize) -> Subscriber {
        Subscriber::new(self, max_held, false)
    }

    /// Creates a subscriber that receives a frame only when all of it has arrived, one delivery for each sample.
    ///
    /// It is for consumers that cannot use a part of a frame, such as a decoder, or a client that asks for one frame. It
    /// starts with the newest complete frame of the backlog. A frame that its producer aborts is skipped. Otherwise it is
    /// like [`subscribe`](FanOut::subscribe), and if all samples are [sent](FanOut::send) whole, there is no difference.
    ///
    /// A frame of several samples is several deliveries. If the rest of them leaves the backlog before this subscriber
    /// has received it, the next delivery [is aborted](Delivery::is_aborted). A frame of more samples than the backlog has
    /// is never received.
    ///
    /// # Panics
    ///
    /// If `max_held` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// use sample_pool::{Pool, fan_out::FanOut};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().build()?;
    /// let video = FanOut::new(4, 3);
    /// let mut decoder = video.subscribe_to_whole_frames(1);
    /// let mut part = pool.get_buffer().await?.into_part();
    /// let mut frame = video.start_frame(true)?;
    /// for piece in [&b"a "[..], b"frame"] {
    ///     part.put_slice(piece);
    ///     frame.append(part.split_written())?;
    /// }
    /// frame.finish()?;
    /// assert_eq!(decoder.recv().await.expect("it was sent")[..], *b"a frame");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn subscribe_to_whole_frames(&self, max_held: usize) -> Subscriber {
        Subscriber::new(self, max_held, true)
    }
}

impl Subscriber {
    pub(super) fn new(fan_out: &FanOut, max_held: usize, whole_frames: bool) -> Self {
        assert!(max_held > 0, "a subscriber must be able to hold a sample");
        let window = fan_out.window.subscribe();
        let sync_point = fan_out.require_sync_point;
        let position = Position::newest(&window.borrow(), sync_point, whole_frames);
        Subscriber {
            window,
            hold_limit: fan_out.hold_limit.clone(),
            fan_out: fan_out.id,
            releases: fan_out.hold_limit.watch_releases(),
            permits: Arc::new(Semaphore::new(max_held.min(Semaphore::MAX_PERMITS))),
            permit: None,
            position,
            skip_counter: fan_out.skipped.clone(),
            _counted: fan_out.subscribers.clone(),
            waits: Waits::default(),
            is_ended: false,
        }
    }

    /// Waits for the next sample and takes it. Returns `None` at the end.
    ///
    /// It waits until this subscriber holds fewer samples than it may, until there is a sample, and until the hold
    /// limit allows another one. If this subscriber lagged and
    /// [sync points are required](FanOut::require_sync_point), the next sample is a sync point. Of a frame that
    /// [is arriving](FanOut::start_frame) it returns all bytes that were added since the last call, whole samples or parts
    /// of one; see [`Delivery`](super::Delivery#a-frame-in-several-deliveries).
    ///
    /// The end comes when the [`FanOut`] was [closed](FanOut::close) or dropped, after the samples of the backlog.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A sample that was not returned was not taken, and the next call returns it unless it is skipped by
    /// then. The same is true of the bytes of a frame that is arriving.
    ///
    /// # Examples
    ///
    /// See [`FanOut`].
    pub async fn recv(&mut self) -> Option<Delivery> {
        self.ready().await;
        loop {
            match self.try_next() {
                TryNext::Delivered(delivery) => return Some(delivery),
                TryNext::AtLimit(at_limit) => {
                    self.hold_limit.notify_holders(at_limit);
                    // Cannot fail: this subscriber has a handle to the limit, which owns the sender.
                    self.releases.changed().await.ok()?;
                }
                TryNext::AtLimitInFrame(at_limit) => {
                    self.hold_limit.notify_holders(at_limit);
                    let released = pin!(self.releases.changed());
                    let changed = pin!(self.window.changed());
                    let _either = future::select(released, changed).await;
                }
                TryNext::Ended => {
                    self.is_ended = true;
                    return None;
                }
                TryNext::Empty => {
                    // Fails if the fan-out is dropped, which may be after a last send: the next try tells.
                    let _ = self.window.changed().await;
                }
            }
        }
    }

    /// Waits until this subscriber holds fewer samples than it may.
    ///
    /// With `subscribe(1)` this is so when the last delivery, or the `Bytes` that it was converted into, was dropped:
    /// a connection has written it. [`recv`](Subscriber::recv) waits for this first. It is for a server that gives a
    /// slow client a time limit.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Nothing is lost.
    ///
    /// # Examples
    ///
    /// A server closes the connection of a client that does not read:
    ///
    /// ```
    /// use bytes::BufMut;
    /// use sample_pool::{Pool, fan_out::FanOut};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().build()?;
    /// let video = FanOut::new(4, 3);
    /// let mut viewer = video.subscribe(1);
    /// let mut frame = pool.get_buffer().await?;
    /// frame.put_slice(b"a picture"); // the `Bytes` of an empty sample would hold no buffer
    /// video.send(frame.freeze())?;
    /// let frame = viewer.recv().await.expect("it was sent");
    ///
    /// let reclaim_requested = frame.reclaim_requested();
    /// let queued = frame.into_bytes(); // for a connection to write
    /// tokio::select! {
    ///     () = viewer.ready() => panic!("it was not written"),
    ///     () = reclaim_requested => panic!("no other subscriber waits"),
    ///     () = tokio::time::sleep(Duration::from_millis(5)) => {} // the client stalls: close it
    /// }
    /// # drop(queued);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&mut self) {
        // A permit that went to the wait of the stream would be missing here, and no one would poll that wait.
        self.waits.cancel_permit();
        // Both branches spend cooperative budget. Otherwise a task whose subscriber is always ready would not let
        // other tasks run.
        if self.permit.is_some() {
            coop::consume_budget().await;
        } else {
            // Cannot fail: the semaphore is never closed.
            self.permit = self.permits.clone().acquire_owned().await.ok();
        }
    }

    /// Takes the next sample if that is possible now. Needs the permit; wakes no task.
    pub(super) fn try_next(&mut self) -> TryNext {
        // Before the look at the window, so that a change after it is seen as a change.
        self.releases.mark_unchanged();
        self.window.mark_unchanged();
        // Before the look too: a fan-out that is dropped after it aborts the frame, which needs no room.
        let is_dropped = self.window.has_changed().is_err();
        match self.take_next() {
            // The window of a fan-out that was dropped never changes, and a wait for that would be over at once.
            TryNext::AtLimit(at_limit) if self.position.is_inside() && !is_dropped => {
                TryNext::AtLimitInFrame(at_limit)
            }
            result => result,
        }
    }

    fn take_next(&mut self) -> TryNext {
        let window = self.window.borrow();
        let sent = match window.next(&mut self.position) {
            Next::Bytes(sent) => sent,
            Next::Aborted { sequence, skipped } => {
                self.skip_counter.add(skipped);
                // It holds no sample, so it needs neither a guard nor the permit.
                return TryNext::Delivered(Delivery::aborted(sequence, skipped));
            }
            Next::Nothing if window.closed => return TryNext::Ended,
            Next::Nothing => return TryNext::Empty,
        };
        let (fan_out, sequence) = (self.fan_out, self.position.next());
        let guard = match self.hold_limit.acquire(SampleId { fan_out, sequence }) {
            Ok(guard) => guard,
            // The holders are notified by the caller: their wakers must not run while the window is locked.
            Err(at_limit) => return TryNext::AtLimit(at_limit),
        };
        let piece = self.position.advance(sent);
        self.skip_counter.add(piece.skipped);
        TryNext::Delivered(Delivery::new(sent, &piece, guard, self.permit.take()))
    }

    /// Returns how many samples of the backlog this subscriber has not received yet. Skipped samples do not count, nor
    /// does a sample of which it received all bytes that are there. The last sample of a frame counts until the end of the
    /// frame, or its abort, was received too.
    #[must_use]
    pub fn lag(&self) -> usize {
        let lag = self.window.borrow().lag(&self.position);
        usize::try_from(lag).unwrap_or(usize::MAX)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.skip_counter.add(self.position.skipped());
    }
}

/// Shows how far behind it is; never bytes.
impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("lag", &self.lag())
            .field("skipped", &self.position.skipped())
            .finish_non_exhaustive()
    }
}
