//! `MessageReader`: sources are user code, and fill the samples of a message one after another.

use super::{
    messages::{check, decoder, frame},
    pool,
};
use crate::polling::{Polled, at_once};
use bytes::{Buf, BufMut};
use futures::StreamExt;
use sample_pool::{
    Sample,
    stream::{DecodeFrame, Decoded, FrameError, MessageReader, ReadSample},
};
use std::{
    convert::Infallible,
    io,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// Appends 20 bytes at each read, and sets the number of the first one of each sample.
struct Numbered {
    bytes: Vec<u8>,
    steals: Option<Sample>,
    reads: u64,
}

impl Numbered {
    fn new(bytes: Vec<u8>) -> Self {
        Numbered {
            bytes,
            steals: None,
            reads: 0,
        }
    }
}

impl ReadSample for Numbered {
    fn poll_read_sample(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>> {
        self.reads += 1;
        let count = self.bytes.len().min(sample.spare_capacity()).min(20);
        if sample.is_empty() {
            sample.properties_mut().set_user(self.reads);
        }
        sample.put_slice(&self.bytes[..count]);
        self.bytes.drain(..count);
        if let (true, Some(other)) = (self.reads == 5, &mut self.steals) {
            std::mem::swap(sample, other);
        }
        Poll::Ready(Ok(count))
    }
}

/// The source knows when the message began to arrive, and says so at its first byte, which is moved.
#[test]
fn the_properties_of_the_first_bytes_go_with_a_message() {
    for waits in [false, true] {
        let pool = pool(4, 64);
        let source = Numbered::new(frame(150, 1));
        let mut reader = MessageReader::new(source, &pool, decoder());
        let held = waits.then(|| pool.try_get_buffers(2).expect("free"));
        let mut polled = Polled::new(reader.next());
        if waits {
            polled.expect_pending();
        }
        drop(held);
        let message = polled.expect_ready().expect("not at the end");
        let message = message.expect("no error");
        let numbers = message.iter().map(|segment| segment.properties().user());
        // The length is known after the first read, whose bytes are moved. Then each buffer takes four reads.
        assert!(numbers.eq([1, 5, 9]), "the first read of each buffer");
        check(message, 150, 1);
    }
}

/// A source is user code. With a smaller sample in the place of the one that it was given, the message has no room.
#[test]
fn a_source_that_exchanges_samples_gets_an_error() {
    let small = pool(1, 8);
    let pool = pool(4, 64);
    let mut source = Numbered::new([frame(200, 1), vec![0; 200]].concat());
    let mut stolen = small.try_get_buffer().expect("free");
    stolen.put_slice(&[0; 8]);
    source.steals = Some(stolen);
    let mut reader = MessageReader::new(source, &pool, decoder());
    let mut polled = Polled::waiting(reader.next());
    let refused = polled.expect_ready().expect("not at the end");
    match refused.expect_err("the message has no room") {
        FrameError::TooLarge { frame, buffer } => assert_eq!((frame, buffer), (204, 200)),
        other => panic!("{other}"),
    }
    drop(polled);
    drop(reader);
    assert_eq!((pool.free_count(), small.free_count()), (4, 1));
}

/// Ten megabytes that are all there are read in one poll otherwise.
#[tokio::test]
async fn a_message_that_need_not_wait_lets_other_tasks_run() {
    let pool = pool(2, 64 * 1024);
    let source = Numbered::new(frame(100_000, 1));
    let mut reader = MessageReader::new(source, &pool, decoder());
    let mut polls = 0;
    let message = std::future::poll_fn(|cx| {
        polls += 1;
        reader.poll_next_unpin(cx)
    });
    let message = message.await.expect("not at the end").expect("no error");
    check(message, 100_000, 1);
    assert!(polls > 5, "5000 reads in {polls} polls");
}

/// Says that a frame of 100 bytes lies in the given range.
struct Says(Range<usize>);

impl DecodeFrame for Says {
    type Error = Infallible;

    fn decode(&mut self, _bytes: &[u8]) -> Result<Decoded, Infallible> {
        Ok(Decoded::Incomplete { needed: Some(100) })
    }

    fn frame_range(&mut self, _bytes: &[u8]) -> Option<Range<usize>> {
        Some(self.0.clone())
    }
}

/// A decoder is user code too. What it says is checked before buffers are taken.
#[test]
fn a_range_that_is_not_within_the_frame_panics_and_loses_no_buffer() {
    #[expect(clippy::reversed_empty_ranges, reason = "that is what it is about")]
    for range in [0..101, 7..6, 0..usize::MAX] {
        let pool = pool(4, 64);
        let source = Numbered::new(frame(150, 1));
        let mut reader = MessageReader::new(source, &pool, Says(range));
        let panic = catch_unwind(AssertUnwindSafe(|| drop(at_once(reader.next()))));
        assert!(panic.is_err());
        assert_eq!((reader.buffered_len(), pool.free_count()), (20, 3));
        drop(reader);
        assert_eq!(pool.free_count(), 4);
    }
}

/// Remembers the length of a frame that is incomplete, as a decoder does whose headers are costly to parse.
#[derive(Default)]
struct Remembers(Option<usize>);

impl DecodeFrame for Remembers {
    type Error = Infallible;

    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
        let parsed = self.0.take();
        let end = parsed.unwrap_or_else(|| 1 + usize::from(bytes[0]));
        if bytes.len() < end {
            self.0 = Some(end);
            return Ok(Decoded::Incomplete { needed: Some(end) });
        }
        Ok(Decoded::Frame {
            frame: 1..end,
            consumed: end,
        })
    }

    fn frame_range(&mut self, _bytes: &[u8]) -> Option<Range<usize>> {
        self.0.map(|end| 1..end)
    }

    fn restart(&mut self) {
        self.0 = None;
    }
}

/// It would take the length of the large frame for that of the next one: it never saw the end of the large one.
#[test]
fn a_decoder_forgets_the_start_of_a_large_frame_that_is_complete() {
    let pool = pool(4, 64);
    for behind in [false, true] {
        let mut sent = vec![7; 1 + 200];
        sent[0] = 200;
        if behind {
            sent.extend(b"\x03one\x03two");
        }
        let mut reader = MessageReader::new(&sent[..], &pool, Remembers::default());
        let mut polled = Polled::waiting(reader.next());
        let large = polled.expect_ready().expect("not at the end");
        assert_eq!(large.expect("no error").len(), 200);
        drop(polled);
        for small in [b"one", b"two"].iter().filter(|_| behind) {
            let found = at_once(reader.next()).expect("not at the end");
            assert_eq!(found.expect("no error").chunk(), &small[..]);
        }
        assert!(at_once(reader.next()).is_none());
    }
}

/// Fills a sample and panics, once.
struct Panics(Numbered, bool);

impl ReadSample for Panics {
    fn poll_read_sample(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.0).poll_read_sample(cx, sample);
        if sample.spare_capacity() == 0 && std::mem::take(&mut self.1) {
            panic!("a source is user code");
        }
        read
    }
}

/// The bytes are there. A reader that asks the source to fill the full buffer again would take "no bytes" for the end.
#[test]
fn a_source_that_panics_when_a_buffer_is_full_loses_no_byte() {
    let pool = pool(4, 64);
    let source = Panics(Numbered::new(frame(150, 1)), true);
    let mut reader = MessageReader::new(source, &pool, decoder());
    let panic = catch_unwind(AssertUnwindSafe(|| drop(at_once(reader.next()))));
    assert!(panic.is_err());
    assert_eq!(reader.buffered_len(), 64);
    let message = at_once(reader.next()).expect("not at the end");
    check(message.expect("no error"), 150, 1);
}
