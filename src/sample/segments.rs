//! [`Segments`]: several buffers with one owner, who fills them as one.

#![forbid(unsafe_code)]

#[cfg(feature = "stream")]
use crate::{sample::part::SamplePart, values::sample_properties::SampleProperties};
use crate::{
    sample::{exclusive::Sample, shared_segments::SharedSegments},
    values::error::GetBufferError,
};
use std::{
    fmt, io,
    mem::{self, MaybeUninit},
};

/// Several buffers, owned exclusively and filled as one, for a message that is larger than a buffer.
///
/// [`Pool::get_segments`](crate::Pool::get_segments) takes as many buffers as a message of known length needs, all at
/// once. They are filled one after another through [`BufMut`](bytes::BufMut) or [`io::Write`], and then
/// [frozen](Segments::freeze). The bytes are not contiguous: [`chunks`](Segments::chunks) has those of each buffer.
///
/// `Segments` have room for as many bytes as were asked for, although the last buffer may be larger. So
/// `read_buf(&mut segments)` in a loop reads one message and nothing of the next one.
///
/// The samples in it are empty at first and have headroom as every other sample, which cannot be used here. What an
/// earlier owner left in the buffers can never be read. When `Segments` are dropped, all buffers are returned to the pool.
///
/// # A message of unknown length
///
/// `Segments` can [grow](crate::Pool::try_grow_segments), by buffers that are free and never by a wait. **A task that
/// holds a part of a message and waits for more buffers can wait for ever**: some such tasks together hold all buffers,
/// and each of them waits for another one. So growing either succeeds at once, or fails and releases all buffers of the
/// message.
///
/// # Examples
///
/// A message of 200 bytes in buffers of 64:
///
/// ```
/// use bytes::Buf;
/// use sample_pool::Pool;
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(8).size(64).build()?;
/// let mut socket = &[7; 300][..];
/// let mut message = pool.get_segments(200).await?;
/// while message.spare_capacity() > 0 && socket.read_buf(&mut message).await? > 0 {}
/// assert_eq!((message.len(), socket.len()), (200, 100));
/// assert_eq!(pool.free_count(), 4);
///
/// let mut message = message.freeze();
/// message.advance(70); // the first buffer is free again
/// assert_eq!(pool.free_count(), 5);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Segments {
    // The samples before `first_not_full` are full, and those after it are empty.
    samples: Vec<Sample>,
    /// The first sample with spare capacity. If there is none, the number of samples.
    first_not_full: usize,
    /// How many bytes the samples before it have.
    before: usize,
    /// How many bytes fit: at most those of all buffers.
    capacity: usize,
}

impl Segments {
    /// Makes `Segments` without a buffer, which can [grow](crate::Pool::try_grow_segments).
    ///
    /// # Examples
    ///
    /// See [`Pool::try_grow_segments`](crate::Pool::try_grow_segments).
    #[must_use]
    pub fn new() -> Self {
        Segments::default()
    }

    /// Empty samples, which have room for `capacity` bytes.
    pub(crate) fn of(samples: Vec<Sample>, capacity: usize) -> Self {
        Segments {
            samples,
            first_not_full: 0,
            before: 0,
            capacity,
        }
    }

    /// The samples, in order.
    pub(crate) fn into_samples(mut self) -> Vec<Sample> {
        mem::take(&mut self.samples)
    }

    /// Returns how many bytes were written.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut message = pool.try_get_segments(100)?;
    /// message.put_bytes(7, 90);
    /// assert_eq!((message.len(), message.spare_capacity()), (90, 10));
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        let filling = self.samples.get(self.first_not_full);
        self.before + filling.map_or(0, Sample::len)
    }

    /// Returns `true` if no byte was written yet.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// assert!(pool.try_get_segments(100)?.is_empty());
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns for how many bytes there is room, written and spare.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// assert_eq!(pool.try_get_segments(100)?.capacity(), 100); // of the 128 bytes in two buffers
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns how many bytes can still be written.
    ///
    /// # Examples
    ///
    /// See [`len`](Segments::len).
    #[must_use]
    pub fn spare_capacity(&self) -> usize {
        self.capacity.saturating_sub(self.len())
    }

    /// Returns how many buffers are held.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// assert_eq!(pool.try_get_segments(129)?.buffers(), 3);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn buffers(&self) -> usize {
        self.samples.len()
    }

    /// Returns the bytes that were written, in order: those of each buffer are one slice. None of them is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(4).align(1).build().unwrap();
    /// let mut message = pool.try_get_segments(8)?;
    /// message.put_slice(b"abcdef");
    /// assert!(message.chunks().eq([&b"abcd"[..], b"ef"]));
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let written = self.samples.iter().map(|sample| &sample[..]);
        written.filter(|chunk| !chunk.is_empty())
    }

    /// Returns the bytes that were written for writing, in order: those of each buffer are one slice. None of them is
    /// empty.
    ///
    /// So a message is decrypted where it lies. A cipher whose blocks cross from one buffer to the next one needs a copy
    /// of the block.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(4).align(1).build().unwrap();
    /// let mut message = pool.try_get_segments(8)?;
    /// message.put_slice(b"abcdef");
    /// message.chunks_mut().for_each(<[u8]>::make_ascii_uppercase);
    /// assert!(message.chunks().eq([&b"ABCD"[..], b"EF"]));
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    pub fn chunks_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let written = self.samples.iter_mut().map(|sample| &mut sample[..]);
        written.filter(|chunk| !chunk.is_empty())
    }

    /// Makes what was written shared and read-only. It copies nothing, and makes one small allocation if there is more
    /// than one buffer with bytes.
    ///
    /// Buffers that nothing was written to are returned to the pool.
    ///
    /// # Examples
    ///
    /// See [`SharedSegments`].
    #[must_use]
    pub fn freeze(mut self) -> SharedSegments {
        let written = self.chunks().count();
        let mut frozen = SharedSegments::with_room_for(written);
        let samples = mem::take(&mut self.samples).into_iter();
        frozen.extend(samples.take(written).map(Sample::freeze));
        frozen
    }

    /// The spare bytes of the first buffer that has some, or all that may still be written if those are fewer.
    pub(crate) fn spare_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let room = self.spare_capacity();
        let Some(sample) = self.samples.get_mut(self.first_not_full) else {
            return &mut [];
        };
        let spare = sample.spare_capacity_mut();
        let len = spare.len().min(room);
        &mut spare[..len]
    }

    /// Appends as many bytes of `from` as there is room for, and returns how many that were.
    pub(crate) fn append(&mut self, from: &[u8]) -> usize {
        let fit = from.len().min(self.spare_capacity());
        let mut left = &from[..fit];
        while let (false, Some(sample)) = (left.is_empty(), self.filling()) {
            let written = sample.bytes_mut().append(left);
            left = &left[written..];
            self.pass_full();
        }
        fit - left.len()
    }

    /// The first sample that has spare capacity. After it was written to, call [`pass_full`](Segments::pass_full).
    pub(crate) fn filling(&mut self) -> Option<&mut Sample> {
        self.samples.get_mut(self.first_not_full)
    }

    /// Goes on to the first sample that has spare capacity.
    pub(crate) fn pass_full(&mut self) {
        let is_full = |sample: &&Sample| sample.spare_capacity() == 0;
        while let Some(full) = self.samples.get(self.first_not_full).filter(is_full) {
            self.before += full.len();
            self.first_not_full += 1;
        }
    }

    /// How many bytes the buffers could still take, if the capacity did not limit them.
    pub(crate) fn room(&self) -> usize {
        let not_full = self.samples.iter().skip(self.first_not_full);
        not_full.map(Sample::spare_capacity).sum()
    }

    /// Appends empty samples. From here on, nothing but the buffers limits the capacity.
    ///
    /// # Errors
    ///
    /// `TooMany` if the system refuses memory for their list. All samples are released then.
    pub(crate) fn grow(mut self, mut more: Vec<Sample>) -> Result<Self, GetBufferError> {
        if self.samples.try_reserve(more.len()).is_err() {
            return Err(GetBufferError::TooMany);
        }
        self.samples.append(&mut more);
        self.capacity = self.len() + self.room();
        Ok(self)
    }
}

#[cfg(feature = "stream")]
impl Segments {
    /// Sets the properties of the first sample.
    pub(crate) fn set_properties(&mut self, properties: SampleProperties) {
        if let Some(first) = self.samples.first_mut() {
            *first.properties_mut() = properties;
        }
    }

    /// Freezes the first `len` bytes. What was written behind them in the same buffer is returned too, with that buffer's
    /// spare capacity.
    pub(crate) fn freeze_first(mut self, len: usize) -> (SharedSegments, Option<SamplePart>) {
        let mut first = SharedSegments::with_room_for(self.samples.len());
        for sample in mem::take(&mut self.samples) {
            let left = len - first.len();
            if left < sample.len() {
                let mut part = sample.into_part();
                let rest = part.split_off(left);
                first.push(part.freeze());
                return (first, Some(rest));
            }
            first.push(sample.freeze());
        }
        (first, None)
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        Sample::release_all(&mut self.samples);
    }
}

/// Appends to the bytes that were written. `write` returns `Ok(0)` if there is no room.
impl io::Write for Segments {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(self.append(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints the numbers of buffers and bytes, never the bytes.
impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments")
            .field("buffers", &self.buffers())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
