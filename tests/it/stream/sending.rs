//! `DatagramSender` and `DatagramSink`: a frame leaves as its datagrams, each once, and every error is reported.

#![forbid(unsafe_code)]

use super::{
    pool,
    sockets::{bound, bytes, loopback, refused, soon},
};
use crate::polling::Polled;
use bytes::{BufMut, Bytes};
use futures::{SinkExt, future::FusedFuture};
use sample_pool::stream::{DatagramSender, DatagramSink};
use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::net::UdpSocket;

async fn sender() -> DatagramSender {
    DatagramSender::new(loopback().await.0).expect("loopback")
}

/// The next `count` datagrams.
async fn received(socket: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    for _ in 0..count {
        let mut datagram = Vec::with_capacity(65_536);
        let received = soon(socket.recv_buf(&mut datagram)).await;
        assert_eq!(received.expect("no error"), datagram.len());
        datagrams.push(datagram);
    }
    datagrams
}

#[track_caller]
fn expect_nothing_more(socket: &UdpSocket) {
    let more = socket.try_recv(&mut [0; 10]);
    assert_eq!(more.unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// More segments than one call takes, a last one that is short, a frame of one segment, one that is shorter, and none.
#[tokio::test]
async fn a_frame_leaves_as_datagrams_of_the_segment_size_to_every_address() {
    let pool = pool(1, 200_000);
    let mut sender = sender().await;
    let [(v4, _), (v6, _)] = [loopback().await, bound("[::1]:0").await];
    let mut other = DatagramSender::new(bound("[::1]:0").await.0).expect("loopback");
    for (len, size) in [
        (60_000, 1200),
        (60_001, 1200),
        (1200, 1200),
        (1199, 1200),
        (0, 1200),
        (70_000, 30_000),
        (100_000, 65_000),
        (20_000, 100),
        // 53 segments are one byte more than a packet takes.
        (66_000, 1236),
    ] {
        let mut frame = pool.get_buffer().await.expect("one is free");
        frame.put_slice(&bytes(len));
        let frame = frame.freeze();
        let expected: Vec<_> = match len {
            0 => vec![Vec::new()],
            len => bytes(len).chunks(size).map(<[u8]>::to_vec).collect(),
        };
        for (sender, viewer) in [(&mut sender, &v4), (&mut other, &v6)] {
            let to = viewer.local_addr().expect("it is bound");
            sender.send_to(&frame, size, to).await.expect("loopback");
            assert!(
                received(viewer, expected.len()).await == expected,
                "{len} / {size}"
            );
            expect_nothing_more(viewer);
        }
        drop(frame);
        assert_eq!(pool.free_count(), 1);
    }
}

/// A socket of IPv6 sends to IPv4 by mapped addresses, with the control messages of IPv4.
#[tokio::test]
async fn a_socket_of_ipv6_sends_to_a_mapped_address() {
    let (socket, _) = bound("[::]:0").await;
    let mut sender = DatagramSender::new(socket).expect("loopback");
    let (viewer, address) = loopback().await;
    let IpAddr::V4(ip) = address.ip() else {
        panic!("{address} is not of IPv4")
    };
    let mapped = SocketAddr::from((ip.to_ipv6_mapped(), address.port()));
    sender
        .send_to(&bytes(2500), 1000, mapped)
        .await
        .expect("loopback");
    assert!(received(&viewer, 3).await.concat() == bytes(2500));
}

/// The system cuts it, and does so only if it was asked.
#[cfg(all(target_os = "linux", not(portable_udp)))]
#[tokio::test]
async fn linux_sends_many_datagrams_with_one_call() {
    assert_eq!(sender().await.max_segments(), 64);
}

/// The documentation promises it: a receiver that shares the socket does not expect joined datagrams.
#[cfg(all(target_os = "linux", not(portable_udp)))]
#[tokio::test]
async fn a_sender_leaves_the_socket_joining_datagrams_only_if_it_did_before() {
    use super::sockets::{option, set_option};
    for joins in [0, 1] {
        let (socket, _) = loopback().await;
        set_option(&socket, libc::SOL_UDP, libc::UDP_GRO, joins);
        let sender = DatagramSender::new(socket).expect("loopback");
        assert_eq!(
            option(sender.get_ref(), libc::SOL_UDP, libc::UDP_GRO),
            joins
        );
        let discovery = option(sender.get_ref(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
        assert_eq!(discovery, libc::IP_PMTUDISC_PROBE, "as documented");
    }
}

/// The caller has to choose a smaller segment size: sending it again cannot help.
#[tokio::test]
async fn a_segment_that_is_too_large_is_an_error_and_the_sender_goes_on() {
    let mut sender = sender().await;
    let segments = sender.max_segments();
    let (viewer, address) = loopback().await;
    for (len, size) in [(65_508, 65_508), (200_000, 65_508), (70_000, 100_000)] {
        let error = sender
            .send_to(&bytes(len), size, address)
            .await
            .unwrap_err();
        assert_eq!((error.sent, error.to), (0, address));
        #[cfg(target_os = "linux")]
        assert_eq!(error.source.raw_os_error(), Some(libc::EMSGSIZE));
    }
    expect_nothing_more(&viewer);
    sender
        .send_to(&bytes(65_507), 65_507, address)
        .await
        .expect("the largest");
    assert!(received(&viewer, 1).await.concat() == bytes(65_507));
    assert_eq!(sender.max_segments(), segments);
}

/// An address that cannot be sent to looks like a device without segmentation, and must not make the sender slow.
#[cfg(all(target_os = "linux", not(portable_udp)))]
#[tokio::test]
async fn a_bad_address_is_an_error_and_ends_no_segmentation() {
    let mut sender = sender().await;
    let (viewer, address) = loopback().await;
    let error = sender
        .send_to(&bytes(5000), 1000, "127.0.0.1:0".parse().unwrap())
        .await;
    assert_eq!(error.unwrap_err().source.kind(), ErrorKind::InvalidInput);
    assert_eq!(sender.max_segments(), 64);
    sender
        .send_to(&bytes(5000), 1000, address)
        .await
        .expect("loopback");
    assert!(received(&viewer, 5).await.concat() == bytes(5000));
}

/// Where segmentation is refused, the frame still arrives. A socket without checksums is refused by Linux itself.
#[cfg(all(target_os = "linux", not(portable_udp)))]
#[tokio::test]
async fn a_socket_that_refuses_segmentation_sends_each_datagram_by_itself() {
    let mut sender = sender().await;
    super::sockets::set_option(sender.get_ref(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1);
    let (viewer, address) = loopback().await;
    for _ in 0..2 {
        sender
            .send_to(&bytes(5500), 1000, address)
            .await
            .expect("loopback");
        let datagrams = received(&viewer, 6).await;
        assert!(
            datagrams
                .iter()
                .map(|datagram| &datagram[..])
                .eq(bytes(5500).chunks(1000))
        );
        expect_nothing_more(&viewer);
        assert_eq!(sender.max_segments(), 1);
    }
}

/// The system reports it to the next call, which then sends nothing. With `sent`, the caller continues there.
#[tokio::test]
async fn a_refused_connection_is_reported_once_with_what_was_sent_before() {
    let socket = refused().await;
    let to = socket.peer_addr().expect("it is connected");
    let mut sender = DatagramSender::new(socket).expect("loopback");
    let frame = bytes(5000);
    sender
        .send_to(&frame[..1000], 1000, to)
        .await
        .expect("it is sent");
    let error = soon(sender.send_to(&frame, 1000, to)).await.unwrap_err();
    assert_eq!((error.sent, error.to), (0, to));
    assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
    let viewer = UdpSocket::bind(to).await.expect("it is free again");
    sender
        .send_to(&frame, 1000, to)
        .await
        .expect("the error was reported");
    assert!(received(&viewer, 5).await.concat() == frame);
}

/// The frame is longer than the socket's buffer, so the first call that finds no room waits. The others of the same
/// socket wait, too.
#[tokio::test]
async fn senders_of_a_full_socket_wait_and_every_one_continues() {
    let (socket, _) = loopback().await;
    let socket = Arc::new(socket);
    socket2::SockRef::from(&*socket)
        .set_send_buffer_size(1)
        .expect("the least");
    let (viewer, to) = loopback().await;
    socket2::SockRef::from(&viewer)
        .set_recv_buffer_size(8 << 20)
        .expect("it is limited");
    let frame: Arc<[u8]> = bytes(60_000).into();
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let mut sender = DatagramSender::new(socket.clone()).expect("loopback");
            let frame = frame.clone();
            tokio::spawn(async move { sender.send_to(&frame, 20_000, to).await })
        })
        .collect();
    let mut count = 0;
    while count < 9 {
        count += received(&viewer, 1).await.len();
    }
    for task in tasks {
        soon(task).await.expect("no panic").expect("loopback");
    }
}

/// The future moves between threads and tasks, and is polled in a `select!`.
#[tokio::test]
async fn a_send_is_fused_and_panics_when_it_is_polled_again() {
    let mut sender = sender().await;
    let (viewer, address) = loopback().await;
    let mut send = sender.send_to(b"bytes", 2, address);
    assert!(!send.is_terminated());
    (&mut send).await.expect("loopback");
    assert!(send.is_terminated());
    let again = std::panic::AssertUnwindSafe(|| Polled::new(&mut send).expect_ready());
    assert!(std::panic::catch_unwind(again).is_err());
    assert_eq!(received(&viewer, 3).await.concat(), b"bytes");
}

/// As for a queue of packets: each to its address, in order, and the error names the item.
#[tokio::test]
async fn a_sink_sends_each_item_once_and_names_the_address_of_an_error() {
    let pool = pool(2, 8000);
    let mut sink = DatagramSink::new(sender().await, 1000);
    let viewers = [loopback().await, loopback().await];
    let mut frame = pool.get_buffer().await.expect("one is free");
    frame.put_slice(&bytes(2500));
    let frame = frame.freeze();
    for (_, address) in &viewers {
        sink.feed((frame.clone(), *address))
            .await
            .expect("loopback");
    }
    drop(frame);
    assert_eq!(pool.free_count(), 1, "the last item is stored");
    sink.flush().await.expect("loopback");
    assert_eq!(pool.free_count(), 2);
    for (viewer, _) in &viewers {
        assert!(received(viewer, 3).await.concat() == bytes(2500));
        expect_nothing_more(viewer);
    }

    let mut sink = DatagramSink::new(sink.into_inner(), 70_000);
    let first = viewers[0].1;
    sink.feed((Bytes::from(bytes(70_000)), first))
        .await
        .expect("it is stored");
    sink.set_segment_size(1000);
    let error = sink
        .feed((Bytes::from("not sent"), viewers[1].1))
        .await
        .unwrap_err();
    assert_eq!((error.to, error.sent), (first, 0), "of the item before");
    sink.send((Bytes::from(bytes(1500)), first))
        .await
        .expect("loopback");
    assert!(received(&viewers[0].0, 2).await.concat() == bytes(1500));
    sink.close().await.expect("nothing is stored");
    expect_nothing_more(&viewers[0].0);
    sink.feed((Bytes::from("the last"), first))
        .await
        .expect("it is stored");
    sink.close().await.expect("loopback");
    assert_eq!(received(&viewers[0].0, 1).await, [b"the last"]);
}
