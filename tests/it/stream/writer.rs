//! `SampleWriter`: what is written when, and when a sample is returned to the pool.

use super::{pool, script::Slow};
use crate::polling::{Polled, at_once};
use bytes::{Buf, BufMut, Bytes};
use futures::SinkExt;
use sample_pool::{Pool, SharedSample, stream::SampleWriter};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;

fn sample(pool: &Pool, bytes: &[u8]) -> SharedSample {
    let mut sample = pool.try_get_buffer().expect("one is free");
    sample.put_slice(bytes);
    sample.freeze()
}

/// Vectored writes exist to save one system call for each packet.
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

/// Writes of four bytes end in the middle of a sample. Each sample is returned with its last byte.
#[test]
fn a_sample_is_returned_when_its_last_byte_is_written_and_not_before() {
    let pool = pool(3, 8);
    let mut slow = Slow::new(4);
    slow.pauses = true;
    let mut writer = SampleWriter::new(slow, 3);
    for bytes in [&b"one"[..], b"two", b"three"] {
        at_once(writer.feed(sample(&pool, bytes))).expect("there is room");
    }
    let mut free = vec![pool.free_count()];
    // Each future is dropped while it waits: bytes that were written must not be written again.
    while Polled::new(writer.flush()).poll().is_pending() {
        free.push(pool.free_count());
    }
    assert_eq!(free, [0, 0, 1, 2]);
    assert_eq!(pool.free_count(), 3);
    assert_eq!(writer.into_inner().written, b"onetwothree");
}

/// Otherwise a client that does not read could hold the whole pool.
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
    // Reading makes space in the pipe for the end of the first sample, and its return makes space in the queue.
    let mut there = there;
    let mut read = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut there, &mut read)
        .await
        .expect("it is there");
    third.expect_ready().expect("there is room");
    assert_eq!(&read, b"1234");
    assert_eq!(pool.free_count(), 6, "the first is free");
}

/// Only the zero shows it, and continuing would be a busy loop.
#[test]
fn a_writer_that_takes_nothing_is_an_error() {
    let pool = pool(1, 8);
    let mut writer = SampleWriter::new(Slow::new(0), 1);
    at_once(writer.feed(sample(&pool, b"one"))).expect("there is room");
    let error = at_once(writer.flush()).expect_err("it took nothing");
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    assert_eq!(writer.queued(), 1, "it is still there");
}

/// An empty item would never be dropped, because no write takes its last byte, and would look like a full
/// writer.
#[test]
fn an_empty_sample_is_released_at_once() {
    let pool = pool(1, 8);
    let mut writer = SampleWriter::new(Slow::new(100), 1);
    at_once(writer.feed(sample(&pool, b""))).expect("there is room");
    assert_eq!((writer.queued(), pool.free_count()), (0, 1));
    at_once(SinkExt::<SharedSample>::close(&mut writer)).expect("no error");
    assert!(writer.get_ref().shut_down);
}

/// A server that also talks to other sources has `Bytes`.
#[test]
fn bytes_are_written_as_samples_are() {
    let mut writer = SampleWriter::new(Slow::new(3), 2);
    at_once(writer.send(Bytes::from_static(b"hello"))).expect("no error");
    assert_eq!(writer.into_inner().written, b"hello");
}

/// A sink that is used without a check whether it is ready would grow without bounds.
#[test]
#[should_panic(expected = "before the sink was ready")]
fn an_item_that_was_not_asked_for_is_refused() {
    let mut writer = SampleWriter::new(Slow::new(3), 1);
    let mut writer = std::pin::Pin::new(&mut writer);
    for _ in 0..2 {
        let _ = futures::Sink::start_send(writer.as_mut(), Bytes::from_static(b"hello"));
    }
}

/// Chunks one after another. The kinds of it differ in how many chunks `chunks_vectored` returns.
struct Chunks {
    left: VecDeque<&'static [u8]>,
    show: Show,
}

#[derive(Clone, Copy, Debug)]
enum Show {
    /// One, as in the provided method.
    First,
    FirstTwo,
    /// All of them, and an empty one between any two.
    AllWithEmptyOnes,
    /// Some in the middle are left out, as the `Chain` of bytes 1.10 did when its first half returned a prefix.
    FirstAndLast,
    /// It need not return any.
    Nothing,
    /// All, and it returns a larger number than there was space for.
    MoreThanThereAre,
}

impl Chunks {
    fn new(chunks: &[&'static [u8]], show: Show) -> Self {
        let left = chunks.iter().copied().collect();
        Chunks { left, show }
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.left.iter().map(|chunk| chunk.len()).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.left.front().copied().unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let all = self.left.iter().copied();
        let (first, last) = (self.chunk(), self.left.back().copied());
        let shown: Vec<&[u8]> = match self.show {
            Show::First => vec![first],
            Show::FirstTwo => all.take(2).collect(),
            Show::AllWithEmptyOnes => all.flat_map(|chunk| [&b""[..], chunk]).collect(),
            Show::FirstAndLast => std::iter::once(first).chain(last).collect(),
            Show::Nothing => vec![],
            Show::MoreThanThereAre => all.collect(),
        };
        let room = slices.len();
        for (slice, shown) in slices.iter_mut().zip(&shown) {
            *slice = IoSlice::new(shown);
        }
        match self.show {
            Show::MoreThanThereAre => room + 1,
            _ => shown.len().min(room),
        }
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(first) = self.left.front_mut() {
            let from_first = count.min(first.len());
            *first = &first[from_first..];
            count -= from_first;
            if !first.is_empty() {
                break;
            }
            self.left.pop_front();
        }
        assert_eq!(count, 0, "advanced behind the end");
    }
}

type Make = Box<dyn Fn(&'static [u8; 4]) -> Box<dyn Buf>>;

/// Each kind of `Buf` that four bytes can be in.
fn kinds() -> Vec<(String, Make)> {
    fn kind<B: Buf + 'static>(
        name: impl Into<String>,
        make: impl Fn(&'static [u8; 4]) -> B + 'static,
    ) -> (String, Make) {
        (name.into(), Box::new(move |text| Box::new(make(text))))
    }
    let pool = pool(2, 8);
    let mut kinds = vec![
        kind("Bytes", |text| Bytes::from_static(text)),
        kind("SharedSample", move |text| sample(&pool, text)),
        kind("VecDeque", |text| {
            let mut turned: VecDeque<u8> = [0, 0, 0, 0].into();
            turned.drain(..3);
            turned.extend(text);
            turned.pop_front();
            turned
        }),
        kind("Chain", |text| {
            text[..1].chain(&text[1..3]).chain(&text[3..])
        }),
        kind("Chain with nothing first", |text| b"".chain(&text[..])),
        kind("Take", |text| text.chain(&b"more"[..]).take(4)),
        kind("Chain of one that shows a part", |text| {
            Chunks::new(&[&text[..1], &text[1..3]], Show::First).chain(&text[3..])
        }),
    ];
    kinds.extend(
        [
            Show::First,
            Show::FirstTwo,
            Show::AllWithEmptyOnes,
            Show::FirstAndLast,
            Show::Nothing,
            Show::MoreThanThereAre,
        ]
        .map(|show| {
            kind(format!("{show:?}"), move |text| {
                Chunks::new(&[&text[..1], &text[1..3], &text[3..]], show)
            })
        }),
    );
    kinds
}

/// Takes as many bytes at each call as `lengths` contains, and then all.
struct Short {
    lengths: VecDeque<usize>,
    written: Vec<u8>,
    vectored: bool,
}

impl Short {
    fn take<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>) -> Poll<io::Result<usize>> {
        let most = self.lengths.pop_front().unwrap_or(usize::MAX);
        let before = self.written.len();
        self.written.extend(slices.flatten().take(most));
        Poll::Ready(Ok(self.written.len() - before))
    }
}

impl AsyncWrite for Short {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take([bytes].into_iter())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.take(slices.iter().map(|slice| &**slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Every way to write eight bytes in one or more calls: a set bit means that a call ends after that byte.
fn short_writes() -> impl Iterator<Item = VecDeque<usize>> {
    (0..1_u32 << 7).map(|ends| {
        let ends = (1..8).filter(|byte| ends >> (byte - 1) & 1 == 1).chain([8]);
        let mut begin = 0;
        ends.map(|end| end - std::mem::replace(&mut begin, end))
            .collect()
    })
}

/// `chunks_vectored` may return a part of a buffer. What follows it in the queue must not be written before the
/// rest.
#[test]
fn any_two_buffers_are_written_in_order_however_short_the_writes_are() {
    let kinds = kinds();
    let pairs: Vec<_> = kinds
        .iter()
        .flat_map(|first| kinds.iter().map(move |second| (first, second)))
        .collect();
    for vectored in [false, true] {
        for lengths in short_writes() {
            for ((first_kind, first), (second_kind, second)) in &pairs {
                let mut writer = SampleWriter::new(
                    Short {
                        lengths: lengths.clone(),
                        written: Vec::new(),
                        vectored,
                    },
                    2,
                );
                at_once(writer.feed(first(b"abcd"))).expect("there is room");
                at_once(writer.feed(second(b"efgh"))).expect("there is room");
                at_once(writer.flush()).expect("no error");
                assert_eq!(writer.queued(), 0);
                assert_eq!(
                    writer.into_inner().written,
                    b"abcdefgh",
                    "{first_kind}, then {second_kind}, in writes of {lengths:?}, vectored: {vectored}"
                );
            }
        }
    }
}

/// The header of each must not be taken for the body of the one before: a check of the length alone would pass.
#[test]
fn two_messages_of_several_chunks_are_not_mixed() {
    let mut writer = SampleWriter::new(Slow::new(1000), 2);
    for _ in 0..2 {
        let message = Chunks::new(&[b"<header>", b"aaaa", b"\r\n"], Show::First);
        at_once(writer.feed(message)).expect("there is room");
    }
    at_once(writer.flush()).expect("no error");
    assert_eq!(
        writer.get_ref().written,
        b"<header>aaaa\r\n<header>aaaa\r\n"
    );
}

/// One system call for a message in several buffers, and each buffer is released when its last byte is written.
#[test]
fn the_segments_of_a_message_are_written_together() {
    let pool = pool(3, 8);
    for (most, calls) in [(100, &[3][..]), (10, &[3, 2])] {
        let mut message = pool.try_get_segments(20).expect("free");
        message.put_slice(b"twenty bytes in here");
        let mut writer = SampleWriter::new(Slow::new(most), 1);
        at_once(writer.feed(message.freeze())).expect("there is room");
        at_once(writer.flush()).expect("no error");
        assert_eq!(writer.get_ref().written, b"twenty bytes in here");
        assert_eq!(writer.get_ref().slices, calls);
        assert_eq!(pool.free_count(), 3);
    }
}

/// More than a write has slices for.
#[test]
fn a_hundred_buffers_are_written_in_as_few_calls_as_slices_allow() {
    let mut writer = SampleWriter::new(Slow::new(10_000), 100);
    for byte in 0..100 {
        let one = Bytes::copy_from_slice(&[byte]);
        at_once(writer.feed(one.chain(&b"-"[..]))).expect("there is room");
    }
    at_once(writer.flush()).expect("no error");
    let written = &writer.get_ref().written;
    assert_eq!(writer.get_ref().slices, [64, 64, 64, 8]);
    assert!((0..100).eq(written.chunks(2).map(|pair| pair[0])));
}

/// A `Buf` that has remaining bytes and an empty chunk cannot be written. Polling it again and again would be a
/// busy loop.
#[test]
fn a_buffer_that_shows_nothing_of_what_it_has_is_an_error() {
    let mut writer = SampleWriter::new(Slow::new(100), 1);
    let broken = Chunks::new(&[b"", b"abc"], Show::First);
    at_once(writer.feed(broken)).expect("there is room");
    let error = at_once(writer.flush()).expect_err("it shows nothing");
    assert_eq!(
        error.to_string(),
        "a buffer has remaining bytes, and its chunk is empty"
    );
    assert_eq!(writer.queued(), 1);
}

/// Returns one byte more than it was given.
struct Greedy(Vec<usize>);

impl AsyncWrite for Greedy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.push(bytes.len());
        Poll::Ready(Ok(bytes.len() + 1))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Trusting it would leave out the first byte of what comes next.
#[test]
fn a_writer_that_took_more_than_it_was_given_is_an_error() {
    let mut writer = SampleWriter::new(Greedy(Vec::new()), 2);
    for bytes in [&b"one"[..], b"two"] {
        at_once(writer.feed(bytes)).expect("there is room");
    }
    let error = at_once(writer.flush()).expect_err("it says what cannot be");
    assert_eq!(
        error.to_string(),
        "the writer returned more bytes than it was given"
    );
    assert_eq!((writer.queued(), &writer.get_ref().0[..]), (2, &[3][..]));
}
