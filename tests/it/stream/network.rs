//! UDP on a network device that changes. The tests have a network namespace of their own, in which they are root, and run
//! one after the other: `scripts/check udp`. Elsewhere they are ignored.

#![forbid(unsafe_code)]

use super::{
    pool,
    sockets::{bound, datagrams, loopback, next, receiver},
};
use crate::polling::Polled;
use futures::StreamExt;
use sample_pool::stream::{BatchReceiver, DatagramSender};
use std::{io::ErrorKind, process::Command};

/// Changes a device of the namespace.
fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    let status = status.expect("the command of Linux");
    assert!(status.success(), "ip {arguments}: {status}");
}

/// A cable that is pulled and put back: the sender is shown an error and can send again, the receiver waits.
#[tokio::test]
#[ignore = "changes network devices: scripts/check udp"]
async fn a_device_that_goes_down_is_an_error_for_the_sender_and_a_wait_for_the_receiver() {
    ip("link set lo up");
    ip("link add cable type veth peer name plug");
    ip("address add 10.9.0.1/24 dev cable");
    ip("link set plug up");
    let pool = pool(4, BatchReceiver::buffer_size(100));
    ip("link set cable up");
    let (socket, address) = bound("10.9.0.1:0").await;
    let mut receiver = BatchReceiver::new(socket, &pool, 100);
    let mut sender = DatagramSender::new(bound("10.9.0.1:0").await.0).expect("it is up");
    let (segments, frame) = (sender.max_segments(), [7; 450]);
    let other = "10.9.0.2:9".parse().expect("an address");
    for _ in 0..2 {
        sender.send_to(&frame, 100, other).await.expect("it is up");
        let mut waiting = Polled::waiting(receiver.next());
        ip("link set cable down");
        let error = sender.send_to(&frame, 100, other).await.unwrap_err();
        assert_eq!(error.sent, 0);
        assert_eq!(error.source.kind(), ErrorKind::NetworkUnreachable);
        assert_eq!(sender.max_segments(), segments);
        waiting.expect_pending();
        drop(waiting);
        assert_eq!(pool.free_count(), 4);
        ip("link set cable up");
        sender
            .send_to(&frame, 100, address)
            .await
            .expect("it is up");
        let batches = datagrams(&mut receiver, 5, true).await;
        let received = batches.iter().map(|batch| batch.sample.len());
        assert_eq!(received.sum::<usize>(), 450);
    }
    ip("link delete cable");
}

/// Linux refuses it as `EINVAL` or as `EMSGSIZE`, depending on its version. Only the former looks like a device without
/// segmentation.
#[tokio::test]
#[ignore = "changes network devices: scripts/check udp"]
async fn segments_that_are_larger_than_the_mtu_are_refused_and_smaller_ones_are_still_joined() {
    ip("link set lo mtu 1500 up");
    let pool = pool(4, 65_535);
    let (mut receiver, address) = receiver(&pool, 1472).await;
    let mut sender = DatagramSender::new(loopback().await.0).expect("it is up");
    let segments = sender.max_segments();
    for len in [1473, 1474, 10_000] {
        let error = sender
            .send_to(&vec![7; len], 1473, address)
            .await
            .unwrap_err();
        assert_eq!(
            (error.sent, error.source.raw_os_error()),
            (0, Some(libc::EMSGSIZE))
        );
        assert_eq!(sender.max_segments(), segments);
    }
    sender
        .send_to(&[7; 14_720], 1472, address)
        .await
        .expect("an Ethernet packet each");
    let batch = next(&mut receiver).await;
    assert_eq!((batch.datagrams().len(), batch.truncated), (10, false));
    drop(batch);
    ip("link set lo mtu 65536");
}
