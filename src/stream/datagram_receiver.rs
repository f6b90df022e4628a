//! A UDP socket as a stream of datagrams.

#![forbid(unsafe_code)]

use super::{
    datagram::{Datagram, try_receive},
    read_sample::ReadError,
    system_batch,
    udp_readiness::UdpReadiness,
};
#[cfg(doc)]
use crate::Pool;
use crate::quota::poll_pool::PollPool;
use futures::{Stream, stream::FusedStream};
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::net::UdpSocket;

/// Receives datagrams from a UDP socket, each into a sample of its own: a [`Stream`] of [`Datagram`]s.
///
/// A buffer is taken only when there is something to receive. When the pool is exhausted, the receiver waits in the wait
/// queue and receives nothing. Meanwhile the system drops the datagrams that do not fit into the socket's own buffer.
///
/// If a datagram does not fit into a buffer, the system drops the rest of it, and [`Datagram::truncated`] is `true`. An
/// empty datagram is an empty sample.
///
/// The stream never ends. It yields the errors of the socket. A connected socket has errors of datagrams that were sent:
/// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if an ICMP message reports that the port is closed. Such an
/// error is about one datagram, so the stream continues when it is polled again. After `shutdown` of the socket for
/// reading, every poll yields [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
///
/// # Cancel safety
///
/// Dropping the future of `next()` or of [`receive_many`](DatagramReceiver::receive_many) loses no datagram and no error.
/// After `next()` the receiver keeps its position in the wait queue, after `receive_many` it does not.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use sample_pool::{Pool, stream::DatagramReceiver};
/// use tokio::net::UdpSocket;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(8).size(1500).build()?;
/// let socket = UdpSocket::bind("127.0.0.1:0").await?;
/// let sender = UdpSocket::bind("127.0.0.1:0").await?;
/// sender.send_to(b"one packet", socket.local_addr()?).await?;
///
/// let mut datagrams = DatagramReceiver::new(socket, &pool);
/// let packet = datagrams.next().await.expect("it never ends")?;
/// assert_eq!(&packet.sample[..], b"one packet");
/// assert_eq!(packet.from, sender.local_addr()?);
/// assert!(!packet.truncated);
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream does nothing until it is polled"]
pub struct DatagramReceiver {
    pub(super) readiness: UdpReadiness,
    pub(super) pool: PollPool,
    /// The error that ended a batch after some datagrams. The next poll returns it.
    pub(super) failed: Option<io::Error>,
}

impl DatagramReceiver {
    /// Creates a receiver from `socket` into samples of `pool`, which is a [`&Pool`](Pool) or a
    /// [`&Quota`](crate::Quota).
    ///
    /// On Linux it clears `UDP_GRO`, which a [`BatchReceiver`](super::BatchReceiver) sets, because with it several datagrams
    /// would be one sample.
    #[track_caller]
    pub fn new(socket: UdpSocket, pool: impl Into<PollPool>) -> Self {
        system_batch::set_gro(&socket, false);
        DatagramReceiver {
            readiness: UdpReadiness::new(socket),
            pool: pool.into(),
            failed: None,
        }
    }

    /// Returns a reference to the socket, for example to send from it.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        self.readiness.socket()
    }

    /// Returns a reference to the socket. A datagram that you receive from it is missing in the stream.
    #[must_use]
    pub fn get_ref(&self) -> &UdpSocket {
        self.readiness.socket()
    }

    /// Returns a mutable reference to the socket. A datagram that you receive from it is missing in the stream.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut UdpSocket {
        self.readiness.socket_mut()
    }

    /// Returns the socket, and the pool or quota. The latter keeps the position in the wait queue, if it has one.
    #[must_use]
    pub fn into_parts(self) -> (UdpSocket, PollPool) {
        (self.readiness.into_socket(), self.pool)
    }

    /// Returns the socket.
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

impl Stream for DatagramReceiver {
    type Item = Result<Datagram, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            ready!(this.poll_ready(cx))?;
            let sample = ready!(this.pool.poll_get_buffer(cx))?;
            match try_receive(this.readiness.socket(), sample) {
                // The readiness was wrong. The buffer is returned to the pool, and the next poll waits again.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    this.readiness.check_open()?;
                }
                result => return Poll::Ready(Some(result.map_err(ReadError::from))),
            }
        }
    }
}

/// Never terminated.
impl FusedStream for DatagramReceiver {
    fn is_terminated(&self) -> bool {
        false
    }
}

impl fmt::Debug for DatagramReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramReceiver")
            .field("socket", self.readiness.socket())
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
