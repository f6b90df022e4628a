//! What the stream adapters allocate: nothing per sample, frame or write.

use crate::{
    allocations::{assert_allocates, take},
    polling::{at_once, poll_once},
};
use bytes::BufMut;
use futures::{SinkExt, StreamExt};
use sample_pool::{
    Pool, SharedSample,
    stream::{DecodeFrame, Decoded, FrameReader, SampleReader, SampleWriter},
};
use std::{
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, ReadBuf};

struct Fives;

impl DecodeFrame for Fives {
    type Error = Infallible;

    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Self::Error> {
        Ok(match bytes.len() {
            0..5 => Decoded::Incomplete { needed: Some(5) },
            _ => Decoded::Frame {
                frame: 1..5,
                consumed: 5,
            },
        })
    }
}

/// Reads one byte at every second call, and is pending at the others.
struct Slow(usize);

impl AsyncRead for Slow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0 += 1;
        if self.0 % 2 == 0 {
            return Poll::Pending;
        }
        into.put_slice(&[7]);
        Poll::Ready(Ok(()))
    }
}

/// These readers and writers never wait, so only the allocations of the adapters are counted.
pub(crate) fn readers_and_writers(pool: &Pool) {
    for whole in [false, true] {
        let mut reader = SampleReader::new(tokio::io::repeat(7), pool).fill_buffers(whole);
        assert_allocates(0, "a reader of samples", || {
            drop(at_once(reader.next()).expect("endless").expect("no error"));
        });
    }
    let mut frames = FrameReader::new(tokio::io::repeat(7), pool, Fives);
    let mut last = None;
    assert_allocates(0, "a reader of frames", || {
        let frame = at_once(frames.next()).expect("endless");
        last = Some(frame.expect("no error"));
    });
    drop((frames, last));
    let mut frames = FrameReader::new(Slow(0), pool, Fives);
    assert_allocates(0, "a reader of frames whose bytes are set aside", || {
        let mut pauses = 0;
        while poll_once(&mut frames.next()).is_pending() {
            pauses += 1;
            assert_eq!(pool.free_count(), pool.properties().buffers);
        }
        assert!(pauses >= 4);
    });
    drop(frames);
    let mut writer = SampleWriter::new(tokio::io::sink(), 2);
    assert_allocates(0, "a writer of samples", || {
        for _ in 0..2 {
            let mut sample = take(pool);
            sample.put_slice(b"payload");
            at_once(writer.feed(sample.freeze())).expect("there is room");
        }
        at_once(SinkExt::<SharedSample>::flush(&mut writer)).expect("no error");
    });
}
