//! `BatchReceiver`: the datagrams that the system delivers together, in one sample, and none of them lost.

#![forbid(unsafe_code)]

use super::{
    pool,
    sockets::{bytes, datagrams, loopback, next, receiver, soon},
};
use futures::{StreamExt, stream::FusedStream};
use sample_pool::{
    SharedSample,
    stream::{BatchReceiver, DatagramBatch, DatagramSender},
};
use std::collections::HashSet;
use tokio::io::Interest;

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
            let pool = pool(16, BatchReceiver::buffer_size(size));
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
            assert_eq!(pool.free_count(), 16, "no cut keeps the buffer");
        }
    }
}

/// Decryption in place, on as many tasks as there are datagrams. The last part also owns the rest of the buffer.
#[tokio::test]
async fn the_parts_of_a_batch_are_written_independently_and_return_the_buffer_together() {
    let pool = pool(16, BatchReceiver::buffer_size(65));
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
    assert_eq!(pool.free_count(), 16 - taken);
    let expected: Vec<u8> = sent.iter().map(|byte| byte ^ 0xff).collect();
    assert!(opened.iter().map(|part| &part[..]).eq(expected.chunks(64)));
    assert!(opened.last().unwrap().spare_capacity() > 0);
    let last = opened.pop();
    drop(opened);
    drop(last);
    assert_eq!(pool.free_count(), 16);
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

/// The system reports an error before the datagrams that it has. The socket is readable then, so the error comes in place of
/// a batch. No error ends the stream.
#[tokio::test]
async fn an_error_of_a_socket_that_has_a_datagram_is_reported_before_it() {
    let pool = pool(2, 16);
    for many in [false, true] {
        let (mut receiver, address) = receiver(&pool, 16).await;
        let (gone, peer) = loopback().await;
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
        let mut batches = Vec::new();
        let error = match many {
            true => soon(receiver.receive_many(&mut batches, 2)).await.map(drop),
            false => soon(receiver.next()).await.expect("endless").map(drop),
        };
        let error = std::io::Error::from(error.expect_err("no one is there"));
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(!receiver.is_terminated());
        assert_eq!(&next(&mut receiver).await.sample[..], b"the last");
    }
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
