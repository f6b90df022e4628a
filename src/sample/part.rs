//! [`SamplePart`]: a range of a buffer, with an owner of its own who fills it.

#![forbid(unsafe_code)]

use crate::{
    core::release::ToPool,
    slot::part::PartBytes,
    values::{error::BufferOverflow, sample_properties::SampleProperties},
};
use std::{
    fmt, io,
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    panic::{RefUnwindSafe, UnwindSafe},
};

/// A range of a sample's buffer, owned exclusively. Several parts of one sample can be written on several threads.
///
/// A [`Sample`](crate::Sample) becomes a part with [`into_part`](crate::Sample::into_part), and a part is split into
/// more. So a received batch is cut into messages that are each decrypted in place, or what was read so far is
/// [frozen](SamplePart::split_written) while more is read behind it. Splitting, joining and freezing copy no bytes and
/// allocate nothing.
///
/// A part derefs to the bytes that were written to it so far. It is filled like a sample: through
/// [`BufMut`](bytes::BufMut), [`io::Write`], [`read_from`](SamplePart::read_from) or [`set_len`](SamplePart::set_len).
/// **Do not pass `&mut part` where a `&mut [u8]` is expected**; see
/// [Reading into a sample](crate::Sample#reading-into-a-sample).
///
/// All parts of a sample and everything that was frozen of it are handles to one buffer. It is returned to the pool, and
/// stops counting against its quota, when the last of them is dropped. A small part that is kept keeps the whole buffer.
/// The [properties](crate::Sample::properties) are those that the sample had when it became a part: every part and
/// every frozen piece shows them, and none can change them. A part has no headroom.
///
/// What an earlier owner left in the buffer cannot be read through any part.
///
/// A part is four words in size.
///
/// # Examples
///
/// A batch of two messages, each with its own owner:
///
/// ```
/// use bytes::BufMut;
/// use sample_pool::{Pool, SamplePart};
///
/// let pool = Pool::builder().buffers(1).size(1024).build()?;
/// let mut sample = pool.try_get_buffer()?;
/// sample.put_slice(b"firstsecond");
///
/// let mut second: SamplePart = sample.into_part();
/// let mut first = second.split_to(5);
/// std::thread::spawn(move || first.make_ascii_uppercase()).join().unwrap();
/// second.make_ascii_uppercase();
/// assert_eq!(&second[..], b"SECOND");
///
/// assert_eq!(pool.free_count(), 0);
/// drop(second); // the last handle
/// assert_eq!(pool.free_count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SamplePart {
    bytes: PartBytes<ToPool>,
}

const _: () = assert!(size_of::<SamplePart>() == 4 * size_of::<usize>());

impl SamplePart {
    #[inline]
    pub(crate) fn new(bytes: PartBytes<ToPool>) -> Self {
        SamplePart { bytes }
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut PartBytes<ToPool> {
        &mut self.bytes
    }

    #[inline]
    pub(crate) fn into_inner(self) -> PartBytes<ToPool> {
        self.bytes
    }

    /// Drops the first `count` written bytes. They have no owner until the buffer is returned to the pool.
    #[cfg(feature = "stream")]
    #[inline]
    pub(crate) fn drop_front(&mut self, count: usize) {
        self.bytes.drop_front(count);
    }

    /// Returns how many bytes this part has, written and spare.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"head body");
    /// let mut body = sample.into_part();
    /// let head = body.split_to(5);
    /// assert_eq!((head.capacity(), body.capacity()), (5, 59));
    /// ```
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len() + self.bytes.spare()
    }

    /// Returns how many bytes can still be written after the last one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut part = pool.try_get_buffer()?.into_part();
    /// part.put_slice(b"four");
    /// assert_eq!(part.spare_capacity(), 60);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn spare_capacity(&self) -> usize {
        self.bytes.spare()
    }

    /// Returns how many bytes of this part were written.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut part = pool.try_get_buffer()?.into_part();
    /// part.put_slice(b"four");
    /// assert_eq!(part.len(), 4);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns `true` if no byte of this part was written yet. It still holds the buffer.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().buffers(1).build().unwrap();
    /// let part = pool.try_get_buffer()?.into_part();
    /// assert!(part.is_empty());
    /// assert_eq!(pool.free_count(), 0);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the length. If it grows, the new bytes are zero.
    ///
    /// # Errors
    ///
    /// [`BufferOverflow`] if `len` is more than the [capacity](SamplePart::capacity). Nothing changes then.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut part = pool.try_get_buffer().unwrap().into_part();
    /// part.set_len(3)?;
    /// assert_eq!(&part[..], [0, 0, 0]);
    /// assert_eq!(part.set_len(65).unwrap_err().capacity, 64);
    /// # Ok::<(), sample_pool::BufferOverflow>(())
    /// ```
    pub fn set_len(&mut self, len: usize) -> Result<(), BufferOverflow> {
        self.bytes.set_len(len)
    }

    /// Keeps only the first `len` bytes. The others become spare. Does nothing if there are no more.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut part = pool.try_get_buffer()?.into_part();
    /// part.put_slice(b"message and padding");
    /// part.truncate(7);
    /// assert_eq!((&part[..], part.spare_capacity()), (&b"message"[..], 57));
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            // It does not fail, because the length falls.
            let _shorter = self.set_len(len);
        }
    }

    /// Empties the part. It begins where it began before, and all its bytes are spare.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"head body");
    /// let mut body = sample.into_part();
    /// let mut head = body.split_to(5);
    /// head.clear();
    /// assert_eq!(head.spare_capacity(), 5);
    /// assert_eq!(&body[..], b"body");
    /// ```
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Reads once from `reader`, appends what was read, and returns the number of bytes; zero at the end.
    ///
    /// Like [`Sample::read_from`](crate::Sample::read_from), it zeroes the spare bytes before it shows them to the
    /// reader, and returns `Ok(0)` if none are left.
    ///
    /// # Errors
    ///
    /// Those of the reader, [`Interrupted`](io::ErrorKind::Interrupted) included, and
    /// [`InvalidData`](io::ErrorKind::InvalidData) if the reader returns a number that is larger than its slice.
    /// Nothing is appended then.
    ///
    /// # Panics
    ///
    /// If the reader panics. Nothing is appended then.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut part = pool.try_get_buffer().unwrap().into_part();
    /// assert_eq!(part.read_from(&mut &b"from a file"[..])?, 11);
    /// assert_eq!(&part[..], b"from a file");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_from(&mut self, reader: &mut impl io::Read) -> io::Result<usize> {
        self.bytes.append_from(|spare| reader.read(spare))
    }

    /// Returns the bytes after the last written one, for other code to write to, like [`Vec::spare_capacity_mut`].
    ///
    /// After they were written, [`set_len_unchecked`](SamplePart::set_len_unchecked) counts them as written. They may
    /// hold what an earlier owner left, so code must not treat them as initialised before it has written them.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut part = pool.try_get_buffer()?.into_part();
    /// part.spare_capacity_mut()[0].write(b'!');
    /// // SAFETY: the part was empty, and one byte was written just now.
    /// unsafe { part.set_len_unchecked(1) };
    /// assert_eq!(&part[..], b"!");
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        self.bytes.spare_mut()
    }

    /// Returns the properties that the sample had when it became a part.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.properties_mut().set_stream_id(7);
    /// let mut part = sample.into_part();
    /// assert_eq!(part.split_written().properties().stream_id(), 7);
    /// assert_eq!(part.properties().stream_id(), 7);
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
    /// let mut part = pool.try_get_buffer()?.into_part();
    /// assert_eq!(part.split_off(10).index(), part.index());
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn index(&self) -> usize {
        self.bytes.slot().index()
    }
}

impl Deref for SamplePart {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

impl DerefMut for SamplePart {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut_slice()
    }
}

// If a write panics, the part keeps what was written before, as a `Vec` does.
impl UnwindSafe for SamplePart {}
impl RefUnwindSafe for SamplePart {}

impl AsRef<[u8]> for SamplePart {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for SamplePart {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

/// Appends to the bytes that were written. `write` returns `Ok(0)` if the part is full.
impl io::Write for SamplePart {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(self.bytes.append(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints the number of the buffer, the part's length and its capacity, never the bytes.
impl fmt::Debug for SamplePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamplePart")
            .field("index", &self.index())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
