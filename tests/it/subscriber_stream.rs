//! A subscriber as a stream: it delivers and ends as `recv` does, and no wake-up is lost.

use crate::polling::{Polled, at_once};
use bytes::BufMut;
use futures::{FutureExt, StreamExt, stream::FusedStream};
use sample_pool::{
    Pool, SharedSample,
    fan_out::{Delivery, FanOut, HoldLimit, Subscriber},
};
use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

fn pool() -> Pool {
    Pool::builder().buffers(16).size(8).build().expect("small")
}

fn sample(pool: &Pool, number: u8) -> SharedSample {
    let mut sample = pool.try_get_buffer().expect("one is free");
    sample.put_u8(number);
    sample.freeze()
}

fn send(fan_out: &FanOut, pool: &Pool, numbers: std::ops::Range<u8>) {
    for number in numbers {
        fan_out.send(sample(pool, number)).expect("it is open");
    }
}

#[track_caller]
fn next(subscriber: &mut Subscriber) -> Delivery {
    at_once(subscriber.next()).expect("it has not ended")
}

/// Polls with a waker that does nothing: the wait stays in the subscriber.
fn wait_unheard(subscriber: &mut Subscriber) {
    let poll = subscriber.poll_next_unpin(&mut Context::from_waker(Waker::noop()));
    assert!(poll.is_pending());
}

/// Terminated too early, a `select!` would never return the last samples; never terminated, it would run for ever.
#[test]
fn a_stream_delivers_the_backlog_and_is_terminated_after_the_end() {
    let pool = pool();
    for close in [true, false] {
        let video = FanOut::new(4, 4);
        let mut viewer = video.subscribe(1);
        send(&video, &pool, 0..6);
        let fan_out = match close {
            true => {
                video.close();
                Some(video)
            }
            false => {
                drop(video);
                None
            }
        };
        let first = next(&mut viewer);
        assert_eq!((first[0], first.skipped(), first.sequence()), (2, 2, 2));
        drop(first);
        for number in 3..6 {
            let delivery = next(&mut viewer);
            assert_eq!((delivery[0], delivery.skipped()), (number, 0));
        }
        assert!(!viewer.is_terminated());
        for _ in 0..2 {
            assert!(at_once(viewer.next()).is_none());
            assert!(viewer.is_terminated());
        }
        drop((fan_out, viewer));
        assert_eq!(pool.free_count(), 16);
    }
}

#[test]
fn the_end_that_recv_returned_terminates_the_stream() {
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    video.close();
    assert!(!viewer.is_terminated());
    assert!(at_once(viewer.recv()).is_none());
    assert!(viewer.is_terminated());
}

/// Each kind of wait has a waker of its own that could be lost. The first round creates the waits, and the
/// second round reuses them.
#[test]
fn each_thing_that_a_stream_waits_for_wakes_it() {
    let pool = pool();
    let video = FanOut::new(4, 1);
    let (mut slow, mut viewer) = (video.subscribe(1), video.subscribe(1));
    for _ in 0..2 {
        let mut waiting = Polled::waiting(viewer.next());
        send(&video, &pool, 0..1);
        assert_eq!(waiting.wakes(), 1, "a sample was sent");
        let held = waiting.expect_ready().expect("it was sent");
        drop(waiting);

        send(&video, &pool, 1..2);
        let mut waiting = Polled::waiting(viewer.next());
        drop(held);
        assert_eq!(waiting.wakes(), 1, "its own sample was released");
        assert_eq!(waiting.expect_ready().expect("it was sent")[0], 1);
        drop(waiting);

        let held = at_once(slow.recv()).expect("one is in the backlog");
        send(&video, &pool, 2..3);
        let mut waiting = Polled::waiting(viewer.next());
        let mut reclaim_requested = Polled::new(held.reclaim_requested());
        reclaim_requested.expect_ready();
        drop(held);
        assert_eq!(waiting.wakes(), 1, "the limit is no longer reached");
        assert_eq!(waiting.expect_ready().expect("it was sent")[0], 2);
        drop(waiting);
        while slow.recv().now_or_never().is_some() {}
    }
    let mut waiting = Polled::waiting(viewer.next());
    video.close();
    assert_eq!(waiting.wakes(), 1, "it was closed");
    assert!(waiting.expect_ready().is_none());

    let video = FanOut::new(4, 1);
    let mut viewer = video.subscribe(1);
    let mut waiting = Polled::waiting(viewer.next());
    drop(video);
    assert_eq!(waiting.wakes(), 1, "its fan-out was dropped");
    assert!(waiting.expect_ready().is_none());
}

/// At the hold limit inside a frame a stream waits for a release or a send. A release that came between two such waits is
/// reported to the second one, and must not take the place of the next release.
#[test]
fn a_release_before_a_wait_does_not_hide_the_one_that_it_is_for() {
    let pool = pool();
    let limit = HoldLimit::new(1);
    let [video, other] = [(); 2].map(|()| FanOut::with_limit(8, &limit).notify_every(0));
    let (mut viewer, mut holder) = (video.subscribe(1), other.subscribe(1));
    send(&other, &pool, 0..2);
    let mut part = pool.try_get_buffer().expect("one is free").into_part();
    let mut frame = video.start_frame(true).expect("it is open");
    let mut append = |byte| {
        part.put_u8(byte);
        let appended = frame.append(part.split_written());
        appended.expect("it is the frame that is arriving");
    };
    let held = next(&mut holder);
    append(1);
    wait_unheard(&mut viewer);
    drop(held);
    drop(next(&mut viewer));
    let held = next(&mut holder);
    append(2);
    let mut waiting = Polled::waiting(viewer.next());
    drop(held);
    assert!(waiting.is_woken());
    assert_eq!(waiting.expect_ready().expect("it goes on")[..], [2]);
}

/// The task that polls the stream may be another one than before.
#[test]
fn the_waker_of_the_last_poll_is_woken() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    wait_unheard(&mut viewer);
    let mut waiting = Polled::waiting(viewer.next());
    send(&video, &pool, 0..2);
    assert_eq!(waiting.wakes(), 1);
    let held = waiting.expect_ready();
    drop(waiting);
    wait_unheard(&mut viewer);
    let waiting = Polled::waiting(viewer.next());
    drop(held);
    assert_eq!(waiting.wakes(), 1);
}

/// The wait of the stream is assigned the permit that `recv` waits for, and only a poll of the stream would use it.
#[test]
fn recv_and_ready_go_on_after_a_stream_that_waited_for_a_permit() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    send(&video, &pool, 0..3);
    let held = next(&mut viewer);
    wait_unheard(&mut viewer);
    let mut waiting = Polled::waiting(viewer.recv());
    drop(held);
    let held = waiting.expect_ready().expect("it was sent");
    assert_eq!(held[0], 1);
    drop(waiting);
    wait_unheard(&mut viewer);
    drop(held);
    at_once(viewer.ready());
    assert_eq!(next(&mut viewer)[0], 2);
}

/// In a `select!` the future of `next` is dropped in each iteration.
#[test]
fn a_dropped_next_takes_nothing() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    for number in 0..3 {
        drop(Polled::waiting(viewer.next()));
        send(&video, &pool, number..number + 1);
        drop(viewer.next());
        let delivery = next(&mut viewer);
        assert_eq!((delivery[0], delivery.skipped()), (number, 0));
    }
}

/// A stream that waits has a second receiver of the window.
#[test]
fn a_subscriber_that_waits_as_a_stream_counts_once() {
    let video = FanOut::new(4, 4);
    let [mut one, other] = [(); 2].map(|()| video.subscribe(1));
    wait_unheard(&mut one);
    assert_eq!((video.subscribers(), video.status().subscribers), (2, 2));
    drop(one);
    assert_eq!(video.subscribers(), 1);
    drop(other);
    assert_eq!(video.subscribers(), 0);
}

/// A stream that is always ready, or has ended, would keep the only thread for itself.
#[tokio::test]
async fn a_stream_that_never_waits_lets_other_tasks_run() {
    let pool = pool();
    let video = FanOut::new(2, 2);
    let mut viewer = video.subscribe(1);
    for open in [true, false] {
        if !open {
            video.close();
        }
        let other = tokio::spawn(async {});
        let mut polls = 0;
        while !other.is_finished() {
            if open {
                video.send(sample(&pool, 0)).expect("it is open");
            }
            let _delivery = viewer.next().await;
            polls += 1;
            assert!(polls < 1000, "the other task did not run");
        }
    }
}

/// A change between the check and the wait must be seen. Each viewer holds a sample until its reclaim is requested,
/// so one lost wake-up stops all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_no_wake_up_of_a_stream_is_lost() {
    let pool = pool();
    let video = Arc::new(FanOut::new(4, 1));
    let slow = [(); 3].map(|()| {
        let viewer = video.subscribe(1);
        tokio::spawn(viewer.for_each(|delivery| async move {
            let reclaim_requested = delivery.reclaim_requested();
            let queued = delivery.into_bytes();
            reclaim_requested.await;
            drop(queued);
        }))
    });
    let mut fast = video.subscribe(1);
    for number in 0..20_000u32 {
        let sent = video.send(sample(&pool, number.to_be_bytes()[3]));
        sent.expect("it is open");
        let next = tokio::time::timeout(Duration::from_secs(20), fast.next()).await;
        assert!(next.expect("a sample is released").is_some());
    }
    for viewer in slow {
        viewer.abort();
        assert!(viewer.await.is_err_and(|ended| ended.is_cancelled()));
    }
    assert_eq!(video.held(), 0);
    let ended = tokio::spawn(video.subscribe(1).for_each(|_| std::future::ready(())));
    video.close();
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    assert!(ended.expect("it ends").is_ok());
}
