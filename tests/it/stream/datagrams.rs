//! `DatagramReceiver`: one datagram per sample, and no buffer is taken before a datagram is ready.

use super::pool;
use crate::polling::Polled;
use futures::{FutureExt, StreamExt};
use sample_pool::{
    Pool,
    stream::{DatagramReceiver, ReadError},
};
use std::{future::Future, net::SocketAddr, time::Duration};
use tokio::{io::Interest, net::UdpSocket};

/// The result of `wait`, which must resolve soon.
async fn soon<T>(wait: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, wait)
        .await
        .expect("it does not hang")
}

async fn receiver(pool: &Pool) -> (DatagramReceiver, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let address = socket.local_addr().expect("it is bound");
    (DatagramReceiver::new(socket, pool), address)
}

async fn sender() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.expect("loopback")
}

/// Two datagrams in one sample, or one in two samples, would be another protocol.
#[tokio::test]
async fn each_datagram_is_one_sample_with_the_address_of_its_sender() {
    let pool = pool(4, 16);
    let (mut receiver, address) = receiver(&pool).await;
    let senders = [sender().await, sender().await];
    for (sender, bytes) in senders.iter().zip([&b"first"[..], b"second"]) {
        sender.send_to(bytes, address).await.expect("loopback");
    }
    for (sender, bytes) in senders.iter().zip([&b"first"[..], b"second"]) {
        let datagram = receiver.next().await.expect("endless").expect("no error");
        assert!(!datagram.truncated);
        let (sample, from) = datagram.into_parts();
        assert_eq!(&sample[..], bytes);
        assert_eq!(from, sender.local_addr().expect("it is bound"));
    }
}

/// It waits for a datagram and for an error at the same time. If one of the waits were always over, an idle receiver would
/// use a whole processor.
#[tokio::test]
async fn an_idle_receiver_is_not_woken() {
    let pool = pool(1, 16);
    let (mut receiver, _address) = receiver(&pool).await;
    let waiting = Polled::waiting(receiver.next());
    tokio::task::yield_now().await;
    assert_eq!(waiting.wakes(), 0);
}

/// Zero bytes are the end of a stream, but a valid datagram. A datagram that fills its buffer may be complete
/// or not.
#[tokio::test]
async fn an_empty_datagram_is_an_empty_sample_and_only_one_that_was_cut_off_is_truncated() {
    let sent = [&b""[..], b"too large", b"fits", b"12345", b"", b"end"];
    let expected = [
        (&b""[..], false),
        (b"too ", true),
        (b"fits", false),
        (b"1234", true),
        (b"", false),
        (b"end", false),
    ];
    for in_batches in [false, true] {
        let pool = pool(8, 4);
        let (mut receiver, address) = receiver(&pool).await;
        let sender = sender().await;
        for bytes in sent {
            sender.send_to(bytes, address).await.expect("loopback");
        }
        let mut received = Vec::new();
        while received.len() < sent.len() {
            match in_batches {
                true => {
                    let most = sent.len() - received.len();
                    let batch = receiver.receive_many(&mut received, most).await;
                    assert!(batch.expect("no error") > 0);
                }
                false => {
                    received.push(receiver.next().await.expect("endless").expect("no error"));
                }
            }
        }
        for (datagram, (bytes, truncated)) in received.iter().zip(expected) {
            assert_eq!(&datagram.sample[..], bytes, "in batches: {in_batches}");
            assert_eq!(datagram.truncated, truncated, "{bytes:?}");
        }
    }
}

/// For example two headers of another protocol: the limit is the requested size, not the rounded one.
#[tokio::test]
async fn a_datagram_that_exactly_fills_a_sample_with_headroom_is_whole() {
    let pool = Pool::builder().buffers(2).size(10).align(16).prefix(4);
    let pool = pool.build().expect("small");
    let size = pool.properties().size;
    let (mut receiver, address) = receiver(&pool).await;
    let sender = sender().await;
    for len in [size, size + 1] {
        sender
            .send_to(&vec![7; len], address)
            .await
            .expect("loopback");
        let datagram = receiver.next().await.expect("endless").expect("no error");
        assert_eq!(
            (datagram.sample.len(), datagram.truncated),
            (size, len > size)
        );
        assert_eq!(datagram.sample.headroom(), 4);
    }
}

/// A socket connected to an address at which no socket listens.
async fn refused(pool: &Pool) -> DatagramReceiver {
    let socket = sender().await;
    let gone = sender().await;
    let address = gone.local_addr().expect("it is bound");
    socket.connect(address).await.expect("an address");
    drop(gone);
    DatagramReceiver::new(socket, pool)
}

/// The error makes the socket ready for an error and not for reading, and the receiver used to wait only for
/// reading. It is about a datagram that was sent before or during the wait.
#[tokio::test]
async fn an_icmp_error_of_a_connected_socket_is_reported() {
    let pool = pool(2, 16);
    let is_refusal = |error: ReadError| match error {
        ReadError::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        other => panic!("{other}"),
    };
    let mut receiver = refused(&pool).await;
    for during_the_wait in [false, true] {
        if during_the_wait {
            drop(Polled::waiting(receiver.next()));
        }
        receiver
            .get_ref()
            .send(b"is anyone there?")
            .await
            .expect("it is sent");
        let next = soon(receiver.next()).await.expect("endless");
        assert!(is_refusal(next.expect_err("no one is there")));

        let mut batch = Vec::new();
        if during_the_wait {
            drop(Polled::waiting(receiver.receive_many(&mut batch, 2)));
        }
        receiver
            .get_ref()
            .send(b"is anyone there?")
            .await
            .expect("it is sent");
        let many = soon(receiver.receive_many(&mut batch, 2)).await;
        assert!(is_refusal(many.expect_err("no one is there")));

        drop(Polled::waiting(receiver.next()));
    }
    assert_eq!(pool.free_count(), 2);
}

/// The system reports an error before the datagrams that it has. The socket is readable then, so the error comes in place of
/// a datagram.
#[tokio::test]
async fn an_error_of_a_socket_that_has_a_datagram_is_reported_before_it() {
    let pool = pool(2, 16);
    for many in [false, true] {
        let (mut receiver, address) = receiver(&pool).await;
        let gone = sender().await;
        let peer = gone.local_addr().expect("it is bound");
        let socket = receiver.get_ref();
        socket.connect(peer).await.expect("an address");
        gone.send_to(b"the last", address).await.expect("loopback");
        drop(gone);
        let sent = socket.send(b"is anyone there?").await;
        sent.expect("it is sent");
        #[cfg(target_os = "linux")]
        let _ready = soon(socket.ready(Interest::ERROR))
            .await
            .expect("it is polled");
        let mut batch = Vec::new();
        let error = match many {
            true => soon(receiver.receive_many(&mut batch, 2)).await.map(drop),
            false => soon(receiver.next()).await.expect("endless").map(drop),
        };
        let error = std::io::Error::from(error.expect_err("no one is there"));
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        let datagram = soon(receiver.next()).await.expect("endless");
        assert_eq!(&datagram.expect("no error").sample[..], b"the last");
    }
}

/// An error has no bytes, and may be the reason why no buffer is released.
#[tokio::test]
async fn an_error_is_reported_while_the_pool_is_exhausted_and_datagrams_come_after_it() {
    let pool = pool(1, 16);
    let held = pool.try_get_buffer().expect("one is free");
    let mut receiver = refused(&pool).await;
    let peer = receiver.get_ref().peer_addr().expect("it is connected");
    drop(Polled::waiting(receiver.next()));
    receiver
        .get_ref()
        .send(b"is anyone there?")
        .await
        .expect("it is sent");
    let next = soon(receiver.next()).await.expect("endless");
    let error = next.expect_err("no one is there");
    assert!(matches!(error, ReadError::Io(_)), "{error}");
    drop(held);
    let there_now = UdpSocket::bind(peer).await.expect("it is free again");
    let address = receiver.get_ref().local_addr().expect("it is bound");
    there_now.send_to(b"yes", address).await.expect("loopback");
    let datagram = soon(receiver.next())
        .await
        .expect("endless")
        .expect("no error");
    assert_eq!((&datagram.sample[..], datagram.from), (&b"yes"[..], peer));
}

/// Otherwise it would lose a datagram, or hold a buffer without need.
#[tokio::test]
async fn it_takes_a_buffer_when_there_is_a_datagram_and_waits_for_one() {
    let pool = pool(1, 16);
    let held = pool.try_get_buffer().expect("one is free");
    let (mut receiver, address) = receiver(&pool).await;
    drop(Polled::waiting(receiver.next()));
    assert_eq!(pool.status().waiting, 0);
    sender()
        .await
        .send_to(b"one", address)
        .await
        .expect("loopback");
    receiver.get_ref().readable().await.expect("there is one");
    drop(Polled::waiting(receiver.next()));
    assert_eq!(pool.status().waiting, 1);
    drop(held);
    let datagram = receiver.next().await.expect("endless").expect("no error");
    assert_eq!(&datagram.sample[..], b"one");
}

/// A batch exists to receive many datagrams after one wait. The unused buffers must be released.
#[tokio::test]
async fn a_batch_receives_what_is_there_up_to_its_limit_and_frees_the_rest() {
    let pool = pool(10, 16);
    let (mut receiver, address) = receiver(&pool).await;
    let sender = sender().await;
    for number in 0..5u8 {
        sender.send_to(&[number], address).await.expect("loopback");
    }
    let mut batch = Vec::new();
    while batch.len() < 3 {
        let most = 3 - batch.len();
        receiver
            .receive_many(&mut batch, most)
            .await
            .expect("no error");
    }
    while batch.len() < 5 {
        receiver
            .receive_many(&mut batch, 4)
            .await
            .expect("no error");
    }
    let numbers: Vec<u8> = batch.iter().map(|datagram| datagram.sample[0]).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4], "in the order in which they came");
    assert_eq!(pool.free_count(), 5);
}

/// A batch that is cancelled while it is queued for a buffer must leave the datagram in the socket.
#[tokio::test]
async fn a_cancelled_batch_loses_no_datagram_and_holds_no_buffer() {
    let pool = pool(1, 16);
    let held = pool.try_get_buffer().expect("one is free");
    let (mut receiver, address) = receiver(&pool).await;
    let sent = sender().await.send_to(b"one", address).await;
    sent.expect("loopback");
    receiver.get_ref().readable().await.expect("there is one");
    let mut batch = Vec::new();
    let mut waiting = Polled::waiting(receiver.receive_many(&mut batch, 2));
    assert_eq!(pool.status().waiting, 1);
    waiting.expect_pending();
    drop(waiting);
    assert_eq!((pool.status().waiting, pool.free_count()), (0, 0));
    drop(held);
    let received = receiver.receive_many(&mut batch, 2).await;
    assert_eq!(received.expect("no error"), 1);
    assert_eq!(&batch[0].sample[..], b"one");
}

/// A batch used to hold its buffers and wait for the rest while a datagram was ready: if the caller kept those
/// buffers, it waited for ever.
#[tokio::test]
async fn a_batch_takes_the_buffers_that_are_free_and_waits_for_one_alone() {
    for (buffers, most) in [(8, 8), (16, 16), (2, 100), (1, 2)] {
        let pool = pool(buffers, 16);
        let (mut receiver, address) = receiver(&pool).await;
        let sender = sender().await;
        let kept = (buffers > 1).then(|| pool.try_get_buffer().expect("all are free"));
        for number in 0..=buffers {
            sender
                .send_to(&[number as u8], address)
                .await
                .expect("loopback");
        }
        let free = pool.free_count();
        let mut batch = Vec::new();
        // The system may deliver them one by one.
        while batch.len() < free {
            let received = soon(receiver.receive_many(&mut batch, most)).await;
            assert!(received.expect("no error") > 0);
        }
        let numbers: Vec<u8> = batch.iter().map(|datagram| datagram.sample[0]).collect();
        assert!(numbers.into_iter().eq(0..free as u8));
        let mut rest = Vec::new();
        drop(Polled::waiting(receiver.receive_many(&mut rest, most)));
        drop((kept, batch));
        assert_eq!(pool.free_count(), buffers);
        assert!(
            receiver
                .receive_many(&mut rest, most)
                .await
                .expect("no error")
                > 0
        );
    }
}

/// Other gets would find the pool exhausted during a batch, and callbacks would run for buffers without a
/// datagram.
#[tokio::test]
async fn a_batch_takes_no_buffer_before_there_is_a_datagram_for_it_but_one() {
    let pool = pool(16, 16);
    let (mut receiver, address) = receiver(&pool).await;
    let sender = sender().await;
    for _ in 0..2 {
        sender.send_to(b"one", address).await.expect("loopback");
    }
    let mut batch = Vec::new();
    while batch.len() < 2 {
        let received = receiver.receive_many(&mut batch, 16).await;
        assert!(received.expect("no error") > 0);
    }
    let status = pool.status();
    assert!(status.high_water <= 3, "{status:?}");
    assert_eq!((status.free, status.exhausted), (14, 0));
}

/// The share of one socket in the pool, for single datagrams and for batches.
#[tokio::test]
async fn with_a_quota_it_holds_no_more_than_that() {
    let pool = pool(8, 16);
    let quota = pool.quota("feed", 2);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut receiver = DatagramReceiver::new(socket, &quota);
    let sender = sender().await;
    for number in 0..3_u8 {
        sender.send_to(&[number], address).await.unwrap();
    }
    let first = receiver.next().await.unwrap().unwrap();
    assert_eq!(quota.status().in_use, 1);
    let mut batch = Vec::new();
    let received = receiver.receive_many(&mut batch, 3).await.unwrap();
    assert_eq!((received, quota.status().in_use), (1, 2));
    assert!(receiver.next().now_or_never().is_none(), "it has no room");
    assert_eq!(pool.free_count(), 6);
    drop((first, batch));
    let last = receiver.next().await.unwrap().unwrap();
    assert_eq!(&last.sample[..], [2]);
}

/// After `shutdown` the socket is readable for ever, and there is never anything to read.
#[tokio::test]
async fn a_socket_that_is_shut_down_ends_the_wait_with_an_error() {
    let pool = pool(2, 16);
    let mut receiver = refused(&pool).await;
    let socket = socket2::SockRef::from(receiver.get_ref());
    let down = socket.shutdown(std::net::Shutdown::Read);
    down.expect("it is connected");
    for _ in 0..2 {
        let one = soon(receiver.next()).await.expect("endless");
        let mut batch = Vec::new();
        let many = soon(receiver.receive_many(&mut batch, 2)).await;
        for error in [one.unwrap_err(), many.unwrap_err()] {
            let ReadError::Io(error) = error else {
                panic!("{error}")
            };
            assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        }
    }
    assert_eq!(pool.free_count(), 2);
}
