//! A UDP socket as a stream of batches, each of datagrams that the system joined.

#![forbid(unsafe_code)]

use super::{
    datagram_batch::DatagramBatch,
    read_sample::ReadError,
    system_batch::{self, MessageInfos},
    udp_readiness::UdpReadiness,
};
#[cfg(doc)]
use crate::Pool;
use crate::{quota::poll_pool::PollPool, sample::exclusive::Sample};
use futures::{Stream, stream::FusedStream};
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::net::UdpSocket;

/// Receives datagrams from a UDP socket in the batches of the system: a [`Stream`] of [`DatagramBatch`]es.
///
/// Linux joins datagrams that arrive together from one sender, if all but the last have one size (`UDP_GRO`). Such a
/// batch is received by one system call into one sample, and cut without a copy. For a sender of many datagrams at once,
/// that takes a quarter of the time of a call for each. A single datagram is a batch of one. On other systems every batch
/// is one datagram.
///
/// # The size of the buffers
///
/// A batch must fit into a buffer: what does not fit is lost. So the system joins datagrams only if the pool's buffers
/// have the [`buffer_size`](BatchReceiver::buffer_size) for the `datagram_size` when the receiver is made. Otherwise each
/// batch is one datagram, and [`joins`](BatchReceiver::joins) returns `false`. A sender of larger datagrams can send a
/// batch that does not fit. Then [`DatagramBatch::truncated`] is `true`, as for a single datagram that does not fit.
///
/// A part or slice of one datagram keeps the buffer of the whole batch. Copy what is kept for long.
///
/// # Options of the socket
///
/// [`new`](BatchReceiver::new) sets `UDP_GRO`, to 1 or 0. It stays set when the socket is returned: other code that
/// receives from it would take several datagrams for one. [`DatagramReceiver`](super::DatagramReceiver) sets it to 0.
/// Nothing else is set without a call that says so: [`report_to`](BatchReceiver::report_to) and
/// [`report_ecn`](BatchReceiver::report_ecn).
///
/// # Waiting, and errors
///
/// As with [`DatagramReceiver`](super::DatagramReceiver): a buffer is taken only when there is something to receive, the
/// stream never ends, and it yields the errors of the socket, each once. An error takes no datagram with it. After
/// `shutdown` of the socket for reading, every poll yields [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
///
/// # Cancel safety
///
/// Dropping the future of `next()` or of [`receive_many`](BatchReceiver::receive_many) loses no datagram and no error.
/// After `next()` the receiver keeps its position in the wait queue, after `receive_many` it does not.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use sample_pool::{Pool, stream::{BatchReceiver, DatagramSender}};
/// use tokio::net::UdpSocket;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let size = BatchReceiver::buffer_size(1200);
/// let pool = Pool::builder().buffers(8).size(size).build()?;
/// let socket = UdpSocket::bind("127.0.0.1:0").await?;
/// let address = socket.local_addr()?;
/// let mut receiver = BatchReceiver::new(socket, &pool, 1200);
///
/// let mut sender = DatagramSender::new(UdpSocket::bind("127.0.0.1:0").await?)?;
/// sender.send_to(&[7; 5000], 1200, address).await?; // four datagrams of 1200 bytes, and one of 200
///
/// let mut lengths = Vec::new();
/// while lengths.len() < 5 {
///     let batch = receiver.next().await.expect("it never ends")?;
///     assert!(!batch.truncated);
///     lengths.extend(batch.datagrams().map(<[u8]>::len));
/// }
/// assert_eq!(lengths, [1200, 1200, 1200, 1200, 200]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream does nothing until it is polled"]
pub struct BatchReceiver {
    pub(super) readiness: UdpReadiness,
    pub(super) pool: PollPool,
    /// The error that ended a batch after some datagrams. The next poll returns it.
    pub(super) failed: Option<io::Error>,
    /// Empty between polls. It keeps its memory.
    pub(super) samples: Vec<Sample>,
    pub(super) infos: MessageInfos,
    joins: bool,
}

/// No batch is larger, because no IP packet is.
const MOST_BYTES: usize = 65_535;

impl BatchReceiver {
    /// Creates a receiver from `socket` into samples of `pool`, which is a [`&Pool`](Pool) or a
    /// [`&Quota`](crate::Quota), for datagrams of at most `datagram_size` bytes.
    ///
    /// It sets or clears `UDP_GRO`; see [The size of the buffers](BatchReceiver#the-size-of-the-buffers). Datagrams that
    /// are in the socket already stay as they are.
    #[track_caller]
    pub fn new(socket: UdpSocket, pool: impl Into<PollPool>, datagram_size: usize) -> Self {
        let pool = pool.into();
        let fits = pool.pool().properties().size >= Self::buffer_size(datagram_size);
        BatchReceiver {
            joins: system_batch::set_gro(&socket, fits),
            readiness: UdpReadiness::new(socket),
            pool,
            failed: None,
            samples: Vec::with_capacity(system_batch::MAX_MESSAGES),
            infos: MessageInfos::new(),
        }
    }

    /// Returns how many bytes a buffer needs for a batch of datagrams of at most `datagram_size` bytes.
    ///
    /// On Linux that is 128 datagrams, but at most 65,535 bytes, which is the largest IP packet. Where the system joins no
    /// datagrams, it is one datagram.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::stream::BatchReceiver;
    ///
    /// # #[cfg(all(target_os = "linux", not(portable_udp)))] {
    /// assert_eq!(BatchReceiver::buffer_size(200), 25_600); // audio
    /// assert_eq!(BatchReceiver::buffer_size(1_200), 65_535); // video
    /// # }
    /// ```
    #[must_use]
    pub fn buffer_size(datagram_size: usize) -> usize {
        let batch = datagram_size.saturating_mul(system_batch::MAX_SEGMENTS);
        batch.clamp(1, MOST_BYTES)
    }

    /// Returns `true` if the system joins datagrams for this socket.
    #[must_use]
    pub fn joins(&self) -> bool {
        self.joins
    }

    /// Makes the system report the address that each datagram was sent to: [`DatagramBatch::to`].
    ///
    /// A server that is bound to all addresses needs it to answer from the right one. It sets `IP_PKTINFO`, or
    /// `IPV6_RECVPKTINFO` on a socket of IPv6.
    ///
    /// # Errors
    ///
    /// Those of the system; [`Unsupported`](io::ErrorKind::Unsupported) elsewhere than on Linux.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use sample_pool::{Pool, stream::BatchReceiver};
    /// # use tokio::net::UdpSocket;
    /// # #[cfg(any(portable_udp, not(target_os = "linux")))]
    /// # fn main() {}
    /// # #[cfg(all(target_os = "linux", not(portable_udp)))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().buffers(4).size(2048).build()?;
    /// let socket = UdpSocket::bind("0.0.0.0:0").await?;
    /// # let sender = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let port = socket.local_addr()?.port();
    /// let mut receiver = BatchReceiver::new(socket, &pool, 1500);
    /// receiver.report_to()?;
    /// # sender.send_to(b"hello", ("127.0.0.1", port)).await?;
    /// let batch = receiver.next().await.expect("it never ends")?;
    /// assert_eq!(batch.to, Some("127.0.0.1".parse()?));
    /// # Ok(())
    /// # }
    /// ```
    pub fn report_to(&mut self) -> io::Result<()> {
        system_batch::report_to(self.readiness.socket())
    }

    /// Makes the system report the ECN mark of each datagram: [`DatagramBatch::ecn`].
    ///
    /// It sets `IP_RECVTOS`, and `IPV6_RECVTCLASS` on a socket of IPv6.
    ///
    /// # Errors
    ///
    /// Those of the system; [`Unsupported`](io::ErrorKind::Unsupported) elsewhere than on Linux.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use sample_pool::{Pool, stream::{BatchReceiver, Ecn}};
    /// # use tokio::net::UdpSocket;
    /// # #[cfg(any(portable_udp, not(target_os = "linux")))]
    /// # fn main() {}
    /// # #[cfg(all(target_os = "linux", not(portable_udp)))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().buffers(4).size(2048).build()?;
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let sender = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let address = socket.local_addr()?;
    /// let mut receiver = BatchReceiver::new(socket, &pool, 1500);
    /// receiver.report_ecn()?;
    /// # sender.send_to(b"hello", address).await?;
    /// let batch = receiver.next().await.expect("it never ends")?;
    /// assert_eq!(batch.ecn, Some(Ecn::NotEct));
    /// # Ok(())
    /// # }
    /// ```
    pub fn report_ecn(&mut self) -> io::Result<()> {
        system_batch::report_ecn(self.readiness.socket())
    }

    /// Returns a reference to the socket, for example to send from it. A datagram that you receive from it is missing in
    /// the stream, and may be several.
    #[must_use]
    pub fn get_ref(&self) -> &UdpSocket {
        self.readiness.socket()
    }

    /// Returns a mutable reference to the socket. A datagram that you receive from it is missing in the stream, and may be
    /// several.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut UdpSocket {
        self.readiness.socket_mut()
    }

    /// Returns the socket, and the pool or quota. The latter keeps the position in the wait queue, if it has one. The
    /// options of the socket stay set.
    #[must_use]
    pub fn into_parts(self) -> (UdpSocket, PollPool) {
        (self.readiness.into_socket(), self.pool)
    }

    /// Returns the socket. Its options stay set.
    #[must_use]
    pub fn into_inner(self) -> UdpSocket {
        self.readiness.into_socket()
    }

    /// Waits until there may be a datagram, or returns an error.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.failed.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => self.readiness.poll_ready(cx),
        }
    }
}

impl Stream for BatchReceiver {
    type Item = Result<DatagramBatch, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            ready!(this.poll_ready(cx))?;
            let sample = ready!(this.pool.poll_get_buffer(cx))?;
            this.samples.push(sample);
            let mut batch = None;
            let socket = this.readiness.socket();
            let result =
                system_batch::receive(socket, &mut this.samples, &mut this.infos, |received| {
                    batch = Some(received);
                });
            this.samples.clear();
            match (result, batch) {
                (_, Some(batch)) => return Poll::Ready(Some(Ok(batch))),
                // The readiness was wrong. The buffer is returned to the pool, and the next poll waits again.
                (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => {
                    this.readiness.check_open()?;
                }
                (Err(error), None) => return Poll::Ready(Some(Err(error.into()))),
                (Ok(_), None) => {}
            }
        }
    }
}

/// Never terminated.
impl FusedStream for BatchReceiver {
    fn is_terminated(&self) -> bool {
        false
    }
}

impl fmt::Debug for BatchReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchReceiver")
            .field("socket", self.readiness.socket())
            .field("pool", &self.pool)
            .field("joins", &self.joins)
            .finish_non_exhaustive()
    }
}
