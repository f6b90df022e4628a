//! [`SharedSample`]: a frozen buffer, or a slice of one, with many readers.

#![forbid(unsafe_code)]

use crate::{
    core::{handle, release},
    memory::wiped,
    slot::bytes::SharedBytes,
    values::sample_properties::SampleProperties,
};
use bytes::{Buf, Bytes};
use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::{Bound, Deref, RangeBounds},
    panic::{RefUnwindSafe, UnwindSafe},
};

/// A frozen sample, or a slice of one. It is read-only and cheap to clone.
///
/// It is three words in size. Cloning, slicing and splitting copy no bytes and allocate nothing. The buffer is returned
/// to the pool when the last handle to any part of it is dropped, on the thread that drops it. An empty handle counts
/// as a handle. A small slice keeps the whole buffer checked out: copy the bytes if you keep them for long.
///
/// Two shared samples are equal if their bytes are equal.
///
/// # Examples
///
/// ```
/// use bytes::BufMut;
/// use sample_pool::{Pool, SharedSample};
///
/// let pool = Pool::builder().buffers(1).build()?;
/// let mut sample = pool.try_get_buffer()?;
/// sample.put_slice(b"hello world");
/// let all: SharedSample = sample.freeze();
/// let world = all.slice(6..);
/// drop(all);
/// assert_eq!(&world[..], b"world");
/// assert_eq!(pool.free_count(), 0);
/// drop(world);
/// assert_eq!(pool.free_count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SharedSample {
    bytes: SharedBytes,
}

impl SharedSample {
    #[inline]
    pub(crate) fn new(bytes: SharedBytes) -> Self {
        SharedSample { bytes }
    }

    pub(crate) fn bytes(&self) -> &SharedBytes {
        &self.bytes
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut SharedBytes {
        &mut self.bytes
    }

    /// Returns how many bytes this handle refers to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"hello world");
    /// let shared = sample.freeze();
    /// assert_eq!((shared.len(), shared.slice(6..).len()), (11, 5));
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns `true` if this handle refers to no bytes. It still holds the buffer.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().buffers(1).build().unwrap();
    /// let empty = pool.try_get_buffer()?.freeze();
    /// assert!(empty.is_empty());
    /// assert_eq!(pool.free_count(), 0); // an empty handle holds its buffer
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns another handle, to the bytes in `range`.
    ///
    /// # Panics
    ///
    /// If the range is not within this handle's bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"hello world");
    /// let shared = sample.freeze();
    /// assert_eq!(&shared.slice(..5)[..], b"hello");
    /// ```
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> SharedSample {
        let from = match range.start_bound() {
            Bound::Included(&from) => from,
            Bound::Excluded(&before) => before
                .checked_add(1)
                .expect("the start of the range is beyond usize::MAX"),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&last) => last
                .checked_add(1)
                .expect("the end of the range is beyond usize::MAX"),
            Bound::Excluded(&to) => to,
            Bound::Unbounded => self.len(),
        };
        assert!(
            from <= to,
            "cannot slice from {from} to {to}: the start is after the end"
        );
        SharedSample::new(self.bytes.part(from, to - from))
    }

    /// Splits off the first `at` bytes and returns them. `self` keeps the rest.
    ///
    /// # Panics
    ///
    /// If there are fewer than `at` bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"head body");
    /// let mut body = sample.freeze();
    /// let head = body.split_to(5);
    /// assert_eq!((&head[..], &body[..]), (&b"head "[..], &b"body"[..]));
    /// ```
    #[must_use = "the first bytes are dropped if the result is not used"]
    pub fn split_to(&mut self, at: usize) -> SharedSample {
        let first = self.bytes.part(0, at);
        self.bytes.advance(at);
        SharedSample::new(first)
    }

    /// Splits off the bytes from `at` to the end and returns them. `self` keeps the first `at` bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer than `at` bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"body tail");
    /// let mut body = sample.freeze();
    /// let tail = body.split_off(4);
    /// assert_eq!((&body[..], &tail[..]), (&b"body"[..], &b" tail"[..]));
    /// ```
    #[must_use = "the last bytes are dropped if the result is not used"]
    pub fn split_off(&mut self, at: usize) -> SharedSample {
        assert!(
            at <= self.len(),
            "cannot split at {at} of {} bytes",
            self.len()
        );
        let rest = self.bytes.part(at, self.len() - at);
        self.bytes.truncate(at);
        SharedSample::new(rest)
    }

    /// Returns the properties of the sample that these bytes belong to.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.properties_mut().set_sync_point(true);
    /// assert!(sample.freeze().properties().sync_point());
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn properties(&self) -> &SampleProperties {
        self.bytes.slot().properties()
    }

    /// Returns the number of the buffer; see [`Sample::index`](crate::Sample::index).
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let sample = pool.try_get_buffer()?;
    /// let index = sample.index();
    /// assert_eq!(sample.freeze().index(), index);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn index(&self) -> usize {
        self.bytes.slot().index()
    }

    /// Converts this handle into [`Bytes`]. It copies nothing and makes one small allocation.
    ///
    /// If there are no bytes, this handle is dropped. The result is then an empty `Bytes` that holds no buffer, and
    /// nothing is allocated.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"hello world");
    /// let shared = sample.freeze();
    /// let bytes = shared.slice(6..).into_bytes();
    /// assert_eq!(bytes, "world");
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        // `from_owner` would keep the buffer checked out until the last clone of the empty `Bytes` is dropped.
        if self.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(self)
    }

    /// Converts this handle into [`Bytes`], and copies the bytes if they are less than `share` of the buffer.
    ///
    /// If it copies, this handle is dropped. Otherwise it does the same as [`into_bytes`](SharedSample::into_bytes).
    ///
    /// It is for bytes that are kept: a slice of 200 bytes keeps a buffer of 64 KiB checked out, and some hundred such
    /// slices keep a whole pool. With `0.25` it copies what is smaller than a quarter of its buffer, not counting the
    /// prefix, so that no kept bytes take more than four times their size and a prefix. With `0.0` it never copies. It
    /// also does not copy if the system refuses memory for the copy. If the pool [wipes its
    /// buffers](crate::Builder::zero_on_release), the copy is overwritten with zeroes when its last handle is dropped,
    /// which takes one more small allocation.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().buffers(1).size(1024).build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.put_slice(&[7; 1000]);
    /// let packet = sample.freeze();
    /// let name = packet.slice(..20).into_bytes_or_copy(0.25);
    /// let payload = packet.slice(20..).into_bytes_or_copy(0.25);
    /// drop(packet);
    /// assert_eq!(pool.free_count(), 0); // for the payload
    /// drop(payload);
    /// assert_eq!(pool.free_count(), 1); // the name is a copy
    /// # drop(name);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn into_bytes_or_copy(self, share: f64) -> Bytes {
        let engine = handle::engine_of_shared(self.bytes.slot());
        if (self.len() as f64) < engine.geometry().size() as f64 * share {
            let mut copy = Vec::new();
            if copy.try_reserve_exact(self.len()).is_ok() {
                // The capacity suffices, so the vector does not move, which would leave bytes behind that are not
                // wiped.
                copy.extend_from_slice(&self);
                return wiped::into_bytes(copy, engine.wipes());
            }
        }
        self.into_bytes()
    }
}

impl Clone for SharedSample {
    #[inline]
    fn clone(&self) -> Self {
        SharedSample::new(self.bytes.part(0, self.len()))
    }
}

impl Drop for SharedSample {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.bytes.take_last() {
            release::release(slot);
        }
    }
}

impl Deref for SharedSample {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

impl AsRef<[u8]> for SharedSample {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Buf for SharedSample {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        self
    }

    #[inline]
    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    /// Returns the next `len` bytes without copying them.
    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        self.split_to(len).into_bytes()
    }
}

impl From<SharedSample> for Bytes {
    fn from(sample: SharedSample) -> Bytes {
        sample.into_bytes()
    }
}

impl PartialEq for SharedSample {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SharedSample {}

impl PartialOrd for SharedSample {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SharedSample {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

/// A `SharedSample` hashes and compares as its bytes do, so a map with such keys can be looked up by bytes.
impl Borrow<[u8]> for SharedSample {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq<[u8]> for SharedSample {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&[u8]> for SharedSample {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for SharedSample {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == other[..]
    }
}

impl PartialEq<Vec<u8>> for SharedSample {
    fn eq(&self, other: &Vec<u8>) -> bool {
        **self == other[..]
    }
}

impl PartialEq<Bytes> for SharedSample {
    fn eq(&self, other: &Bytes) -> bool {
        **self == other[..]
    }
}

// The bytes do not change while a panic unwinds, and the count of handles stays right.
impl UnwindSafe for SharedSample {}
impl RefUnwindSafe for SharedSample {}

impl Hash for SharedSample {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

/// Prints the buffer's number and how many bytes the handle refers to, never the bytes.
impl fmt::Debug for SharedSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSample")
            .field("index", &self.index())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
