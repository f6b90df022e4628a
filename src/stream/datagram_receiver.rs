//! Datagrams, each in a sample of its own.

use super::{
    datagram::{Datagram, try_receive},
    read_sample::ReadError,
    udp_readiness::Incoming,
};
#[cfg(doc)]
use crate::Pool;
use crate::poll_pool::PollPool;
use futures::{Stream, stream::FusedStream};
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::net::UdpSocket;

/// Receives datagrams from a UDP socket, each into a sample: a [`Stream`] of [`Datagram`]s.
///
/// A buffer is taken when there is something to receive, not before. With none free it waits in the pool's queue and
/// receives nothing; the system drops what the socket's own buffer cannot take meanwhile.
///
/// The system cuts off what does not fit into a buffer, and drops the rest. [`Datagram::truncated`] says so. An empty
/// datagram is an empty sample.
///
/// The stream never ends. Errors of the socket are yielded, those of a connected one too:
/// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if an ICMP message says that no one receives what was sent.
/// It goes on when it is polled again after an error, because such an error is about one datagram that was sent.
///
/// # Cancel safety
///
/// Dropping the future of `next()` or of [`receive_many`](DatagramReceiver::receive_many) loses no
/// datagram and no error; the former keeps its place in the queue, the latter gives it up.
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
    pub(super) incoming: Incoming,
    pub(super) pool: PollPool,
    /// What ended a batch that had something in it.
    pub(super) failed: Option<io::Error>,
}

impl DatagramReceiver {
    /// Receives from `socket` into samples of `pool`: a [`&Pool`](Pool), or a [`&Quota`](crate::Quota).
    #[track_caller]
    pub fn new(socket: UdpSocket, pool: impl Into<PollPool>) -> Self {
        DatagramReceiver {
            incoming: Incoming::new(socket),
            pool: pool.into(),
            failed: None,
        }
    }

    /// The socket, to send from it for example.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        self.incoming.socket()
    }

    /// The socket. A datagram that is received from it here is missing in the stream.
    #[must_use]
    pub fn get_ref(&self) -> &UdpSocket {
        self.incoming.socket()
    }

    /// The socket. A datagram that is received from it here is missing in the stream.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut UdpSocket {
        self.incoming.socket_mut()
    }

    /// The socket, and the pool or quota, with the place in the wait queue that it may have.
    #[must_use]
    pub fn into_parts(self) -> (UdpSocket, PollPool) {
        (self.incoming.into_socket(), self.pool)
    }

    /// The socket.
    #[must_use]
    pub fn into_inner(self) -> UdpSocket {
        self.incoming.into_socket()
    }

    /// Waits until there may be a datagram, or for an error.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.failed.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => self.incoming.poll_ready(cx),
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
            match try_receive(this.incoming.socket(), sample) {
                // It was not readable after all.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(Some(result.map_err(ReadError::from))),
            }
        }
    }
}

/// It never ends.
impl FusedStream for DatagramReceiver {
    fn is_terminated(&self) -> bool {
        false
    }
}

impl fmt::Debug for DatagramReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramReceiver")
            .field("socket", self.incoming.socket())
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
