//! `MessageReader`: sources are user code, and fill the samples of a message one after another.

use super::{
    messages::{check, decoder, frame},
    pool,
};
use crate::polling::Polled;
use bytes::BufMut;
use futures::StreamExt;
use sample_pool::{
    Sample,
    stream::{FrameError, MessageReader, ReadSample},
};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// Appends 20 bytes to each sample, and sets its number.
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
        sample.put_slice(&self.bytes[..count]);
        self.bytes.drain(..count);
        sample.properties_mut().set_user(self.reads);
        if let (true, Some(other)) = (self.reads == 7, &mut self.steals) {
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
        // The length was known after the first read. Each buffer has four reads.
        assert!(numbers.eq([4, 8, 10]), "the last read of each buffer");
        check(message, 150, 1);
    }
}

/// A source is user code. With a smaller sample in the place of the one that it was given, the message has no room.
#[test]
fn a_source_that_exchanges_samples_gets_an_error() {
    let small = pool(1, 8);
    let pool = pool(4, 64);
    let mut source = Numbered::new(frame(200, 1));
    let mut stolen = small.try_get_buffer().expect("free");
    stolen.put_slice(&[0; 8]);
    source.steals = Some(stolen);
    let mut reader = MessageReader::new(source, &pool, decoder());
    let mut polled = Polled::waiting(reader.next());
    let refused = polled.expect_ready().expect("not at the end");
    let short = refused.expect_err("the message has no room");
    assert!(
        matches!(
            short,
            FrameError::TooLarge { frame: 204, .. } | FrameError::UnexpectedEof { .. }
        ),
        "{short}"
    );
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
