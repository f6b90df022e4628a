//! One that is sent samples, at its own pace.

use super::{
    FanOut,
    delivery::Received,
    hold_limit::{Hands, Key, NoPlace, Taken},
    status::Skipped,
    window::Window,
};
use crate::sync::{OwnedSemaphorePermit, Semaphore, watch};
use std::{fmt, sync::Arc};
use tokio::task::coop;

/// A subscriber of a [`FanOut`].
///
/// # Examples
///
/// As a stream, the body of an HTTP response for example. hyper takes several chunks ahead, so it is
/// `subscribe(1)` that keeps a slow client to one sample:
///
/// ```
/// use futures::{StreamExt, stream};
/// use sample_pool::{Pool, fan_out::FanOut};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = Pool::builder().build()?;
/// let video = FanOut::new(4, 3);
/// let body = stream::unfold(video.subscribe(1), async |mut viewer| {
///     let frame = viewer.next().await?;
///     Some((frame.into_bytes(), viewer))
/// });
/// for _ in 0..3 {
///     video.send(pool.get_buffer().await?.freeze())?;
/// }
/// drop(video);
/// assert_eq!(body.count().await, 3);
/// # Ok(())
/// # }
/// ```
pub struct Subscriber {
    window: watch::Receiver<Window>,
    hands: Hands,
    /// The number of its fan-out among those that share the hands.
    fan_out: u64,
    places: watch::Receiver<Taken>,
    /// One permit for each sample that it may have.
    holds: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    /// The number of the sample that is next.
    next: u64,
    missed: u64,
    /// Whether the next one must be a sync point.
    skips: bool,
    require_sync_point: bool,
    /// What this subscriber has missed is added when it is told, so that one which keeps up writes nothing for it.
    skipped: Skipped,
}

/// What a look at the window brought.
enum Look {
    Taken(Received),
    /// All places in the hands are taken.
    NoPlace(NoPlace),
    NothingNew,
    /// Nothing is left, and nothing comes any more.
    Closed,
}

impl FanOut {
    /// Subscribes; `holds` is how many samples the subscriber can have at a time, [`usize::MAX`] for no bound but
    /// the places in the hands.
    ///
    /// It begins with the newest sample of the backlog, or with the next to come; if
    /// [sync points are required](FanOut::require_sync_point), with the newest sync point, or the next to come. This
    /// allocates a little; receiving samples does not.
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
}

impl Subscriber {
    pub(super) fn new(fan_out: &FanOut, holds: usize) -> Self {
        assert!(holds > 0, "one that can have no sample is sent none");
        let require_sync_point = fan_out.require_sync_point;
        let window = fan_out.window.subscribe();
        let next = {
            let window = window.borrow();
            let mut newest = (window.first..window.end()).rev();
            newest
                .find(|&number| {
                    let sent = window.get(number);
                    sent.is_some_and(|sent| !require_sync_point || sent.sync_point)
                })
                .unwrap_or(window.end())
        };
        Subscriber {
            window,
            hands: fan_out.hands.clone(),
            fan_out: fan_out.number,
            places: fan_out.hands.watch(),
            holds: Arc::new(Semaphore::new(holds.min(Semaphore::MAX_PERMITS))),
            permit: None,
            next,
            missed: 0,
            skips: require_sync_point,
            require_sync_point,
            skipped: fan_out.skipped.clone(),
        }
    }

    /// Waits for the next sample and takes it; `None` when the [`FanOut`] was [closed](FanOut::close) or dropped and
    /// nothing is left.
    ///
    /// It waits until there is one, until this subscriber has dropped enough earlier ones, and until
    /// there is a place in the hands of all. If it lagged meanwhile and
    /// [sync points are required](FanOut::require_sync_point), the next one is a sync point.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A sample that was not returned is not taken.
    ///
    /// # Examples
    ///
    /// See [`FanOut`].
    pub async fn next(&mut self) -> Option<Received> {
        self.ready().await;
        loop {
            // Both are marked as seen before the look, so that no change after it is missed.
            self.places.mark_unchanged();
            self.window.mark_unchanged();
            let is_gone = self.window.has_changed().is_err();
            match self.look() {
                Look::Taken(received) => return Some(received),
                // The hands are kept by this subscriber, so that they do not end.
                Look::NoPlace(no_place) => {
                    self.hands.tell(no_place);
                    self.places.changed().await.ok()?;
                }
                Look::Closed => return None,
                Look::NothingNew if is_gone => return None,
                // The end is a change as well, and may come after a last sample.
                Look::NothingNew => {
                    let _ = self.window.changed().await;
                }
            }
        }
    }

    /// Waits until this subscriber has let go of enough samples that it may have another.
    ///
    /// With `subscribe(1)` that is when the last one, or the `Bytes` made of it, is gone: a connection has
    /// written it. [`next`](Subscriber::next) waits for this first.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; nothing is lost.
    ///
    /// # Examples
    ///
    /// A client that does not take what it was given is closed:
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
    /// frame.put_slice(b"a picture"); // bytes of an empty sample would hold no buffer
    /// video.send(frame.freeze())?;
    /// let frame = viewer.next().await.expect("it was sent");
    ///
    /// let in_the_way = frame.wanted_back();
    /// let queued = frame.into_bytes(); // for a connection to write
    /// tokio::select! {
    ///     () = viewer.ready() => panic!("nobody has written it"),
    ///     () = in_the_way => panic!("nobody else waits"),
    ///     () = tokio::time::sleep(Duration::from_millis(5)) => {} // it stalls: close it
    /// }
    /// # drop(queued);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&mut self) {
        // Either spends cooperative budget, so that a subscriber that is always ready lets other tasks run.
        if self.permit.is_some() {
            coop::consume_budget().await;
        } else {
            // It is never closed.
            self.permit = self.holds.clone().acquire_owned().await.ok();
        }
    }

    fn look(&mut self) -> Look {
        let window = self.window.borrow();
        if let Some(lost) = window.first.checked_sub(self.next).filter(|&lost| lost > 0) {
            self.missed += lost;
            self.next = window.first;
            self.skips = self.require_sync_point;
        }
        while let Some(sent) = window.get(self.next) {
            if self.skips && !sent.sync_point {
                self.missed += 1;
                self.next += 1;
                continue;
            }
            let (fan_out, number) = (self.fan_out, self.next);
            let grip = match self.hands.take(Key { fan_out, number }) {
                Ok(grip) => grip,
                Err(no_place) => return Look::NoPlace(no_place),
            };
            self.next += 1;
            self.skips = false;
            let missed = std::mem::take(&mut self.missed);
            self.skipped.add(missed);
            let received = Received::new(sent, missed, grip, self.permit.take());
            return Look::Taken(received);
        }
        match window.closed {
            true => Look::Closed,
            false => Look::NothingNew,
        }
    }

    /// How many samples were sent that it did not take yet, those that it has missed not counted.
    #[must_use]
    pub fn lag(&self) -> usize {
        let window = self.window.borrow();
        usize::try_from(window.end() - self.next.max(window.first)).unwrap_or(usize::MAX)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.skipped.add(self.missed);
    }
}

/// Says how far behind it is; never prints bytes.
impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("lag", &self.lag())
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}
