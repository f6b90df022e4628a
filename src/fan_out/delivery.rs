//! A sample that a subscriber received.

use super::{hold_limit::HoldGuard, window::Sent};
use crate::{
    sample::shared::SharedSample, sync::OwnedSemaphorePermit,
    values::sample_properties::SampleProperties,
};
use bytes::Bytes;
use std::{fmt, future::Future, ops::Deref};

/// A sample that a [`Subscriber`](super::Subscriber) received.
///
/// It dereferences to the bytes. It counts as held until it is dropped, or until the last clone of the `Bytes` that it
/// was [converted into](Delivery::into_bytes) is dropped. There is no way to a handle that does not count.
///
/// # Examples
///
/// See [`FanOut`](super::FanOut).
pub struct Delivery {
    // The order of the fields is the order of their drops. The sample is returned to the pool first, so that no more
    // than `limit` held samples are ever outstanding: the next holder is admitted by the guard, or by the permit.
    sample: SharedSample,
    guard: HoldGuard,
    _permit: Option<OwnedSemaphorePermit>,
    skipped: u64,
    sync_point: bool,
}

impl Delivery {
    pub(super) fn new(
        sent: &Sent,
        skipped: u64,
        guard: HoldGuard,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Delivery {
            sample: sent.sample.clone(),
            guard,
            _permit: permit,
            skipped,
            sync_point: sent.sync_point,
        }
    }

    /// Returns how many samples this subscriber skipped between its previous delivery and this one.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns the sequence number of the sample in its fan-out. The first sample that was sent has the number 0.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.guard.sample().sequence
    }

    /// Returns whether the sample can be used without earlier samples.
    ///
    /// This is so if its properties say so, or if it was sent by [`send_sync_point`](super::FanOut::send_sync_point).
    #[must_use]
    pub fn sync_point(&self) -> bool {
        self.sync_point
    }

    /// Returns the sample's times, flags and media type. A slice has the properties of the sample that it is part of.
    #[must_use]
    pub fn properties(&self) -> &SampleProperties {
        self.sample.properties()
    }

    /// Converts it into [`Bytes`], which count as held in its place.
    ///
    /// Nothing is copied, and one small allocation is made. An empty sample becomes an empty `Bytes` that holds no
    /// buffer, allocates nothing and does not count as held.
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
    /// let mut viewer = video.subscribe(1);
    /// let mut sample = pool.get_buffer().await?;
    /// sample.put_slice(b"a frame");
    /// video.send(sample.freeze())?;
    /// let bytes = viewer.recv().await.expect("it was sent").into_bytes();
    /// assert_eq!(bytes, "a frame");
    /// assert_eq!(video.held(), 1);
    /// drop(bytes);
    /// assert_eq!(video.held(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        // `Bytes::from_owner` keeps its owner even if it is empty, and would hold the buffer for no bytes.
        if self.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(self)
    }

    /// Waits until the hold limit is reached, another subscriber needs it, and this sample has been held for longest.
    ///
    /// Other subscribers then lag until a sample is released. A server closes the connection of the slow client, or
    /// aborts its write. The future does not borrow the delivery and does not hold the sample: it can be awaited after
    /// [`into_bytes`](Delivery::into_bytes), and it stays pending once no subscriber holds the sample. If the waiting
    /// subscriber is dropped, the request stays until any held sample is released.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. The request stays, and a later call returns at once while it does.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::{Pool, fan_out::FanOut};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().build()?;
    /// let video = FanOut::new(4, 1);
    /// let (mut slow, mut fast) = (video.subscribe(1), video.subscribe(1));
    /// video.send(pool.get_buffer().await?.freeze())?;
    /// let held = slow.recv().await.expect("it was sent");
    /// drop(fast.recv().await);
    /// video.send(pool.get_buffer().await?.freeze())?;
    ///
    /// tokio::select! {
    ///     _ = fast.recv() => panic!("the limit is reached"),
    ///     () = held.reclaim_requested() => {} // close the slow connection
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn reclaim_requested(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        self.guard.limit().reclaim_requested(self.guard.sample())
    }
}

impl Deref for Delivery {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.sample
    }
}

impl AsRef<[u8]> for Delivery {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Shows which sample it is; never the bytes.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("sequence", &self.sequence())
            .field("skipped", &self.skipped)
            .field("sample", &self.sample)
            .finish_non_exhaustive()
    }
}
