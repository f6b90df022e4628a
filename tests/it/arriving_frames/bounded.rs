//! What frames that are arriving hold, and what the producer never waits for.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A viewer that holds each part that it got would reach the limit with one frame.
#[test]
fn many_deliveries_of_one_sample_count_once() {
    let pool = pool();
    let video = FanOut::new(2, 1).notify_every(0);
    let [mut one, mut other] = [(); 2].map(|()| video.subscribe(usize::MAX));
    let mut part = part(&pool);
    let mut frame = start(&video, true);
    let mut held = Vec::new();
    for byte in b'a'..b'i' {
        append(&mut frame, &mut part, &[byte]);
        held.extend([&mut one, &mut other].map(next));
        assert_eq!((video.held(), video.status().held), (1, 1));
    }
    assert_eq!(video.status().sent, 1);
    frame.finish().expect("it is arriving");
    let end = next(&mut one);
    assert_eq!(shown(&end), ">");
    drop(held);
    assert_eq!(video.held(), 1);
    drop(end);
    assert_eq!(video.held(), 0);
}

/// The producer would wait for a buffer that no subscriber returns.
#[test]
fn arriving_frames_and_all_subscribers_hold_no_more_than_backlog_and_limit_and_the_producer_goes_on()
 {
    const BACKLOG: usize = 3;
    const LIMIT: usize = 2;
    let pool = Pool::builder().buffers(BACKLOG + LIMIT + 1).size(SIZE);
    let pool = pool.build().expect("small");
    let video = FanOut::new(BACKLOG, LIMIT).notify_every(0);
    let mut viewers = [(); 4].map(|()| video.subscribe(usize::MAX));
    let mut held = Vec::new();
    let mut most = 0;
    for number in 0..60 {
        let mut frame = start(&video, true);
        for _sample in 0..1 + number % 4 {
            // Never waits for a viewer: a buffer is free whatever they hold.
            let mut part = part(&pool);
            for byte in b'a'..b'e' {
                append(&mut frame, &mut part, &[byte]);
                for viewer in &mut viewers {
                    // They keep all that they get.
                    held.extend(viewer.recv().now_or_never().flatten());
                }
                let outstanding = pool.status().outstanding;
                most = most.max(outstanding);
                // The part that is written is a part of the newest sample of the backlog.
                assert!(outstanding <= BACKLOG + LIMIT, "{outstanding} at {number}");
            }
        }
        match number % 3 {
            0 => drop(frame),
            _ => frame.finish().expect("it is arriving"),
        }
    }
    assert_eq!((most, video.held()), (BACKLOG + LIMIT, LIMIT));
    drop(held);
    assert_eq!(pool.status().outstanding, BACKLOG);
    video.clear();
    assert_eq!(pool.status().outstanding, 0);
}

fn send(fan_out: &FanOut, pool: &Pool) {
    let mut whole = pool.try_get_buffer().expect("one is free");
    whole.put_slice(b"whole");
    fan_out.send(whole.freeze()).expect("it is open");
}

/// It keeps up, and would get an abort as if the rest of the frame were gone: with a backlog of one, at each buffer.
#[test]
fn a_subscriber_that_received_all_that_left_the_backlog_goes_on_in_the_frame() {
    let pool = pool();
    for backlog in [1, 2] {
        let video = FanOut::new(backlog, 8);
        let [mut viewer, mut behind] = [(); 2].map(|()| video.subscribe(1));
        let mut first = part(&pool);
        let mut frame = start(&video, true);
        append(&mut frame, &mut first, b"a");
        expect(&mut viewer, "<a");
        expect(&mut behind, "<a");
        append(&mut frame, &mut first, b"b");
        expect(&mut viewer, "b");
        for _ in 0..backlog {
            append(&mut frame, &mut part(&pool), b"c");
        }
        for sequence in 1..=backlog as u64 {
            let received = next(&mut viewer);
            assert_eq!(
                (&*shown(&received), received.sequence(), received.skipped()),
                ("c", sequence, 0)
            );
        }
        let lost = next(&mut behind);
        assert_eq!((&*shown(&lost), lost.skipped()), ("!", 1), "without the b");
        drop(lost);
        frame.finish().expect("it is arriving");
        expect(&mut viewer, ">");
        expect_nothing(&mut behind);
        // What follows a frame that was aborted is not its rest.
        let mut frame = start(&video, true);
        append(&mut frame, &mut part(&pool), b"half");
        expect(&mut viewer, "<half");
        drop(frame);
        for _ in 0..backlog {
            send(&video, &pool);
        }
        expect(&mut viewer, "!");
        for _ in 0..backlog {
            expect(&mut viewer, "<whole>");
        }
        // Nor is what follows a backlog that was cleared, although the last one that left it is as long.
        let mut frame = start(&video, true);
        append(&mut frame, &mut part(&pool), b"y");
        expect(&mut viewer, "<y");
        for _ in 0..backlog {
            append(&mut frame, &mut part(&pool), b"y");
            expect(&mut viewer, "y");
        }
        video.clear();
        send(&video, &pool);
        expect(&mut viewer, "!");
        expect(&mut viewer, "<whole>");
    }
}

/// The callback counts buffers, and one that runs under the lock of the window would wait for itself.
#[test]
fn the_release_callback_runs_once_for_a_sample_and_may_use_the_fan_out() {
    let pool = Pool::builder()
        .buffers(8)
        .size(SIZE)
        .build()
        .expect("small");
    let video = Arc::new(FanOut::new(1, 1).notify_every(0));
    let released = Arc::new(AtomicUsize::new(0));
    let guard = pool.on_release({
        let (video, released) = (Arc::downgrade(&video), released.clone());
        move |_pool| {
            if let Some(video) = video.upgrade() {
                let _looked = format!("{video:?}, {}", video.subscribe(1).lag());
            }
            released.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut viewer = video.subscribe(1);
        let released = || released.load(Ordering::Relaxed);
        let mut frame = start(&video, true);
        let mut first = part(&pool);
        for byte in b'a'..b'e' {
            append(&mut frame, &mut first, &[byte]);
            drop(next(&mut viewer));
        }
        drop(first);
        assert_eq!(released(), 0);
        // It takes the place of the first sample, in the backlog of one.
        let mut second = part(&pool);
        append(&mut frame, &mut second, b"e");
        assert_eq!(released(), 1);
        // Bytes that are refused, and bytes that are none.
        append(&mut frame, &mut part(&pool), b"");
        assert_eq!(released(), 2);
        video.clear();
        drop(second);
        assert_eq!(released(), 3);
        let mut third = part(&pool);
        third.put_slice(b"f");
        assert!(frame.append(third.freeze()).is_err());
        assert_eq!(released(), 4);
        drop((frame, guard));
        done.send(()).expect("the test waits for this");
    });
    let ended = ended.recv_timeout(Duration::from_secs(20));
    ended.expect("it neither hangs nor panics");
}
