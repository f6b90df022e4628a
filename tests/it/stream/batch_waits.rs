//! `BatchReceiver` while it waits: for a datagram, for a buffer, and after errors.

#![forbid(unsafe_code)]

use super::{
    pool,
    sockets::{bound, datagrams, loopback, next, receiver, refused, soon},
};
use crate::polling::Polled;
use futures::StreamExt;
use sample_pool::{
    GetBufferError, PollPool, Pool,
    stream::{BatchReceiver, ReadError},
};
use std::{collections::HashSet, net::SocketAddr};
use tokio::net::UdpSocket;

/// The error is not a datagram, so a receiver that waits for reading alone never reports it.
#[tokio::test]
async fn an_icmp_error_of_a_connected_socket_is_reported_once_and_the_datagrams_after_it() {
    let pool = pool(2, 16);
    let socket = refused().await;
    let peer = socket.peer_addr().expect("it is connected");
    let address = socket.local_addr().expect("it is bound");
    let mut receiver = BatchReceiver::new(socket, &pool, 16);
    let is_refusal = |error: ReadError| match error {
        ReadError::Io(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused),
        other => panic!("{other}"),
    };
    for during_the_wait in [false, true] {
        if during_the_wait {
            drop(Polled::waiting(receiver.next()));
        }
        receiver
            .get_ref()
            .send(b"anyone?")
            .await
            .expect("it is sent");
        is_refusal(soon(receiver.next()).await.expect("endless").unwrap_err());
        let mut batches = Vec::new();
        if during_the_wait {
            drop(Polled::waiting(receiver.receive_many(&mut batches, 2)));
        }
        receiver
            .get_ref()
            .send(b"anyone?")
            .await
            .expect("it is sent");
        is_refusal(
            soon(receiver.receive_many(&mut batches, 2))
                .await
                .unwrap_err(),
        );
        drop(Polled::waiting(receiver.next()));
    }
    assert_eq!(pool.free_count(), 2);
    let there_now = UdpSocket::bind(peer).await.expect("it is free again");
    there_now.send_to(b"yes", address).await.expect("loopback");
    assert_eq!(&next(&mut receiver).await.sample[..], b"yes");
}

/// After `shutdown` the socket is readable for ever, and there is never anything to read.
#[tokio::test]
async fn a_socket_that_is_shut_down_ends_the_wait_with_an_error() {
    let pool = pool(2, 16);
    let (peer, address) = loopback().await;
    let (mut receiver, own) = receiver(&pool, 16).await;
    receiver
        .get_ref()
        .connect(address)
        .await
        .expect("an address");
    peer.send_to(b"last", own).await.expect("loopback");
    receiver.get_ref().readable().await.expect("there is one");
    let socket = socket2::SockRef::from(receiver.get_ref());
    socket
        .shutdown(std::net::Shutdown::Read)
        .expect("it is connected");
    assert_eq!(
        &next(&mut receiver).await.sample[..],
        b"last",
        "what came before is not lost"
    );
    for _ in 0..2 {
        let error = soon(receiver.next()).await.expect("endless").unwrap_err();
        let mut batches = Vec::new();
        let many = soon(receiver.receive_many(&mut batches, 2))
            .await
            .unwrap_err();
        for error in [error, many] {
            let ReadError::Io(error) = error else {
                panic!("{error}")
            };
            assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        }
    }
    assert_eq!(pool.free_count(), 2);
}

/// The datagram stays in the socket, and the next commit brings it.
#[tokio::test]
async fn a_decommit_ends_the_wait_for_a_buffer_and_loses_no_datagram() {
    let pool = pool(1, 16);
    let held = pool.try_get_buffer().expect("one is free");
    let (mut receiver, address) = receiver(&pool, 16).await;
    loopback()
        .await
        .0
        .send_to(b"one", address)
        .await
        .expect("loopback");
    receiver.get_ref().readable().await.expect("there is one");
    let mut batches = Vec::new();
    let mut waiting = Polled::waiting(receiver.receive_many(&mut batches, 2));
    assert_eq!(pool.status().waiting, 1);
    pool.decommit();
    let error = waiting.expect_ready().unwrap_err();
    assert!(
        matches!(error, ReadError::GetBuffer(GetBufferError::NotCommitted)),
        "{error}"
    );
    drop(waiting);
    let next_one = soon(receiver.next()).await.expect("endless");
    assert!(matches!(
        next_one,
        Err(ReadError::GetBuffer(GetBufferError::NotCommitted))
    ));
    drop(held);
    soon(pool.drained()).await;
    pool.commit().expect("small");
    assert_eq!(&next(&mut receiver).await.sample[..], b"one");
}

/// Neither a waiting nor a dropped receiver may keep buffers, and the datagrams that wait need none.
#[tokio::test]
async fn an_exhausted_pool_pins_nothing_and_the_datagrams_wait_in_the_socket() {
    let pool = pool(4, 16);
    let (mut receiver, address) = receiver(&pool, 16).await;
    let sender = loopback().await.0;
    for round in 0..3 {
        let held: Vec<_> = (0..4)
            .map(|_| pool.try_get_buffer().expect("free"))
            .collect();
        for number in 0..20_u8 {
            sender
                .send_to(&[round, number], address)
                .await
                .expect("loopback");
        }
        receiver.get_ref().readable().await.expect("there are 20");
        drop(Polled::waiting(receiver.next()));
        let mut batches = Vec::new();
        drop(Polled::waiting(receiver.receive_many(&mut batches, 20)));
        assert_eq!(pool.status().waiting, 0);
        drop(held);
        assert_eq!(pool.free_count(), 4);
        let mut numbers = Vec::new();
        while numbers.len() < 20 {
            let received = soon(receiver.receive_many(&mut batches, 20)).await;
            assert!((1..=4).contains(&received.expect("no error")));
            numbers.extend(batches.drain(..).map(|batch| batch.sample[1]));
        }
        assert!(numbers.into_iter().eq(0..20));
        assert_eq!(pool.free_count(), 4);
    }
}

/// The share of one socket in the pool: other users need the rest.
#[tokio::test]
async fn with_a_quota_it_holds_no_more_than_that() {
    let pool = pool(8, 16);
    let quota = pool.quota("feed", 3);
    let (socket, address) = loopback().await;
    let mut receiver = BatchReceiver::new(socket, &quota, 16);
    let sender = loopback().await.0;
    for number in 0..8_u8 {
        sender.send_to(&[number], address).await.expect("loopback");
    }
    let mut batches = Vec::new();
    while batches.len() < 3 {
        soon(receiver.receive_many(&mut batches, 8))
            .await
            .expect("no error");
    }
    assert_eq!(
        (batches.len(), quota.status().in_use, pool.free_count()),
        (3, 3, 5)
    );
    drop(Polled::waiting(receiver.next()));
    batches.clear();
    assert_eq!(next(&mut receiver).await.sample[0], 3);
}

/// Each datagram would cost a turn of the task otherwise. On Linux what is sent over loopback is in the socket at once, or
/// a moment later if the machine is busy.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_receive_takes_all_datagrams_for_which_there_are_buffers() {
    let pool = pool(8, 16);
    let quota = pool.quota("feed", 3);
    for (source, expected) in [(PollPool::from(&pool), 6), (PollPool::from(&quota), 3)] {
        let mut most = 0;
        for _ in 0..20 {
            let (socket, address) = loopback().await;
            let mut receiver = BatchReceiver::new(socket, source.clone(), 16);
            let sender = loopback().await.0;
            for number in 0..6_u8 {
                sender.send_to(&[number], address).await.expect("loopback");
            }
            let mut batches = Vec::new();
            let received = soon(receiver.receive_many(&mut batches, 8)).await;
            most = most.max(received.expect("no error"));
            if most == expected {
                break;
            }
        }
        assert_eq!(most, expected);
    }
}

/// A flood from forged addresses must not fill the memory: nothing is kept for an address.
#[tokio::test]
async fn ten_thousand_addresses_take_no_more_buffers_than_their_datagrams() {
    const TOGETHER: usize = 50;
    let pool = pool(TOGETHER + 16, 16);
    let (mut receiver, address) = receiver(&pool, 16).await;
    let mut addresses = HashSet::new();
    for group in 0..200_u8 {
        let mut expected = Vec::new();
        for number in 0..TOGETHER as u8 {
            let from = format!("127.{}.{group}.{}:0", 1 + number, 1 + number);
            let (sender, from) = bound(&from).await;
            sender
                .send_to(&[group, number], address)
                .await
                .expect("loopback");
            expected.push(from);
        }
        let batches = datagrams(&mut receiver, TOGETHER, true).await;
        for (number, (batch, from)) in batches.iter().zip(&expected).enumerate() {
            assert_eq!(
                (&batch.sample[..], batch.from),
                (&[group, number as u8][..], *from)
            );
        }
        addresses.extend(expected.iter().map(SocketAddr::ip));
    }
    assert_eq!(addresses.len(), 200 * TOGETHER);
    let status = pool.status();
    assert!(status.high_water <= TOGETHER + 16, "{status:?}");
    assert_eq!((status.free, status.exhausted), (TOGETHER + 16, 0));
}

/// All receivers of a server would otherwise be named by one line of the crate.
#[tokio::test]
async fn a_receiver_is_named_by_the_call_site_that_made_it_and_a_receive_of_many_by_its_own() {
    let pool = Pool::builder().buffers(4).size(16).track_holders(true);
    let pool = pool.build().expect("small");
    let (socket, address) = loopback().await;
    let sender = loopback().await.0;
    for _ in 0..4 {
        sender.send_to(b"one", address).await.expect("loopback");
    }
    let lines = || {
        pool.holders()
            .iter()
            .map(|holder| holder.location.line())
            .collect::<Vec<_>>()
    };
    let (made, mut receiver) = (line!(), BatchReceiver::new(socket, &pool, 16));
    let one = next(&mut receiver).await;
    assert_eq!(lines(), [made]);
    drop(one);
    let mut batches = Vec::new();
    let (asked, many) = (line!(), receiver.receive_many(&mut batches, 3));
    soon(many).await.expect("no error");
    assert_eq!(lines(), vec![asked; batches.len()]);
}
