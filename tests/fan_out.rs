//! A fan-out: who lags skips and is told, and nobody holds more than was stated.

#![deny(unsafe_code)]

mod polling;
mod wakers;

use bytes::BufMut;
use polling::{Polled, at_once};
use sample_pool::{
    Pool, SharedSample,
    fan_out::{FanOut, Hands, Received, Subscriber},
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
use wakers::{Moment, hooked_at};

fn pool() -> Pool {
    Pool::builder().buffers(32).size(8).build().expect("small")
}

fn sample(pool: &Pool, number: u8, sync_point: bool) -> SharedSample {
    let mut sample = pool.try_get_buffer().expect("one is home");
    sample.put_u8(number);
    sample.properties_mut().set_sync_point(sync_point);
    sample.freeze()
}

#[track_caller]
fn next(subscriber: &mut Subscriber) -> Received {
    at_once(subscriber.next()).expect("it goes on")
}

/// Sends numbers as samples, those in `sync_points` as sync points.
fn send(fan_out: &FanOut, pool: &Pool, numbers: std::ops::Range<u8>, sync_points: &[u8]) {
    for number in numbers {
        fan_out
            .send(sample(pool, number, sync_points.contains(&number)))
            .expect("open");
    }
}

/// The rule is what it is for: what is between two sync points cannot be decoded alone.
#[test]
fn who_lags_skips_to_the_next_sync_point_and_is_told_how_many_it_missed() {
    let pool = pool();
    let video = FanOut::new(4, 4).require_sync_point(true);
    let mut viewer = video.subscribe(1);
    send(&video, &pool, 0..2, &[0]);
    let first = next(&mut viewer);
    assert_eq!((first[0], first.missed(), first.number()), (0, 0, 0));
    drop(first);
    // 1 to 5 are gone from the window, 6 and 7 are in it and no sync points.
    send(&video, &pool, 2..10, &[4, 8]);
    let second = next(&mut viewer);
    assert_eq!((second[0], second.missed(), second.number()), (8, 7, 8));
    drop(second);
    let third = next(&mut viewer);
    assert_eq!((third[0], third.missed()), (9, 0));
}

/// The sync point may come later than the samples that are skipped, and after a wait.
#[test]
fn what_was_skipped_before_a_wait_counts_as_missed() {
    let pool = pool();
    let video = FanOut::new(2, 4).require_sync_point(true);
    let mut viewer = video.subscribe(1);
    send(&video, &pool, 0..1, &[0]);
    drop(next(&mut viewer));
    send(&video, &pool, 1..6, &[]);
    let mut waiting = Polled::waiting(viewer.next());
    video.send(sample(&pool, 6, true)).expect("open");
    assert!(waiting.wakes() > 0);
    let received = waiting.expect_ready().expect("it goes on");
    assert_eq!((received[0], received.missed()), (6, 5));
}

/// A viewer that comes in the middle would show nothing until the next key frame, seconds later.
#[test]
fn a_newcomer_begins_with_the_newest_sync_point_there_is() {
    let pool = pool();
    let video = FanOut::new(8, 4).require_sync_point(true);
    send(&video, &pool, 0..6, &[0, 3]);
    let mut viewer = video.subscribe(1);
    assert_eq!(viewer.lag(), 3);
    let received = next(&mut viewer);
    assert_eq!((received[0], received.missed()), (3, 0));

    let mut anywhere = FanOut::new(8, 4).subscribe(1);
    assert!(at_once(anywhere.next()).is_none(), "its fan-out is gone");

    let audio = FanOut::new(2, 4);
    send(&audio, &pool, 0..6, &[]);
    let mut listener = audio.subscribe(1);
    assert_eq!(next(&mut listener)[0], 5);
    send(&audio, &pool, 6..10, &[]);
    let received = next(&mut listener);
    assert_eq!((received[0], received.missed()), (8, 2));
}

/// Whatever subscribers do, the producer has its buffers: this is why it is there.
#[test]
fn all_subscribers_together_pin_no_more_than_was_stated() {
    let pool = pool();
    let video = FanOut::new(3, 2);
    let mut viewers = [(); 8].map(|()| video.subscribe(4));
    let mut held = Vec::new();
    for number in 0..100 {
        video.send(sample(&pool, number, false)).expect("open");
        // All of them take all that they can get, and let go of nothing.
        for viewer in &mut viewers {
            if let std::task::Poll::Ready(received) = Polled::new(viewer.next()).poll() {
                held.push(received.expect("it goes on"));
            }
        }
        assert!(pool.status().outstanding <= 5, "at {number}");
        assert!(video.in_hands() <= 2);
    }
    assert_eq!(video.in_hands(), 2);
    assert!(held.len() >= 16, "a sample that many have counts once");
    drop(held);
    assert_eq!((video.in_hands(), pool.status().outstanding), (0, 3));
    video.clear();
    assert_eq!(pool.status().outstanding, 0);
}

/// One that takes and takes would leave no place to the others.
#[test]
fn a_subscriber_has_no_more_samples_at_a_time_than_it_may() {
    let pool = pool();
    let video = FanOut::new(8, 8);
    let mut viewer = video.subscribe(2);
    send(&video, &pool, 0..4, &[]);
    let first = next(&mut viewer).into_bytes();
    let _second = next(&mut viewer);
    let mut waiting = Polled::waiting(viewer.next());
    let clone = first.clone();
    drop(first);
    waiting.expect_pending();
    drop(clone);
    let third = waiting.expect_ready().expect("it goes on");
    assert_eq!((third[0], third.missed()), (2, 0));
}

/// `Bytes::from_owner` keeps its owner for an empty slice too, and the subscriber would wait for its own place.
#[test]
fn bytes_of_an_empty_delivery_hold_neither_a_buffer_nor_a_place() {
    let pool = pool();
    let video = FanOut::new(8, 8);
    let mut viewer = video.subscribe(1);
    let empty = pool.try_get_buffer().expect("one is free").freeze();
    video.send(empty).expect("open");
    let empty = next(&mut viewer).into_bytes();
    assert!(empty.is_empty());
    assert_eq!(video.in_hands(), 0);
    send(&video, &pool, 0..1, &[]);
    assert_eq!(next(&mut viewer)[0], 0);
}

/// A place that becomes free while nobody looks must still be seen.
#[test]
fn who_waits_for_a_place_gets_it_when_one_is_free_and_has_missed_nothing() {
    let pool = pool();
    let video = FanOut::new(4, 1);
    let (mut slow, mut fast) = (video.subscribe(1), video.subscribe(1));
    send(&video, &pool, 0..2, &[]);
    let held = next(&mut slow);
    drop(next(&mut fast));
    let mut waiting = Polled::waiting(fast.next());
    drop(held);
    assert_eq!(waiting.wakes(), 1);
    let received = waiting.expect_ready().expect("it goes on");
    assert_eq!((received[0], received.missed()), (1, 0));
}

/// Everybody else waits for the one that stalls, and only the server can close its connection.
#[test]
fn who_has_the_oldest_sample_is_told_when_others_wait_for_its_place() {
    let pool = pool();
    let video = FanOut::new(4, 2);
    let [mut stalled, mut slow, mut fast] = [(); 3].map(|()| video.subscribe(1));
    send(&video, &pool, 0..3, &[]);
    let oldest = next(&mut stalled);
    let mut oldest_is_wanted = Polled::waiting(oldest.wanted_back());
    drop(next(&mut slow));
    let other = next(&mut slow);
    let mut other_is_wanted = Polled::waiting(other.wanted_back());
    drop(next(&mut fast));
    drop(next(&mut fast));
    oldest_is_wanted.expect_pending();
    drop(Polled::waiting(fast.next()));
    oldest_is_wanted.expect_ready();
    other_is_wanted.expect_pending();
    drop(oldest.into_bytes());
    assert_eq!(next(&mut fast)[0], 2);
}

/// A server closes connections there, and whatever else it does must not wait for the one who looks.
#[test]
fn who_is_told_to_make_room_may_use_the_fan_out() {
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
        let mut wanted_back = pin!(held.wanted_back());
        let mut cx = Context::from_waker(&waker);
        assert!(wanted_back.as_mut().poll(&mut cx).is_pending());
        drop(next(&mut fast));
        drop(Polled::waiting(fast.next()));
        assert!(wanted_back.as_mut().poll(&mut cx).is_ready());
        done.send(()).expect("somebody waits for this");
    });
    let ended = ended.recv_timeout(Duration::from_secs(20));
    ended.expect("it neither hangs nor panics");
}

/// What it is written to is foreign as well.
#[test]
fn a_fan_out_may_be_used_by_what_it_is_printed_to() {
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
        done.send(()).expect("somebody waits for this");
    });
    let ended = ended.recv_timeout(Duration::from_secs(20));
    ended.expect("it neither hangs nor panics");
}

#[test]
fn a_subscriber_may_have_no_bound_of_its_own() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(usize::MAX);
    send(&video, &pool, 0..4, &[]);
    let all: Vec<_> = (0..4).map(|_| next(&mut viewer)).collect();
    assert_eq!(all.iter().map(|sample| sample[0]).sum::<u8>(), 6);
}

/// A channel that nobody watches needs no places, and the numbers of two channels are the same.
#[test]
fn fan_outs_that_share_their_hands_are_bounded_together() {
    let pool = pool();
    let hands = Hands::new(2);
    let [one, other] = [(); 2].map(|()| FanOut::with_hands(4, &hands));
    let [mut first, mut second] = [(); 2].map(|()| one.subscribe(1));
    let [mut third, mut fourth] = [(); 2].map(|()| other.subscribe(1));
    send(&one, &pool, 0..1, &[]);
    send(&other, &pool, 10..12, &[]);
    let held = next(&mut third);
    let also_held = next(&mut first);
    assert_eq!((held[0], also_held[0]), (10, 0));
    assert_eq!((held.number(), also_held.number()), (0, 0));
    assert_eq!((hands.taken(), one.in_hands(), hands.places()), (2, 2, 2));
    // The same sample needs no place of its own.
    drop((next(&mut second), next(&mut fourth)));

    let mut held_is_wanted = Polled::waiting(held.wanted_back());
    let mut also_held_is_wanted = Polled::waiting(also_held.wanted_back());
    let mut waiting = Polled::waiting(fourth.next());
    held_is_wanted.expect_ready();
    also_held_is_wanted.expect_pending();
    drop(also_held);
    assert_eq!(waiting.expect_ready().expect("it goes on")[0], 11);
}

/// With a thousand viewers that would be a thousand wake-ups for each frame that one of them has written.
#[test]
fn a_place_that_becomes_free_wakes_only_those_who_wait_for_one() {
    let pool = pool();
    let video = FanOut::new(4, 2);
    let (mut slow, mut fast) = (video.subscribe(1), video.subscribe(1));
    send(&video, &pool, 0..2, &[]);
    let held = next(&mut slow);
    let mut held_is_wanted = Polled::waiting(held.wanted_back());
    drop(next(&mut fast));
    drop(next(&mut fast));
    assert_eq!(video.in_hands(), 1);
    assert_eq!(held_is_wanted.wakes(), 0);
    held_is_wanted.expect_pending();
}

/// The others let go only when they are told to, so one notice that is lost stops them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_whoever_waits_for_a_place_gets_one() {
    let pool = pool();
    let video = FanOut::new(4, 1);
    let slow: Vec<_> = (0..5)
        .map(|_| {
            let mut viewer = video.subscribe(1);
            tokio::spawn(async move {
                while let Some(sample) = viewer.next().await {
                    let wanted_back = sample.wanted_back();
                    let queued = sample.into_bytes();
                    wanted_back.await;
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
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), fast.next());
        let next = next.await.expect("somebody makes room");
        assert!(next.is_some());
    }
    // What is held is wanted back by nobody any more.
    assert!(video.in_hands() <= 1);
    for viewer in slow {
        viewer.abort();
        assert!(viewer.await.is_err_and(|ended| ended.is_cancelled()));
    }
    assert_eq!(video.in_hands(), 0);
}

/// A server closes who does not become ready.
#[test]
fn a_subscriber_is_ready_when_it_has_let_go_of_enough() {
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

/// The last samples were sent, and are due.
#[test]
fn what_is_in_the_backlog_is_taken_after_the_fan_out_is_gone_and_then_it_ends() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    send(&video, &pool, 0..2, &[0]);
    drop(video);
    assert_eq!(next(&mut viewer)[0], 0);
    assert_eq!(next(&mut viewer)[0], 1);
    assert!(at_once(viewer.next()).is_none());
    drop(viewer);
    assert_eq!(pool.free_count(), 32);

    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    let mut waiting = Polled::waiting(viewer.next());
    drop(video);
    assert!(waiting.expect_ready().is_none());
}

/// In a `select!` it is dropped at each turn.
#[test]
fn a_dropped_next_takes_nothing() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    for number in 0..3 {
        drop(Polled::waiting(viewer.next()));
        video.send(sample(&pool, number, false)).expect("open");
        drop(viewer.next());
        let received = next(&mut viewer);
        assert_eq!((received[0], received.missed()), (number, 0));
    }
}

/// A release callback that sends, or looks, would wait for a lock that its own thread has.
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

/// A subscriber for whom there is always a sample never waits.
#[tokio::test]
async fn a_subscriber_that_always_finds_a_sample_lets_other_tasks_run() {
    let pool = pool();
    let video = FanOut::new(2, 2);
    let mut viewer = video.subscribe(1);
    let other = tokio::spawn(async {});
    for _ in 0..1000 {
        video.send(sample(&pool, 0, false)).expect("open");
        drop(viewer.next().await.expect("it goes on"));
        if other.is_finished() {
            return;
        }
    }
    panic!("1000 samples, and the other task did not run");
}
