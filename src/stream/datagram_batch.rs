//! Datagrams of one sender that the system delivered together.

#![forbid(unsafe_code)]

use super::datagrams::Datagrams;
use crate::sample::{exclusive::Sample, part::SamplePart, shared::SharedSample};
use std::net::{IpAddr, SocketAddr};

/// One or more datagrams of one sender in one sample, which a [`BatchReceiver`](super::BatchReceiver) received.
///
/// The datagrams lie one behind the other. All have [`segment_size`](DatagramBatch::segment_size) bytes, but the last may
/// be shorter. [`datagrams`](DatagramBatch::datagrams) borrows them, [`into_parts`](DatagramBatch::into_parts) makes each
/// writable in place, and [`into_shared`](DatagramBatch::into_shared) makes each a shared sample; none copies. To change
/// the datagrams and keep the batch whole, to send it on for example, write to [`sample`](DatagramBatch::sample).
///
/// **Check [`truncated`](DatagramBatch::truncated)** before you use the last datagram.
///
/// # Examples
///
/// A byte of each datagram is changed in place, and the batch is sent on with one call:
///
/// ```
/// # use futures::StreamExt;
/// # use sample_pool::{Pool, stream::{BatchReceiver, DatagramSender}};
/// # use tokio::net::UdpSocket;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = Pool::builder().buffers(4).size(2048).build()?;
/// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
/// # let mut sender = DatagramSender::new(UdpSocket::bind("127.0.0.1:0").await?)?;
/// # sender.send_to(b"one packet", 1200, socket.local_addr()?).await?;
/// # let mut receiver = BatchReceiver::new(socket, &pool, 1200);
/// # let player = UdpSocket::bind("127.0.0.1:0").await?;
/// # let viewer = player.local_addr()?;
/// let mut batch = receiver.next().await.expect("it never ends")?;
/// for datagram in batch.sample.chunks_mut(batch.segment_size) {
///     datagram[0] = b'O';
/// }
/// sender.send_to(&batch.sample, batch.segment_size, viewer).await?;
/// # let mut received = [0; 16];
/// # let len = player.recv(&mut received).await?;
/// # assert_eq!(&received[..len], b"One packet");
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub struct DatagramBatch {
    /// The bytes of all datagrams. A [`Sample`] is a `[u8]`: `sample.chunks_mut(segment_size)` are the datagrams, to be
    /// changed in place. Of an empty datagram there is no chunk.
    pub sample: Sample,
    /// The address that they were sent from. An IPv4 sender is shown as an IPv4-mapped address by a socket of IPv6.
    pub from: SocketAddr,
    /// The address that they were sent to, of this machine or of a multicast group. `None` unless
    /// [`BatchReceiver::report_to`](super::BatchReceiver::report_to) was called.
    pub to: Option<IpAddr>,
    /// What the network says of congestion. `None` unless
    /// [`BatchReceiver::report_ecn`](super::BatchReceiver::report_ecn) was called. The system joins only datagrams with
    /// the same mark.
    pub ecn: Option<Ecn>,
    /// The size of each datagram but the last, in bytes. Of a single datagram, its own size, and 1 if it is empty. So it
    /// can be passed on to [`DatagramSender::send_to`](super::DatagramSender::send_to).
    pub segment_size: usize,
    /// Whether bytes did not fit into the buffer. The system dropped them. The last datagram in the sample is not complete
    /// then, and datagrams behind it can be lost. Use buffers of
    /// [`BatchReceiver::buffer_size`](super::BatchReceiver::buffer_size).
    ///
    /// Redox, WASI and ESP-IDF do not report truncation. There this is `true` for every datagram that fills its buffer.
    pub truncated: bool,
}

impl DatagramBatch {
    /// Returns the datagrams, borrowed. Its `len` is their number, which is at least one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use sample_pool::{Pool, stream::BatchReceiver};
    /// # use tokio::net::UdpSocket;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().buffers(4).size(2048).build()?;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let sender = UdpSocket::bind("127.0.0.1:0").await?;
    /// # sender.send_to(b"one packet", socket.local_addr()?).await?;
    /// # let mut receiver = BatchReceiver::new(socket, &pool, 1500);
    /// let batch = receiver.next().await.expect("it never ends")?;
    /// for datagram in batch.datagrams() {
    ///     assert_eq!(datagram, b"one packet");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn datagrams(&self) -> Datagrams<&[u8]> {
        Datagrams::new(&self.sample, self.segment_size)
    }

    /// Makes each datagram a part, which is changed in place, for example decrypted, and then frozen. It copies nothing.
    ///
    /// The buffer is returned to the pool when the last part and all that was frozen of them are dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use sample_pool::{Pool, SharedSample, stream::{BatchReceiver, DatagramSender}};
    /// # use tokio::net::UdpSocket;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().buffers(4).size(2048).build()?;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let to = socket.local_addr()?;
    /// # let mut receiver = BatchReceiver::new(socket, &pool, 8);
    /// # let mut sender = DatagramSender::new(UdpSocket::bind("127.0.0.1:0").await?)?;
    /// # sender.send_to(b"one and two", 8, to).await?;
    /// # let mut opened: Vec<SharedSample> = Vec::new();
    /// # while opened.len() < 2 {
    /// let batch = receiver.next().await.expect("it never ends")?;
    /// for mut datagram in batch.into_parts() {
    ///     datagram.make_ascii_uppercase(); // in place of decryption
    ///     opened.push(datagram.freeze());
    /// }
    /// # }
    /// # assert_eq!((&opened[0][..], &opened[1][..]), (&b"ONE AND "[..], &b"TWO"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_parts(self) -> Datagrams<SamplePart> {
        Datagrams::new(self.sample.into_part(), self.segment_size)
    }

    /// Makes each datagram a shared sample. It copies nothing and allocates nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use sample_pool::{Pool, stream::BatchReceiver};
    /// # use tokio::net::UdpSocket;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().buffers(4).size(2048).build()?;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let sender = UdpSocket::bind("127.0.0.1:0").await?;
    /// # sender.send_to(b"one packet", socket.local_addr()?).await?;
    /// # let mut receiver = BatchReceiver::new(socket, &pool, 1500);
    /// let batch = receiver.next().await.expect("it never ends")?;
    /// let packets: Vec<bytes::Bytes> = batch.into_shared().map(Into::into).collect();
    /// assert_eq!(packets[0], "one packet");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_shared(self) -> Datagrams<SharedSample> {
        Datagrams::new(self.sample.freeze(), self.segment_size)
    }
}

/// Explicit Congestion Notification: two bits of the IP header of a datagram (RFC 3168).
///
/// # Examples
///
/// See [`BatchReceiver::report_ecn`](super::BatchReceiver::report_ecn).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// The sender does not take part.
    NotEct,
    /// The sender takes part; RFC 9331 (L4S) uses this codepoint.
    Ect1,
    /// The sender takes part.
    Ect0,
    /// A router on the path is congested.
    Ce,
}

impl Ecn {
    /// The lowest two bits of the type of service or traffic class.
    #[cfg(all(target_os = "linux", not(portable_udp)))]
    pub(super) fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Ecn::NotEct,
            0b01 => Ecn::Ect1,
            0b10 => Ecn::Ect0,
            _ => Ecn::Ce,
        }
    }
}
