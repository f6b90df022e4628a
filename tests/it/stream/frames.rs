//! `FrameReader`: frames are found wherever the reads split them, and copied only where they must be.

use super::{
    pool,
    script::{Script, Step},
};
use crate::polling::{Polled, at_once};
use futures::StreamExt;
use sample_pool::{
    GetBufferError, PollPool, Pool, Properties, SharedSample,
    stream::{DecodeFrame, Decoded, FrameError, FrameReader, ReadError},
};
use std::convert::Infallible;

/// Lines; the last may have no end.
struct Lines;

impl DecodeFrame for Lines {
    type Error = Infallible;

    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
        Ok(match bytes.iter().position(|&byte| byte == b'\n') {
            Some(end) => Decoded::Frame {
                frame: 0..end,
                consumed: end + 1,
            },
            None => Decoded::Incomplete { needed: None },
        })
    }

    fn decode_eof(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
        Ok(match self.decode(bytes)? {
            Decoded::Incomplete { .. } => Decoded::Frame {
                frame: 0..bytes.len(),
                consumed: bytes.len(),
            },
            line => line,
        })
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("a frame of no bytes")]
struct Empty;

/// The first byte is the length.
#[derive(Default)]
struct LengthDelimited {
    calls: usize,
}

impl DecodeFrame for LengthDelimited {
    type Error = Empty;

    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Empty> {
        self.calls += 1;
        let end = 1 + usize::from(bytes[0]);
        match bytes.len() {
            _ if end == 1 => Err(Empty),
            len if len < end => Ok(Decoded::Incomplete { needed: Some(end) }),
            _ => Ok(Decoded::Frame {
                frame: 1..end,
                consumed: end,
            }),
        }
    }
}

type Result<T, E> = std::result::Result<T, E>;

#[track_caller]
fn next<D: DecodeFrame>(reader: &mut FrameReader<Script, D>) -> SharedSample {
    at_once(reader.next())
        .expect("not at the end")
        .expect("no error")
}

#[track_caller]
fn error<D: DecodeFrame>(reader: &mut FrameReader<Script, D>) -> FrameError<D::Error> {
    let error = at_once(reader.next())
        .expect("not at the end")
        .expect_err("an error");
    assert!(at_once(reader.next()).is_none(), "it has ended");
    error
}

/// The purpose of the reader: what one read appended is one buffer, however many frames it contains.
#[test]
fn frames_of_one_read_are_slices_of_one_sample() {
    let pool = pool(2, 16);
    let mut lines = FrameReader::new(Script::new([Step::Bytes(b"one\ntwo\n\nend")]), &pool, Lines);
    let frames = [(); 3].map(|()| next(&mut lines));
    assert_eq!(
        frames.each_ref().map(|frame| &frame[..]),
        [&b"one"[..], b"two", b""]
    );
    assert_eq!(pool.free_count(), 1);
    assert_eq!(lines.buffered_len(), 3);
    let start = frames[0].as_ptr() as usize;
    assert_eq!(frames[1].as_ptr() as usize - start, 4, "it was not moved");
    drop(frames);
    assert_eq!(&next(&mut lines)[..], b"end");
    assert!(at_once(lines.next()).is_none());
    assert_eq!(pool.free_count(), 2);
}

/// A connection that only sends from then on would hold a buffer without need.
#[test]
fn a_source_that_ends_behind_a_frame_leaves_no_buffer_with_the_reader() {
    let pool = pool(2, 16);
    let mut lines = FrameReader::new(Script::new([Step::Bytes(b"one\n")]), &pool, Lines);
    drop(next(&mut lines));
    assert!(at_once(lines.next()).is_none());
    assert_eq!(pool.free_count(), 2);
    assert!(at_once(lines.next()).is_none());
}

/// The rest is a part of the buffer, which is written while the frame before it is still read.
#[test]
fn a_frame_that_crosses_is_read_on_in_its_place_while_earlier_ones_are_held() {
    let pool = pool(2, 8);
    let steps = [Step::Bytes(b"one\ntw"), Step::Bytes(b"o\n")];
    let mut lines = FrameReader::new(Script::new(steps), &pool, Lines);
    let one = next(&mut lines);
    let two = next(&mut lines);
    assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
    assert_eq!(two.as_ptr() as usize - one.as_ptr() as usize, 4);
    assert_eq!(pool.free_count(), 1);
}

/// While the source has nothing to read, only the held frames keep a buffer. So the rest leaves it, and needs another one.
#[test]
fn a_frame_that_crosses_is_moved_when_the_source_has_nothing_to_read_meanwhile() {
    for buffers in [1, 2] {
        let pool = pool(buffers, 8);
        let steps = [Step::Bytes(b"one\ntw"), Step::Pending, Step::Bytes(b"o\n")];
        let mut lines = FrameReader::new(Script::new(steps), &pool, Lines);
        let one = next(&mut lines);
        drop(Polled::waiting(lines.next()));
        let first = one.index();
        let held = if buffers == 1 {
            // There is no other one before the frame is dropped.
            drop(Polled::waiting(lines.next()));
            drop(one);
            None
        } else {
            Some(one)
        };
        let two = next(&mut lines);
        assert_eq!(&two[..], b"two");
        assert_eq!(two.index() != first, held.is_some());
        assert!(held.as_ref().is_none_or(|one| *one == *b"one"));
        assert_eq!(pool.free_count(), 0);
    }
}

/// Its first bytes must not be overwritten while the frame before it is still read.
#[test]
fn a_frame_that_does_not_fit_behind_held_ones_is_moved() {
    let pool = pool(2, 8);
    let steps = [Step::Bytes(b"one\nsec"), Step::Bytes(b"ond\n")];
    let mut lines = FrameReader::new(Script::new(steps), &pool, Lines);
    let one = next(&mut lines);
    let second = next(&mut lines);
    assert_eq!((&one[..], &second[..]), (&b"one"[..], &b"second"[..]));
    assert_ne!(one.index(), second.index());
}

/// If no frame is held and there is space after the rest, the rest need not be copied.
#[test]
fn a_frame_that_crosses_is_read_on_in_its_place_when_earlier_ones_are_gone() {
    let pool = pool(1, 8);
    let steps = [Step::Bytes(b"one\ntw"), Step::Bytes(b"o\n")];
    let mut lines = FrameReader::new(Script::new(steps), &pool, Lines);
    let start = next(&mut lines).as_ptr() as usize;
    let two = next(&mut lines);
    assert_eq!(&two[..], b"two");
    assert_eq!(two.as_ptr() as usize - start, 4);
}

/// When the only buffer is full, the beginning of a frame must not stay in it while the reader waits for
/// another.
#[test]
fn a_frame_at_the_end_of_the_only_buffer_waits_for_it_outside_and_is_moved_to_its_front() {
    let pool = pool(1, 8);
    let steps = [Step::Bytes(b"one\nsecond\n3")];
    let mut lines = FrameReader::new(Script::new(steps), &pool, Lines);
    let one = next(&mut lines);
    let mut waiting = Polled::waiting(lines.next());
    assert_eq!(pool.status().waiting, 1);
    drop(one);
    assert_eq!(waiting.wakes(), 1, "it holds the buffer that it waits for");
    let second = waiting
        .expect_ready()
        .expect("not at the end")
        .expect("no error");
    assert_eq!(&second[..], b"second");
    drop((waiting, second));
    assert_eq!(&next(&mut lines)[..], b"3");
}

/// Each reader used to hold the beginning of a frame and to wait for the other's buffer, for ever.
#[test]
fn readers_that_need_a_second_buffer_do_not_wait_for_each_other() {
    let pool = pool(2, 8);
    let script = || Script::new([Step::Bytes(b"one\nseco"), Step::Bytes(b"nd\n")]);
    let mut readers = [(); 2].map(|()| FrameReader::new(script(), &pool, Lines));
    let mut first = readers.each_mut().map(next);
    for reader in &mut readers {
        drop(Polled::waiting(reader.next()));
    }
    assert_eq!(&first[0][..], b"one");
    // What they hold now are only the frames.
    first = first.map(|frame| frame.slice(1..));
    drop(first);
    for reader in &mut readers {
        assert_eq!(&next(reader)[..], b"second");
    }
}

/// However the reads split the bytes, and wherever a `next` is dropped, the frames are the same.
#[test]
fn frames_do_not_depend_on_where_reads_end() {
    let text: &[u8] = b"a\nbc\n\ndefg\nhijklm\nno\npqrstuv\nwx\nyz";
    let expected: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    for size in 8..40 {
        for step in 1..text.len() {
            for hold in [false, true] {
                let steps = text
                    .chunks(step)
                    .flat_map(|part| [Step::Pending, Step::Bytes(part)]);
                let pool = pool(expected.len() + 2, size);
                let mut lines = FrameReader::new(Script::new(steps), &pool, Lines);
                let (mut found, mut held) = (Vec::new(), Vec::new());
                loop {
                    match Polled::new(lines.next()).poll() {
                        std::task::Poll::Pending => {}
                        std::task::Poll::Ready(None) => break,
                        std::task::Poll::Ready(Some(frame)) => {
                            let frame = frame.expect("no error");
                            found.push(frame.to_vec());
                            held.extend(hold.then_some(frame));
                        }
                    }
                }
                assert_eq!(found, expected, "buffers of {size}, reads of {step}");
                for (frame, found) in held.iter().zip(&found) {
                    assert_eq!(frame, found, "it changed while it was held");
                }
                drop((lines, held));
                assert_eq!(pool.free_count(), expected.len() + 2);
            }
        }
    }
}

/// The operator needs both sizes to know what to change.
#[test]
fn a_frame_that_is_larger_than_a_buffer_is_an_error_with_both_sizes() {
    let pool = pool(2, 8);
    let script = Script::new([Step::Bytes(b"\x02ab\x09c"), Step::Bytes(b"defghijk")]);
    let mut frames = FrameReader::new(script, &pool, LengthDelimited::default());
    assert_eq!(&next(&mut frames)[..], b"ab");
    match error(&mut frames) {
        FrameError::TooLarge { frame, buffer } => assert_eq!((frame, buffer), (10, 8)),
        other => panic!("{other}"),
    }
    let mut lines = FrameReader::new(Script::new([Step::Bytes(b"12345678\n")]), &pool, Lines);
    match error(&mut lines) {
        FrameError::TooLarge { frame, buffer } => assert_eq!((frame, buffer), (9, 8)),
        other => panic!("{other}"),
    }
    assert_eq!(pool.free_count(), 2);
}

/// If all buffers of the pool or of the quota are held, it would wait for ever for a buffer that does not help.
#[test]
fn a_frame_that_is_too_large_is_an_error_before_a_wait() {
    let (small, shared) = (pool(1, 8), pool(4, 8));
    let quota = shared.quota("one", 1);
    for source in [PollPool::from(&small), PollPool::from(&quota)] {
        let script = Script::new([Step::Bytes(b"\x02ab\x09c")]);
        let mut frames = FrameReader::new(script, source, LengthDelimited::default());
        let _held = next(&mut frames);
        assert!(matches!(
            error(&mut frames),
            FrameError::TooLarge {
                frame: 10,
                buffer: 8
            }
        ));
    }
}

/// A pool that is not configured has no size yet, and a decommitted one may get another.
#[test]
fn what_a_pool_that_is_not_committed_has_room_for_is_not_asked() {
    let pool = Pool::new();
    let script = Script::new([Step::Bytes(b"one\n")]);
    let mut lines = FrameReader::new(script, &pool, Lines);
    let refused = at_once(lines.next()).expect("not at the end");
    assert!(matches!(
        refused,
        Err(FrameError::Read(ReadError::GetBuffer(
            GetBufferError::NotCommitted
        )))
    ));
    let properties = Properties {
        buffers: 1,
        size: 8,
        align: 1,
        ..Properties::default()
    };
    pool.set_properties(properties).expect("small");
    pool.commit().expect("small");
    assert_eq!(&next(&mut lines)[..], b"one");
}

/// A truncated frame must not be returned as a frame.
#[test]
fn a_source_that_ends_in_a_frame_is_an_error() {
    let script = Script::new([Step::Bytes(b"\x02ab\x04cd")]);
    let mut frames = FrameReader::new(script, &pool(1, 8), LengthDelimited::default());
    drop(next(&mut frames));
    assert!(matches!(
        error(&mut frames),
        FrameError::UnexpectedEof { bytes: 3 }
    ));
}

/// Bytes after an invalid frame cannot be trusted either.
#[test]
fn what_the_decoder_refuses_ends_the_stream() {
    let pool = pool(1, 8);
    let script = Script::new([Step::Bytes(b"\x00\x02ab")]);
    let mut frames = FrameReader::new(script, &pool, LengthDelimited::default());
    assert!(matches!(error(&mut frames), FrameError::Decode(Empty)));
    assert_eq!(pool.free_count(), 1);
}

/// The frames that were complete came before the error.
#[test]
fn an_error_of_the_source_ends_the_stream_after_the_frames() {
    let script = Script::new([Step::Bytes(b"one\ntw"), Step::Error]);
    let mut lines = FrameReader::new(script, &pool(1, 8), Lines);
    assert_eq!(&next(&mut lines)[..], b"one");
    assert!(matches!(
        error(&mut lines),
        FrameError::Read(ReadError::Io(_))
    ));
}

/// The pool refuses only for a while, and the beginning of the frame must still be there afterwards.
#[test]
fn it_goes_on_after_the_pool_refused() {
    let pool = pool(2, 8);
    let steps = [Step::Bytes(b"one\nsec"), Step::Bytes(b"ond\n")];
    let mut lines = FrameReader::new(Script::new(steps), &pool, Lines);
    let _one = next(&mut lines);
    pool.set_flushing(true);
    let refused = at_once(lines.next())
        .expect("not at the end")
        .expect_err("flushing");
    assert!(matches!(
        refused,
        FrameError::Read(ReadError::GetBuffer(GetBufferError::Flushing))
    ));
    pool.set_flushing(false);
    assert_eq!(&next(&mut lines)[..], b"second");
}

/// A task that retries until the flush is over must let the task run that ends the flush, perhaps on this
/// thread.
#[tokio::test]
async fn a_reader_that_is_refused_lets_other_tasks_run() {
    let pool = pool(1, 8);
    pool.set_flushing(true);
    let mut lines = FrameReader::new(&b"one\n"[..], &pool, Lines);
    let other = tokio::spawn({
        let pool = pool.clone();
        async move { pool.set_flushing(false) }
    });
    for _ in 0..1000 {
        if let Ok(frame) = lines.next().await.expect("not at the end") {
            assert_eq!(&frame[..], b"one");
            return other.await.expect("no panic");
        }
    }
    panic!("refused 1000 times, and the other task did not run");
}

/// A frame of a megabyte in small pieces would be scanned from its start for each piece.
#[test]
fn a_decoder_that_knows_the_size_is_not_asked_before_all_is_there() {
    let steps = b"\x06abcdef".chunks(1).map(Step::Bytes);
    let mut frames = FrameReader::new(Script::new(steps), &pool(1, 8), LengthDelimited::default());
    assert_eq!(&next(&mut frames)[..], b"abcdef");
    assert_eq!(frames.decoder().calls, 2);
}

/// Thousands of small frames in one buffer need no read, and a read is where other readers use cooperative budget.
#[tokio::test]
async fn a_buffer_full_of_small_frames_lets_other_tasks_run() {
    let bytes: &[u8] = &[b'\n'; 4096];
    let mut lines = FrameReader::new(bytes, &pool(1, 4096), Lines);
    let other = tokio::spawn(async {});
    for _ in 0..1000 {
        drop(lines.next().await.expect("it has more").expect("no error"));
        if other.is_finished() {
            return;
        }
    }
    panic!("1000 frames, and the other task did not run");
}
