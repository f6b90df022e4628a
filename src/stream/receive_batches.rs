//! The future that receives several batches.

#![forbid(unsafe_code)]

use super::{
    batch_receiver::BatchReceiver,
    datagram_batch::DatagramBatch,
    read_sample::ReadError,
    receive_future::{Stage, receive_future},
    system_batch::{self, MAX_MESSAGES},
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

/// The future of [`BatchReceiver::receive_many`].
#[must_use = "a future does nothing until it is awaited"]
pub struct ReceiveBatches<'a> {
    receiver: &'a mut BatchReceiver,
    batches: &'a mut Vec<DatagramBatch>,
    limit: usize,
    stage: Stage,
    location: &'static Location<'static>,
}

impl BatchReceiver {
    /// Waits for a datagram, receives up to `limit` batches that are there, and appends them to `batches`.
    ///
    /// Returns how many batches were received, at least one. It waits for one buffer, once there is something to receive.
    /// It takes more only while there are more datagrams and free buffers, as [`try_get_up_to`](Pool::try_get_up_to)
    /// does: first one, then two for one system call, then four, up to 16. Buffers that get no datagram are returned at
    /// once. So `limit` may be larger than the pool. Nothing is allocated if the `Vec` has enough capacity.
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
    /// use sample_pool::{Pool, stream::BatchReceiver};
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
    /// let mut receiver = BatchReceiver::new(socket, &pool, 1500);
    /// let mut batches = Vec::with_capacity(4);
    /// let mut packets = 0;
    /// while packets < 2 {
    ///     receiver.receive_many(&mut batches, 4).await?;
    ///     packets += batches.drain(..).map(|batch| batch.datagrams().len()).sum::<usize>();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn receive_many<'a>(
        &'a mut self,
        batches: &'a mut Vec<DatagramBatch>,
        limit: usize,
    ) -> ReceiveBatches<'a> {
        assert!(limit > 0, "the limit of batches must not be zero");
        ReceiveBatches {
            receiver: self,
            batches,
            limit,
            stage: Stage::New,
            location: Location::caller(),
        }
    }
}

impl ReceiveBatches<'_> {
    fn poll_batches(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ReadError>> {
        let receiver = &mut *self.receiver;
        loop {
            ready!(receiver.poll_ready(cx))?;
            let first = ready!(receiver.pool.poll_get_buffer_at(cx, self.location))?;
            let socket = receiver.readiness.socket();
            receiver.samples.push(first);
            let (received, error) = receive_up_to(
                self.limit,
                &mut receiver.samples,
                |samples, batches: &mut Vec<DatagramBatch>| {
                    let push = |batch| batches.push(batch);
                    system_batch::receive(socket, samples, &mut receiver.infos, push)
                },
                || receiver.pool.try_get_one_more(self.location),
                self.batches,
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

/// Receives up to `limit` batches, until there is no datagram or no sample, the first of which is in `samples`. Returns how
/// many were received, and the error that ended it. `samples` is empty then.
fn receive_up_to(
    limit: usize,
    samples: &mut Vec<Sample>,
    mut receive: impl FnMut(&mut Vec<Sample>, &mut Vec<DatagramBatch>) -> io::Result<usize>,
    mut other: impl FnMut() -> Option<Sample>,
    batches: &mut Vec<DatagramBatch>,
) -> (usize, Option<io::Error>) {
    let mut received = 0;
    let mut wanted = 1;
    let error = loop {
        while samples.len() < wanted {
            match other() {
                Some(sample) => samples.push(sample),
                None => break,
            }
        }
        if samples.is_empty() {
            break None;
        }
        let offered = samples.len();
        match receive(samples, batches) {
            Ok(count) => {
                received += count;
                // Where all samples were filled, there may be many more datagrams. Otherwise the socket is empty, or has an
                // error, and one more call shows which.
                wanted = if count == offered { 2 * offered } else { 1 };
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break None,
            Err(error) => break Some(error),
        }
        wanted = wanted.min(MAX_MESSAGES).min(limit - received);
        samples.truncate(wanted);
        if wanted == 0 {
            break None;
        }
    };
    samples.clear();
    (received, error)
}

receive_future!(ReceiveBatches, poll_batches);

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::Pool;
    use std::net::{Ipv4Addr, SocketAddr};

    /// What one call of the system does: how many messages it receives at most, or its error.
    type Call = Result<usize, io::ErrorKind>;

    /// Receives from a socket with these calls. Returns how many samples each was given, and the result.
    fn run(
        pool: &Pool,
        limit: usize,
        calls: &[Call],
    ) -> (Vec<usize>, usize, Option<io::ErrorKind>) {
        let mut offered = Vec::new();
        let mut batches = Vec::new();
        let mut samples = vec![pool.try_get_buffer().unwrap()];
        let receive = |samples: &mut Vec<Sample>, batches: &mut Vec<DatagramBatch>| {
            let call = calls[offered.len()];
            offered.push(samples.len());
            let count = call.map_err(io::Error::from)?.min(samples.len());
            batches.extend(samples.drain(..count).map(|sample| DatagramBatch {
                sample,
                from: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
                to: None,
                ecn: None,
                segment_size: 1,
                truncated: false,
            }));
            Ok(count)
        };
        let other = || pool.try_get_buffer().ok();
        let (received, error) = receive_up_to(limit, &mut samples, receive, other, &mut batches);
        assert_eq!(received, batches.len());
        assert!(samples.is_empty());
        let buffers = pool.properties().buffers;
        assert_eq!(
            pool.free_count(),
            buffers - received,
            "the rest is returned"
        );
        (offered, received, error.map(|error| error.kind()))
    }

    fn pool(buffers: usize) -> Pool {
        Pool::builder().buffers(buffers).size(8).build().unwrap()
    }

    /// The system reports an error only once, and the datagrams before it must not be lost either.
    #[test]
    fn an_error_after_some_batches_ends_the_receive_and_is_not_lost() {
        use io::ErrorKind::ConnectionRefused;
        for calls in [
            &[Ok(1), Ok(1), Err(ConnectionRefused)][..],
            &[Ok(1), Ok(2), Err(ConnectionRefused)],
            &[Err(ConnectionRefused)],
        ] {
            let before = calls[..calls.len() - 1].iter();
            let expected = before.map(|call| call.unwrap().min(MAX_MESSAGES));
            let (_, received, error) = run(&pool(8), 8, calls);
            assert_eq!((received, error), (expected.sum(), Some(ConnectionRefused)));
        }
    }

    /// All at once, every receive would leave other tasks with an exhausted pool for a moment.
    #[cfg(all(target_os = "linux", not(portable_udp)))]
    #[test]
    fn more_samples_are_offered_only_after_all_before_were_filled() {
        use io::ErrorKind::WouldBlock;
        let many = Ok(usize::MAX);
        let (offered, received, _) = run(&pool(64), 64, &[many; 8]);
        assert_eq!((offered, received), (vec![1, 2, 4, 8, 16, 16, 16, 1], 64));
        let (offered, received, _) =
            run(&pool(64), 64, &[many, many, Ok(3), Ok(1), Err(WouldBlock)]);
        assert_eq!((offered, received), (vec![1, 2, 4, 1, 2], 7));
        let (offered, received, _) = run(&pool(64), 4, &[many, many, many]);
        assert_eq!((offered, received), (vec![1, 2, 1], 4), "up to the limit");
        let (offered, received, _) = run(&pool(2), 64, &[many, many]);
        assert_eq!((offered, received), (vec![1, 1], 2), "up to the pool");
    }
}
