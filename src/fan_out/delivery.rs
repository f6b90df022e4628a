//! A sample that a subscriber received.

use super::{
    hold_limit::HoldGuard,
    window::{Piece, Sent},
};
use crate::{
    sample::shared::SharedSample, sync::OwnedSemaphorePermit,
    values::sample_properties::SampleProperties,
};
use bytes::Bytes;
use std::{
    fmt,
    future::{self, Future},
    ops::Deref,
};

/// A sample that a [`Subscriber`](super::Subscriber) received, or the bytes that were added to it since its previous
/// delivery.
///
/// It dereferences to the bytes. It counts as held until it is dropped, or until the last clone of the `Bytes` that it
/// was [converted into](Delivery::into_bytes) is dropped. There is no way to a handle that does not count.
///
/// # A frame in several deliveries
///
/// A sample that was [sent](super::FanOut::send) whole is one delivery, which begins and ends a frame. A frame that
/// [is sent while it arrives](super::FanOut::start_frame) can be several deliveries:
///
/// | delivery | [`begins_frame`](Delivery::begins_frame) | [`ends_frame`](Delivery::ends_frame) | [`is_aborted`](Delivery::is_aborted) |
/// |---|---|---|---|
/// | a whole frame, also one that arrived before this subscriber read it | yes | yes | no |
/// | the first bytes of a frame | yes | no | no |
/// | bytes that were added | no | no | no |
/// | the last bytes, or none if all were delivered before | no | yes | no |
/// | the rest does not come | no | no | yes |
///
/// A subscriber that received the first bytes of a frame receives its end or its abort before anything else, unless the
/// subscriber is dropped first. A consumer that passes bytes on must look at `is_aborted`, if any producer of the
/// fan-out starts frames.
///
/// # Examples
///
/// See [`FanOut`](super::FanOut) and [`ArrivingFrame`](super::ArrivingFrame).
pub struct Delivery {
    // The order of the fields is the order of their drops. The sample is returned to the pool first, so that no more
    // than `limit` held samples are ever outstanding: the next holder is admitted by the guard, or by the permit.
    /// `None` if the frame was aborted.
    sample: Option<SharedSample>,
    guard: Option<HoldGuard>,
    _permit: Option<OwnedSemaphorePermit>,
    sequence: u64,
    skipped: u64,
    sync_point: bool,
    begins_frame: bool,
    ends_frame: bool,
}

impl Delivery {
    pub(super) fn new(
        sent: &Sent,
        piece: &Piece,
        guard: HoldGuard,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Delivery {
            sample: Some(match piece.offset {
                0 => sent.sample.clone(),
                offset => sent.sample.slice(offset..),
            }),
            sequence: guard.sample().sequence,
            guard: Some(guard),
            _permit: permit,
            skipped: piece.skipped,
            sync_point: sent.sync_point,
            begins_frame: piece.begins_frame,
            ends_frame: piece.ends_frame,
        }
    }

    /// Says that the rest of a frame does not come. It holds no sample.
    pub(super) fn aborted(sequence: u64, skipped: u64) -> Self {
        Delivery {
            sample: None,
            guard: None,
            _permit: None,
            sequence,
            skipped,
            sync_point: false,
            begins_frame: false,
            ends_frame: false,
        }
    }

    /// Returns how many samples this subscriber skipped between its previous delivery and this one.
    ///
    /// If the delivery [is aborted](Delivery::is_aborted), these are the samples that left the backlog before this
    /// subscriber had received all of their bytes, and zero if the producer aborted the frame.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns the sequence number of the sample in its fan-out. The first sample that was sent has the number 0.
    ///
    /// All deliveries of one sample have the same number. A frame of several samples has as many numbers.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns whether the sample can be used without earlier samples.
    ///
    /// This is so if its properties say so, if it was sent by [`send_sync_point`](super::FanOut::send_sync_point), or if
    /// it is the first sample of a frame that was [started](super::FanOut::start_frame) as a sync point.
    #[must_use]
    pub fn sync_point(&self) -> bool {
        self.sync_point
    }

    /// Returns whether a frame begins with the first byte of this delivery.
    #[must_use]
    pub fn begins_frame(&self) -> bool {
        self.begins_frame
    }

    /// Returns whether the frame is complete with this delivery.
    #[must_use]
    pub fn ends_frame(&self) -> bool {
        self.ends_frame
    }

    /// Returns whether the frame of the previous delivery is not complete, and its rest does not come.
    ///
    /// The producer aborted it, or this subscriber lagged and the rest left the backlog: then
    /// [`skipped`](Delivery::skipped) is not zero. The delivery has no bytes, holds no sample, and its properties are
    /// those of a new sample. The next delivery begins a frame; a sync point, if
    /// [they are required](super::FanOut::require_sync_point).
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
    /// let mut part = pool.get_buffer().await?.into_part();
    /// let mut frame = video.start_frame(true)?;
    /// part.put_slice(b"half of");
    /// frame.append(part.split_written())?;
    /// assert_eq!(viewer.recv().await.expect("it was sent")[..], *b"half of");
    /// drop(frame); // its source has failed
    ///
    /// let end = viewer.recv().await.expect("it is reported");
    /// assert!(end.is_aborted() && end.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.sample.is_none()
    }

    /// Returns the sample's times, flags and media type. A slice has the properties of the sample that it is part of.
    #[must_use]
    pub fn properties(&self) -> &SampleProperties {
        static NONE: SampleProperties = SampleProperties::new();
        self.sample.as_ref().map_or(&NONE, SharedSample::properties)
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
        let guard = self.guard.as_ref();
        let requested = guard.map(|guard| guard.limit().reclaim_requested(guard.sample()));
        async move {
            match requested {
                Some(requested) => requested.await,
                // Nothing is held.
                None => future::pending().await,
            }
        }
    }
}

impl Deref for Delivery {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.sample.as_deref().unwrap_or_default()
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
            .field("sequence", &self.sequence)
            .field("skipped", &self.skipped)
            .field("begins_frame", &self.begins_frame)
            .field("ends_frame", &self.ends_frame)
            .field("sample", &self.sample)
            .finish_non_exhaustive()
    }
}
