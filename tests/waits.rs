//! Holds what the pool says of the time that gets spent in line: all of it, whatever came of the wait.

#![forbid(unsafe_code)]

mod polling;

use polling::{Polled, at_once};
use sample_pool::{GetBufferError, Pool, Sample};
use std::time::Duration;

fn exhausted() -> (Pool, Sample) {
    let builder = Pool::builder().buffers(1).size(8).measure_waits(true);
    let pool = builder.build().expect("small");
    let held = pool.try_get_buffer().expect("home");
    (pool, held)
}

/// The longest waits are those that end in a time-out: without them the figure would be about nothing.
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

/// A hit does not wait, and reads no clock.
#[test]
fn a_hit_is_no_wait() {
    let (pool, held) = exhausted();
    drop(held);
    assert!(at_once(pool.get_buffer()).is_ok());
    assert_eq!(pool.status().wait_time, Some(Duration::ZERO));
}
