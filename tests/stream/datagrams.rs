//! `DatagramReceiver`: one datagram a sample, and no buffer taken before there is one.

use crate::{polling::Polled, pool};
use futures::{FutureExt, StreamExt};
use sample_pool::{
    GetBufferError, Pool,
    stream::{DatagramReceiver, ReadError},
};
use std::net::SocketAddr;
use tokio::net::UdpSocket;

async fn receiver(pool: &Pool) -> (DatagramReceiver, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let address = socket.local_addr().expect("it is bound");
    (DatagramReceiver::new(socket, pool), address)
}

async fn sender() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.expect("loopback")
}

/// Two in one sample, or one in two, would be another protocol.
#[tokio::test]
async fn each_datagram_is_one_sample_with_the_address_of_its_sender() {
    let pool = pool(4, 16);
    let (mut receiver, address) = receiver(&pool).await;
    let senders = [sender().await, sender().await];
    for (sender, bytes) in senders.iter().zip([&b"first"[..], b"second"]) {
        sender.send_to(bytes, address).await.expect("loopback");
    }
    for (sender, bytes) in senders.iter().zip([&b"first"[..], b"second"]) {
        let (sample, from) = receiver.next().await.expect("endless").expect("no error");
        assert_eq!(&sample[..], bytes);
        assert_eq!(from, sender.local_addr().expect("it is bound"));
    }
}

/// Zero bytes are the end of a stream, but not of this one.
#[tokio::test]
async fn an_empty_datagram_is_an_empty_sample_and_a_large_one_fills_its_buffer() {
    let pool = pool(4, 4);
    let (mut receiver, address) = receiver(&pool).await;
    let sender = sender().await;
    for bytes in [&b""[..], b"too large", b"fits"] {
        sender.send_to(bytes, address).await.expect("loopback");
    }
    for bytes in [&b""[..], b"too ", b"fits"] {
        let (sample, _) = receiver.next().await.expect("endless").expect("no error");
        assert_eq!(&sample[..], bytes);
    }
}

/// It would lose a datagram, or hold a buffer for nothing.
#[tokio::test]
async fn it_takes_a_buffer_when_there_is_a_datagram_and_waits_for_one() {
    let pool = pool(1, 16);
    let held = pool.try_get_buffer().expect("one is home");
    let (mut receiver, address) = receiver(&pool).await;
    drop(Polled::waiting(receiver.next()));
    assert_eq!(pool.status().waiting, 0);
    sender()
        .await
        .send_to(b"one", address)
        .await
        .expect("loopback");
    receiver.socket().readable().await.expect("there is one");
    drop(Polled::waiting(receiver.next()));
    assert_eq!(pool.status().waiting, 1);
    drop(held);
    let (sample, _) = receiver.next().await.expect("endless").expect("no error");
    assert_eq!(&sample[..], b"one");
}

/// The point of a batch is that many come with one wait; the rest must not stay out.
#[tokio::test]
async fn a_batch_has_all_that_is_there_up_to_its_limit_and_the_rest_go_home() {
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
    let numbers: Vec<u8> = batch.iter().map(|(sample, _)| sample[0]).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4], "in the order in which they came");
    assert_eq!(pool.free_count(), 5);
}

/// Cancelled in line for its buffers, it must leave the datagram where it is.
#[tokio::test]
async fn a_cancelled_batch_loses_no_datagram_and_holds_no_buffer() {
    let pool = pool(2, 16);
    let held = pool.try_get_buffer().expect("one is home");
    let (mut receiver, address) = receiver(&pool).await;
    sender()
        .await
        .send_to(b"one", address)
        .await
        .expect("loopback");
    receiver.socket().readable().await.expect("there is one");
    let mut batch = Vec::new();
    drop(Polled::waiting(receiver.receive_many(&mut batch, 2)));
    assert_eq!((pool.status().waiting, pool.free_count()), (0, 1));
    drop(held);
    assert_eq!(
        receiver
            .receive_many(&mut batch, 2)
            .await
            .expect("no error"),
        1
    );
    assert_eq!(&batch[0].0[..], b"one");
}

/// More than there are would be waited for for ever.
#[tokio::test]
async fn a_batch_that_no_pool_can_hold_is_refused() {
    let (mut receiver, address) = receiver(&pool(2, 16)).await;
    sender()
        .await
        .send_to(b"one", address)
        .await
        .expect("loopback");
    let refused = receiver.receive_many(&mut Vec::new(), 3).await;
    assert!(matches!(
        refused,
        Err(ReadError::GetBuffer(GetBufferError::TooMany))
    ));
}

/// One socket's share of the pool, for single datagrams and for batches.
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
    assert_eq!(quota.status().charged, 1);
    let mut batch = Vec::new();
    let received = receiver.receive_many(&mut batch, 1).await.unwrap();
    assert_eq!((received, quota.status().charged), (1, 2));
    assert!(receiver.next().now_or_never().is_none(), "it has no room");
    assert_eq!(pool.free_count(), 6);
    drop((first, batch));
    let (last, _) = receiver.next().await.unwrap().unwrap();
    assert_eq!(&last[..], [2]);
}
