//! `SampleReader`: which bytes are in which sample, and when it holds a buffer while nothing can be read.

use super::{
    pool,
    script::{Script, Step},
};
use crate::polling::{Polled, at_once, poll_once};
use bytes::BufMut;
use futures::StreamExt;
use sample_pool::{
    GetBufferError, Pool, Sample,
    stream::{ReadError, SampleReader},
};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

fn next<S: sample_pool::stream::ReadSample + Unpin>(reader: &mut SampleReader<S>) -> Sample {
    at_once(reader.next())
        .expect("not at the end")
        .expect("no error")
}

/// A server that forwards bytes at once must not wait until a buffer is full.
#[test]
fn each_read_is_a_sample_of_its_own() {
    let script = Script::new([
        Step::Bytes(b"one"),
        Step::Bytes(b"and two"),
        Step::Bytes(b"3"),
    ]);
    let mut reader = SampleReader::new(script, &pool(5, 4));
    let samples = [(); 4].map(|()| next(&mut reader));
    assert_eq!(
        samples.each_ref().map(|sample| &sample[..]),
        [&b"one"[..], b"and ", b"two", b"3"]
    );
    assert!(at_once(reader.next()).is_none());
    assert!(at_once(reader.next()).is_none(), "it stays ended");
}

/// The second read appends after the first, and the end makes the last sample shorter.
#[test]
fn full_buffers_are_yielded_and_the_last_has_the_rest() {
    let script = Script::new([Step::Bytes(b"01"), Step::Bytes(b"23456"), Step::Bytes(b"7")]);
    let mut reader = SampleReader::new(script, &pool(4, 3)).fill_buffers(true);
    let samples = [(); 3].map(|()| next(&mut reader));
    assert_eq!(
        samples.each_ref().map(|sample| &sample[..]),
        [&b"012"[..], b"345", b"67"]
    );
    assert!(at_once(reader.next()).is_none());
}

/// The bytes left the source when they were read, so a lost sample could not be read again.
#[test]
fn a_dropped_next_loses_no_byte_that_was_read() {
    let pool = pool(1, 8);
    let script = Script::new([
        Step::Bytes(b"0123"),
        Step::Pending,
        Step::Bytes(b"45"),
        Step::Pending,
        Step::Bytes(b"6789"),
    ]);
    let mut reader = SampleReader::new(script, &pool).fill_buffers(true);
    drop(Polled::waiting(reader.next()));
    assert_eq!(pool.free_count(), 0, "it has begun to fill one");
    drop(Polled::waiting(reader.next()));
    assert_eq!(&next(&mut reader)[..], b"01234567");
    assert_eq!(&next(&mut reader)[..], b"89");
}

/// A connection that is closed between two samples would lose the beginning of the second.
#[test]
fn a_sample_that_was_begun_is_given_out_with_the_source() {
    let script = Script::new([Step::Bytes(b"0123"), Step::Pending, Step::Bytes(b"45")]);
    let mut reader = SampleReader::new(script, &pool(1, 8)).fill_buffers(true);
    drop(Polled::waiting(reader.next()));
    let (source, begun) = reader.into_parts();
    assert_eq!(source.left(), 1);
    assert_eq!(begun, "0123");
}

/// A read without a buffer would lose bytes or allocate memory, so the bytes must stay in the source.
#[test]
fn it_reads_nothing_while_the_pool_is_exhausted() {
    let pool = pool(1, 8);
    let held = pool.try_get_buffer().expect("one is free");
    let mut reader = SampleReader::new(Script::new([Step::Bytes(b"bytes")]), &pool);
    let mut waiting = Polled::waiting(reader.next());
    assert_eq!(pool.status().waiting, 1);
    drop(held);
    assert_eq!(waiting.wakes(), 1);
    let sample = waiting
        .expect_ready()
        .expect("not at the end")
        .expect("no error");
    assert_eq!(&sample[..], b"bytes");
}

/// As above: if the future of `next` is dropped while queued, the reader must keep its position in the queue.
#[test]
fn a_dropped_next_keeps_its_place_in_the_queue() {
    let pool = pool(1, 8);
    let held = pool.try_get_buffer().expect("one is free");
    let mut reader = SampleReader::new(Script::new([Step::Bytes(b"bytes")]), &pool);
    drop(Polled::waiting(reader.next()));
    let mut other = pool.get_buffer();
    assert!(poll_once(&mut other).is_pending());
    drop(held);
    assert!(poll_once(&mut other).is_pending(), "the reader was first");
    assert_eq!(&next(&mut reader)[..], b"bytes");
    assert!(poll_once(&mut other).is_ready());
}

/// Otherwise ten thousand idle connections would need ten thousand buffers.
#[test]
fn a_reader_that_waits_for_its_source_holds_no_buffer() {
    let pool = pool(1, 8);
    let mut reader = SampleReader::new(Script::new([Step::Pending, Step::Bytes(b"x")]), &pool);
    drop(Polled::waiting(reader.next()));
    assert_eq!(pool.free_count(), 1);
    assert_eq!(&next(&mut reader)[..], b"x");
}

/// Initializes all of its buffer, and writes nothing.
struct Nosy;

impl AsyncRead for Nosy {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        assert!(
            into.initialized().is_empty(),
            "an earlier owner's bytes are shown"
        );
        let seen = into.initialize_unfilled();
        assert!(
            seen.iter().all(|&byte| byte == 0),
            "bytes are shown that were not written"
        );
        let len = seen.len();
        into.advance(len);
        Poll::Ready(Ok(()))
    }
}

/// An `AsyncRead` is safe user code, and could forward every byte that it is shown.
#[test]
fn an_async_read_is_shown_no_byte_of_an_earlier_owner() {
    let pool = pool(1, 8);
    let mut secret = pool.try_get_buffer().expect("one is free");
    secret.put_slice(b"password");
    drop(secret);
    let mut reader = SampleReader::new(Nosy, &pool);
    assert_eq!(&next(&mut reader)[..], [0; 8]);
}

/// An error that is returned before the bytes would lose them.
#[test]
fn what_was_read_comes_before_the_error_and_the_end_after_it() {
    let pool = pool(1, 8);
    let script = Script::new([Step::Bytes(b"0123"), Step::Error, Step::Bytes(b"never")]);
    let mut reader = SampleReader::new(script, &pool).fill_buffers(true);
    assert_eq!(&next(&mut reader)[..], b"0123");
    match at_once(reader.next()) {
        Some(Err(ReadError::Io(error))) => {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
        other => panic!("not the source's error: {other:?}"),
    }
    assert!(at_once(reader.next()).is_none());
    assert_eq!(reader.get_ref().left(), 1);
    assert_eq!(pool.free_count(), 1);
}

/// A pool refuses for a while, for example during a seek, and the connection should survive it.
#[test]
fn it_goes_on_after_the_pool_refused() {
    let pool = pool(1, 8);
    let mut reader = SampleReader::new(Script::new([Step::Bytes(b"bytes")]), &pool);
    pool.set_flushing(true);
    for _ in 0..2 {
        let refused = at_once(reader.next()).expect("not at the end");
        assert!(matches!(
            refused,
            Err(ReadError::GetBuffer(GetBufferError::Flushing))
        ));
    }
    pool.set_flushing(false);
    assert_eq!(&next(&mut reader)[..], b"bytes");
}

/// Both futures are always ready, so without a cooperative budget the other task would never run.
#[tokio::test]
async fn a_reader_whose_source_is_always_ready_lets_other_tasks_run() {
    let mut reader = SampleReader::new(tokio::io::repeat(7), &pool(1, 8));
    let other = tokio::spawn(async {});
    for _ in 0..1000 {
        drop(
            reader
                .next()
                .await
                .expect("it never ends")
                .expect("no error"),
        );
        if other.is_finished() {
            return;
        }
    }
    panic!("1000 samples, and the other task did not run");
}

/// The reader as it is used, over a source that was not made for the test.
#[tokio::test]
async fn a_copy_through_two_buffers_is_complete() {
    let (mut there, here) = tokio::io::duplex(50);
    let sent: Vec<u8> = (0..10_000u32).map(|number| (number % 251) as u8).collect();
    let copy = sent.clone();
    let writer = tokio::spawn(async move { there.write_all(&copy).await });
    let pool: Pool = pool(2, 64);
    let mut reader = SampleReader::new(here, &pool);
    let mut received = Vec::new();
    while let Some(sample) = reader.next().await {
        received.extend_from_slice(&sample.expect("no error"));
    }
    writer.await.expect("no panic").expect("no error");
    assert!(received == sent);
    assert_eq!(pool.free_count(), 2);
}
