//! A fan-out: a subscriber that lags skips samples, and subscribers hold no more samples than the limit.

#![deny(unsafe_code)]

use crate::polling::{Polled, at_once};
use crate::wakers::{Moment, hooked_at};
use bytes::BufMut;
use sample_pool::{
    Pool, SharedSample,
    fan_out::{Delivery, FanOut, HoldLimit, Subscriber},
};
use std::{
    fmt::{self, Write},
    future::Future,
    pin::pin,
    sync::{Arc, mpsc},
    task::Context,
    thread,
    time::Duration,
};

fn pool() -> Pool {
    Pool::builder().buffers(32).size(8).build().expect("small")
}

fn sample(pool: &Pool, number: u8, sync_point: bool) -> SharedSample {
    let mut sample = pool.try_get_buffer().expect("one is free");
    sample.put_u8(number);
    sample.properties_mut().set_sync_point(sync_point);
    sample.freeze()
}

#[track_caller]
fn next(subscriber: &mut Subscriber) -> Delivery {
    at_once(subscriber.recv()).expect("it goes on")
}

/// Sends numbers as samples, those in `sync_points` as sync points.
fn send(fan_out: &FanOut, pool: &Pool, numbers: std::ops::Range<u8>, sync_points: &[u8]) {
    for number in numbers {
        fan_out
            .send(sample(pool, number, sync_points.contains(&number)))
            .expect("open");
    }
}

/// The samples between two sync points cannot be decoded alone.
#[test]
fn a_lagging_subscriber_skips_to_the_next_sync_point_and_learns_how_many_it_skipped() {
    let pool = pool();
    let video = FanOut::new(4, 4).require_sync_point(true);
    let mut viewer = video.subscribe(1);
    send(&video, &pool, 0..2, &[0]);
    let first = next(&mut viewer);
    assert_eq!((first[0], first.skipped(), first.sequence()), (0, 0, 0));
    drop(first);
    // 1 to 5 are no longer in the window. 6 and 7 are, and are no sync points.
    send(&video, &pool, 2..10, &[4, 8]);
    let second = next(&mut viewer);
    assert_eq!((second[0], second.skipped(), second.sequence()), (8, 7, 8));
    drop(second);
    let third = next(&mut viewer);
    assert_eq!((third[0], third.skipped()), (9, 0));
}

/// The sync point may come later than the samples that are skipped, and after a wait.
#[test]
fn samples_that_were_skipped_before_a_wait_are_counted() {
    let pool = pool();
    let video = FanOut::new(2, 4).require_sync_point(true);
    let mut viewer = video.subscribe(1);
    send(&video, &pool, 0..1, &[0]);
    drop(next(&mut viewer));
    send(&video, &pool, 1..6, &[]);
    let mut waiting = Polled::waiting(viewer.recv());
    video.send(sample(&pool, 6, true)).expect("open");
    assert!(waiting.wakes() > 0);
    let received = waiting.expect_ready().expect("it goes on");
    assert_eq!((received[0], received.skipped()), (6, 5));
    drop((waiting, received));
    send(&video, &pool, 7..12, &[]);
    drop(Polled::waiting(viewer.recv()));
    assert_eq!(video.status().skipped, 5, "nothing more was received");
    drop(viewer);
    assert_eq!(video.status().skipped, 10);
}

/// A viewer that joins later would show nothing until the next key frame, seconds later.
#[test]
fn a_new_subscriber_starts_with_the_newest_sync_point() {
    let pool = pool();
    let video = FanOut::new(8, 4).require_sync_point(true);
    send(&video, &pool, 0..6, &[0, 3]);
    let mut viewer = video.subscribe(1);
    assert_eq!(viewer.lag(), 3);
    let received = next(&mut viewer);
    assert_eq!((received[0], received.skipped()), (3, 0));

    let mut anywhere = FanOut::new(8, 4).subscribe(1);
    assert!(at_once(anywhere.recv()).is_none(), "its fan-out is gone");

    let audio = FanOut::new(2, 4);
    send(&audio, &pool, 0..6, &[]);
    let mut listener = audio.subscribe(1);
    assert_eq!(next(&mut listener)[0], 5);
    send(&audio, &pool, 6..10, &[]);
    let received = next(&mut listener);
    assert_eq!((received[0], received.skipped()), (8, 2));
}

/// Subscribers must never keep the producer from getting a buffer.
#[test]
fn all_subscribers_together_hold_no_more_than_the_limit() {
    let pool = pool();
    let video = FanOut::new(3, 2);
    let mut viewers = [(); 8].map(|()| video.subscribe(4));
    let mut held = Vec::new();
    for number in 0..100 {
        video.send(sample(&pool, number, false)).expect("open");
        // All of them receive what they can, and release nothing.
        for viewer in &mut viewers {
            if let std::task::Poll::Ready(received) = Polled::new(viewer.recv()).poll() {
                held.push(received.expect("it goes on"));
            }
        }
        assert!(pool.status().outstanding <= 5, "at {number}");
        assert!(video.held() <= 2);
    }
    assert_eq!(video.held(), 2);
    assert!(held.len() >= 16, "a sample that many hold counts once");
    drop(held);
    assert_eq!((video.held(), pool.status().outstanding), (0, 3));
    video.clear();
    assert_eq!(pool.status().outstanding, 0);
}

/// A subscriber that releases nothing would use up the whole hold limit.
#[test]
fn a_subscriber_holds_no_more_samples_than_it_may() {
    let pool = pool();
    let video = FanOut::new(8, 8);
    let mut viewer = video.subscribe(2);
    send(&video, &pool, 0..4, &[]);
    let first = next(&mut viewer).into_bytes();
    let _second = next(&mut viewer);
    let mut waiting = Polled::waiting(viewer.recv());
    let clone = first.clone();
    drop(first);
    waiting.expect_pending();
    drop(clone);
    let third = waiting.expect_ready().expect("it goes on");
    assert_eq!((third[0], third.skipped()), (2, 0));
}

/// `Bytes::from_owner` keeps its owner for an empty slice too, and the subscriber would wait for its own release.
#[test]
fn bytes_of_an_empty_delivery_hold_no_buffer_and_do_not_count() {
    let pool = pool();
    let video = FanOut::new(8, 8);
    let mut viewer = video.subscribe(1);
    let empty = pool.try_get_buffer().expect("one is free").freeze();
    video.send(empty).expect("open");
    let empty = next(&mut viewer).into_bytes();
    assert!(empty.is_empty());
    assert_eq!(video.held(), 0);
    send(&video, &pool, 0..1, &[]);
    assert_eq!(next(&mut viewer)[0], 0);
}

/// The release comes while the subscriber is not polled, and must wake it. Another sample would only wake it in vain.
#[test]
fn a_release_wakes_a_subscriber_at_the_limit_which_has_skipped_nothing() {
    let pool = pool();
    let video = FanOut::new(4, 1);
    let (mut slow, mut fast) = (video.subscribe(1), video.subscribe(1));
    send(&video, &pool, 0..2, &[]);
    let held = next(&mut slow);
    drop(next(&mut fast));
    let mut waiting = Polled::waiting(fast.recv());
    send(&video, &pool, 2..3, &[]);
    assert_eq!(waiting.wakes(), 0);
    drop(held);
    assert_eq!(waiting.wakes(), 1);
    let received = waiting.expect_ready().expect("it goes on");
    assert_eq!((received[0], received.skipped()), (1, 0));
}

/// All other subscribers wait for the one that stalls, and only the server can close its connection.
#[test]
fn the_longest_held_sample_is_requested_when_a_subscriber_is_at_the_limit() {
    let pool = pool();
    let video = FanOut::new(4, 2);
    let [mut stalled, mut slow, mut fast] = [(); 3].map(|()| video.subscribe(1));
    send(&video, &pool, 0..3, &[]);
    let oldest = next(&mut stalled);
    let mut oldest_is_requested = Polled::waiting(oldest.reclaim_requested());
    drop(next(&mut slow));
    let other = next(&mut slow);
    let mut other_is_requested = Polled::waiting(other.reclaim_requested());
    drop(next(&mut fast));
    drop(next(&mut fast));
    oldest_is_requested.expect_pending();
    drop(Polled::waiting(fast.recv()));
    oldest_is_requested.expect_ready();
    other_is_requested.expect_pending();
    drop(oldest.into_bytes());
    assert_eq!(next(&mut fast)[0], 2);
}

/// A server closes connections in this waker. That must not wait for the lock of the subscriber that requested
/// the reclaim.
#[test]
fn a_waker_of_a_reclaim_request_may_use_the_fan_out() {
    let (done, ended) = mpsc::channel();
    let pool = pool();
    let video = Arc::new(FanOut::new(4, 1));
    let (mut slow, mut fast) = (video.subscribe(1), video.subscribe(1));
    send(&video, &pool, 0..2, &[]);
    thread::spawn(move || {
        let held = next(&mut slow);
        let used = video.clone();
        let waker = hooked_at(Moment::Wake, move || {
            used.clear();
            let _text = format!("{used:?}, {}", used.subscribe(1).lag());
        });
        let mut reclaim_requested = pin!(held.reclaim_requested());
        let mut cx = Context::from_waker(&waker);
        assert!(reclaim_requested.as_mut().poll(&mut cx).is_pending());
        drop(next(&mut fast));
        drop(Polled::waiting(fast.recv()));
        assert!(reclaim_requested.as_mut().poll(&mut cx).is_ready());
        done.send(()).expect("the test waits for this");
    });
    let ended = ended.recv_timeout(Duration::from_secs(20));
    ended.expect("it neither hangs nor panics");
}

/// The writer is user code, and must not run under a lock.
#[test]
fn a_writer_that_a_fan_out_is_formatted_to_may_use_it() {
    struct Clears(FanOut);
    impl Write for &Clears {
        fn write_str(&mut self, _: &str) -> fmt::Result {
            self.0.clear();
            Ok(())
        }
    }
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let clears = Clears(FanOut::new(4, 4));
        write!(&clears, "{:?}", clears.0).expect("it takes all");
        done.send(()).expect("the test waits for this");
    });
    let ended = ended.recv_timeout(Duration::from_secs(20));
    ended.expect("it neither hangs nor panics");
}

/// For a log: the figures, and never what was sent.
#[test]
fn debug_shows_figures_and_no_bytes() {
    let pool = pool();
    let limit = HoldLimit::new(3);
    let video = FanOut::with_limit(4, &limit);
    let mut viewer = video.subscribe(1);
    send(&video, &pool, 200..203, &[]);
    let held = next(&mut viewer);
    let frame = video.start_frame(true).expect("open");
    let shown: [(String, &[&str]); 5] = [
        (
            format!("{video:?}"),
            &["backlog: 3", "held: 1", "subscribers: 1", "closed: false"],
        ),
        (format!("{limit:?}"), &["held: 1", "limit: 3"]),
        (format!("{viewer:?}"), &["lag: 2", "skipped: 0"]),
        (format!("{held:?}"), &["sequence: 0", "len: 1"]),
        (
            format!("{frame:?}"),
            &["sync_point: true", "has_begun: false"],
        ),
    ];
    for (shown, figures) in shown {
        for figure in figures {
            assert!(shown.contains(figure), "{shown}");
        }
        assert!(!shown.contains("200"), "{shown}");
    }
}

/// A consumer needs the times of a sample, which are not in its bytes.
#[test]
fn a_delivery_has_the_properties_of_its_sample() {
    let pool = pool();
    let video = FanOut::new(4, 3);
    let mut viewer = video.subscribe(1);
    let mut sample = pool.try_get_buffer().expect("one is free");
    sample.properties_mut().set_user(7);
    video.send(sample.freeze()).expect("open");
    assert_eq!(next(&mut viewer).properties().user(), 7);
}

#[test]
fn a_subscriber_may_have_no_limit_of_its_own() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(usize::MAX);
    send(&video, &pool, 0..4, &[]);
    let all: Vec<_> = (0..4).map(|_| next(&mut viewer)).collect();
    assert_eq!(all.iter().map(|sample| sample[0]).sum::<u8>(), 6);
}

/// Two fan-outs have equal sequence numbers, which must not be taken for the same sample.
#[test]
fn fan_outs_that_share_a_hold_limit_are_limited_together() {
    let pool = pool();
    let limit = HoldLimit::new(2);
    let [one, other] = [(); 2].map(|()| FanOut::with_limit(4, &limit));
    let [mut first, mut second] = [(); 2].map(|()| one.subscribe(1));
    let [mut third, mut fourth] = [(); 2].map(|()| other.subscribe(1));
    send(&one, &pool, 0..1, &[]);
    send(&other, &pool, 10..12, &[]);
    let held = next(&mut third);
    let also_held = next(&mut first);
    assert_eq!((held[0], also_held[0]), (10, 0));
    assert_eq!((held.sequence(), also_held.sequence()), (0, 0));
    assert_eq!((limit.held(), one.held(), limit.limit()), (2, 2, 2));
    // A second holder of the same sample does not count.
    drop((next(&mut second), next(&mut fourth)));

    let mut held_is_requested = Polled::waiting(held.reclaim_requested());
    let mut also_held_is_requested = Polled::waiting(also_held.reclaim_requested());
    let mut waiting = Polled::waiting(fourth.recv());
    held_is_requested.expect_ready();
    also_held_is_requested.expect_pending();
    drop(also_held);
    assert_eq!(waiting.expect_ready().expect("it goes on")[0], 11);
}

/// With a thousand viewers, each frame that one of them wrote would otherwise cause a thousand wake-ups.
#[test]
fn a_release_wakes_only_subscribers_at_the_limit() {
    let pool = pool();
    let video = FanOut::new(4, 2);
    let (mut slow, mut fast) = (video.subscribe(1), video.subscribe(1));
    send(&video, &pool, 0..2, &[]);
    let held = next(&mut slow);
    let mut held_is_requested = Polled::waiting(held.reclaim_requested());
    drop(next(&mut fast));
    drop(next(&mut fast));
    assert_eq!(video.held(), 1);
    assert_eq!(held_is_requested.wakes(), 0);
    held_is_requested.expect_pending();
}

/// The other viewers release a sample only when its reclaim is requested, so one lost wake-up stops all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_a_subscriber_at_the_limit_goes_on_after_a_reclaim() {
    let pool = pool();
    let video = FanOut::new(4, 1);
    let slow: Vec<_> = (0..5)
        .map(|_| {
            let mut viewer = video.subscribe(1);
            tokio::spawn(async move {
                while let Some(sample) = viewer.recv().await {
                    let reclaim_requested = sample.reclaim_requested();
                    let queued = sample.into_bytes();
                    reclaim_requested.await;
                    drop(queued);
                }
            })
        })
        .collect();
    let mut fast = video.subscribe(1);
    for number in 0..20_000u32 {
        video
            .send(sample(&pool, number.to_be_bytes()[3], false))
            .expect("open");
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), fast.recv());
        let next = next.await.expect("a sample is released");
        assert!(next.is_some());
    }
    // No subscriber is at the limit any more, so the last sample is still held.
    assert!(video.held() <= 1);
    for viewer in slow {
        viewer.abort();
        assert!(viewer.await.is_err_and(|ended| ended.is_cancelled()));
    }
    assert_eq!(video.held(), 0);
}

/// A server closes the connection of a subscriber that does not become ready.
#[test]
fn a_subscriber_is_ready_when_it_has_released_enough() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    at_once(viewer.ready());
    at_once(viewer.ready());
    send(&video, &pool, 0..2, &[]);
    let queued = next(&mut viewer).into_bytes();
    let mut waiting = Polled::waiting(viewer.ready());
    drop(queued);
    assert_eq!(waiting.wakes(), 1);
    waiting.expect_ready();
    drop(waiting);
    assert_eq!(next(&mut viewer)[0], 1);
}

/// The last samples were sent, so they must be received.
#[test]
fn the_backlog_is_delivered_after_the_fan_out_is_dropped_and_then_it_ends() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    send(&video, &pool, 0..2, &[0]);
    drop(video);
    assert_eq!(next(&mut viewer)[0], 0);
    assert_eq!(next(&mut viewer)[0], 1);
    assert!(at_once(viewer.recv()).is_none());
    drop(viewer);
    assert_eq!(pool.free_count(), 32);

    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    let mut waiting = Polled::waiting(viewer.recv());
    drop(video);
    assert!(waiting.expect_ready().is_none());
}

/// In a `select!` loop the future is dropped in each iteration.
#[test]
fn a_dropped_recv_takes_nothing() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    for number in 0..3 {
        drop(Polled::waiting(viewer.recv()));
        video.send(sample(&pool, number, false)).expect("open");
        drop(viewer.recv());
        let received = next(&mut viewer);
        assert_eq!((received[0], received.skipped()), (number, 0));
    }
}

/// A release callback that uses the fan-out would deadlock if it ran under the lock of the window.
#[test]
fn a_release_callback_may_use_the_fan_out() {
    let pool = Pool::builder().buffers(4).size(8).build().expect("small");
    let video = std::sync::Arc::new(FanOut::new(1, 1));
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let guard = pool.on_release({
        let (video, seen) = (std::sync::Arc::downgrade(&video), seen.clone());
        move |_pool| {
            if let Some(video) = video.upgrade() {
                let _looked = format!("{video:?}");
                let _subscriber = video.subscribe(1);
                seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    });
    let mut viewer = video.subscribe(1);
    for number in 0..3 {
        video.send(sample(&pool, number, false)).expect("open");
    }
    drop(next(&mut viewer));
    video.clear();
    assert_eq!(seen.load(std::sync::atomic::Ordering::Relaxed), 3);
    drop(guard);
}

/// A subscriber that always finds a sample never waits, and would keep the only thread for itself.
#[tokio::test]
async fn a_subscriber_that_always_finds_a_sample_lets_other_tasks_run() {
    let pool = pool();
    let video = FanOut::new(2, 2);
    let mut viewer = video.subscribe(1);
    let other = tokio::spawn(async {});
    for _ in 0..1000 {
        video.send(sample(&pool, 0, false)).expect("open");
        drop(viewer.recv().await.expect("it goes on"));
        if other.is_finished() {
            return;
        }
    }
    panic!("1000 samples, and the other task did not run");
}
