//! A sample in the hands of a subscriber.

use super::{hold_limit::Grip, window::Sent};
use crate::{
    sample_properties::SampleProperties, shared::SharedSample, sync::OwnedSemaphorePermit,
};
use bytes::Bytes;
use std::{fmt, future::Future, ops::Deref};

/// A sample that a [`Subscriber`](super::Subscriber) has: it counts against the limits until this, or
/// the `Bytes` made of it, is dropped.
///
/// It derefs to the bytes. There is no way to a handle that is not counted.
///
/// # Examples
///
/// See [`FanOut`](super::FanOut).
pub struct Received {
    // In the order in which they are let go of: the sample is home before its place is free.
    sample: SharedSample,
    grip: Grip,
    _permit: Option<OwnedSemaphorePermit>,
    missed: u64,
    sync_point: bool,
}

impl Received {
    pub(super) fn new(
        sent: &Sent,
        missed: u64,
        grip: Grip,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Received {
            sample: sent.sample.clone(),
            grip,
            _permit: permit,
            missed,
            sync_point: sent.sync_point,
        }
    }

    /// How many samples this subscriber missed between the one before and this one.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The number of the sample, counted from the first that was sent.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.grip.sample().number
    }

    /// Whether it can be used without earlier samples: its properties say so, or it was sent by
    /// [`send_sync_point`](super::FanOut::send_sync_point).
    #[must_use]
    pub fn sync_point(&self) -> bool {
        self.sync_point
    }

    /// The sample's times, flags and media type; of a slice, those of the sample that it was cut from.
    #[must_use]
    pub fn properties(&self) -> &SampleProperties {
        self.sample.properties()
    }

    /// Makes [`Bytes`] of it, which count as this does. Copies nothing, and makes one small allocation. If it is
    /// empty, the result is an empty `Bytes` that holds nothing, allocates nothing and does not count.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # use sample_pool::{Pool, fan_out::FanOut};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().build()?;
    /// let video = FanOut::new(4, 3);
    /// let mut viewer = video.subscribe(1);
    /// let mut sample = pool.get_buffer().await?;
    /// sample.put_slice(b"a frame");
    /// video.send(sample.freeze())?;
    /// let bytes = viewer.next().await.expect("it was sent").into_bytes();
    /// assert_eq!(bytes, "a frame");
    /// assert_eq!(video.in_hands(), 1);
    /// drop(bytes);
    /// assert_eq!(video.in_hands(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(self)
    }

    /// Resolves when another subscriber waits for a place, and this sample was the first to be taken of all that
    /// are in the hands.
    ///
    /// Whoever has it stands in the way of others. A server closes the connection then, or aborts the
    /// write. It can still be waited for when the sample was made `Bytes`, and stays pending when nobody
    /// has it any more. If the one that waited gives up, the sample stays wanted until a place becomes free.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; nothing is lost.
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
    /// let held = slow.next().await.expect("it was sent");
    /// drop(fast.next().await);
    /// video.send(pool.get_buffer().await?.freeze())?;
    ///
    /// tokio::select! {
    ///     _ = fast.next() => panic!("the only place is taken"),
    ///     () = held.wanted_back() => {} // close the slow one
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn wanted_back(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        self.grip.hands().wanted(self.grip.sample())
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.sample
    }
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Says which sample it is; never prints the bytes.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("number", &self.number())
            .field("missed", &self.missed)
            .field("sample", &self.sample)
            .finish_non_exhaustive()
    }
}
