//! A frame that is sent while it arrives: subscribers receive what is there at once, and each of them receives its end or
//! learns that the rest does not come.

#![deny(unsafe_code)]

mod aborted;
mod bounded;

use crate::polling::{Polled, at_once};
use bytes::BufMut;
use futures::{FutureExt, StreamExt};
use sample_pool::{
    Pool, SamplePart,
    fan_out::{AppendError, ArrivingFrame, Delivery, FanOut, Subscriber},
};
use std::{sync::Arc, time::Duration};

const SIZE: usize = 16;

fn pool() -> Pool {
    let builder = Pool::builder().buffers(32).size(SIZE);
    builder.build().expect("small")
}

fn part(pool: &Pool) -> SamplePart {
    pool.try_get_buffer().expect("one is free").into_part()
}

#[track_caller]
fn start(fan_out: &FanOut, sync_point: bool) -> ArrivingFrame {
    fan_out.start_frame(sync_point).expect("it is open")
}

/// Writes bytes behind those that were frozen before, and sends them.
#[track_caller]
fn append(frame: &mut ArrivingFrame, part: &mut SamplePart, bytes: &[u8]) {
    part.put_slice(bytes);
    let appended = frame.append(part.split_written());
    appended.expect("it is the frame that is arriving");
}

#[track_caller]
fn next(subscriber: &mut Subscriber) -> Delivery {
    at_once(subscriber.recv()).expect("it goes on")
}

#[track_caller]
fn expect_nothing(subscriber: &mut Subscriber) {
    assert!(subscriber.recv().now_or_never().is_none());
}

/// The bytes of a delivery, and its flags: `<` if it begins a frame, `>` if it ends one, `!` if it is aborted.
fn shown(delivery: &Delivery) -> String {
    let mut shown = String::new();
    shown.extend(delivery.begins_frame().then_some('<'));
    shown.push_str(std::str::from_utf8(delivery).expect("text"));
    shown.extend(delivery.ends_frame().then_some('>'));
    shown.extend(delivery.is_aborted().then_some('!'));
    shown
}

#[track_caller]
fn expect(subscriber: &mut Subscriber, expected: &str) {
    assert_eq!(shown(&next(subscriber)), expected);
}

/// With whole frames a viewer waits for the last byte before it gets the first.
#[test]
fn what_is_there_is_delivered_at_once_and_then_what_was_added() {
    let pool = pool();
    let video = FanOut::new(4, 3);
    let mut viewer = video.subscribe(1);
    let mut part = part(&pool);
    part.put_slice(b"");
    let mut frame = start(&video, true);
    expect_nothing(&mut viewer);
    append(&mut frame, &mut part, b"one ");
    let first = next(&mut viewer);
    assert_eq!(
        (&*shown(&first), first.sequence(), first.sync_point()),
        ("<one ", 0, true)
    );
    drop(first);
    expect_nothing(&mut viewer);
    // Several appends are one delivery.
    append(&mut frame, &mut part, b"two ");
    append(&mut frame, &mut part, b"");
    append(&mut frame, &mut part, b"three ");
    let added = next(&mut viewer);
    assert_eq!((&*shown(&added), added.sequence()), ("two three ", 0));
    drop(added);
    part.put_slice(b"4");
    frame.finish_with(part.freeze()).expect("it is arriving");
    expect(&mut viewer, "4>");
    expect_nothing(&mut viewer);
    assert_eq!((video.status().sent, video.status().backlog), (1, 1));
}

/// Frames that are split off one buffer touch in its memory, as the pieces of a frame do.
#[test]
fn the_next_frame_of_a_buffer_is_not_joined_to_the_one_before() {
    let pool = pool();
    let video = FanOut::new(4, 3);
    let mut viewer = video.subscribe(1);
    let mut buffer = part(&pool);
    for bytes in [b"one", b"two"] {
        let mut frame = start(&video, true);
        append(&mut frame, &mut buffer, bytes);
        frame.finish().expect("it is the frame that is arriving");
    }
    expect(&mut viewer, "<one>");
    expect(&mut viewer, "<two>");
}

/// A viewer that waits for an end that was sent without bytes would never learn that the frame is whole.
#[test]
fn the_end_of_a_frame_is_delivered_although_all_bytes_were_delivered_before() {
    let pool = pool();
    let video = FanOut::new(4, 3);
    let mut viewer = video.subscribe(1);
    let mut part = part(&pool);
    let mut frame = start(&video, false);
    append(&mut frame, &mut part, b"all");
    expect(&mut viewer, "<all");
    let mut waiting = Polled::waiting(viewer.recv());
    frame.finish().expect("it is arriving");
    assert_eq!(waiting.wakes(), 1);
    let end = waiting.expect_ready().expect("it goes on");
    assert_eq!((&*shown(&end), end.sequence()), (">", 0));
    drop(end);
    drop(waiting);
    // A frame without bytes is none.
    start(&video, false).finish().expect("it is arriving");
    expect_nothing(&mut viewer);
    assert_eq!(video.status().sent, 1);
}

/// It would wait for the next frame, or show half of one.
#[test]
fn a_late_subscriber_begins_with_what_is_there_of_the_newest_frame_that_suits() {
    let pool = pool();
    let video = FanOut::new(8, 8).require_sync_point(true);
    let mut key = part(&pool);
    let mut frame = start(&video, true);
    append(&mut frame, &mut key, b"key");
    append(&mut frame, &mut key, b", on");
    let mut viewer = video.subscribe(1);
    assert_eq!(viewer.lag(), 1);
    expect(&mut viewer, "<key, on");
    assert_eq!(viewer.lag(), 0, "it has all that is there");
    append(&mut frame, &mut key, b".");
    assert_eq!(viewer.lag(), 1);
    frame.finish().expect("it is arriving");
    expect(&mut viewer, ".>");

    // The newest frame needs the one before it.
    let mut other = part(&pool);
    let mut frame = start(&video, false);
    append(&mut frame, &mut other, b"other");
    let mut late = video.subscribe(1);
    expect(&mut late, "<key, on.>");
    expect(&mut late, "<other");
    expect(&mut viewer, "<other");
    drop(frame);
    // The properties of the first sample mark a sync point as well.
    let mut marked = pool.try_get_buffer().expect("one is free");
    marked.properties_mut().set_sync_point(true);
    let mut marked = marked.into_part();
    let mut frame = start(&video, false);
    append(&mut frame, &mut marked, b"marked");
    expect(&mut video.subscribe(1), "<marked");
    // What follows an aborted frame may need it.
    expect(&mut viewer, "!");
    expect(&mut viewer, "<marked");
    drop(frame);
    let mut last = video.subscribe(1);
    expect(&mut last, "<key, on.>");
    expect_nothing(&mut last);
}

/// A server that closes slow connections by their lag would count a sample of which nothing is left to receive.
#[test]
fn a_sample_that_was_received_does_not_count_as_lag_when_its_frame_goes_on() {
    let pool = pool();
    let video = FanOut::new(4, 3);
    let mut viewer = video.subscribe(1);
    let mut frame = start(&video, true);
    append(&mut frame, &mut part(&pool), b"a");
    expect(&mut viewer, "<a");
    assert_eq!(viewer.lag(), 0);
    for lag in [1, 2] {
        append(&mut frame, &mut part(&pool), b"b");
        assert_eq!(viewer.lag(), lag);
    }
    expect(&mut viewer, "b");
    assert_eq!(viewer.lag(), 1);
    // The end of a frame, and its abort, are still to be received.
    expect(&mut viewer, "b");
    assert_eq!(viewer.lag(), 0);
    drop(frame);
    assert_eq!(viewer.lag(), 1);
}

/// A thousand viewers would be woken for each packet of a frame.
#[test]
fn wake_ups_are_coalesced_by_bytes() {
    let builder = Pool::builder().buffers(2).size(10_000);
    let pool = builder.build().expect("small");
    let lengths = [5, 40, 59, 1, 99, 1, 4095 - 200, 5];
    for (every, expected) in [
        (Some(100), [1, 0, 0, 1, 0, 1, 1, 0]),
        (Some(0), [1; 8]),
        (Some(1), [1; 8]),
        // 4096 bytes since the first ones.
        (None, [1, 0, 0, 0, 0, 0, 0, 1]),
    ] {
        let video = FanOut::new(4, 3);
        let video = match every {
            Some(bytes) => video.notify_every(bytes),
            None => video,
        };
        let mut viewer = video.subscribe(1);
        let mut part = part(&pool);
        let mut frame = start(&video, true);
        let mut wakes = Vec::new();
        let mut waiting = Polled::waiting(viewer.recv());
        for length in lengths {
            append(&mut frame, &mut part, &vec![b'.'; length]);
            wakes.push(waiting.wakes());
            if waiting.is_woken() {
                drop(waiting.expect_ready());
                drop(waiting);
                waiting = Polled::waiting(viewer.recv());
            }
        }
        assert_eq!(wakes, expected, "of {every:?}");
        drop(waiting);
        // Bytes that woke no subscriber are there for one that looks.
        append(&mut frame, &mut part, b"silent");
        assert!(next(&mut viewer).ends_with(b"silent"));
        let waiting = Polled::waiting(viewer.recv());
        frame.finish().expect("it is arriving");
        assert_eq!(waiting.wakes(), 1, "at the end");
    }
}

/// Otherwise the bytes of the first could leave a short backlog before they are read.
#[test]
fn another_sample_of_the_frame_wakes_and_what_is_in_it_is_delivered_in_order() {
    let pool = pool();
    let video = FanOut::new(4, 3).notify_every(usize::MAX);
    let mut viewer = video.subscribe(2);
    let [mut one, mut two] = [(); 2].map(|()| part(&pool));
    let mut frame = start(&video, true);
    append(&mut frame, &mut one, b"a");
    expect(&mut viewer, "<a");
    let mut waiting = Polled::waiting(viewer.recv());
    append(&mut frame, &mut one, b"b");
    assert_eq!(waiting.wakes(), 0);
    append(&mut frame, &mut two, b"c");
    assert_eq!(waiting.wakes(), 1);
    let first = waiting.expect_ready().expect("it goes on");
    drop(waiting);
    let second = next(&mut viewer);
    assert_eq!((&*shown(&first), &*shown(&second)), ("b", "c"));
    assert_eq!((first.sequence(), second.sequence()), (0, 1));
    assert!(first.sync_point() && !second.sync_point());
    drop((first, second));
    frame.finish().expect("it is arriving");
    expect(&mut viewer, ">");
    // One that comes now receives it in as many deliveries as it has samples.
    let mut late = video.subscribe(1);
    expect(&mut late, "<ab");
    expect(&mut late, "c>");
    assert_eq!((video.status().sent, video.status().backlog), (2, 2));
}

/// Another task sends to the same fan-out, which would be read as the rest of the frame.
#[test]
fn the_samples_of_a_frame_are_never_mixed_with_others() {
    let pool = pool();
    let video = FanOut::new(8, 8);
    let mut viewer = video.subscribe(1);
    let mut first = part(&pool);
    let mut frame = start(&video, true);
    append(&mut frame, &mut first, b"half");
    expect(&mut viewer, "<half");
    let mut whole = pool.try_get_buffer().expect("one is free");
    whole.put_slice(b"whole");
    video.send(whole.freeze()).expect("it is open");
    first.put_slice(b" and half");
    let refused = frame.append(first.split_written());
    assert_eq!(refused, Err(AppendError::Aborted));
    expect(&mut viewer, "!");
    expect(&mut viewer, "<whole>");

    let mut second = part(&pool);
    let mut newer = start(&video, true);
    append(&mut newer, &mut second, b"new");
    // The frame that was aborted before is dropped now, and aborts nothing.
    drop(frame);
    expect(&mut viewer, "<new");
    let mut third = part(&pool);
    let mut newest = start(&video, true);
    assert_eq!(newer.finish(), Err(AppendError::Aborted));
    append(&mut newest, &mut third, b"newest");
    newest.finish().expect("it is arriving");
    expect(&mut viewer, "!");
    expect(&mut viewer, "<newest>");
    expect_nothing(&mut viewer);
}

/// A decoder, or a client that asks for one frame, can use nothing else.
#[test]
fn a_subscriber_to_whole_frames_receives_each_when_it_is_complete() {
    let pool = pool();
    let video = FanOut::new(8, 8);
    let mut early = video.subscribe_to_whole_frames(1);
    for last in ["x", "y"] {
        let [mut one, mut two] = [(); 2].map(|()| part(&pool));
        let mut frame = start(&video, true);
        append(&mut frame, &mut one, b"a");
        append(&mut frame, &mut one, b"b");
        append(&mut frame, &mut two, last.as_bytes());
        let mut waiting = Polled::waiting(early.recv());
        frame.finish().expect("it is arriving");
        let first = waiting.expect_ready().expect("it goes on");
        assert_eq!(shown(&first), "<ab");
        drop(first);
        drop(waiting);
        expect(&mut early, &format!("{last}>"));
    }
    // The newest complete frame, and not the one that arrives.
    let mut arriving = part(&pool);
    let mut frame = start(&video, true);
    append(&mut frame, &mut arriving, b"z");
    let mut late = video.subscribe_to_whole_frames(1);
    expect(&mut late, "<ab");
    expect(&mut late, "y>");
    expect_nothing(&mut late);
    drop(frame);
    expect_nothing(&mut late);
    // If there is no complete one, then the one that arrives.
    video.clear();
    let mut frame = start(&video, true);
    append(&mut frame, &mut arriving, b"z");
    let mut first = video.subscribe_to_whole_frames(1);
    expect_nothing(&mut first);
    frame.finish().expect("it is arriving");
    expect(&mut first, "<z>");
    expect(&mut late, "<z>");
}

/// In a `select!` loop the future is dropped in each iteration.
#[test]
fn a_dropped_recv_takes_no_bytes() {
    let pool = pool();
    let video = FanOut::new(4, 4).notify_every(0);
    let mut viewer = video.subscribe(1);
    let mut part = part(&pool);
    let mut frame = start(&video, true);
    for (at, byte) in (b'a'..b'e').enumerate() {
        drop(Polled::waiting(viewer.recv()));
        append(&mut frame, &mut part, &[byte]);
        drop(viewer.recv());
        drop(viewer.next());
        let delivery = next(&mut viewer);
        assert_eq!(delivery[..], [byte]);
        assert_eq!((delivery.begins_frame(), delivery.skipped()), (at == 0, 0));
    }
    drop(frame);
    drop(viewer.recv());
    expect(&mut viewer, "!");
}

/// A change between the check and the wait must be seen, and so must the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_each_viewer_receives_every_byte_in_order() {
    let pool = pool();
    let video = Arc::new(FanOut::new(8, 8).notify_every(4));
    for round in 0..500_u32 {
        let mut viewers = Vec::new();
        for number in 0..3 {
            let mut viewer = video.subscribe(1 + number % 2);
            viewers.push(tokio::spawn(async move {
                let mut received = Vec::new();
                while let Some(delivery) = viewer.recv().await {
                    received.extend_from_slice(&delivery);
                    if delivery.ends_frame() && received.last() == Some(&b'.') {
                        return received;
                    }
                    if delivery.ends_frame() {
                        received.clear();
                    }
                }
                panic!("the end was not delivered");
            }));
        }
        let mut frame = start(&video, true);
        let mut expected = Vec::new();
        for _ in 0..1 + round % 3 {
            let mut part = pool.get_buffer().await.expect("committed").into_part();
            for _ in 0..3 {
                let bytes = round.to_be_bytes();
                expected.extend_from_slice(&bytes);
                append(&mut frame, &mut part, &bytes);
            }
        }
        expected.push(b'.');
        let mut last = pool.get_buffer().await.expect("committed").into_part();
        last.put_slice(b".");
        frame.finish_with(last.freeze()).expect("it is arriving");
        for viewer in viewers {
            let received = tokio::time::timeout(Duration::from_secs(20), viewer).await;
            let received = received.expect("it is woken").expect("no panic");
            assert_eq!(received, expected, "round {round}");
        }
        // A viewer that starts in the next round must not find this frame.
        video.clear();
    }
}
