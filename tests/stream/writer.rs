//! `SampleWriter`: what is written when, and when a sample goes home.

use crate::{
    polling::{Polled, at_once},
    pool,
    script::Slow,
};
use bytes::{BufMut, Bytes};
use futures::SinkExt;
use sample_pool::{Pool, SharedSample, stream::SampleWriter};
use std::io;

fn sample(pool: &Pool, bytes: &[u8]) -> SharedSample {
    let mut sample = pool.try_get_buffer().expect("one is home");
    sample.put_slice(bytes);
    sample.freeze()
}

/// A system call for each packet is what vectored writes are there to save.
#[test]
fn all_that_is_queued_is_written_at_once() {
    let pool = pool(3, 8);
    let mut writer = SampleWriter::new(Slow::new(100), 3);
    for bytes in [&b"one"[..], b"two", b"three"] {
        at_once(writer.feed(sample(&pool, bytes))).expect("there is room");
    }
    assert_eq!(writer.queued(), 3);
    assert_eq!(pool.free_count(), 0);
    at_once(writer.flush()).expect("no error");
    assert_eq!(writer.get_ref().slices, [3]);
    assert_eq!(writer.get_ref().written, b"onetwothree");
    assert_eq!(pool.free_count(), 3);
}

/// A writer that takes no slices must be given one buffer after the other.
#[test]
fn a_writer_that_takes_one_buffer_at_a_time_gets_them_in_order() {
    let pool = pool(3, 8);
    let mut slow = Slow::new(100);
    slow.vectored = false;
    let mut writer = SampleWriter::new(slow, 3);
    for bytes in [&b"one"[..], b"two", b"three"] {
        at_once(writer.feed(sample(&pool, bytes))).expect("there is room");
    }
    at_once(writer.flush()).expect("no error");
    assert_eq!(writer.get_ref().slices, [1, 1, 1]);
    assert_eq!(writer.into_inner().written, b"onetwothree");
}

/// Four bytes at a time end in the middle of one sample or in the next: each goes home with its last.
#[test]
fn a_sample_goes_home_when_its_last_byte_is_written_and_not_before() {
    let pool = pool(3, 8);
    let mut slow = Slow::new(4);
    slow.pauses = true;
    let mut writer = SampleWriter::new(slow, 3);
    for bytes in [&b"one"[..], b"two", b"three"] {
        at_once(writer.feed(sample(&pool, bytes))).expect("there is room");
    }
    let mut home = vec![pool.free_count()];
    // Each future is dropped where it waits: what was written must not be written again.
    while Polled::new(writer.flush()).poll().is_pending() {
        home.push(pool.free_count());
    }
    assert_eq!(home, [0, 0, 1, 2]);
    assert_eq!(pool.free_count(), 3);
    assert_eq!(writer.into_inner().written, b"onetwothree");
}

/// A client that does not read could otherwise hold the whole pool.
#[tokio::test]
async fn a_client_that_does_not_read_holds_the_queue_and_no_more() {
    let pool = pool(8, 8);
    let (here, there) = tokio::io::duplex(4);
    let mut writer = SampleWriter::new(here, 2);
    writer
        .feed(sample(&pool, b"12345678"))
        .await
        .expect("there is room");
    writer
        .feed(sample(&pool, b"9"))
        .await
        .expect("there is room");
    let mut third = Polled::waiting(writer.feed(sample(&pool, b"x")));
    third.expect_pending();
    assert_eq!(pool.free_count(), 5);
    // What is read makes room in the pipe for the first sample's end, and that makes room in the queue.
    let mut there = there;
    let mut read = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut there, &mut read)
        .await
        .expect("it is there");
    third.expect_ready().expect("there is room");
    assert_eq!(&read, b"1234");
    assert_eq!(pool.free_count(), 6, "the first is home");
}

/// Nothing says so but the number: to go on would be to spin.
#[test]
fn a_writer_that_takes_nothing_is_an_error() {
    let pool = pool(1, 8);
    let mut writer = SampleWriter::new(Slow::new(0), 1);
    at_once(writer.feed(sample(&pool, b"one"))).expect("there is room");
    let error = at_once(writer.flush()).expect_err("it took nothing");
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    assert_eq!(writer.queued(), 1, "it is still there");
}

/// An empty item would never be let go of, because no write ends it; and would look like a full writer.
#[test]
fn an_empty_sample_is_let_go_of_at_once() {
    let pool = pool(1, 8);
    let mut writer = SampleWriter::new(Slow::new(100), 1);
    at_once(writer.feed(sample(&pool, b""))).expect("there is room");
    assert_eq!((writer.queued(), pool.free_count()), (0, 1));
    at_once(SinkExt::<SharedSample>::close(&mut writer)).expect("no error");
    assert!(writer.get_ref().shut_down);
}

/// `Bytes` are what a server has that talks to others as well.
#[test]
fn bytes_are_written_as_samples_are() {
    let mut writer = SampleWriter::new(Slow::new(3), 2);
    at_once(writer.send(Bytes::from_static(b"hello"))).expect("no error");
    assert_eq!(writer.into_inner().written, b"hello");
}

/// A sink that is not asked whether it is ready would grow without bounds.
#[test]
#[should_panic(expected = "before the sink was ready")]
fn an_item_that_was_not_asked_for_is_refused() {
    let mut writer = SampleWriter::new(Slow::new(3), 1);
    let mut writer = std::pin::Pin::new(&mut writer);
    for _ in 0..2 {
        let _ = futures::Sink::start_send(writer.as_mut(), Bytes::from_static(b"hello"));
    }
}
