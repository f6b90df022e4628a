//! The future that receives a batch of datagrams.

#![forbid(unsafe_code)]

use super::{
    datagram::{Datagram, try_receive},
    datagram_receiver::DatagramReceiver,
    read_sample::ReadError,
    receive_future::{Stage, receive_future},
};
#[cfg(doc)]
use crate::Pool;
use crate::sample::exclusive::Sample;
use futures::future::FusedFuture;
use std::{
    fmt,
    future::Future,
    io,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The future of [`DatagramReceiver::receive_many`].
#[must_use = "a future does nothing until it is awaited"]
pub struct ReceiveMany<'a> {
    receiver: &'a mut DatagramReceiver,
    datagrams: &'a mut Vec<Datagram>,
    limit: usize,
    stage: Stage,
    location: &'static Location<'static>,
}

impl DatagramReceiver {
    /// Waits for a datagram, receives up to `limit` datagrams that are there, and appends them to `datagrams`.
    ///
    /// Returns how many were received, at least one. It waits for one buffer, once there is something to receive. It takes
    /// more only while there are more datagrams and free buffers, as [`try_get_up_to`](Pool::try_get_up_to) does. So
    /// `limit` may be larger than the pool. Nothing is allocated if the `Vec` has enough capacity.
    ///
    /// # Errors
    ///
    /// The errors of [`get_buffer`](Pool::get_buffer) and those of the socket. An error after some datagrams is returned
    /// by the next call.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A dropped future has received nothing. It loses its position in the wait queue.
    ///
    /// # Panics
    ///
    /// If `limit` is zero, or if the future is polled after it has completed.
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
    /// assert_eq!(&datagrams[1].sample[..], b"two");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn receive_many<'a>(
        &'a mut self,
        datagrams: &'a mut Vec<Datagram>,
        limit: usize,
    ) -> ReceiveMany<'a> {
        assert!(limit > 0, "the limit of a batch must not be zero");
        ReceiveMany::new(self, datagrams, limit, Location::caller())
    }
}

impl<'a> ReceiveMany<'a> {
    pub(super) fn new(
        receiver: &'a mut DatagramReceiver,
        datagrams: &'a mut Vec<Datagram>,
        limit: usize,
        location: &'static Location<'static>,
    ) -> Self {
        ReceiveMany {
            receiver,
            datagrams,
            limit,
            stage: Stage::New,
            location,
        }
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ReadError>> {
        let receiver = &mut *self.receiver;
        loop {
            ready!(receiver.poll_ready(cx))?;
            let first = ready!(receiver.pool.poll_get_buffer_at(cx, self.location))?;
            let socket = receiver.readiness.socket();
            let (received, error) = receive_up_to(
                self.limit,
                first,
                |sample| try_receive(socket, sample),
                || receiver.pool.try_get_one_more(self.location),
                self.datagrams,
            );
            match error {
                Some(error) if received == 0 => return Poll::Ready(Err(error.into())),
                // The error is about a datagram that was sent. The received ones are returned first, and are not lost.
                error => receiver.failed = error,
            }
            if received > 0 {
                return Poll::Ready(Ok(received));
            }
            receiver.readiness.check_open()?;
        }
    }
}

/// Receives up to `limit` datagrams, until there is no datagram or `other` has no sample. Returns how many were received,
/// and the error that ended it.
fn receive_up_to(
    limit: usize,
    first: Sample,
    mut receive: impl FnMut(Sample) -> io::Result<Datagram>,
    mut other: impl FnMut() -> Option<Sample>,
    datagrams: &mut Vec<Datagram>,
) -> (usize, Option<io::Error>) {
    let mut received = 0;
    let mut next = Some(first);
    while let Some(sample) = next {
        match receive(sample) {
            Ok(datagram) => datagrams.push(datagram),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return (received, Some(error)),
        }
        received += 1;
        next = (received < limit).then(&mut other).flatten();
    }
    (received, None)
}

receive_future!(ReceiveMany, poll_batch);

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::Pool;
    use std::net::{Ipv4Addr, SocketAddr};

    /// The system reports an error only once, and the datagrams before it must not be lost either.
    #[test]
    fn an_error_after_some_datagrams_ends_the_batch_and_is_not_lost() {
        let pool = Pool::builder().buffers(4).size(8).build().unwrap();
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let mut results = [None, None, Some(io::ErrorKind::ConnectionRefused)].into_iter();
        let receive = |sample| match results.next().unwrap() {
            Some(error) => Err(io::Error::from(error)),
            None => Ok(Datagram {
                sample,
                from,
                truncated: false,
            }),
        };
        let mut datagrams = Vec::new();
        let first = pool.try_get_buffer().unwrap();
        let other = || pool.try_get_buffer().ok();
        let (received, error) = receive_up_to(4, first, receive, other, &mut datagrams);
        assert_eq!((received, datagrams.len()), (2, 2));
        assert_eq!(error.unwrap().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(pool.free_count(), 2);
    }
}
