//! `FrameReader::next_part`: frames are changed where they were read, as the example that unmasks WebSocket frames does.

use super::{
    pool,
    script::{Script, Step},
};
use crate::polling::{Polled, at_once};
use futures::StreamExt;
use proptest::prelude::*;
use sample_pool::{
    SamplePart,
    stream::{FrameError, FrameReader, Lines},
};
use std::task::Poll;
use websocket::{CLOSE, ClientFrames, Header, ProtocolError, TEXT, masked, payload};

#[path = "../../../examples/websocket_unmask.rs"]
#[allow(dead_code, reason = "its main function is for the example")]
mod websocket;

const LARGEST: usize = 65536;
/// The longest header of a client's frame.
const HEADER: usize = 14;

type Reader = FrameReader<Script, ClientFrames>;

fn reader(pool: &sample_pool::Pool, steps: impl IntoIterator<Item = Step>) -> Reader {
    let max_payload = LARGEST as u64;
    FrameReader::new(Script::new(steps), pool, ClientFrames { max_payload })
}

fn text(len: usize, first: usize) -> Vec<u8> {
    (first..first + len).map(|at| (at % 251) as u8).collect()
}

fn key(seed: usize) -> [u8; 4] {
    [seed as u8, 0xFA, !seed as u8, 0x3D]
}

/// A script has bytes that live for ever.
fn leak(bytes: Vec<u8>) -> &'static [u8] {
    bytes.leak()
}

#[track_caller]
fn next(reader: &mut Reader) -> SamplePart {
    let part = at_once(reader.next_part()).expect("not at the end");
    part.expect("no error")
}

/// Unmasks a frame, and checks that its bytes stay where they are from the read to the shared sample.
#[track_caller]
fn check(frame: SamplePart, expected: &[u8]) {
    let header = Header::read(&frame).expect("masked").expect("complete");
    assert_eq!(frame.len(), header.len + expected.len());
    assert_eq!(frame.spare_capacity(), 0, "it has no other frame's bytes");
    let at = frame.as_ptr().wrapping_add(header.len);
    let (opcode, part) = payload(frame).expect("masked").expect("complete");
    assert_eq!(opcode, TEXT);
    assert_eq!(part.as_ptr(), at, "unmasking moved it");
    let shared = part.freeze();
    assert_eq!(shared.as_ptr(), at, "freezing moved it");
    assert!(shared[..] == *expected);
}

/// The lengths at which the header changes, each in reads of several sizes.
#[test]
fn frames_of_all_header_sizes_are_unmasked_in_place() {
    let pool = pool(3, LARGEST + HEADER);
    let lengths = [0, 1, 125, 126, 127, 65535, 65536];
    let sent = lengths.map(|len| masked(TEXT, &text(len, len), key(len)));
    let headers = sent
        .each_ref()
        .map(|frame| Header::read(frame).unwrap().unwrap().len);
    assert_eq!(headers, [6, 6, 6, 8, 8, 8, 14]);
    let sent = leak(sent.concat());
    for step in [1000, 4096, 70_000, sent.len()] {
        let mut frames = reader(&pool, sent.chunks(step).map(Step::Bytes));
        for len in lengths {
            check(next(&mut frames), &text(len, len));
        }
        assert!(at_once(frames.next_part()).is_none());
        assert_eq!(pool.free_count(), 3);
    }
}

/// The first frame is changed while it is held and the next ones are read behind it: one buffer, and no byte moves.
#[test]
fn a_frame_is_changed_while_more_is_read_behind_it_in_the_same_buffer() {
    let pool = pool(1, 256);
    let [one, two, three] = [20, 30, 126].map(|len| masked(TEXT, &text(len, len), key(len)));
    // Each read ends within a frame.
    let sent = leak([one, two, three].concat());
    let reads = [&sent[..35], &sent[35..70], &sent[70..]];
    let mut frames = reader(&pool, reads.map(Step::Bytes));
    let mut one = next(&mut frames);
    one[6..].fill(0xEE);
    let two = next(&mut frames);
    let three = next(&mut frames);
    assert_eq!(two.as_ptr(), one.as_ptr_range().end, "nothing was moved");
    assert_eq!(three.as_ptr(), two.as_ptr_range().end);
    assert!(one[6..].iter().all(|&byte| byte == 0xEE));
    assert_eq!(pool.free_count(), 0);
    check(two, &text(30, 30));
    check(three, &text(126, 126));
    assert_eq!(pool.free_count(), 0, "the first is held");
    drop((one, frames));
    assert_eq!(pool.free_count(), 1);
}

/// A frame that does not fit behind the others is moved to another buffer, and is changed there.
#[test]
fn a_frame_over_the_edge_of_a_buffer_is_in_another_one() {
    let pool = pool(2, 64);
    let sent = [40, 50].map(|len| masked(TEXT, &text(len, len), key(len)));
    let mut frames = reader(&pool, [Step::Bytes(leak(sent.concat()))]);
    let one = next(&mut frames);
    let two = next(&mut frames);
    assert_ne!(one.index(), two.index());
    check(one, &text(40, 40));
    check(two, &text(50, 50));
}

/// What a decoder consumes behind the frame is its spare capacity, and what is before it is no part of it.
#[test]
fn a_part_has_the_frame_alone() {
    let pool = pool(1, 32);
    let mut lines = FrameReader::new(&b"one\r\ntwo\nend"[..], &pool, Lines::new());
    let mut one = at_once(lines.next_part())
        .expect("three lines")
        .expect("no error");
    assert_eq!((&one[..], one.spare_capacity()), (&b"one"[..], 2));
    std::io::Write::write_all(&mut one, b"!!").expect("the end of the line");
    // The stream and the parts are one sequence.
    let two = at_once(lines.next())
        .expect("three lines")
        .expect("no error");
    assert_eq!(two, *b"two");
    let end = at_once(lines.next_part())
        .expect("three lines")
        .expect("no error");
    assert_eq!((&one[..], &end[..]), (&b"one!!"[..], &b"end"[..]));
    assert!(at_once(lines.next_part()).is_none());
}

/// Errors are those of the stream, and end both.
#[test]
fn what_a_client_may_not_send_ends_the_stream() {
    let pool = pool(1, 64);
    let mut frames = reader(&pool, [Step::Bytes(b"\x81\x02hi")]);
    let refused = at_once(frames.next_part()).expect("not at the end");
    assert!(matches!(
        refused,
        Err(FrameError::Decode(ProtocolError::NotMasked))
    ));
    assert!(at_once(frames.next()).is_none());
    let long = leak(masked(TEXT, &[0; LARGEST + 1], key(1))[..20].to_vec());
    let mut frames = reader(&pool, [Step::Bytes(long)]);
    let refused = at_once(frames.next_part()).expect("not at the end");
    assert!(matches!(
        refused,
        Err(FrameError::Decode(ProtocolError::TooLong(65537)))
    ));
    let large = leak(masked(CLOSE, &[0; 100], key(1)));
    let mut frames = reader(&pool, [Step::Bytes(large)]);
    let refused = at_once(frames.next_part()).expect("not at the end");
    assert!(matches!(
        refused,
        Err(FrameError::TooLarge {
            frame: 106,
            buffer: 64
        })
    ));
    assert!(at_once(frames.next_part()).is_none());
    assert_eq!(pool.free_count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever the lengths, the reads and the frames that are held, each frame is unmasked once and alone.
    #[test]
    fn random_frames_are_unmasked_in_place(
        lengths in prop::collection::vec(
            prop_oneof![Just(0), Just(125), Just(126), 0..300_usize, Just(65535), Just(65536)],
            1..8,
        ),
        step in prop_oneof![1..50_usize, 1000..200_000_usize],
        keeps in 0..4_usize,
        pauses in any::<bool>(),
    ) {
        let sent = lengths.iter().enumerate();
        let sent: Vec<u8> = sent.flat_map(|(at, &len)| masked(TEXT, &text(len, at), key(at))).collect();
        // Small steps through large frames would take all the time.
        let step = step.max(sent.len() / 2000);
        let steps = leak(sent).chunks(step).flat_map(|piece| {
            let pause = pauses.then_some(Step::Pending);
            [Some(Step::Bytes(piece)), pause].into_iter().flatten()
        });
        let pool = pool(keeps + 2, LARGEST + HEADER);
        let mut frames = reader(&pool, steps);
        let mut held = std::collections::VecDeque::new();
        let mut found = 0;
        loop {
            match Polled::new(std::pin::pin!(frames.next_part())).poll() {
                Poll::Pending => {}
                Poll::Ready(None) => break,
                Poll::Ready(Some(frame)) => {
                    held.push_back((frame.expect("no error"), found));
                    found += 1;
                    if held.len() > keeps {
                        let (frame, at) = held.pop_front().expect("one more");
                        check(frame, &text(lengths[at], at));
                    }
                }
            }
        }
        for (frame, at) in held {
            check(frame, &text(lengths[at], at));
        }
        prop_assert_eq!(found, lengths.len());
        drop(frames);
        prop_assert_eq!(pool.free_count(), keeps + 2);
    }
}
