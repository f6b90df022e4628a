//! Datagrams, each in a sample of its own.

use super::read_sample::ReadError;
#[cfg(doc)]
use crate::Pool;
use crate::{poll_pool::PollPool, sample::Sample};
use futures::{Stream, stream::FusedStream};
use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::net::UdpSocket;

/// Receives datagrams from a UDP socket, each into a sample: a [`Stream`] of them, with the address of
/// the sender.
///
/// A buffer is taken when there is something to receive, not before. With none home it waits in line
/// and receives nothing; what the socket's own buffer cannot take meanwhile is lost, as it is in the
/// nature of UDP.
///
/// The system cuts off what does not fit into a buffer and does not say so: make buffers larger than
/// the largest datagram, and take one that [fills its buffer](Sample::spare_capacity) for cut off. An
/// empty datagram is an empty sample. The stream never ends; after an error it goes on when it is
/// polled again, because errors of UDP sockets are often about one datagram that was sent.
///
/// # Cancel safety
///
/// Dropping the future of `next()` or of [`receive_many`](DatagramReceiver::receive_many) loses no
/// datagram; the former keeps its place in line, the latter gives it up.
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
/// let (packet, from) = datagrams.next().await.expect("it never ends")?;
/// assert_eq!(&packet[..], b"one packet");
/// assert_eq!(from, sender.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream does nothing until it is polled"]
pub struct DatagramReceiver {
    socket: UdpSocket,
    pool: PollPool,
    /// Samples that are waiting for datagrams inside `receive_many`, and for nothing outside of it.
    empty: Vec<Sample>,
}

impl DatagramReceiver {
    /// Receives from `socket` into samples of `pool`: a [`&Pool`](Pool), or a [`&Quota`](crate::Quota).
    #[track_caller]
    pub fn new(socket: UdpSocket, pool: impl Into<PollPool>) -> Self {
        DatagramReceiver {
            socket,
            pool: pool.into(),
            empty: Vec::new(),
        }
    }

    /// The socket, to send from it for example.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// The socket. A datagram that is received from it here is missing in the stream.
    #[must_use]
    pub fn get_ref(&self) -> &UdpSocket {
        &self.socket
    }

    /// The socket. A datagram that is received from it here is missing in the stream.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// The socket, and the pool or quota, with the place in the wait queue that it may have.
    #[must_use]
    pub fn into_parts(self) -> (UdpSocket, PollPool) {
        (self.socket, self.pool)
    }

    /// The socket.
    #[must_use]
    pub fn into_inner(self) -> UdpSocket {
        self.socket
    }

    /// Waits for a datagram, receives it and what else is there, `most` at most, and appends them to
    /// `datagrams`; says how many.
    ///
    /// It takes `most` buffers at once, with [`get_buffers_into`](Pool::get_buffers_into), when there is
    /// something to receive; those that stay empty go home before it returns. Nothing is allocated once
    /// as many were received before, if the `Vec` has room.
    ///
    /// # Errors
    ///
    /// As [`get_buffers`](Pool::get_buffers), or those of the socket, if nothing was received before.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Nothing was received before it returns. It gives up its place in line.
    ///
    /// # Panics
    ///
    /// If `most` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, stream::DatagramReceiver};
    /// use tokio::net::UdpSocket;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(8).size(1500).build()?;
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let sender = UdpSocket::bind("127.0.0.1:0").await?;
    /// for packet in [b"one", b"two"] {
    ///     sender.send_to(packet, socket.local_addr()?).await?;
    /// }
    ///
    /// let mut receiver = DatagramReceiver::new(socket, &pool);
    /// let mut datagrams = Vec::with_capacity(4);
    /// while datagrams.len() < 2 {
    ///     receiver.receive_many(&mut datagrams, 4).await?;
    /// }
    /// assert_eq!(&datagrams[1].0[..], b"two");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn receive_many(
        &mut self,
        datagrams: &mut Vec<(Sample, SocketAddr)>,
        most: usize,
    ) -> Result<usize, ReadError> {
        assert!(most > 0, "to receive no datagrams is not to receive");
        // One place in line is enough.
        self.pool.cancel();
        let before = datagrams.len();
        loop {
            self.socket.readable().await?;
            self.pool.get_buffers_into(&mut self.empty, most).await?;
            // No waiting from here on, so nothing can be cancelled before all is put away.
            let result = self.receive_ready(datagrams);
            self.empty.clear();
            let received = datagrams.len() - before;
            match result {
                Err(error) if received == 0 && error.kind() != io::ErrorKind::WouldBlock => {
                    return Err(error.into());
                }
                _ if received > 0 => return Ok(received),
                _ => {}
            }
        }
    }

    /// Receives until there is no datagram or no empty sample left.
    fn receive_ready(&mut self, datagrams: &mut Vec<(Sample, SocketAddr)>) -> io::Result<()> {
        while let Some(mut sample) = self.empty.pop() {
            let (_, from) = self.socket.try_recv_buf_from(&mut sample)?;
            datagrams.push((sample, from));
        }
        Ok(())
    }
}

impl Stream for DatagramReceiver {
    type Item = Result<(Sample, SocketAddr), ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            ready!(this.socket.poll_recv_ready(cx))?;
            let mut sample = ready!(this.pool.poll_get_buffer(cx))?;
            match this.socket.try_recv_buf_from(&mut sample) {
                Ok((_, from)) => return Poll::Ready(Some(Ok((sample, from)))),
                // It was not readable after all.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
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
            .field("socket", &self.socket)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
