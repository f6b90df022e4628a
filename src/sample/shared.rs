//! A sample in the hands of many readers.

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

/// A frozen sample, or a slice of one: read-only, and cheap to clone.
///
/// Three words. Cloning, slicing and splitting copy no bytes and allocate nothing. The buffer goes
/// home when the last handle to any part of it is dropped, on whatever thread; an empty handle counts.
/// A small slice keeps the whole buffer out: copy it if it is to be kept for long.
///
/// Two are equal if their bytes are.
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

    pub(crate) fn bytes_mut(&mut self) -> &mut SharedBytes {
        &mut self.bytes
    }

    /// How many bytes this handle shows.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether this handle shows no bytes. It holds its sample all the same.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Another handle, to the bytes in `range`.
    ///
    /// # Panics
    ///
    /// If the range does not lie within this handle's bytes.
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
            Bound::Excluded(&before) => before.checked_add(1).expect("out of range"),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&last) => last.checked_add(1).expect("out of range"),
            Bound::Excluded(&to) => to,
            Bound::Unbounded => self.len(),
        };
        assert!(from <= to, "a slice from {from} to {to}");
        SharedSample::new(self.bytes.part(from, to - from))
    }

    /// Splits the first `at` bytes off and gives them out; `self` keeps the rest.
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
    #[must_use = "the first bytes are let go of if this is not used"]
    pub fn split_to(&mut self, at: usize) -> SharedSample {
        let first = self.bytes.part(0, at);
        self.bytes.advance(at);
        SharedSample::new(first)
    }

    /// Splits the bytes from `at` on off and gives them out; `self` keeps the first `at`.
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
    #[must_use = "the last bytes are let go of if this is not used"]
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

    /// The properties of the sample that these bytes belong to.
    #[must_use]
    pub fn properties(&self) -> &SampleProperties {
        self.bytes.slot().properties()
    }

    /// The number of the buffer; see [`Sample::index`](crate::Sample::index).
    #[must_use]
    pub fn index(&self) -> usize {
        self.bytes.slot().index()
    }

    /// Makes [`Bytes`] of these bytes. Copies nothing, and makes one small allocation.
    ///
    /// If there are no bytes, this handle is dropped, and the result is an empty `Bytes` that holds no buffer
    /// and allocates nothing.
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
        // `from_owner` would keep the owner until the last clone of the empty `Bytes` is dropped.
        if self.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(self)
    }

    /// Makes [`Bytes`] of these bytes: a copy if they are less than `share` of the buffer, which lets go of
    /// this handle, and otherwise as [`into_bytes`](SharedSample::into_bytes).
    ///
    /// For bytes that are kept: a slice of 200 bytes keeps a buffer of 64 KiB out, and some hundred such
    /// slices a whole pool. `0.25` copies what is smaller than a quarter of its buffer, prefix not counted, so that
    /// nothing that is kept takes more than four times its size and a prefix. `0.0` never copies. Nothing is copied
    /// either if the system refuses memory for the copy. Of a pool that
    /// [wipes](crate::Builder::zero_on_release), the copy is overwritten with zeroes when its last handle is
    /// dropped, at the price of one more small allocation.
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
                // It fits, so nothing is moved and left behind unwiped.
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

    /// Gives the next `len` bytes out without copying them.
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

/// Hashes and compares as the bytes do, so that a map is asked with bytes.
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

// Its bytes do not change while a panic unwinds, and what counts handles does not break.
impl UnwindSafe for SharedSample {}
impl RefUnwindSafe for SharedSample {}

impl Hash for SharedSample {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

/// Says which buffer it is and how many bytes it shows; never prints them.
impl fmt::Debug for SharedSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSample")
            .field("index", &self.index())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
