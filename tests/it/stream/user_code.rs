//! Sources and decoders are user code, and can return wrong results.

use super::{
    pool,
    script::{Script, Step},
};
use crate::polling::{Polled, at_once};
use bytes::BufMut;
use futures::StreamExt;
use sample_pool::{
    Sample, SamplePart,
    stream::{
        DecodeFrame, Decoded, FrameError, FrameReader, ReadReady, ReadSample, ReadableFirst,
        SampleReader,
    },
};
use std::{
    convert::Infallible,
    io,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// Returns the given results.
struct Says(Range<usize>, usize);

impl DecodeFrame for Says {
    type Error = Infallible;

    fn decode(&mut self, _bytes: &[u8]) -> Result<Decoded, Infallible> {
        Ok(Decoded::Frame {
            frame: self.0.clone(),
            consumed: self.1,
        })
    }
}

/// After the bytes are those of an earlier owner; a frame cannot end before it starts; and a frame that
/// consumes nothing would be returned again for ever.
#[test]
fn a_frame_that_is_not_within_the_bytes_panics_and_loses_none_of_them() {
    #[expect(clippy::reversed_empty_ranges, reason = "that is what it is about")]
    let wrong = [
        (0..4, 3, "a frame that ends at 4 consumes 3 bytes"),
        (0..0, 0, "a frame that ends at 0 consumes 0 bytes"),
        (2..1, 3, "a frame from 2 to 1"),
        (0..4, 4, "a frame consumes 4 bytes of 3"),
        (0..usize::MAX, usize::MAX, "bytes of 3"),
    ];
    for (frame, consumed, expected) in wrong {
        let pool = pool(1, 8);
        let script = Script::new([Step::Bytes(b"abc")]);
        let mut frames = FrameReader::new(script, &pool, Says(frame, consumed));
        let panic = catch_unwind(AssertUnwindSafe(|| drop(at_once(frames.next()))));
        let panic = panic.expect_err("it is wrong");
        let said = panic.downcast_ref::<String>().expect("a message");
        assert!(said.contains(expected), "{said}");
        assert_eq!(frames.buffered_len(), 3);
        *frames.decoder_mut() = Says(1..1, 1);
        let frame = at_once(frames.next()).expect("a frame").expect("no error");
        assert!(frame.is_empty());
        drop(frame);
        *frames.decoder_mut() = Says(0..2, 2);
        let frame = at_once(frames.next()).expect("a frame").expect("no error");
        assert_eq!(&frame[..], b"bc");
        drop((frame, frames));
        assert_eq!(pool.free_count(), 1);
    }
}

/// Is always ready, and has nothing to read.
struct AlwaysReady;

impl ReadReady for AlwaysReady {
    fn poll_read_ready(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn try_read_sample(&self, _sample: &mut Sample) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// The reader used to poll the socket again and again within one poll, which never ended.
#[tokio::test]
async fn a_socket_that_is_ready_and_has_nothing_lets_other_tasks_run() {
    let pool = pool(1, 8);
    let mut frames = FrameReader::new(ReadableFirst::new(AlwaysReady), &pool, Sentences);
    let other = tokio::spawn(async {});
    tokio::select! {
        biased;
        _ = frames.next() => panic!("it has nothing"),
        other = other => other.expect("no panic"),
    }
}

/// A line that ends with a full stop.
struct Sentences;

impl DecodeFrame for Sentences {
    type Error = Infallible;

    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
        Ok(match bytes.iter().position(|&byte| byte == b'.') {
            Some(end) => Decoded::Frame {
                frame: 0..end,
                consumed: end + 1,
            },
            None => Decoded::Incomplete { needed: None },
        })
    }
}

/// Appends bytes and returns another number; then it ends.
struct Source(Option<&'static [u8]>, Poll<usize>);

impl ReadSample for Source {
    fn poll_read_sample(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>> {
        match self.0.take() {
            None => Poll::Ready(Ok(0)),
            Some(bytes) => {
                sample.put_slice(bytes);
                self.1.map(Ok)
            }
        }
    }
}

/// If it returns a number and appended nothing, trusting it would mean polling it for ever. If it returns zero
/// and appended bytes, trusting it would lose them.
#[test]
fn what_a_source_appended_counts_and_not_what_it_returns() {
    for says in [
        Poll::Ready(0),
        Poll::Ready(3),
        Poll::Ready(usize::MAX),
        Poll::Pending,
    ] {
        let pool = pool(1, 8);
        let mut frames = FrameReader::new(Source(Some(b"one."), says), &pool, Sentences);
        let one = at_once(frames.next()).expect("a frame").expect("no error");
        assert_eq!(&one[..], b"one", "{says:?}");
        drop(one);
        assert!(at_once(frames.next()).is_none());

        let mut frames = FrameReader::new(Source(Some(b""), says), &pool, Sentences);
        match says {
            Poll::Pending => drop(Polled::waiting(frames.next())),
            Poll::Ready(_) => assert!(at_once(frames.next()).is_none(), "{says:?}"),
        }
        assert_eq!(pool.free_count(), 1);
    }
}

/// As above: an empty sample for each read that appended nothing would be an endless stream.
#[test]
fn what_a_source_appended_counts_for_samples_too() {
    for says in [
        Poll::Ready(0),
        Poll::Ready(3),
        Poll::Ready(usize::MAX),
        Poll::Pending,
    ] {
        for fill_buffers in [false, true] {
            let pool = pool(1, 8);
            let mut reader = SampleReader::new(Source(Some(b"one."), says), &pool);
            reader = reader.fill_buffers(fill_buffers);
            let one = at_once(reader.next()).expect("a sample").expect("no error");
            assert_eq!(&one[..], b"one.", "{says:?}");
            drop(one);
            assert!(at_once(reader.next()).is_none(), "{says:?}");

            let mut reader = SampleReader::new(Source(Some(b""), says), &pool);
            reader = reader.fill_buffers(fill_buffers);
            match says {
                Poll::Pending => drop(Polled::waiting(reader.next())),
                Poll::Ready(_) => assert!(at_once(reader.next()).is_none(), "{says:?}"),
            }
            assert_eq!(pool.free_count(), 1);
        }
    }
}

/// Reads a sentence and the start of the next one into a sample. Then it appends bytes to a part, and returns another
/// result. Then it ends.
struct Parts {
    sample: Option<&'static [u8]>,
    part: Option<&'static [u8]>,
    says: Option<Poll<usize>>,
}

impl ReadSample for Parts {
    fn poll_read_sample(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>> {
        let bytes = self.sample.take().unwrap_or_default();
        sample.put_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_read_part(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        part: &mut SamplePart,
    ) -> Option<Poll<io::Result<usize>>> {
        let bytes = self.part.take()?;
        part.put_slice(bytes);
        Some(self.says?.map(Ok))
    }
}

/// As above, behind a frame that is held. `None` after bytes were appended would move them where no frame is split off.
#[test]
fn what_a_source_appended_to_a_part_counts_too() {
    for says in [
        None,
        Some(Poll::Ready(0)),
        Some(Poll::Ready(3)),
        Some(Poll::Ready(usize::MAX)),
        Some(Poll::Pending),
    ] {
        for buffers in [1, 2] {
            let pool = pool(buffers, 8);
            let source = |part| Parts {
                sample: Some(b"one.t"),
                part: Some(part),
                says,
            };
            let mut frames = FrameReader::new(source(b"wo."), &pool, Sentences);
            let one = at_once(frames.next()).expect("a frame").expect("no error");
            let two = at_once(frames.next()).expect("a frame").expect("no error");
            assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]), "{says:?}");
            drop((one, two));
            assert!(at_once(frames.next()).is_none());

            let mut frames = FrameReader::new(source(b""), &pool, Sentences);
            let one = at_once(frames.next()).expect("a frame").expect("no error");
            match (says, buffers) {
                (Some(Poll::Pending), _) | (None, 1) => drop(Polled::waiting(frames.next())),
                _ => assert!(matches!(
                    at_once(frames.next()),
                    Some(Err(FrameError::UnexpectedEof { bytes: 1 }))
                )),
            }
            drop((one, frames));
            assert_eq!(pool.free_count(), buffers);
        }
    }
}
