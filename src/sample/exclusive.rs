//! A sample in the hands of its one owner.

#![forbid(unsafe_code)]

use crate::{
    core::{engine::Engine, handle, release::ToPool},
    slot::{bytes::OwnedBytes, owned::OwnedSlot},
    values::{error::BufferOverflow, sample_properties::SampleProperties},
    wait::{payer, quota_account::Account},
};
use std::{
    fmt, io,
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    panic::{Location, RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

/// A buffer of a pool, owned exclusively: empty when it is handed out, to be filled and frozen.
///
/// It derefs to the bytes that were written so far. Fill it through [`BufMut`](bytes::BufMut) or
/// [`io::Write`], with [`set_len`](Sample::set_len), or put a header in front with
/// [`prepend`](Sample::prepend). Then [`freeze`](Sample::freeze) it, or make
/// [`Bytes`](Sample::into_bytes), to send it to many without a copy. When the last handle to any of
/// its bytes is dropped, the buffer is returned to the pool.
///
/// It does not grow: `put_*` panics when it is full, `write_all` fails, and
/// [`spare_capacity`](Sample::spare_capacity) says beforehand.
///
/// **Do not pass `&mut sample` where a `&mut [u8]` is expected**: nothing would be read. See
/// [Reading into a sample](#reading-into-a-sample).
///
/// What an earlier owner left in the buffer can never be read: neither the spare bytes nor the
/// headroom are readable before they are written.
///
/// It returns by being dropped, and there is no other way: it cannot return twice, to another pool, or
/// be used after that.
///
/// ```compile_fail,E0382
/// # let pool = sample_pool::Pool::builder().build().unwrap();
/// let sample = pool.try_get_buffer().unwrap();
/// drop(sample);
/// drop(sample); // it is gone
/// ```
///
/// ```compile_fail,E0382
/// # let pool = sample_pool::Pool::builder().build().unwrap();
/// let sample = pool.try_get_buffer().unwrap();
/// let shared = sample.freeze();
/// println!("{}", sample.len()); // it is shared, and cannot be written any more
/// ```
///
/// # Reading into a sample
///
/// `socket.read(&mut sample)` compiles, because a sample derefs to a slice. But that slice is the bytes that were
/// written so far, and a fresh sample has none. So the call reads nothing and returns `Ok(0)`, as at the end of a
/// file. `read_exact(&mut sample)` succeeds and reads nothing. `udp.recv_from(&mut sample)` receives a datagram and
/// keeps nothing of it: the datagram is lost.
///
/// These append to the sample:
///
/// | source | call |
/// |---|---|
/// | Tokio's `AsyncRead` | `AsyncReadExt::read_buf(&mut sample)` |
/// | Tokio's `TcpStream`, `UnixStream`, a pipe | `try_read_buf(&mut sample)` |
/// | Tokio's `UdpSocket`, `UnixDatagram` | `recv_buf`, `recv_buf_from`, `try_recv_buf` and `try_recv_buf_from` |
/// | std's `Read` | [`sample.read_from(&mut reader)`](Sample::read_from) |
/// | `recvmsg`, a device, another language | [`spare_capacity_mut`](Sample::spare_capacity_mut), then [`set_len_unchecked`](Sample::set_len_unchecked) |
///
/// With no room left, the first and `read_from` return `Ok(0)`, as at the end of a file: look at the spare capacity
/// before reading on. A datagram that is longer than the spare capacity is cut off.
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

    /// The slot, which is not released now.
    #[inline]
    pub(crate) fn into_slot(self) -> OwnedSlot {
        self.bytes.into_slot()
    }

    pub(crate) fn from_bytes(bytes: OwnedBytes<ToPool>) -> Self {
        Sample { bytes }
    }

    /// Charges the sample to an account until it comes home.
    pub(crate) fn charge_to(&mut self, account: Arc<Account>) {
        payer::charge(self.bytes.slot_mut(), account);
    }

    /// Moves the bytes to the start of the buffer, so that all the room is behind them.
    #[cfg(feature = "stream")]
    pub(crate) fn move_to_front(&mut self) {
        self.bytes.move_to_front(handle::geometry_of);
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut OwnedBytes<ToPool> {
        &mut self.bytes
    }

    /// How many bytes the buffer holds, its prefix not counted: [`Properties::size`](crate::Properties::size). It is
    /// `len() + spare_capacity()` until bytes are [prepended](Sample::prepend): these count in `len` alone.
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

    /// How many bytes can still be written behind the last one.
    #[inline]
    #[must_use]
    pub fn spare_capacity(&self) -> usize {
        self.bytes.spare()
    }

    /// How many bytes were written, prepended ones included.
    ///
    /// Mirrors `IMediaSample::GetActualDataLength`.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written yet.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the length. Bytes that this uncovers read as zero.
    ///
    /// Mirrors `IMediaSample::SetActualDataLength`.
    ///
    /// # Errors
    ///
    /// [`BufferOverflow`] if `len` is over what was prepended plus the capacity; nothing changes.
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

    /// Reads once from `reader` and appends what it read; says how many bytes that were, zero at the end.
    ///
    /// The reader is shown all the spare bytes, as a slice of zeroes: safe code may look at the slice that it is
    /// to fill, and must not see what an earlier owner left there. Each call zeroes them again.
    /// With no room left it reads nothing and returns `Ok(0)`, as at the end: look at
    /// [`spare_capacity`](Sample::spare_capacity) before reading on.
    ///
    /// To read from Tokio's sockets, see [above](Sample#reading-into-a-sample).
    ///
    /// # Errors
    ///
    /// Those of the reader; [`Interrupted`](io::ErrorKind::Interrupted) is one. [`InvalidData`](io::ErrorKind::InvalidData)
    /// if the reader says that it read more than there was room for. Nothing was appended.
    ///
    /// # Panics
    ///
    /// If the reader does. Nothing was appended then.
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

    /// The bytes behind the last one that was written, to be written by other code: as
    /// [`Vec::spare_capacity_mut`].
    ///
    /// For system calls and devices that fill memory: `recvmsg`, or `IoSliceMut` after the bytes were written.
    /// [`set_len_unchecked`](Sample::set_len_unchecked) then counts them as written. Without it they stay spare, and
    /// the next write overwrites them. They may hold what an earlier owner left, so they must not be taken for
    /// initialised before they were written.
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

    /// Empties the sample and restores its headroom. The properties stay.
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

    /// How many bytes can still be prepended.
    #[must_use]
    pub fn headroom(&self) -> usize {
        self.bytes.headroom()
    }

    /// Writes `bytes` before the first byte, into the headroom.
    ///
    /// A protocol's header can so be put in front of a payload that was read first, without moving it.
    ///
    /// # Errors
    ///
    /// [`BufferOverflow`] if there is less headroom; its `capacity` is the headroom. Nothing changes.
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

    /// The sample's times, flags and media type. All unset in a fresh sample.
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

    /// The properties, to be changed.
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

    /// The number of the buffer, from 0 to below [`Properties::buffers`]. It stays the same for the
    /// same buffer, so what a device knows of it can be kept beside.
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

/// Writes down that a user gets the slot, and says how its bytes are laid out.
#[inline]
fn hand_out(
    engine: &Engine,
    slot: &OwnedSlot,
    location: &'static Location<'static>,
) -> (usize, usize) {
    if engine.tracks_holders() {
        engine.record(slot, location);
    }
    slot.turn();
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

// A panic in the middle of a write leaves what was written by then, as with a `Vec`.
impl UnwindSafe for Sample {}
impl RefUnwindSafe for Sample {}

impl AsRef<[u8]> for Sample {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Sample {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

/// Writes behind the last byte. `Ok(0)` once the sample is full.
impl io::Write for Sample {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(self.bytes.append(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says which buffer it is and how full; never prints the bytes.
impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("index", &self.index())
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
