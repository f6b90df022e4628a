//! Conversions between an exclusive sample, a shared one and [`Bytes`].

#![forbid(unsafe_code)]

use crate::{
    core::handle,
    sample::{exclusive::Sample, shared::SharedSample},
    slot::bytes::SharedBytes,
};
use bytes::Bytes;

impl Sample {
    /// Makes the sample shared and read-only. It copies nothing and allocates nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.put_slice(b"to everyone");
    /// let shared = sample.freeze();
    /// let another = shared.clone();
    /// assert_eq!(shared, another);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn freeze(self) -> SharedSample {
        SharedSample::new(SharedBytes::freeze(self.into_slot()))
    }

    /// Converts the sample into [`Bytes`]. It copies nothing and makes one small allocation.
    ///
    /// The buffer is returned to the pool when the last `Bytes` with any of its bytes is dropped. An empty slice of
    /// them does not count, because it holds no buffer. If the sample is empty, nothing is allocated, the result holds
    /// no buffer, and the buffer is returned at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().buffers(1).build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.put_slice(b"header, payload");
    /// let bytes = sample.into_bytes();
    /// let payload = bytes.slice(8..);
    /// drop(bytes);
    /// assert_eq!(pool.free_count(), 0);
    /// drop(payload);
    /// assert_eq!(pool.free_count(), 1);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        // `from_owner` would keep the buffer checked out until the last clone of the empty `Bytes` is dropped.
        if self.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(OwnerOfBytes::new(self))
    }
}

/// The owner of the [`Bytes`] that a whole sample was made into. `Bytes` counts its clones itself, so the slot has this
/// one handle. It is one pointer: `SharedSample` would have a range of its own beside it, and a count to look at.
struct OwnerOfBytes(Sample);

impl OwnerOfBytes {
    #[inline]
    fn new(mut sample: Sample) -> Self {
        sample.bytes_mut().slot_mut().set_references(1);
        OwnerOfBytes(sample)
    }
}

impl AsRef<[u8]> for OwnerOfBytes {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl Drop for OwnerOfBytes {
    #[inline]
    fn drop(&mut self) {
        self.0.bytes_mut().slot_mut().set_references(0);
    }
}

impl SharedSample {
    /// Makes the sample writable again, if this is the only handle to it.
    ///
    /// The result has the same bytes. If this handle is a slice, the bytes before it become headroom and the bytes
    /// after it become spare capacity, and neither can be read any more. The properties stay.
    ///
    /// # Errors
    ///
    /// Returns `self` if another handle, slice or `Bytes` of the same sample exists.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"one");
    /// let shared = sample.freeze();
    /// let other = shared.clone();
    /// let shared = shared.try_into_sample().expect_err("there is another handle");
    /// drop(other);
    /// let mut sample = shared.try_into_sample().expect("the only handle");
    /// sample.put_slice(b", two");
    /// assert_eq!(&sample[..], b"one, two");
    /// ```
    pub fn try_into_sample(mut self) -> Result<Sample, SharedSample> {
        match self.bytes_mut().try_into_owned(handle::geometry_of) {
            Some(bytes) => Ok(Sample::from_bytes(bytes)),
            None => Err(self),
        }
    }
}

impl From<Sample> for SharedSample {
    fn from(sample: Sample) -> SharedSample {
        sample.freeze()
    }
}

impl From<Sample> for Bytes {
    fn from(sample: Sample) -> Bytes {
        sample.into_bytes()
    }
}
