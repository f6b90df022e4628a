//! Wait times: all the time that gets spend in the wait queue is counted, whatever the outcome of the wait.

#![forbid(unsafe_code)]

use crate::polling::{Polled, at_once};
use sample_pool::{GetBufferError, Pool, Sample};
use std::{
    thread,
    time::{Duration, Instant},
};

fn exhausted() -> (Pool, Sample) {
    let builder = Pool::builder().buffers(1).size(8).measure_waits(true);
    let pool = builder.build().expect("small");
    let held = pool.try_get_buffer().expect("free");
    (pool, held)
}

/// The longest waits are those that time out: without them the figure would be useless.
#[tokio::test]
async fn a_wait_that_timed_out_counts() {
    let (pool, _held) = exhausted();
    let limit = Duration::from_millis(20);
    let late = pool.get_buffer_timeout(limit).await;
    assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    let status = pool.status();
    assert!(status.max_wait.expect("measured") >= limit);
    assert_eq!(status.wait_time, status.max_wait);
}

#[test]
fn waits_that_were_cancelled_or_failed_count() {
    let (pool, _held) = exhausted();
    drop(Polled::waiting(pool.get_buffer()));
    let cancelled = pool.status().wait_time.expect("measured");
    assert!(cancelled > Duration::ZERO);
    let mut failed = Polled::waiting(pool.get_buffer());
    pool.decommit();
    failed.expect_ready().expect_err("not committed");
    assert!(pool.status().wait_time.expect("measured") > cancelled);
}

/// Times are stored relative to the creation of the pool, which is not part of a wait.
#[test]
fn a_wait_is_measured_from_when_it_began() {
    let (pool, held) = exhausted();
    thread::sleep(Duration::from_millis(20));
    let before = Instant::now();
    let mut waiting = Polled::waiting(pool.get_buffer());
    drop(held);
    let most = before.elapsed();
    assert!(pool.status().wait_time.expect("measured") <= most);
    assert!(waiting.expect_ready().is_ok());
}

/// A get on the fast path does not wait, and reads no clock.
#[test]
fn the_fast_path_is_no_wait() {
    let (pool, held) = exhausted();
    drop(held);
    assert!(at_once(pool.get_buffer()).is_ok());
    assert_eq!(pool.status().wait_time, Some(Duration::ZERO));
}

/// A sum hides how long one wait in a hundred takes, and so does a maximum.
#[tokio::test]
async fn waits_are_counted_by_how_long_they_took() {
    let (pool, held) = exhausted();
    let counted = || pool.wait_histogram().expect("measured");
    for _ in 0..9 {
        drop(Polled::waiting(pool.get_buffer()));
    }
    let before = counted();
    assert_eq!(before.count(), 9);
    let limit = Duration::from_secs(1);
    let late = pool.get_buffer_timeout(limit).await;
    assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    let times = counted();
    assert!(times.quantile(0.9) < Some(limit), "{times:?}");
    let longest = times.quantile(1.0).expect("there were waits");
    let exact = pool.status().max_wait.expect("measured");
    assert!(
        longest >= exact && longest <= exact * 9 / 8,
        "{longest:?} of {exact:?}"
    );
    assert_eq!(times.since(&before).count(), 1);
    drop(held);
    pool.decommit();
    assert_eq!(counted(), times, "a decommit starts nothing anew");
}

/// Only users who request it pay for it.
#[test]
fn waits_are_not_counted_unless_they_are_measured() {
    let pool = Pool::builder().buffers(1).build().expect("small");
    assert!(pool.wait_histogram().is_none());
}

/// The wait that has not ended is the one of interest.
#[test]
fn the_oldest_wait_is_that_of_the_head_of_the_queue() {
    let (pool, held) = exhausted();
    let oldest = || pool.status().oldest_wait;
    assert_eq!(oldest(), None);
    let mut first = Polled::waiting(pool.get_buffer());
    let pause = Duration::from_millis(10);
    thread::sleep(pause);
    let second_joined = Instant::now();
    let second = Polled::waiting(pool.get_buffer());
    assert!(oldest() >= Some(pause));
    drop(held);
    let handed = first.expect_ready().expect("handed off");
    let of_the_second = oldest().expect("it waits");
    assert!(of_the_second <= second_joined.elapsed());
    drop(second);
    assert_eq!(oldest(), None);
    drop(handed);
}

/// The head of the queue is not always the get that has waited longest.
#[test]
fn with_and_without_high_priority_the_oldest_wait_is_that_of_the_first_get() {
    let (pool, held) = exhausted();
    let quota = pool.priority_quota("control", 1);
    let oldest = || pool.status().oldest_wait.expect("a get waits");
    let pause = Duration::from_millis(10);

    let ordinary = Polled::waiting(pool.get_buffer());
    thread::sleep(pause);
    let joined = Instant::now();
    let priority = Polled::waiting(quota.get_buffer());
    assert!(oldest() >= pause);
    drop(ordinary);
    let of_the_priority_get = oldest();
    assert!(of_the_priority_get <= joined.elapsed());

    thread::sleep(pause);
    let ordinary = Polled::waiting(pool.get_buffer());
    assert!(oldest() >= pause, "of the one of high priority still");
    drop((priority, ordinary, held));
}
