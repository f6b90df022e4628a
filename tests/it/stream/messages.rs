//! `MessageReader`: frames that are larger than a buffer get all their buffers at once, and none while they wait.

use super::pool;
use crate::polling::{Polled, at_once};
use bytes::Buf;
use futures::{StreamExt, stream::FusedStream};
use sample_pool::{
    GetBufferError, PollPool, SharedSegments,
    stream::{FrameError, LengthDelimited, LengthError, Lines, MessageReader, ReadError},
};
use std::{task::Poll, time::Duration};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

const BUFFER: usize = 64 * 1024;
const LARGE: usize = 10_000_000;
const HEADER: usize = 4;
/// How many buffers a large frame takes with its header.
const ENOUGH: usize = (HEADER + LARGE).div_ceil(BUFFER);
/// Longer than any of these tests takes, unless readers wait for each other.
const FOR_EVER: Duration = Duration::from_secs(60);

/// What a peer of number `seed` sends.
pub(super) fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (seed..seed + len).map(|at| (at % 251) as u8).collect()
}

pub(super) fn frame(len: usize, seed: usize) -> Vec<u8> {
    let mut frame = u32::try_from(len).expect("small").to_be_bytes().to_vec();
    frame.extend(bytes(len, seed));
    frame
}

/// Large frames are accepted.
pub(super) fn decoder() -> LengthDelimited {
    LengthDelimited::new().max_frame_length(LARGE)
}

#[track_caller]
pub(super) fn check(message: SharedSegments, len: usize, seed: usize) {
    assert_eq!(message.len(), len);
    let expected = bytes(len, seed);
    let mut at = 0;
    for segment in message {
        assert!(segment[..] == expected[at..at + segment.len()], "{at}");
        at += segment.len();
    }
}

async fn send(mut to: impl AsyncWrite + Unpin, frames: &[(usize, usize)]) {
    for &(len, seed) in frames {
        to.write_all(&frame(len, seed)).await.expect("it is read");
    }
    to.shutdown().await.expect("it is read");
}

type Reader = MessageReader<DuplexStream, LengthDelimited>;

fn connected(pool: impl Into<PollPool>) -> (DuplexStream, Reader) {
    let (client, server) = duplex(1 << 20);
    (client, MessageReader::new(server, pool, decoder()))
}

fn write(client: &mut DuplexStream, bytes: &[u8]) {
    at_once(client.write_all(bytes)).expect("there is room");
}

#[track_caller]
fn next(reader: &mut Reader) -> SharedSegments {
    let message = at_once(reader.next()).expect("not at the end");
    message.expect("no error")
}

#[track_caller]
fn error(reader: &mut Reader) -> FrameError<LengthError> {
    let error = at_once(reader.next()).expect("not at the end");
    let error = error.expect_err("an error");
    assert!(at_once(reader.next()).is_none() && reader.is_terminated());
    error
}

/// The purpose: a message that no buffer can take, with small ones before and behind it, in all their order.
#[tokio::test]
async fn ten_megabytes_over_tcp_lie_in_buffers_of_64_kib() {
    let frames = [
        (10, 3),
        (LARGE, 1),
        (0, 0),
        (100_000, 2),
        (LARGE, 9),
        (7, 7),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let sender = tokio::spawn(async move {
        let client = TcpStream::connect(address).await.expect("it listens");
        send(client, &frames).await;
    });
    let (server, _) = listener.accept().await.expect("connected");
    let pool = pool(ENOUGH + 1, BUFFER);
    let mut messages = MessageReader::new(server, &pool, decoder());
    for (len, seed) in frames {
        let message = messages.next().await.expect("not at the end");
        let message = message.expect("no error");
        if len == LARGE {
            assert_eq!(message.iter().count(), ENOUGH);
        }
        check(message, len, seed);
    }
    assert!(messages.next().await.is_none());
    sender.await.expect("no panic");
    assert_eq!(pool.free_count(), ENOUGH + 1);
}

/// Each used to read the start of its message, keep that buffer, and wait for the others: with room for one message, all
/// of them would wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_with_room_for_one_large_message_take_turns() {
    let pool = pool(ENOUGH, BUFFER);
    let quota = pool.quota("uploads", ENOUGH);
    let mut readers = JoinSet::new();
    for number in 0..4 {
        let (client, server) = duplex(BUFFER);
        let frames = [(LARGE, number), (5, number), (LARGE, number + 10)];
        readers.spawn(async move { send(client, &frames).await });
        let mut messages = match number % 2 {
            0 => MessageReader::new(server, &pool, decoder()),
            _ => MessageReader::new(server, &quota, decoder()),
        };
        readers.spawn(async move {
            for (len, seed) in frames {
                let message = messages.next().await.expect("not at the end");
                check(message.expect("no error"), len, seed);
            }
            assert!(messages.next().await.is_none());
        });
    }
    let all = timeout(FOR_EVER, readers.join_all()).await;
    assert!(all.is_ok(), "they wait for each other");
    assert_eq!((pool.free_count(), quota.status().in_use), (ENOUGH, 0));
    assert!(pool.status().waited > 0, "there was room for more than one");
}

/// The start of the message is in a buffer when its length is known. That buffer may be the one that another waits for.
#[test]
fn a_reader_that_waits_for_its_buffers_holds_none() {
    let pool = pool(4, 64);
    let held = pool.try_get_buffer().expect("free");
    let (mut client, mut reader) = connected(&pool);
    write(&mut client, &frame(200, 1));
    let mut waits = Polled::waiting(reader.next());
    let status = pool.status();
    assert_eq!((status.waiting, status.outstanding), (1, 4), "gathered");
    let mut other = Polled::waiting(pool.get_buffer());
    // Its own buffer was handed to it as well, so this is the only one that is missing.
    drop(held);
    assert!(waits.is_woken() && !other.is_woken());
    let message = waits.expect_ready().expect("not at the end");
    check(message.expect("no error"), 200, 1);
    assert!(other.expect_ready().is_ok());
}

/// What is left of the queue goes to others, and the bytes stay for the next call.
#[test]
fn a_next_that_is_dropped_loses_nothing() {
    let pool = pool(4, 64);
    let lengths = [(200, 1), (220, 2), (3, 3)];
    let sent: Vec<u8> = lengths
        .iter()
        .flat_map(|&(len, seed)| frame(len, seed))
        .collect();
    for step in [1, 7, 50, 63, 64, 65, 130] {
        for others in [false, true] {
            let (mut client, mut reader) = connected(&pool);
            let mut expected = lengths.iter();
            let mut poll = |reader: &mut Reader| {
                let polled = Polled::new(reader.next()).poll();
                if let Poll::Ready(Some(message)) = polled {
                    let &(len, seed) = expected.next().expect("no more were sent");
                    check(message.expect("no error"), len, seed);
                }
            };
            for piece in sent.chunks(step) {
                write(&mut client, piece);
                let held = others.then(|| pool.try_get_buffer());
                poll(&mut reader);
                drop(held);
            }
            // A reader whose own buffer was the last one that was missing gets it at its next poll.
            for _ in 0..2 * lengths.len() {
                poll(&mut reader);
            }
            assert_eq!(expected.len(), 0, "steps of {step}");
            assert_eq!((reader.buffered_len(), pool.free_count()), (0, 4));
        }
    }
}

/// A connection that is closed in the middle must leave neither buffers nor a place in the queue.
#[test]
fn a_reader_that_is_dropped_in_the_middle_releases_all() {
    let pool = pool(4, 64);
    let (mut client, mut reader) = connected(&pool);
    write(&mut client, &frame(200, 1)[..150]);
    drop(Polled::waiting(reader.next()));
    drop(Polled::waiting(reader.next()));
    assert_eq!((reader.buffered_len(), pool.free_count()), (150, 0));
    let (mut second, mut waits) = connected(&pool);
    write(&mut second, &frame(200, 1));
    let held = Polled::waiting(waits.next());
    assert_eq!(pool.status().waiting, 1, "for a buffer to read into");
    drop(held);
    drop(reader);
    let mut all = Polled::waiting(waits.next());
    let message = all.expect_ready().expect("not at the end");
    check(message.expect("no error"), 200, 1);
    drop(all);
    let held = pool.try_get_buffer().expect("free");
    write(&mut second, &frame(200, 1)[..70]);
    drop(Polled::waiting(waits.next()));
    assert_eq!((waits.buffered_len(), pool.status().waiting), (64, 1));
    drop((waits, held));
    assert_eq!((pool.free_count(), pool.status().waiting), (4, 0));
}

/// A protocol that changes in the middle needs the bytes, wherever the reader has them.
#[test]
fn parts_have_the_bytes_that_were_read_and_not_yielded() {
    let sent = frame(200, 1);
    // In the buffer, in the segments, and on the heap while the reader waits for its segments.
    for (len, others) in [(3, 0), (40, 0), (150, 0), (150, 1), (150, 3)] {
        let pool = pool(4, 64);
        let (mut client, mut reader) = connected(&pool);
        let held: Vec<_> = (0..others).map(|_| pool.try_get_buffer()).collect();
        write(&mut client, &sent[..len]);
        drop(Polled::waiting(reader.next()));
        drop(Polled::waiting(reader.next()));
        let buffered = reader.buffered_len();
        let (_source, _decoder, mut bytes) = reader.into_parts();
        assert_eq!(bytes.remaining(), buffered);
        assert!(buffered > 0, "{len} bytes with {others} others");
        assert_eq!(bytes.copy_to_bytes(buffered), &sent[..buffered]);
        drop((bytes, held));
        assert_eq!((pool.free_count(), pool.status().waiting), (4, 0));
    }
}

/// A message of which the end is missing must not be returned as a message.
#[test]
fn a_source_that_ends_in_the_middle_is_an_error() {
    for sent in [5, 70, 203] {
        let pool = pool(4, 64);
        let (mut client, mut reader) = connected(&pool);
        write(&mut client, &frame(200, 1)[..sent]);
        drop(client);
        let mut polled = Polled::new(reader.next());
        let ended = match polled.poll() {
            // It gave its own buffer back, and got it with the others.
            Poll::Pending => polled.expect_ready(),
            Poll::Ready(ended) => ended,
        };
        drop(polled);
        let expected = sent;
        match ended.expect("not at the end") {
            Err(FrameError::UnexpectedEof { bytes }) => assert_eq!(bytes, expected),
            other => panic!("{other:?}"),
        }
        assert!(at_once(reader.next()).is_none());
        assert_eq!(pool.free_count(), 4);
    }
}

/// A sender that announces more than is allowed, or than there is, must neither wait for ever nor be read further.
#[test]
fn a_message_that_is_too_long_is_refused() {
    let pool = pool(4, 64);
    let (mut client, mut reader) = connected(&pool);
    write(
        &mut client,
        &u32::try_from(LARGE + 1).expect("small").to_be_bytes(),
    );
    let limit = LARGE;
    match error(&mut reader) {
        FrameError::Decode(error) => {
            let length = LARGE as u64 + 1;
            assert_eq!(error, LengthError::TooLong { length, limit });
        }
        other => panic!("{other}"),
    }
    let quota = pool.quota("two", 2);
    let both = [(connected(&pool), 253), (connected(&quota), 125)];
    for ((mut client, mut reader), len) in both {
        write(&mut client, &frame(len, 1));
        match error(&mut reader) {
            FrameError::TooManyBuffers { frame } => assert_eq!(frame, len),
            other => panic!("{other}"),
        }
        assert_eq!((pool.free_count(), quota.status().in_use), (4, 0));
    }
    let (mut client, mut reader) = connected(&pool);
    write(&mut client, &frame(252, 1));
    let mut all = Polled::waiting(reader.next());
    let message = all.expect_ready().expect("not at the end");
    check(message.expect("no error"), 252, 1);
}

/// A drain waits for messages that are being read, and not for those that wait for buffers.
#[test]
fn a_decommit_in_the_middle_lets_a_message_be_completed_that_has_its_buffers() {
    let pool = pool(4, 64);
    let (mut client, mut reader) = connected(&pool);
    write(&mut client, &frame(120, 1)[..100]);
    let mut fills = Polled::waiting(reader.next());
    let (mut second, mut waits) = connected(&pool);
    write(&mut second, &frame(200, 2));
    let mut waiting = Polled::waiting(waits.next());
    let mut drained = Polled::waiting(pool.drained());
    pool.decommit();
    assert!(waiting.is_woken());
    match waiting.expect_ready().expect("not at the end") {
        Err(FrameError::Read(ReadError::GetBuffer(refused))) => {
            assert_eq!(refused, GetBufferError::NotCommitted);
        }
        other => panic!("{other:?}"),
    }
    drop(waiting);
    drained.expect_pending();
    write(&mut client, &frame(120, 1)[100..]);
    let message = fills.expect_ready().expect("not at the end");
    drained.expect_pending();
    check(message.expect("no error"), 120, 1);
    drained.expect_ready();
    drop(fills);
    pool.commit().expect("small");
    check(next(&mut waits), 200, 2);
}

/// Wherever the reads end, whatever is before and behind a frame, and whether or not messages are held, they are the same.
#[test]
fn messages_do_not_depend_on_where_reads_end() {
    let lengths = [0, 3, 200, 1, 30, 64, 59, 60, 61, 128, 0, 500, 2];
    let sent: Vec<u8> = lengths
        .iter()
        .enumerate()
        .flat_map(|(seed, &len)| {
            // A byte for the kind before the length, and two bytes between the length and the frame.
            let mut sent = vec![seed as u8];
            sent.extend(u16::try_from(len + 2).expect("small").to_be_bytes());
            sent.extend([0xEE; 2]);
            sent.extend(bytes(len, seed));
            sent
        })
        .collect();
    let decoder = LengthDelimited::new().length_field_offset(1);
    let decoder = decoder
        .length_field_length(2)
        .length_adjustment(-2)
        .num_skip(5);
    for step in [1, 5, 63, 64, 100, 300, 2000] {
        for keeps in [false, true] {
            let buffers = if keeps { 40 } else { 9 };
            let pool = pool(buffers, 64);
            let (mut client, server) = duplex(4096);
            let mut reader = MessageReader::new(server, &pool, decoder.clone());
            let mut found = Vec::new();
            let mut held = Vec::new();
            let mut keep = |message: SharedSegments, seed: usize| {
                let copy = message.clone().copy_to_bytes(message.len());
                assert!(
                    copy == bytes(lengths[seed], seed),
                    "{seed}, steps of {step}"
                );
                held.extend(keeps.then_some((message, copy)));
            };
            for piece in sent.chunks(step) {
                write(&mut client, piece);
                while let Poll::Ready(message) = Polled::new(reader.next()).poll() {
                    let message = message.expect("not at the end").expect("no error");
                    keep(message, found.len());
                    found.push(());
                }
            }
            drop(client);
            assert!(at_once(reader.next()).is_none());
            assert_eq!(found.len(), lengths.len());
            for (mut message, copy) in held {
                let len = message.len();
                assert!(
                    message.copy_to_bytes(len) == copy,
                    "it changed while it was held"
                );
            }
            drop(reader);
            assert_eq!(pool.free_count(), buffers);
        }
    }
}

/// Its end is found only in bytes that lie together.
#[test]
fn a_decoder_that_does_not_tell_where_a_frame_lies_needs_it_in_one_buffer() {
    let pool = pool(4, 8);
    let mut lines = MessageReader::new(&b"one\n123456789\n"[..], &pool, Lines::new());
    let one = at_once(lines.next()).expect("not at the end");
    assert_eq!(one.expect("no error").chunk(), b"one");
    let refused = at_once(lines.next()).expect("not at the end");
    assert!(matches!(
        refused,
        Err(FrameError::TooLarge {
            frame: 9,
            buffer: 8
        })
    ));
    assert!(at_once(lines.next()).is_none());
    assert_eq!(pool.free_count(), 4);
}

/// A sender that pauses in the middle keeps all the buffers of its message, so there must be an end to it.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_complete_in_time_releases_its_buffers() {
    let pool = pool(4, 64);
    let (mut client, reader) = connected(&pool);
    let mut reader = reader.frame_timeout(Duration::from_secs(5));
    for _ in 0..2 {
        // The time begins anew for each message.
        write(&mut client, &frame(120, 1)[..90]);
        let waits = timeout(Duration::from_secs(4), reader.next()).await;
        assert!(waits.is_err() && pool.free_count() == 2);
        write(&mut client, &frame(120, 1)[90..]);
        drop(
            reader
                .next()
                .await
                .expect("not at the end")
                .expect("no error"),
        );
    }
    write(&mut client, &frame(120, 1)[..90]);
    let late = reader.next().await.expect("not at the end");
    match late {
        Err(FrameError::TimedOut { bytes, limit }) => {
            assert_eq!((bytes, limit), (90, Duration::from_secs(5)));
        }
        other => panic!("{other:?}"),
    }
    assert!(reader.next().await.is_none());
    assert_eq!(pool.free_count(), 4);
}
