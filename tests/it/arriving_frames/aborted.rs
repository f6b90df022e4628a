//! A frame whose rest does not come: who learns of it, and when.

use super::*;
use sample_pool::fan_out::HoldLimit;

/// A server would keep a response open with half of a frame in it.
#[test]
fn an_unfinished_frame_is_aborted_for_those_that_received_a_part_of_it_and_skipped_by_others() {
    let pool = pool();
    let video = FanOut::new(8, 8);
    let [mut viewer, mut other] = [(); 2].map(|()| video.subscribe(1));
    let mut first = part(&pool);
    let mut frame = start(&video, true);
    append(&mut frame, &mut first, b"half");
    expect(&mut viewer, "<half");
    append(&mut frame, &mut first, b"unread");
    expect(&mut other, "<halfunread");
    let mut third = video.subscribe(1);
    let mut waiting = Polled::waiting(other.next());
    drop(frame);
    assert_eq!(waiting.wakes(), 1, "at once, and not with the next frame");
    let end = waiting.expect_ready().expect("it goes on");
    assert_eq!((&*shown(&end), end.sequence(), end.skipped()), ("!", 0, 0));
    drop(waiting);
    // What was not read of it is not delivered.
    expect(&mut viewer, "!");
    expect_nothing(&mut viewer);
    expect_nothing(&mut third);

    let mut second = part(&pool);
    let mut frame = start(&video, true);
    append(&mut frame, &mut second, b"next");
    expect(&mut viewer, "<next");
    let received = next(&mut third);
    assert_eq!((&*shown(&received), received.skipped()), ("<next", 1));
    assert_eq!(video.status().skipped, 1);
}

/// It needs neither a buffer nor room below the limits, or a viewer at the limit would never learn it.
#[test]
fn an_abort_is_delivered_at_the_hold_limit_and_holds_nothing() {
    let pool = pool();
    let video = FanOut::new(8, 1);
    let [mut viewer, mut other] = [(); 2].map(|()| video.subscribe(1));
    let mut half = part(&pool);
    let mut frame = start(&video, true);
    append(&mut frame, &mut half, b"half");
    expect(&mut viewer, "<half");
    drop(frame);
    let mut whole = pool.try_get_buffer().expect("one is free");
    whole.put_slice(b"whole");
    video.send(whole.freeze()).expect("it is open");
    let held = next(&mut other);
    let end = next(&mut viewer);
    assert!(end.is_aborted());
    assert_eq!(video.held(), 1);
    assert_eq!(
        end.properties(),
        pool.try_get_buffer().expect("one is free").properties()
    );
    Polled::new(end.reclaim_requested()).expect_pending();
    assert!(end.into_bytes().is_empty());
    drop(held);
    expect(&mut viewer, "<whole>");
}

/// It waited for room alone: a server would keep half of a response open until another client has read its frame.
#[test]
fn a_subscriber_that_waits_at_the_hold_limit_gets_an_abort_at_once() {
    let pool = pool();
    for as_stream in [false, true] {
        let limit = HoldLimit::new(1);
        let [video, other] = [(); 2].map(|()| FanOut::with_limit(8, &limit).notify_every(0));
        let mut viewer = video.subscribe(1);
        let mut half = part(&pool);
        let mut frame = start(&video, true);
        append(&mut frame, &mut half, b"half");
        expect(&mut viewer, "<half");
        let mut whole = pool.try_get_buffer().expect("one is free");
        whole.put_slice(b"whole");
        other.send(whole.freeze()).expect("it is open");
        let held = next(&mut other.subscribe(1));
        append(&mut frame, &mut half, b" of it");
        let mut waiting = match as_stream {
            false => Polled::waiting(viewer.recv().boxed()),
            true => Polled::waiting(viewer.next().boxed()),
        };
        drop(frame);
        assert_eq!(waiting.wakes(), 1);
        let end = waiting.expect_ready().expect("it goes on");
        assert!(end.is_aborted());
        drop((waiting, end));

        // After the fan-out there are no aborts: what is there needs room, and no poll may spin until there is some.
        drop(held);
        let mut frame = start(&video, true);
        append(&mut frame, &mut part(&pool), b"a");
        expect(&mut viewer, "<a");
        let held = next(&mut other.subscribe(1));
        append(&mut frame, &mut part(&pool), b"b");
        let mut waiting = match as_stream {
            false => Polled::waiting(viewer.recv().boxed()),
            true => Polled::waiting(viewer.next().boxed()),
        };
        frame.finish().expect("it is arriving");
        waiting.expect_pending();
        drop(video);
        waiting.expect_pending();
        waiting.expect_pending();
        drop(held);
        let end = waiting.expect_ready().expect("it is not the end yet");
        assert_eq!(shown(&end), "b>");
    }
}

/// What was dropped cannot be delivered, and a part of a frame would be followed by another frame.
#[test]
fn clear_aborts_the_frame_that_is_arriving() {
    let pool = pool();
    let video = FanOut::new(8, 8);
    let [mut reader, mut late] = [(); 2].map(|()| video.subscribe(1));
    let mut part = part(&pool);
    let mut frame = start(&video, true);
    append(&mut frame, &mut part, b"half");
    expect(&mut reader, "<half");
    video.clear();
    part.put_slice(b" and half");
    assert_eq!(
        frame.append(part.split_written()),
        Err(AppendError::Aborted)
    );
    drop((frame, part));
    assert_eq!(pool.free_count(), 32);
    let end = next(&mut reader);
    assert_eq!((&*shown(&end), end.skipped()), ("!", 1));
    expect_nothing(&mut late);
}

/// A frame that goes on would keep viewers in a channel that has ended.
#[test]
fn close_and_the_drop_of_the_fan_out_abort_the_frame_that_is_arriving() {
    let pool = pool();
    for close in [true, false] {
        let video = FanOut::new(8, 8);
        let [mut reader, mut late] = [(); 2].map(|()| video.subscribe(1));
        let mut part = part(&pool);
        let mut frame = start(&video, true);
        append(&mut frame, &mut part, b"half");
        expect(&mut reader, "<half");
        let mut waiting = Polled::waiting(reader.recv());
        let video = match close {
            true => {
                video.close();
                assert!(video.start_frame(true).is_err());
                Some(video)
            }
            false => {
                drop(video);
                None
            }
        };
        assert_eq!(waiting.wakes(), 1);
        let end = waiting.expect_ready().expect("it is not the end yet");
        assert!(end.is_aborted());
        drop(waiting);
        assert!(at_once(reader.recv()).is_none());
        assert!(at_once(late.recv()).is_none());
        let unsent = part.split_written();
        assert_eq!(frame.append(unsent), Err(AppendError::Closed));
        assert_eq!(frame.finish(), Err(AppendError::Closed));
        drop((video, reader, late, part));
        assert_eq!(pool.free_count(), 32);
    }
}

/// The bytes in between are gone, and what follows them makes no sense.
#[test]
fn a_subscriber_that_loses_the_middle_of_a_frame_gets_an_abort_and_goes_on_with_a_whole_frame() {
    let pool = pool();
    let video = FanOut::new(3, 8);
    let [mut slow, mut idle] = [(); 2].map(|()| video.subscribe(1));
    let mut parts = [(); 5].map(|()| part(&pool));
    let mut frame = start(&video, true);
    append(&mut frame, &mut parts[0], b"0");
    expect(&mut slow, "<0");
    for (number, part) in parts.iter_mut().enumerate().skip(1) {
        append(&mut frame, part, number.to_string().as_bytes());
    }
    // 0 and 1 have left the backlog.
    let lost = next(&mut slow);
    assert_eq!(
        (&*shown(&lost), lost.sequence(), lost.skipped()),
        ("!", 0, 2)
    );
    drop(lost);
    // The rest of the frame is of no use to one that has not its beginning.
    expect_nothing(&mut slow);
    expect_nothing(&mut idle);
    frame.finish().expect("it is arriving");
    expect_nothing(&mut slow);
    assert_eq!(video.subscribe(1).lag(), 0);
    let mut whole = part(&pool);
    whole.put_slice(b"whole");
    video.send(whole.freeze()).expect("it is open");
    let received = next(&mut slow);
    assert_eq!(
        (&*shown(&received), received.sequence(), received.skipped()),
        ("<whole>", 5, 3)
    );
    let received = next(&mut idle);
    assert_eq!((&*shown(&received), received.skipped()), ("<whole>", 5));
    assert_eq!(video.status().skipped, 10);
}

/// It has received a part of a frame too, and would take the next frame for the rest.
#[test]
fn a_subscriber_to_whole_frames_that_loses_the_rest_of_a_frame_gets_an_abort() {
    let pool = pool();
    let video = FanOut::new(3, 8);
    let mut decoder = video.subscribe_to_whole_frames(1);
    let mut frame = start(&video, true);
    for byte in [b"1", b"2", b"3"] {
        append(&mut frame, &mut part(&pool), byte);
    }
    frame.finish().expect("it is arriving");
    expect(&mut decoder, "<1");
    let mut frame = start(&video, true);
    for byte in [b"4", b"5", b"6", b"7"] {
        append(&mut frame, &mut part(&pool), byte);
    }
    frame.finish().expect("it is arriving");
    let lost = next(&mut decoder);
    assert_eq!((&*shown(&lost), lost.skipped()), ("!", 3));
    drop(lost);
    // Of the other frame, the beginning has left a backlog that is too short for it.
    expect_nothing(&mut decoder);
}

/// Frames are skipped whole, so that none begins in its middle.
#[test]
fn a_subscriber_that_lags_between_frames_skips_whole_frames_and_no_abort_is_delivered() {
    let pool = pool();
    let video = FanOut::new(3, 8).require_sync_point(true);
    let mut slow = video.subscribe(1);
    for number in 0..4 {
        let mut frame = start(&video, number != 2);
        let [mut one, mut two] = [(); 2].map(|()| part(&pool));
        append(&mut frame, &mut one, b"a");
        append(&mut frame, &mut two, number.to_string().as_bytes());
        frame.finish().expect("it is arriving");
    }
    // The window has the second sample of frame 2, and frame 3.
    let first = next(&mut slow);
    assert_eq!(
        (&*shown(&first), first.sequence(), first.skipped()),
        ("<a", 6, 6)
    );
    drop(first);
    expect(&mut slow, "3>");
}
