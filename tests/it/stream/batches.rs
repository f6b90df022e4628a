//! `BatchReceiver`: the datagrams that the system delivers together, in one sample, and none of them lost.

#![forbid(unsafe_code)]

use super::{
    pool,
    sockets::{bound, datagrams, loopback, next, receiver, soon},
};
use futures::StreamExt;
use sample_pool::{
    SharedSample,
    stream::{BatchReceiver, DatagramBatch, DatagramSender},
};
use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
};
use tokio::net::UdpSocket;

/// Bytes of which no two neighbours are equal.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|number| (number % 251) as u8).collect()
}

/// The three ways to cut a batch.
fn cut(batch: DatagramBatch, way: usize) -> Vec<SharedSample> {
    match way {
        0 => {
            let ranges = batch.datagrams().map(<[u8]>::len).collect::<Vec<_>>();
            let mut rest = batch.sample.freeze();
            ranges.into_iter().map(|len| rest.split_to(len)).collect()
        }
        1 => batch.into_parts().map(|part| part.freeze()).collect(),
        _ => batch.into_shared().collect(),
    }
}

/// One byte at the wrong cut, and every datagram behind it is garbage.
#[tokio::test]
async fn a_batch_is_cut_at_its_segments_and_its_last_datagram_may_be_short() {
    for (len, size) in [(1037, 100), (1000, 100), (100, 100), (99, 100), (101, 100)] {
        for way in 0..3 {
            let pool = pool(8, BatchReceiver::buffer_size(size));
            let (mut receiver, address) = receiver(&pool, size).await;
            let mut sender = DatagramSender::new(loopback().await.0).expect("loopback");
            let sent = bytes(len);
            sender
                .send_to(&sent, size, address)
                .await
                .expect("loopback");
            let batches = datagrams(&mut receiver, len.div_ceil(size), way == 0).await;
            #[cfg(all(target_os = "linux", not(portable_udp)))]
            assert_eq!((batches.len(), receiver.joins()), (1, true));
            for batch in &batches {
                let from = sender.get_ref().local_addr().expect("it is bound");
                assert_eq!((batch.from, batch.truncated), (from, false));
            }
            let cut: Vec<_> = batches
                .into_iter()
                .flat_map(|batch| cut(batch, way))
                .collect();
            assert!(
                cut.iter()
                    .map(|datagram| &datagram[..])
                    .eq(sent.chunks(size))
            );
            drop(cut);
            assert_eq!(pool.free_count(), 8, "no cut keeps the buffer");
        }
    }
}

/// Decryption in place, on as many tasks as there are datagrams. The last part also owns the rest of the buffer.
#[tokio::test]
async fn the_parts_of_a_batch_are_written_independently_and_return_the_buffer_together() {
    let pool = pool(4, BatchReceiver::buffer_size(64));
    let (mut receiver, address) = receiver(&pool, 64).await;
    let mut sender = DatagramSender::new(loopback().await.0).expect("loopback");
    let sent = bytes(640);
    sender.send_to(&sent, 64, address).await.expect("loopback");
    let batches = datagrams(&mut receiver, 10, true).await;
    let taken = batches.len();
    let parts = batches.into_iter().flat_map(DatagramBatch::into_parts);
    let threads: Vec<_> = parts
        .map(|mut part| {
            std::thread::spawn(move || {
                part.iter_mut().for_each(|byte| *byte ^= 0xff);
                part
            })
        })
        .collect();
    let mut opened: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(pool.free_count(), 4 - taken);
    let expected: Vec<u8> = sent.iter().map(|byte| byte ^ 0xff).collect();
    assert!(opened.iter().map(|part| &part[..]).eq(expected.chunks(64)));
    assert!(opened.last().unwrap().spare_capacity() > 0);
    let last = opened.pop();
    drop(opened);
    drop(last);
    assert_eq!(pool.free_count(), 4);
}

/// Joined, they would not fit: the system would drop what is behind the end of the buffer.
#[cfg(all(target_os = "linux", not(portable_udp)))]
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
#[cfg(all(target_os = "linux", not(portable_udp)))]
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

/// A caller that decodes the rest of a datagram as if it were complete would decode garbage.
#[tokio::test]
async fn a_batch_that_does_not_fit_is_truncated_and_the_next_one_is_not() {
    for many in [false, true] {
        // One datagram that is too large for a buffer, between two that fit.
        let pool = pool(8, 16);
        let (mut receiver, address) = receiver(&pool, 16).await;
        let sender = loopback().await.0;
        for len in [16, 17, 3] {
            sender
                .send_to(&bytes(len), address)
                .await
                .expect("loopback");
        }
        let batches = datagrams(&mut receiver, 3, many).await;
        for (batch, (len, truncated)) in batches.iter().zip([(16, false), (16, true), (3, false)]) {
            assert_eq!(
                (&batch.sample[..], batch.truncated),
                (&bytes(len)[..], truncated)
            );
        }
    }
}

/// The sender decides how large its datagrams are, and the receiver's estimate can be wrong.
#[cfg(all(target_os = "linux", not(portable_udp)))]
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

/// Zero bytes are the end of a stream, but a valid datagram. It can also be sent on as it came.
#[tokio::test]
async fn an_empty_datagram_is_a_batch_of_one_empty_datagram() {
    for many in [false, true] {
        let pool = pool(8, BatchReceiver::buffer_size(8));
        let (mut receiver, address) = receiver(&pool, 8).await;
        let sender = loopback().await.0;
        let sent = [&b""[..], b"one", b"", b"", b"two", b""];
        for datagram in sent {
            sender.send_to(datagram, address).await.expect("loopback");
        }
        for (batch, expected) in datagrams(&mut receiver, 6, many)
            .await
            .into_iter()
            .zip(sent)
        {
            assert_eq!(&batch.sample[..], expected);
            assert_eq!(batch.segment_size, expected.len().max(1));
            let parts: Vec<_> = batch.into_parts().collect();
            assert_eq!((parts.len(), &parts[0][..]), (1, expected));
        }
        assert_eq!(pool.free_count(), 8);
    }
}

/// A system call that fills several buffers has as many ways to mix them up.
#[tokio::test]
async fn each_message_of_one_call_has_its_own_bytes_and_address() {
    let pool = pool(64, 16);
    let (mut receiver, address) = receiver(&pool, 16).await;
    let mut senders = Vec::new();
    for number in 0..40_u8 {
        let (sender, from) = loopback().await;
        let sent = vec![number; usize::from(number % 16)];
        sender.send_to(&sent, address).await.expect("loopback");
        senders.push((sender, from, sent));
    }
    let batches = datagrams(&mut receiver, 40, true).await;
    for (batch, (_, from, sent)) in batches.iter().zip(&senders) {
        assert_eq!((&batch.sample[..], batch.from), (&sent[..], *from));
    }
    let buffers: HashSet<usize> = batches.iter().map(|batch| batch.sample.index()).collect();
    assert_eq!((buffers.len(), pool.free_count()), (40, 24));
}

/// The buffer still has the bytes of the datagram before.
#[tokio::test]
async fn a_short_message_after_a_long_one_shows_nothing_of_it() {
    let pool = pool(1, 1000);
    let (mut receiver, address) = receiver(&pool, 1000).await;
    let sender = loopback().await.0;
    for len in [1000, 1, 0, 10] {
        sender
            .send_to(&bytes(len), address)
            .await
            .expect("loopback");
        let batch = next(&mut receiver).await;
        assert_eq!(
            (batch.sample.len(), batch.sample.spare_capacity()),
            (len, 1000 - len)
        );
        assert_eq!(&batch.sample[..], bytes(len));
    }
}

/// A server that is bound to all addresses answers from the address that was asked.
#[cfg(all(target_os = "linux", not(portable_udp)))]
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
#[cfg(all(target_os = "linux", not(portable_udp)))]
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

/// Where the system reports neither, the caller must learn it, and not wait for values that never come.
#[cfg(portable_udp)]
#[tokio::test]
async fn without_the_system_calls_of_linux_nothing_is_joined_or_reported() {
    let pool = pool(1, 65_535);
    let (mut receiver, _) = receiver(&pool, 1200).await;
    assert!(!receiver.joins());
    for result in [receiver.report_to(), receiver.report_ecn()] {
        assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::Unsupported);
    }
    assert_eq!(BatchReceiver::buffer_size(1200), 1200);
}
