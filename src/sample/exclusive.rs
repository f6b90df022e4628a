//! [`Sample`]: a buffer with one owner, who fills it.

#![forbid(unsafe_code)]

use crate::{
    core::{engine::Engine, handle, release::ToPool},
    slot::{bytes::OwnedBytes, owned::OwnedSlot},
    values::{error::BufferOverflow, sample_properties::SampleProperties},
    wait::charge::Charge,
};
use std::{
    fmt, io,
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    panic::{Location, RefUnwindSafe, UnwindSafe},
};

/// A buffer of a pool, owned exclusively. It starts empty, is filled, and is then frozen.
///
/// It derefs to the bytes that were written so far. Fill it through [`BufMut`](bytes::BufMut) or [`io::Write`], or with
/// [`set_len`](Sample::set_len). Put a header before the bytes with [`prepend`](Sample::prepend). To send it to many
/// readers without a copy, [`freeze`](Sample::freeze) it or make [`Bytes`](Sample::into_bytes). To give ranges of it to
/// several owners who write them, make it a [part](Sample::into_part). When the last handle to any of its bytes is
/// dropped, the buffer is returned to the pool.
///
/// A sample does not grow. When it is full, `put_*` panics and `write_all` fails; check
/// [`spare_capacity`](Sample::spare_capacity) first.
///
/// **Do not pass `&mut sample` where a `&mut [u8]` is expected**: nothing would be read. See
/// [Reading into a sample](#reading-into-a-sample).
///
/// What an earlier owner left in the buffer can never be read: neither the spare bytes nor the headroom are readable
/// before they are written.
///
/// Dropping a sample is the only way to return it. It cannot be returned twice, returned to another pool, or used after
/// that.
///
/// ```compile_fail,E0382
/// # let pool = sample_pool::Pool::builder().build().unwrap();
/// let sample = pool.try_get_buffer().unwrap();
/// drop(sample);
/// drop(sample); // error: the sample was moved
/// ```
///
/// ```compile_fail,E0382
/// # let pool = sample_pool::Pool::builder().build().unwrap();
/// let sample = pool.try_get_buffer().unwrap();
/// let shared = sample.freeze();
/// println!("{}", sample.len()); // error: the sample was moved into `shared`
/// ```
///
/// # Reading into a sample
///
/// `socket.read(&mut sample)` compiles, because a sample derefs to a slice. But that slice is the bytes that were
/// written so far, and a fresh sample has none. So the call reads nothing and returns `Ok(0)`, as at the end of a
/// file. `read_exact(&mut sample)` succeeds and reads nothing. `udp.recv_from(&mut sample)` receives a datagram and
/// discards all of it: the datagram is lost.
///
/// These calls append to the sample:
///
/// | source | call |
/// |---|---|
/// | Tokio's `AsyncRead` | `AsyncReadExt::read_buf(&mut sample)` |
/// | Tokio's `TcpStream`, `UnixStream`, a pipe | `try_read_buf(&mut sample)` |
/// | Tokio's `UdpSocket`, `UnixDatagram` | `recv_buf`, `recv_buf_from`, `try_recv_buf` and `try_recv_buf_from` |
/// | std's `Read` | [`sample.read_from(&mut reader)`](Sample::read_from) |
/// | `recvmsg`, a device, another language | [`spare_capacity_mut`](Sample::spare_capacity_mut), then [`set_len_unchecked`](Sample::set_len_unchecked) |
///
/// If no spare capacity is left, `read_buf` and `read_from` return `Ok(0)`, as at the end of a file: check the spare
/// capacity before each read. A datagram that is longer than the spare capacity is truncated.
///
/// Mirrors `IMediaSample`.
///
/// # Examples
///
/// ```
/// use bytes::BufMut;
/// use sample_pool::Pool;
///
/// let pool = Pool::builder().buffers(2).size(1024).prefix(16).build()?;
/// let mut sample = pool.try_get_buffer()?;
/// sample.put_slice(b"payload");
/// sample.prepend(b"header:")?;
/// sample.properties_mut().set_sync_point(true);
/// assert_eq!(&sample[..], b"header:payload");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sample {
    bytes: OwnedBytes<ToPool>,
}

impl Sample {
    #[inline]
    pub(crate) fn new(
        engine: &Engine,
        slot: OwnedSlot,
        location: &'static Location<'static>,
    ) -> Self {
        let (prefix, size) = hand_out(engine, &slot, location);
        let bytes = OwnedBytes::fresh(slot, prefix, size);
        Sample { bytes }
    }

    /// Takes the slot out, so that dropping the sample does not release it.
    #[inline]
    pub(crate) fn into_slot(self) -> OwnedSlot {
        self.bytes.into_slot()
    }

    pub(crate) fn from_bytes(bytes: OwnedBytes<ToPool>) -> Self {
        Sample { bytes }
    }

    /// Makes the sample count against the quota of `account` until it is released.
    pub(crate) fn charge_to(&mut self, charge: Charge) {
        charge.carry(self.bytes.slot_mut());
    }

    /// Moves the bytes to the start of the buffer, so that all the spare capacity is behind them.
    #[cfg(feature = "stream")]
    pub(crate) fn move_to_front(&mut self) {
        self.bytes.move_to_front(handle::geometry_of);
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut OwnedBytes<ToPool> {
        &mut self.bytes
    }

    /// Returns how many bytes the buffer holds, not counting its prefix: [`Properties::size`](crate::Properties::size).
    ///
    /// It equals `len() + spare_capacity()` until bytes are [prepended](Sample::prepend). Prepended bytes count in
    /// `len` only.
    ///
    /// Mirrors `IMediaSample::GetSize`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().size(4096).build().unwrap();
    /// let sample = pool.try_get_buffer()?;
    /// assert_eq!(sample.capacity(), 4096);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        handle::geometry_of(self.bytes.slot()).size()
    }

    /// Returns how many bytes can still be written after the last one.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.put_slice(b"four");
    /// assert_eq!(sample.spare_capacity(), 60);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn spare_capacity(&self) -> usize {
        self.bytes.spare()
    }

    /// Returns how many bytes were written, including prepended ones.
    ///
    /// Mirrors `IMediaSample::GetActualDataLength`.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.put_slice(b"four");
    /// assert_eq!(sample.len(), 4);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns `true` if no byte was written yet.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// assert!(pool.try_get_buffer()?.is_empty());
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the length. If it grows, the new bytes are zero.
    ///
    /// Mirrors `IMediaSample::SetActualDataLength`.
    ///
    /// # Errors
    ///
    /// [`BufferOverflow`] if `len` is more than the capacity plus the number of prepended bytes. Nothing changes then.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut sample = pool.try_get_buffer().unwrap();
    /// sample.set_len(3)?;
    /// assert_eq!(&sample[..], [0, 0, 0]);
    /// assert_eq!(sample.set_len(65).unwrap_err().capacity, 64);
    /// # Ok::<(), sample_pool::BufferOverflow>(())
    /// ```
    pub fn set_len(&mut self, len: usize) -> Result<(), BufferOverflow> {
        self.bytes.set_len(len)
    }

    /// Reads once from `reader`, appends what was read, and returns the number of bytes; zero at the end.
    ///
    /// The reader gets all the spare bytes, as a slice of zeroes: safe code may look at the slice that it is given to
    /// fill, and must not see what an earlier owner left there. Each call zeroes them again. If no spare capacity is
    /// left, this reads nothing and returns `Ok(0)`, as at the end: check [`spare_capacity`](Sample::spare_capacity)
    /// before each read.
    ///
    /// For Tokio's sockets, see [Reading into a sample](Sample#reading-into-a-sample).
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
    /// let mut sample = pool.try_get_buffer().unwrap();
    /// let mut file = &b"from a file"[..];
    /// assert_eq!(sample.read_from(&mut file)?, 11);
    /// assert_eq!(sample.read_from(&mut file)?, 0);
    /// assert_eq!(&sample[..], b"from a file");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_from(&mut self, reader: &mut impl io::Read) -> io::Result<usize> {
        self.bytes.append_from(|spare| reader.read(spare))
    }

    /// Returns the bytes after the last written one, for other code to write to, like [`Vec::spare_capacity_mut`].
    ///
    /// It is for system calls and devices that fill memory, such as `recvmsg`. After the bytes were written,
    /// [`set_len_unchecked`](Sample::set_len_unchecked) counts them as written. Without that call they stay spare, and
    /// the next write overwrites them. They may hold what an earlier owner left, so code must not treat them as
    /// initialised before it has written them.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// let spare = sample.spare_capacity_mut();
    /// assert_eq!(spare.len(), 64);
    /// spare[0].write(b'h');
    /// spare[1].write(b'i');
    /// // SAFETY: the sample was empty, and two bytes were written just now.
    /// unsafe { sample.set_len_unchecked(2) };
    /// assert_eq!(&sample[..], b"hi");
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        self.bytes.spare_mut()
    }

    /// Empties the sample and restores its headroom. The sample's properties stay.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().size(64).prefix(8).align(8).build().unwrap();
    /// let mut sample = pool.try_get_buffer().unwrap();
    /// sample.prepend(b"head")?;
    /// sample.clear();
    /// assert!(sample.is_empty());
    /// assert_eq!(sample.headroom(), 8);
    /// # Ok::<(), sample_pool::BufferOverflow>(())
    /// ```
    pub fn clear(&mut self) {
        self.bytes.clear(handle::geometry_of);
    }

    /// Returns how many bytes can still be prepended.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().prefix(64).build().unwrap();
    /// assert_eq!(pool.try_get_buffer()?.headroom(), 64);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn headroom(&self) -> usize {
        self.bytes.headroom()
    }

    /// Writes `bytes` before the first byte, into the headroom.
    ///
    /// This puts a protocol's header before a payload that was read first, without moving the payload.
    ///
    /// # Errors
    ///
    /// [`BufferOverflow`] if the headroom is smaller than `bytes`; its `capacity` is the headroom. Nothing changes
    /// then.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(64).prefix(4).align(4).build().unwrap();
    /// let mut sample = pool.try_get_buffer().unwrap();
    /// sample.put_slice(b"body");
    /// sample.prepend(&4u32.to_be_bytes())?;
    /// assert_eq!(&sample[..], b"\0\0\0\x04body");
    /// assert_eq!(sample.len() + sample.spare_capacity(), sample.capacity() + 4);
    /// # Ok::<(), sample_pool::BufferOverflow>(())
    /// ```
    pub fn prepend(&mut self, bytes: &[u8]) -> Result<(), BufferOverflow> {
        self.bytes.prepend(bytes)
    }

    /// Returns the sample's times, flags and media type. All are unset in a fresh sample.
    ///
    /// Mirrors `IMediaSample2::GetProperties`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let sample = pool.try_get_buffer()?;
    /// assert_eq!(sample.properties().start(), None);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn properties(&self) -> &SampleProperties {
        self.bytes.slot().properties()
    }

    /// Returns the properties for writing.
    ///
    /// Mirrors `IMediaSample2::SetProperties`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::ReferenceTime;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.properties_mut().set_time(Some(ReferenceTime(400_000)), None);
    /// assert_eq!(sample.properties().start(), Some(ReferenceTime(400_000)));
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    pub fn properties_mut(&mut self) -> &mut SampleProperties {
        self.bytes.slot_mut().properties_mut()
    }

    /// Returns the number of the buffer: at least 0 and less than [`Properties::buffers`].
    ///
    /// A buffer keeps its number, so data about it (a device's registration, for example) can be stored by this index.
    ///
    /// [`Properties::buffers`]: crate::Properties::buffers
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().buffers(4).build().unwrap();
    /// let sample = pool.try_get_buffer()?;
    /// assert!(sample.index() < 4);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn index(&self) -> usize {
        self.bytes.slot().index()
    }
}

/// Records that a user gets the slot, and returns the sizes of its prefix and of its buffer.
#[inline]
fn hand_out(
    engine: &Engine,
    slot: &OwnedSlot,
    location: &'static Location<'static>,
) -> (usize, usize) {
    if engine.tracks_holders() {
        engine.record(slot, location);
    }
    slot.increment_generation();
    let geometry = engine.geometry();
    (geometry.prefix(), geometry.size())
}

impl Deref for Sample {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

impl DerefMut for Sample {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut_slice()
    }
}

// If a write panics, the sample keeps what was written before, as a `Vec` does.
impl UnwindSafe for Sample {}
impl RefUnwindSafe for Sample {}

impl AsRef<[u8]> for Sample {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Sample {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

/// Appends to the bytes that were written. `write` returns `Ok(0)` if the sample is full.
impl io::Write for Sample {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(self.bytes.append(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints the number of the buffer, its length and its capacity, never the bytes.
impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("index", &self.index())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
