//! Wait times are measured by Tokio's clock: a test that pauses time sees exactly the waits that it made.

#![forbid(unsafe_code)]

use crate::polling::Polled;
use sample_pool::{GetBufferError, Pool, Sample};
use std::{
    thread,
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::{spawn_blocking, yield_now},
    time::{self, sleep, timeout},
};

const LONG: Duration = Duration::from_secs(10);

fn exhausted() -> (Pool, Sample) {
    let builder = Pool::builder().buffers(1).size(8).measure_waits(true);
    let pool = builder.build().expect("small");
    let held = pool.try_get_buffer().expect("it is free");
    (pool, held)
}

fn paused() -> Runtime {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a thread of its own")
}

/// All ended waits, together and each, took this long.
#[track_caller]
fn assert_waited(pool: &Pool, each: Duration, times: u32) {
    let status = pool.status();
    assert_eq!(status.waited, u64::from(times));
    assert_eq!(status.max_wait, Some(each));
    assert_eq!(status.wait_time, Some(each * times));
    let counted = pool.wait_histogram().expect("measured");
    assert_eq!(counted.count(), u64::from(times));
    let shortest = counted.quantile(0.0).expect("there was one");
    assert!(shortest >= each && shortest <= each * 9 / 8, "{shortest:?}");
}

/// By std's clock, ten seconds of a paused test are a few microseconds.
#[tokio::test(start_paused = true)]
async fn a_wait_takes_as_long_as_the_clock_of_its_runtime_says() {
    let (pool, held) = exhausted();
    let get = tokio::spawn(pool.get_buffer_owned());
    sleep(LONG).await;
    assert_eq!(pool.status().oldest_wait, Some(LONG), "it has not ended");
    // This runtime has another clock.
    let released = thread::spawn(|| drop(held));
    released.join().expect("no panic");
    let got = get.await.expect("no panic");
    assert_waited(&pool, LONG, 1);
    drop(got);
}

/// Each kind of wait ends at another place in the code.
#[tokio::test(start_paused = true)]
async fn however_a_wait_ends_it_is_measured_by_that_clock() {
    let (pool, held) = exhausted();
    let late = pool.get_buffer_timeout(LONG).await;
    assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    assert!(timeout(LONG, pool.get_buffer()).await.is_err(), "cancelled");
    assert!(
        timeout(LONG, pool.get_buffers(1)).await.is_err(),
        "cancelled"
    );
    let failed = tokio::spawn(pool.get_buffer_owned());
    sleep(LONG).await;
    pool.set_flushing(true);
    pool.set_flushing(false);
    assert!(failed.await.expect("no panic").is_err());
    assert_waited(&pool, LONG, 4);
    drop(held);
}

/// They used to be counted nowhere: a get that had timed out counted as one without a wait.
#[tokio::test(start_paused = true)]
async fn a_wait_for_room_in_a_quota_counts_as_any_other() {
    let builder = Pool::builder().buffers(4).size(8).measure_waits(true);
    let pool = builder.build().expect("small");
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().expect("it is free");
    let late = quota.get_buffer_timeout(LONG).await;
    assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    let status = pool.status();
    assert_eq!((status.waited, status.timed_out), (1, 1));
    assert!(
        timeout(LONG, quota.get_buffers(1)).await.is_err(),
        "cancelled"
    );
    let failed = tokio::spawn(quota.get_buffer_owned());
    sleep(LONG).await;
    assert_eq!(quota.status().oldest_wait, Some(LONG));
    pool.set_flushing(true);
    pool.set_flushing(false);
    assert!(failed.await.expect("no panic").is_err());
    assert_waited(&pool, LONG, 3);
    let served = tokio::spawn(quota.get_buffer_owned());
    sleep(LONG).await;
    drop(held);
    drop(served.await.expect("no panic").expect("there is room"));
    assert_waited(&pool, LONG, 4);
}

/// The releaser may be in another runtime, so the waiter reads the clock at the end as well.
#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_its_get_learns_of_it() {
    let (pool, held) = exhausted();
    let mut get = Polled::waiting(pool.get_buffer());
    sleep(LONG).await;
    drop(held);
    assert_eq!(pool.status().oldest_wait, None, "it is not queued any more");
    assert_eq!(pool.status().wait_time, Some(Duration::ZERO));
    sleep(LONG).await;
    drop(get.expect_ready());
    assert_waited(&pool, 2 * LONG, 1);
}

/// A paused clock does not advance while a thread blocks, so the wait would be zero.
#[tokio::test(start_paused = true)]
async fn a_get_that_blocks_its_thread_is_measured_by_stds_clock() {
    let (pool, held) = exhausted();
    let quota = pool.quota("camera", 1);
    let real = Duration::from_millis(20);
    let mut held = Some(held);
    for waits in [1, 2] {
        let (pool_there, quota) = (pool.clone(), quota.clone());
        let get = spawn_blocking(move || match waits {
            1 => pool_there.blocking_get_buffer(),
            _ => quota.blocking_get_buffer(),
        });
        while pool.status().waiting == 0 {
            yield_now().await;
        }
        let joined = Instant::now();
        while joined.elapsed() < real {
            yield_now().await;
        }
        drop(held.take());
        held = Some(get.await.expect("no panic").expect("served"));
        assert!(pool.status().wait_time >= Some(real * waits));
    }
}

/// The next get of the same thread does not block, whatever the result of the first.
#[test]
fn after_a_get_that_blocked_the_clock_is_that_of_the_runtime_again() {
    let (pool, held) = exhausted();
    pool.set_flushing(true);
    assert!(pool.blocking_get_buffer().is_err());
    pool.set_flushing(false);
    paused().block_on(async {
        let get = Polled::waiting(pool.get_buffer());
        time::advance(LONG).await;
        drop(get);
    });
    assert_waited(&pool, LONG, 1);
    drop(held);
}

/// A future may move to a runtime whose clock is behind: the difference must not wrap or panic.
#[test]
fn a_wait_that_ends_on_another_clock_than_it_began_on_is_never_negative() {
    let (ahead, behind) = (paused(), paused());
    ahead.block_on(time::advance(3600 * LONG));
    let (pool, held) = exhausted();
    let begun = {
        let _ahead = ahead.enter();
        Polled::waiting(pool.get_buffer())
    };
    let ended = |waiting: Polled<_>| drop(waiting);
    {
        let _behind = behind.enter();
        assert_eq!(pool.status().oldest_wait, Some(Duration::ZERO));
        ended(begun);
    }
    assert_eq!(pool.status().max_wait, Some(Duration::ZERO));
    let begun = {
        let _behind = behind.enter();
        Polled::waiting(pool.get_buffer())
    };
    {
        let _ahead = ahead.enter();
        ended(begun);
    }
    assert!(pool.status().max_wait >= Some(3599 * LONG));
    drop(held);
}
