//! `BatchReceiver` on Linux: what the system joins and what it does not, and what it reports beside the bytes.

#![forbid(unsafe_code)]

use super::{
    pool,
    sockets::{bound, bytes, datagrams, loopback, next, receiver, soon},
};
use futures::StreamExt;
use sample_pool::stream::{BatchReceiver, DatagramSender};
use std::net::{IpAddr, SocketAddr};
use tokio::net::UdpSocket;

/// Joined, they would not fit: the system would drop what is behind the end of the buffer.
#[tokio::test]
async fn a_pool_of_small_buffers_gets_each_datagram_by_itself_and_none_is_cut() {
    let small = pool(64, BatchReceiver::buffer_size(100) - 1);
    let (socket, address) = loopback().await;
    // What an earlier receiver has set is in the way.
    let large = pool(1, 65_535);
    let joining = BatchReceiver::new(socket, &large, 100);
    assert!(joining.joins());
    let mut receiver = BatchReceiver::new(joining.into_inner(), &small, 100);
    assert!(!receiver.joins());
    let mut sender = DatagramSender::new(loopback().await.0).expect("loopback");
    let sent = bytes(100 * 64);
    sender.send_to(&sent, 100, address).await.expect("loopback");
    let batches = datagrams(&mut receiver, 64, true).await;
    assert_eq!(batches.len(), 64);
    for (batch, expected) in batches.iter().zip(sent.chunks(100)) {
        assert_eq!((&batch.sample[..], batch.truncated), (expected, false));
    }
}

/// Its datagrams have no segment size, so several would look like one.
#[tokio::test]
async fn a_receiver_of_single_datagrams_has_the_system_not_join_them() {
    use sample_pool::stream::DatagramReceiver;
    let pool = pool(16, 65_535);
    let (receiver, address) = receiver(&pool, 100).await;
    let (socket, polled) = receiver.into_parts();
    drop(polled);
    let mut receiver = DatagramReceiver::new(socket, &pool);
    let mut sender = DatagramSender::new(loopback().await.0).expect("loopback");
    sender
        .send_to(&bytes(1000), 100, address)
        .await
        .expect("loopback");
    for expected in bytes(1000).chunks(100) {
        let datagram = soon(receiver.next())
            .await
            .expect("endless")
            .expect("no error");
        assert_eq!(&datagram.sample[..], expected);
    }
}

/// The sender decides how large its datagrams are, and the receiver's estimate can be wrong.
#[tokio::test]
async fn a_batch_of_larger_datagrams_than_expected_is_truncated() {
    let size = BatchReceiver::buffer_size(10);
    let pool = pool(8, size);
    let (mut receiver, address) = receiver(&pool, 10).await;
    assert!(receiver.joins());
    let mut sender = DatagramSender::new(loopback().await.0).expect("loopback");
    sender
        .send_to(&bytes(2 * size), 100, address)
        .await
        .expect("loopback");
    sender
        .send_to(&bytes(size), 100, address)
        .await
        .expect("loopback");
    let cut = next(&mut receiver).await;
    assert_eq!((&cut.sample[..], cut.truncated), (&bytes(size)[..], true));
    assert_eq!(cut.datagrams().len(), size.div_ceil(100));
    let whole = next(&mut receiver).await;
    assert_eq!(
        (&whole.sample[..], whole.truncated),
        (&bytes(size)[..], false)
    );
}

/// A server that is bound to all addresses answers from the address that was asked.
#[tokio::test]
async fn addresses_and_ecn_marks_of_both_families_are_reported_when_asked_for() {
    use sample_pool::stream::Ecn;
    let mapped = |address: IpAddr| match address {
        IpAddr::V4(address) => IpAddr::V6(address.to_ipv6_mapped()),
        address => address,
    };
    let cases = [
        ("0.0.0.0:0", "127.0.0.1", "127.0.0.2", false),
        ("[::]:0", "127.0.0.1", "127.0.0.2", true),
        ("[::]:0", "::1", "::1", true),
    ];
    for (listening, from, to, is_mapped) in cases {
        let pool = pool(4, BatchReceiver::buffer_size(8));
        let (socket, address) = bound(listening).await;
        let mut receiver = BatchReceiver::new(socket, &pool, 8);
        let from: IpAddr = from.parse().unwrap();
        let to = SocketAddr::new(to.parse().unwrap(), address.port());
        let socket = UdpSocket::bind((from, 0)).await.expect("loopback");
        let mut sender = DatagramSender::new(socket).expect("loopback");
        let shown = |address| if is_mapped { mapped(address) } else { address };

        sender.send_to(b"first", 8, to).await.expect("loopback");
        let first = next(&mut receiver).await;
        assert_eq!((first.to, first.ecn), (None, None), "not asked for");
        assert_eq!(first.from.ip(), shown(from));

        receiver.report_to().expect("Linux has it");
        receiver.report_ecn().expect("Linux has it");
        for ecn in [Ecn::Ect0, Ecn::NotEct, Ecn::Ce, Ecn::Ect1] {
            sender.set_ecn(ecn);
            sender
                .send_to(b"one and two", 8, to)
                .await
                .expect("loopback");
            let batch = next(&mut receiver).await;
            assert_eq!(
                (batch.to, batch.ecn),
                (Some(shown(to.ip())), Some(ecn)),
                "{listening} {from}"
            );
            assert_eq!(batch.from.ip(), shown(from));
            assert_eq!((batch.segment_size, batch.datagrams().len()), (8, 2));
        }
    }
}

/// An option changes what other code sees that has the same socket.
#[tokio::test]
async fn a_receiver_sets_the_options_that_it_documents_and_no_other() {
    use super::sockets::option;
    let names = [
        (libc::SOL_UDP, libc::UDP_GRO),
        (libc::IPPROTO_IP, libc::IP_PKTINFO),
        (libc::IPPROTO_IP, libc::IP_RECVTOS),
        (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
    ];
    let pool = pool(1, 65_535);
    let (socket, _) = loopback().await;
    let options = |socket: &UdpSocket| names.map(|(level, name)| option(socket, level, name));
    let before = options(&socket);
    assert_eq!(before[..3], [0, 0, 0]);
    let mut receiver = BatchReceiver::new(socket, &pool, 1200);
    assert_eq!(options(receiver.get_ref()), [1, 0, 0, before[3]]);
    receiver.report_to().expect("Linux has it");
    assert_eq!(options(receiver.get_ref()), [1, 1, 0, before[3]]);
    receiver.report_ecn().expect("Linux has it");
    assert_eq!(options(receiver.get_ref()), [1, 1, 1, before[3]]);
}
