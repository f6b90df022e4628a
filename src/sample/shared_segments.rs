//! [`SharedSegments`]: a read-only message that lies in several buffers.

#![forbid(unsafe_code)]

use crate::{core::handle, memory::wiped, sample::shared::SharedSample};
use bytes::{Buf, Bytes};
use std::{collections::VecDeque, fmt, io::IoSlice, iter::FusedIterator};

/// The bytes of a message in order, each segment a [`SharedSample`]: shared and read-only.
///
/// They are what [`Segments`](crate::Segments) become when they are frozen. A clone has handles to the same buffers.
///
/// Write them with Tokio's `AsyncWriteExt::write_all_buf(&mut message)`, or as any other [`Buf`]. Its
/// [`chunks_vectored`](Buf::chunks_vectored) returns all segments, so one system call writes several. A segment is dropped as soon as [`advance`](Buf::advance) has passed its last byte, so a slow reader
/// holds only the buffers that it has not read. A body of frames, as in HTTP, is sent with one frame for each segment:
/// [iterate](IntoIterator) over them, and convert each into [`Bytes`].
///
/// No segment is empty. So an empty `SharedSegments` holds no buffer.
///
/// # Examples
///
/// ```
/// use bytes::{Buf, BufMut, Bytes};
/// use sample_pool::{Pool, SharedSegments};
///
/// let pool = Pool::builder().buffers(3).size(4).align(1).build()?;
/// let mut message = pool.try_get_segments(9)?;
/// message.put_slice(b"in three ");
/// let message: SharedSegments = message.freeze();
///
/// let mut buf = message.clone();
/// assert_eq!((buf.remaining(), buf.chunk()), (9, &b"in t"[..]));
/// let body: Vec<Bytes> = message.into_iter().map(Bytes::from).collect();
/// assert_eq!(body, ["in t", "hree", " "]);
/// drop(body);
///
/// buf.advance(4);
/// assert_eq!(pool.free_count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct SharedSegments {
    /// `None` only if there are no bytes. It is no element of the queue, so a message in one buffer allocates nothing.
    first: Option<SharedSample>,
    rest: VecDeque<SharedSample>,
    /// How many bytes all of them have.
    len: usize,
}

impl SharedSegments {
    /// Makes `SharedSegments` without bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(sample_pool::SharedSegments::new().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        SharedSegments::default()
    }

    /// No bytes yet, and room in the list for `segments`.
    pub(crate) fn with_room_for(segments: usize) -> Self {
        SharedSegments {
            rest: VecDeque::with_capacity(segments.saturating_sub(1)),
            ..SharedSegments::default()
        }
    }

    /// Returns how many bytes are left, in all segments.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut message = pool.try_get_segments(100)?;
    /// message.put_bytes(7, 90);
    /// assert_eq!(message.freeze().len(), 90);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if no bytes are left. It holds no buffer then.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().buffers(2).size(64).build().unwrap();
    /// let message = pool.try_get_segments(100)?.freeze();
    /// assert!(message.is_empty());
    /// assert_eq!(pool.free_count(), 2);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the segments in order. None of them is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(4).align(1).build().unwrap();
    /// let mut message = pool.try_get_segments(6)?;
    /// message.put_slice(b"abcdef");
    /// assert_eq!(message.freeze().iter().map(|segment| segment.len()).sum::<usize>(), 6);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &SharedSample> {
        self.first.iter().chain(&self.rest)
    }

    /// Appends a segment. It is dropped if it is empty.
    ///
    /// # Panics
    ///
    /// If all segments together have more than `usize::MAX` bytes, which clones of one segment can.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"body");
    /// let body = sample.freeze();
    /// let mut message = sample_pool::SharedSegments::from(body.slice(2..));
    /// message.push(body.slice(..2));
    /// assert_eq!(message.len(), 4);
    /// ```
    pub fn push(&mut self, segment: SharedSample) {
        if segment.is_empty() {
            return;
        }
        let len = self.len.checked_add(segment.len());
        self.len = len.expect("a message has at most usize::MAX bytes");
        match &self.first {
            None => self.first = Some(segment),
            Some(_) => self.rest.push_back(segment),
        }
    }

    /// Splits off the first `at` bytes and returns them. `self` keeps the rest. It copies no bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer than `at` bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(4).align(1).build().unwrap();
    /// let mut body = pool.try_get_segments(9)?;
    /// body.put_slice(b"head body");
    /// let mut body = body.freeze();
    /// let head = body.split_to(5);
    /// assert_eq!((head.len(), body.len()), (5, 4));
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use = "the first bytes are dropped if the result is not used"]
    pub fn split_to(&mut self, at: usize) -> SharedSegments {
        assert!(at <= self.len, "cannot split at {at} of {} bytes", self.len);
        let mut front = SharedSegments::new();
        while front.len < at {
            let left = at - front.len;
            match &mut self.first {
                Some(first) if left < first.len() => {
                    front.push(first.split_to(left));
                    self.len -= left;
                }
                _ => front.extend(self.take_first()),
            }
        }
        front
    }

    /// Keeps only the first `len` bytes. Does nothing if there are no more.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().buffers(3).size(4).align(1).build().unwrap();
    /// let mut message = pool.try_get_segments(9)?;
    /// message.put_slice(b"head body");
    /// let mut message = message.freeze();
    /// message.truncate(4);
    /// assert_eq!(message.len(), 4);
    /// assert_eq!(pool.free_count(), 2);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    pub fn truncate(&mut self, len: usize) {
        while self.len > len {
            let excess = self.len - len;
            match self.rest.back_mut().or(self.first.as_mut()) {
                Some(last) if excess < last.len() => {
                    last.truncate(last.len() - excess);
                    self.len -= excess;
                }
                _ => {
                    let last = self.rest.pop_back().or_else(|| self.first.take());
                    self.len -= last.map_or(0, |last| last.len());
                }
            }
        }
    }

    /// Takes the first segment out.
    fn take_first(&mut self) -> Option<SharedSample> {
        let first = std::mem::replace(&mut self.first, self.rest.pop_front())?;
        self.len -= first.len();
        Some(first)
    }
}

impl Buf for SharedSegments {
    fn remaining(&self) -> usize {
        self.len
    }

    /// Returns the bytes of the first segment.
    fn chunk(&self) -> &[u8] {
        self.first.as_deref().unwrap_or_default()
    }

    /// Returns a slice for each segment, for as many as `slices` can take.
    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let both = slices.iter_mut().zip(self.iter());
        both.map(|(slice, segment)| *slice = IoSlice::new(segment))
            .count()
    }

    /// Drops the first `count` bytes, and the segments that end there.
    ///
    /// # Panics
    ///
    /// If there are fewer than `count` bytes.
    fn advance(&mut self, count: usize) {
        assert!(
            count <= self.len,
            "cannot advance by {count} of {} bytes",
            self.len
        );
        let mut left = count;
        while left > 0 {
            match &mut self.first {
                Some(first) if left < first.len() => {
                    first.advance(left);
                    self.len -= left;
                    left = 0;
                }
                _ => left -= self.take_first().map_or(left, |first| first.len()),
            }
        }
    }

    /// Returns the next `len` bytes. They are copied only if they lie in more than one segment.
    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        let mut front = self.split_to(len);
        if front.rest.is_empty() {
            return front.take_first().map_or_else(Bytes::new, Bytes::from);
        }
        let mut copy = Vec::with_capacity(len);
        let mut wipes = false;
        for segment in front.iter() {
            copy.extend_from_slice(segment);
            wipes |= handle::engine_of_shared(segment.bytes().slot()).wipes();
        }
        wiped::into_bytes(copy, wipes)
    }
}

impl From<SharedSample> for SharedSegments {
    fn from(segment: SharedSample) -> Self {
        let mut segments = SharedSegments::new();
        segments.push(segment);
        segments
    }
}

/// Appends segments. Those that are empty are dropped.
impl Extend<SharedSample> for SharedSegments {
    fn extend<I: IntoIterator<Item = SharedSample>>(&mut self, segments: I) {
        for segment in segments {
            self.push(segment);
        }
    }
}

/// Collects segments. Those that are empty are dropped.
impl FromIterator<SharedSample> for SharedSegments {
    fn from_iter<I: IntoIterator<Item = SharedSample>>(segments: I) -> Self {
        let mut all = SharedSegments::new();
        all.extend(segments);
        all
    }
}

impl IntoIterator for SharedSegments {
    type Item = SharedSample;
    type IntoIter = IntoSegments;

    fn into_iter(self) -> IntoSegments {
        IntoSegments(self)
    }
}

/// The iterator over the segments of [`SharedSegments`], in order. None of them is empty.
///
/// # Examples
///
/// See [`SharedSegments`].
#[derive(Debug)]
pub struct IntoSegments(SharedSegments);

impl Iterator for IntoSegments {
    type Item = SharedSample;

    fn next(&mut self) -> Option<SharedSample> {
        self.0.take_first()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.0.first.is_some()) + self.0.rest.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for IntoSegments {}
impl FusedIterator for IntoSegments {}

/// Prints the numbers of segments and bytes, never the bytes.
impl fmt::Debug for SharedSegments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSegments")
            .field("segments", &self.iter().count())
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
