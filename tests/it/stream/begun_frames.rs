//! `FrameReader`: a partly read frame keeps no buffer that other gets wait for.

use super::{
    pool,
    script::{Script, Step},
};
use crate::polling::{Polled, at_once};
use bytes::BufMut;
use futures::StreamExt;
use sample_pool::{
    GetBufferError, PollPool, Sample,
    stream::{DecodeFrame, Decoded, FrameError, FrameReader, ReadError, ReadSample},
};
use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

/// The number of bytes that are copied to the heap whether or not another get is queued.
const SMALL: usize = 4096;
const LARGE: usize = 3 * SMALL;

/// A header of four bytes with the length.
struct Lengths;

impl DecodeFrame for Lengths {
    type Error = Infallible;

    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
        let Some((length, rest)) = bytes.split_first_chunk() else {
            return Ok(Decoded::Incomplete { needed: Some(4) });
        };
        let end = 4 + u32::from_be_bytes(*length) as usize;
        Ok(match rest.len() + 4 {
            have if have < end => Decoded::Incomplete { needed: Some(end) },
            _ => Decoded::Frame {
                frame: 4..end,
                consumed: end,
            },
        })
    }
}

/// A frame whose bytes count up from `first`.
fn frame(len: usize, first: u8) -> Vec<u8> {
    let mut frame = u32::try_from(len).expect("small").to_be_bytes().to_vec();
    frame.extend(bytes(len, first));
    frame
}

fn bytes(len: usize, first: u8) -> Vec<u8> {
    (0..len).map(|at| first.wrapping_add(at as u8)).collect()
}

type Reader = FrameReader<DuplexStream, Lengths>;

fn connected(pool: impl Into<PollPool>) -> (DuplexStream, Reader) {
    let (client, server) = duplex(1 << 20);
    (client, FrameReader::new(server, pool, Lengths))
}

fn send(client: &mut DuplexStream, bytes: &[u8]) {
    at_once(client.write_all(bytes)).expect("there is room");
}

#[track_caller]
fn next(reader: &mut Reader) -> Vec<u8> {
    let frame = at_once(reader.next()).expect("not at the end");
    frame.expect("no error").to_vec()
}

/// Each sender used to keep a buffer from its first byte to its last, however long that took.
#[test]
fn one_slow_sender_per_buffer_does_not_stop_the_others() {
    let pool = pool(4, 1024);
    let mut slow = [(); 4].map(|()| connected(&pool));
    for (client, reader) in &mut slow {
        send(client, &frame(10, 7)[..1]);
        drop(Polled::waiting(reader.next()));
    }
    assert_eq!(pool.free_count(), 4);
    let (mut fifth, mut reader) = connected(&pool);
    send(&mut fifth, &frame(100, 1));
    assert_eq!(next(&mut reader), bytes(100, 1));
    for (client, reader) in &mut slow {
        assert_eq!(reader.buffered_len(), 1);
        send(client, &frame(10, 7)[1..]);
        assert_eq!(next(reader), bytes(10, 7));
    }
}

/// To copy a large frame for each of its pieces would be quadratic in its size, so it stays while no get is
/// queued.
#[test]
fn a_large_frame_keeps_its_buffer_until_another_get_is_queued() {
    let pool = pool(4, 2 * LARGE);
    let mut slow = [(); 4].map(|()| connected(&pool));
    let (mut clients, mut polled): (Vec<_>, Vec<_>) = slow
        .iter_mut()
        .map(|(client, reader)| {
            send(client, &frame(LARGE, 3)[..LARGE / 2]);
            (client, Polled::waiting(reader.next()))
        })
        .unzip();
    assert_eq!(pool.free_count(), 0, "they are in no one's way");

    let (mut fifth, mut reader) = connected(&pool);
    send(&mut fifth, &frame(100, 1));
    let mut whole = Polled::waiting(reader.next());
    for polled in &mut polled {
        assert_eq!(polled.wakes(), 1, "it is not notified that another waits");
        polled.expect_pending();
    }
    assert_eq!(whole.wakes(), 1);
    let whole = whole.expect_ready().expect("not at the end");
    assert_eq!(whole.expect("no error").to_vec(), bytes(100, 1));
    assert_eq!(
        pool.free_count(),
        1,
        "no more were released than others waited for"
    );

    for (client, polled) in clients.iter_mut().zip(&mut polled) {
        send(client, &frame(LARGE, 3)[LARGE / 2..]);
        let frame = polled.expect_ready().expect("not at the end");
        assert_eq!(frame.expect("no error").to_vec(), bytes(LARGE, 3));
    }
}

/// It would be woken only by the next get, and the one that waits has queued already.
#[test]
fn a_large_partial_frame_is_copied_to_the_heap_while_a_get_is_queued() {
    let pool = pool(1, 2 * LARGE);
    let held = pool.try_get_buffer().expect("one is free");
    let (mut client, mut reader) = connected(&pool);
    send(&mut client, &frame(LARGE, 3)[..LARGE / 2]);
    let mut begun = Polled::waiting(reader.next());
    let mut get = Polled::waiting(pool.get_buffer());
    drop(held);
    assert_eq!(begun.wakes(), 1, "it is the first in the queue");
    begun.expect_pending();
    assert_eq!(get.wakes(), 1);
    drop(get.expect_ready().expect("committed"));
}

/// The rest of a frame must not overtake gets that were queued before it came.
#[test]
fn the_rest_of_a_frame_waits_for_a_buffer_in_its_turn() {
    let pool = pool(1, 64);
    let (mut client, mut reader) = connected(&pool);
    send(&mut client, &frame(10, 7)[..5]);
    let mut begun = Polled::waiting(reader.next());
    let held = pool.try_get_buffer().expect("it was released");
    let mut before = Polled::waiting(pool.get_buffer());
    send(&mut client, &frame(10, 7)[5..]);
    begun.expect_pending();
    let mut after = Polled::waiting(pool.get_buffer());
    drop(held);
    begun.expect_pending();
    after.expect_pending();
    drop(before.expect_ready());
    after.expect_pending();
    let frame = begun.expect_ready().expect("not at the end");
    assert_eq!(frame.expect("no error").to_vec(), bytes(10, 7));
    assert!(after.expect_ready().is_ok());
}

/// A get that waits for room in a quota needs a sample of the same quota, and the queue of the pool is empty.
#[test]
fn a_get_that_waits_for_room_in_the_quota_is_a_get_that_waits() {
    let pool = pool(4, 2 * LARGE);
    let quota = pool.quota("tenant", 1);
    let other = pool.quota("another", 1);
    let (mut client, mut reader) = connected(&quota);
    send(&mut client, &frame(LARGE, 3)[..LARGE / 2]);
    let mut begun = Polled::waiting(reader.next());
    let _held = other.try_get_buffer().expect("there is room");
    let _of_another = Polled::waiting(other.get_buffer());
    assert_eq!(begun.wakes(), 0, "what it has would not help");
    let mut get = Polled::waiting(quota.get_buffer());
    assert_eq!(begun.wakes(), 1);
    begun.expect_pending();
    assert!(get.expect_ready().is_ok());
}

/// The drain waits for all samples.
#[test]
fn a_frame_that_was_begun_does_not_hold_up_a_drain() {
    let pool = pool(2, 2 * LARGE);
    let mut readers = [10, LARGE / 2].map(|have| {
        let (mut client, reader) = connected(&pool);
        send(&mut client, &frame(LARGE, 3)[..have]);
        (client, reader)
    });
    let [small, large] = &mut readers;
    let small_waits = Polled::waiting(small.1.next());
    let mut large_waits = Polled::waiting(large.1.next());
    let mut drained = Polled::waiting(pool.drained());
    pool.decommit();
    assert_eq!((small_waits.wakes(), large_waits.wakes()), (0, 1));
    large_waits.expect_pending();
    drained.expect_ready();
    drop((small_waits, large_waits));
    for (client, reader) in &mut readers {
        send(client, &frame(LARGE, 3)[reader.buffered_len()..]);
        let refused = at_once(reader.next()).expect("not at the end");
        let not_committed = GetBufferError::NotCommitted;
        assert!(
            matches!(refused, Err(FrameError::Read(ReadError::GetBuffer(error))) if error == not_committed)
        );
    }
    pool.commit().expect("small");
    for (_client, reader) in &mut readers {
        assert_eq!(next(reader), bytes(LARGE, 3), "nothing was lost");
    }
}

/// Its waker would be woken for a get to which it has nothing to release, and it must not keep the pool.
#[test]
fn a_reader_that_is_dropped_leaves_no_waker_behind() {
    struct Silent;
    impl Wake for Silent {
        fn wake(self: Arc<Self>) {}
    }
    let silent = Arc::new(Silent);
    let wakers = || Arc::strong_count(&silent) - 1;
    let pool = pool(1, 2 * LARGE);
    let weak = pool.downgrade();
    let quota = pool.quota("tenant", 1);
    let (mut client, mut reader) = connected(&quota);
    send(&mut client, &frame(LARGE, 3)[..LARGE / 2]);
    let waker = Waker::from(silent.clone());
    let poll = reader.poll_next_unpin(&mut Context::from_waker(&waker));
    assert!(poll.is_pending() && pool.free_count() == 0);
    drop(waker);
    assert_eq!(wakers(), 3, "of the source, the pool and the quota");
    drop((client, reader));
    assert_eq!(wakers(), 0);
    drop((quota, pool));
    assert!(weak.upgrade().is_none());
}

/// Wherever the reads end, and whether or not a get waits at that time, no byte is lost, duplicated or moved.
#[test]
fn frames_do_not_depend_on_when_others_wait() {
    let lengths = [0, 5000, 3, 9000, SMALL - 4, SMALL, 1, LARGE - 4];
    let sent: Vec<u8> = lengths.iter().flat_map(|&len| frame(len, 9)).collect();
    let expected = lengths.map(|len| bytes(len, 9));
    for step in [997, 2048, 4099, 11_003] {
        for keeps in [0, 1, 2] {
            let pool = pool(2 + keeps, LARGE);
            let (mut client, mut reader) = connected(&pool);
            let (mut found, mut held) = (Vec::new(), VecDeque::new());
            for (turn, part) in sent.chunks(step).enumerate() {
                send(&mut client, part);
                let others: Vec<_> = (0..turn % 4)
                    .map(|_| {
                        let mut get = Polled::new(pool.get_buffer());
                        (get.poll(), get)
                    })
                    .collect();
                loop {
                    match Polled::new(reader.next()).poll() {
                        Poll::Pending => break,
                        Poll::Ready(frame) => {
                            let frame = frame.expect("not at the end").expect("no error");
                            found.push(frame.to_vec());
                            held.push_back(frame);
                            held.drain(..held.len().saturating_sub(keeps));
                        }
                    }
                }
                drop(others);
            }
            loop {
                match Polled::new(reader.next()).poll() {
                    Poll::Pending if !held.is_empty() => held.clear(),
                    Poll::Pending => break,
                    Poll::Ready(frame) => {
                        found.push(frame.expect("not at the end").expect("no error").to_vec());
                    }
                }
            }
            assert!(
                found == expected,
                "parts of {step}, {keeps} frames are kept"
            );
            drop(held);
            assert_eq!(pool.free_count(), 2 + keeps);
        }
    }
}

/// Appends bytes and sets the user property, as a source does that knows the arrival time of a packet.
struct Stamped(VecDeque<Option<&'static [u8]>>);

impl ReadSample for Stamped {
    fn poll_read_sample(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>> {
        match self.0.pop_front() {
            None => Poll::Ready(Ok(0)),
            Some(None) => Poll::Pending,
            Some(Some(bytes)) => {
                let stamp = sample.properties().user() + 1;
                sample.properties_mut().set_user(stamp);
                sample.put_slice(bytes);
                Poll::Ready(Ok(bytes.len()))
            }
        }
    }
}

/// The properties used to be lost when the bytes were moved.
#[test]
fn the_properties_of_a_sample_go_with_the_beginning_of_a_frame() {
    let pool = pool(2, 16);
    let steps = [
        Some(&b"\0\0\0\x03o"[..]),
        None,
        Some(b"ne\0\0\0\x03t"),
        Some(b"wo"),
        None,
    ];
    let mut reader = FrameReader::new(Stamped(steps.into()), &pool, Lengths);
    drop(Polled::waiting(reader.next()));
    assert_eq!(pool.free_count(), 2, "it is set aside");
    let one = at_once(reader.next())
        .expect("not at the end")
        .expect("no error");
    assert_eq!((&one[..], one.properties().user()), (&b"one"[..], 2));
    // The first frame is held, so the second begins in another sample.
    let two = at_once(reader.next())
        .expect("not at the end")
        .expect("no error");
    assert_eq!((&two[..], two.properties().user()), (&b"two"[..], 3));
    assert_ne!(one.index(), two.index());
}

/// A reader between two frames must hold no buffer, and neither must one at the first byte of a frame.
#[test]
fn a_reader_that_waits_for_its_source_holds_no_buffer() {
    let pool = pool(1, 16);
    let steps = [
        Step::Pending,
        Step::Bytes(b"\0\0\0\x03one"),
        Step::Pending,
        Step::Bytes(b"\0"),
        Step::Pending,
        Step::Bytes(b"\0\0\x03two"),
    ];
    let mut reader = FrameReader::new(Script::new(steps), &pool, Lengths);
    for expected in [b"one", b"two"] {
        drop(Polled::waiting(reader.next()));
        assert_eq!(pool.free_count(), 1);
        if expected == b"two" {
            drop(Polled::waiting(reader.next()));
            assert_eq!((pool.free_count(), reader.buffered_len()), (1, 1));
        }
        let frame = at_once(reader.next())
            .expect("not at the end")
            .expect("no error");
        assert_eq!(&frame[..], expected);
    }
}

/// `into_parts` takes the bytes from wherever they are.
#[test]
fn into_parts_returns_bytes_that_are_on_the_heap() {
    let (mut client, mut reader) = connected(&pool(1, 64));
    send(&mut client, &frame(10, 7)[..6]);
    drop(Polled::waiting(reader.next()));
    assert_eq!(reader.into_parts().2, frame(10, 7)[..6]);
}

/// One byte now and then must not keep a connection open for ever.
#[tokio::test(start_paused = true)]
async fn a_frame_that_is_not_complete_in_time_ends_the_stream() {
    let limit = Duration::from_secs(10);
    let pool = pool(1, 64);
    let (mut client, reader) = connected(&pool);
    let mut reader = reader.frame_timeout(limit);
    let begun = tokio::time::Instant::now();
    let trickle = tokio::spawn(async move {
        for byte in frame(60, 7) {
            client.write_all(&[byte]).await.expect("it is read");
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    });
    let late = reader.next().await.expect("an error").expect_err("late");
    assert_eq!(
        late.to_string(),
        "4 bytes into a frame, the rest did not arrive within 10s"
    );
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(reader.next().await.is_none());
    trickle.abort();
}

/// Each frame has the whole time, and the time between two frames does not count.
#[tokio::test(start_paused = true)]
async fn the_clock_stands_still_between_two_frames() {
    let pool = pool(1, 64);
    let (mut client, reader) = connected(&pool);
    let mut reader = reader.frame_timeout(Duration::from_secs(10));
    let sender = tokio::spawn(async move {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(100)).await;
            for part in frame(10, 7).chunks(7) {
                client.write_all(part).await.expect("it is read");
                tokio::time::sleep(Duration::from_secs(9)).await;
            }
        }
    });
    for _ in 0..3 {
        let frame = reader.next().await.expect("not at the end");
        assert_eq!(frame.expect("in time").to_vec(), bytes(10, 7));
    }
    sender.await.expect("no panic");
}

/// It is not the sender's fault that all buffers are checked out.
#[tokio::test(start_paused = true)]
async fn a_frame_is_not_late_whose_rest_came_while_the_pool_was_exhausted() {
    let pool = pool(1, 64);
    let (mut client, reader) = connected(&pool);
    let mut reader = reader.frame_timeout(Duration::from_secs(10));
    send(&mut client, &frame(10, 7)[..5]);
    let mut waiting = Polled::waiting(reader.next());
    let held = pool.try_get_buffer().expect("it was released");
    send(&mut client, &frame(10, 7)[5..]);
    waiting.expect_pending();
    tokio::time::sleep(Duration::from_secs(100)).await;
    waiting.expect_pending();
    drop(held);
    let frame = waiting.expect_ready().expect("not at the end");
    assert_eq!(frame.expect("in time").to_vec(), bytes(10, 7));
}
