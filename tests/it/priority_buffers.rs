//! The priority buffers: quotas of high priority are served from them, and they are filled up before any other
//! waiter is served.
//!
//! Guarantees: 1

#![forbid(unsafe_code)]

use crate::polling::{Polled, at_once};
use sample_pool::{GetBufferError, Pool, Properties, Quota, Sample};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

fn pool(buffers: usize, priority_buffers: usize) -> (Pool, Quota) {
    let pool = Pool::builder()
        .buffers(buffers)
        .size(64)
        .priority_buffers(priority_buffers);
    let pool = pool.build().expect("small");
    let quota = pool.priority_quota("control", 2 * buffers);
    (pool, quota)
}

/// Free, kept for high priority, and outstanding.
fn counts(pool: &Pool) -> (usize, usize, usize) {
    let status = pool.status();
    assert_eq!(status.free, pool.free_count());
    (status.free, status.priority_free, status.outstanding)
}

#[track_caller]
fn assert_exhausted(pool: &Pool) {
    let error = pool.try_get_buffer().unwrap_err();
    assert_eq!(error, GetBufferError::Exhausted);
}

#[test]
fn gets_without_high_priority_find_a_smaller_pool() {
    let (pool, quota) = pool(4, 2);
    assert_eq!(counts(&pool), (4, 2, 0));
    let two = pool.try_get_buffers(2).unwrap();
    assert_eq!(counts(&pool), (2, 2, 2));
    assert_exhausted(&pool);
    assert!(pool.try_get_buffers(1).is_err());
    let too_many = GetBufferError::TooMany;
    assert_eq!(pool.try_get_buffers(3).unwrap_err(), too_many);
    let ordinary = pool.quota("ordinary", 4);
    assert!(ordinary.try_get_buffer().is_err());
    assert_eq!(ordinary.try_get_buffers(3).unwrap_err(), too_many);

    let control = quota.try_get_buffers(2).unwrap();
    assert_eq!(counts(&pool), (0, 0, 4));
    let error = quota.try_get_buffer().unwrap_err();
    assert_eq!(error, GetBufferError::Exhausted);
    drop((two, control));
    assert_eq!(counts(&pool), (4, 2, 0));
}

#[test]
fn priority_gets_may_want_all_buffers() {
    let (pool, quota) = pool(4, 2);
    let all = at_once(quota.get_buffers(4)).unwrap();
    let mut numbers: Vec<_> = all.iter().map(Sample::index).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3]);
    drop(all);
    assert_eq!(counts(&pool), (4, 2, 0));
    let error = quota.try_get_buffers(5).unwrap_err();
    assert_eq!(error, GetBufferError::TooMany);
}

/// The priority buffers are the last to be taken; the others go first.
#[test]
fn priority_buffers_are_taken_last() {
    let (pool, quota) = pool(4, 1);
    let first = quota.try_get_buffers(3).unwrap();
    assert_eq!(counts(&pool), (1, 1, 3));
    let last = at_once(quota.get_buffer()).unwrap();
    assert_eq!(counts(&pool), (0, 0, 4));
    drop((first, last));
    assert_eq!(counts(&pool), (4, 1, 0));
}

#[test]
fn priority_buffers_are_filled_before_any_waiter_is_served() {
    let (pool, quota) = pool(3, 1);
    let mut taken = pool.try_get_buffers(2).unwrap();
    let control = quota.try_get_buffer().unwrap();
    let mut waiting = Polled::waiting(pool.get_buffer());
    taken.pop();
    assert!(!waiting.is_woken());
    assert_eq!(counts(&pool), (1, 1, 2));
    drop(control);
    assert!(waiting.is_woken());
    taken.push(waiting.expect_ready().unwrap());
    drop(taken);
    assert_eq!(counts(&pool), (3, 1, 0));
}

#[test]
fn high_priority_is_served_before_earlier_gets() {
    let (pool, quota) = pool(3, 1);
    let mut taken = pool.try_get_buffers(2).unwrap();
    taken.extend(quota.try_get_buffer());
    let mut ordinary = Polled::waiting(pool.get_buffer());
    let mut first = Polled::waiting(quota.get_buffer());
    let mut second = Polled::waiting(quota.get_buffers(2));
    assert_eq!(pool.status().waiting, 3);
    taken.pop();
    assert!(first.is_woken() && !second.is_woken() && !ordinary.is_woken());
    let first = first.expect_ready().unwrap();
    taken.clear();
    assert!(second.is_woken() && !ordinary.is_woken());
    drop(second.expect_ready().unwrap());
    // One of the two refills the priority buffers.
    assert!(ordinary.is_woken());
    drop((ordinary.expect_ready().unwrap(), first));
    assert_eq!(counts(&pool), (3, 1, 0));
}

/// A large request at the head of the queue was gathering when a get of high priority queued.
#[test]
fn what_is_gathered_already_stays_where_it_is() {
    let (pool, quota) = pool(3, 1);
    let mut taken = pool.try_get_buffers(2).unwrap();
    let mut large = Polled::waiting(pool.get_buffers(2));
    taken.pop();
    taken.extend(quota.try_get_buffer());
    assert_eq!(counts(&pool), (0, 0, 3));
    let mut priority = Polled::waiting(quota.get_buffer());
    taken.pop();
    assert!(priority.is_woken() && !large.is_woken());
    taken.extend(priority.expect_ready());
    taken.pop();
    assert!(!large.is_woken(), "the priority buffers come first");
    taken.pop();
    assert!(large.is_woken());
    assert_eq!(large.expect_ready().unwrap().len(), 2);
    assert_eq!(counts(&pool), (3, 1, 0));
}

/// If each had a part of what both need, they would wait for each other, and all others behind them.
#[test]
fn a_priority_request_and_another_cannot_hold_half_each() {
    let (pool, quota) = pool(3, 1);
    let mut taken = pool.try_get_buffers(2).unwrap();
    let mut ordinary = Polled::waiting(pool.get_buffers(2));
    taken.pop();
    // It has gathered one, and the request of high priority needs all three.
    let mut priority = Polled::waiting(quota.get_buffers(3));
    taken.pop();
    assert!(priority.is_woken() && !ordinary.is_woken());
    assert_eq!(priority.expect_ready().unwrap().len(), 3);
    assert!(ordinary.is_woken());
    assert_eq!(ordinary.expect_ready().unwrap().len(), 2);
    assert_eq!(counts(&pool), (3, 1, 0));
}

#[test]
fn a_priority_get_that_is_cancelled_passes_its_sample_on() {
    let (pool, quota) = pool(2, 1);
    let mut taken = vec![pool.try_get_buffer().unwrap()];
    taken.extend(quota.try_get_buffer());
    let handed = Polled::waiting(quota.get_buffer());
    let mut ordinary = Polled::waiting(pool.get_buffer());
    taken.pop();
    assert!(handed.is_woken());
    drop(handed);
    assert!(!ordinary.is_woken(), "it became a priority buffer");
    assert_eq!(counts(&pool), (1, 1, 1));
    taken.pop();
    assert!(ordinary.expect_ready().is_ok());
    assert_eq!(quota.status().in_use, 0);
    assert_eq!(counts(&pool), (2, 1, 0));
}

/// The limit on waiters does not apply to gets of high priority.
#[test]
fn priority_gets_may_wait_where_no_other_may() {
    let pool = Pool::builder().buffers(1).size(64).max_waiters(0);
    let pool = pool.build().unwrap();
    let quota = pool.priority_quota("control", 2);
    let held = pool.try_get_buffer().unwrap();
    let mut waiting = Polled::waiting(quota.get_buffer());
    let error = at_once(pool.get_buffer()).unwrap_err();
    assert_eq!(error, GetBufferError::TooManyWaiters);
    drop(held);
    assert!(waiting.expect_ready().is_ok());
}

#[test]
fn a_decommit_frees_the_priority_buffers_and_a_commit_keeps_them_again() {
    let (pool, quota) = pool(4, 2);
    pool.decommit();
    assert_eq!(counts(&pool), (4, 0, 0));
    assert_eq!(pool.state(), sample_pool::State::Configured);
    assert_eq!(pool.status().high_water, 0, "none was used");
    pool.commit().unwrap();
    assert_eq!(counts(&pool), (4, 2, 0));

    // A drain that is cancelled: free samples refill the priority buffers, and then released ones do.
    let taken = quota.try_get_buffers(3).unwrap();
    pool.decommit();
    assert_eq!(counts(&pool), (1, 0, 3));
    pool.commit().unwrap();
    assert_eq!(counts(&pool), (1, 1, 3));
    assert_exhausted(&pool);
    drop(taken);
    assert_eq!(counts(&pool), (4, 2, 0));
    assert!(pool.try_get_buffers(2).is_ok());

    // The last sample completes the drain.
    let last = quota.try_get_buffers(4).unwrap();
    pool.decommit();
    drop(last);
    assert_eq!(pool.state(), sample_pool::State::Configured);
}

#[test]
fn a_flush_leaves_the_priority_buffers() {
    let (pool, quota) = pool(2, 1);
    pool.set_flushing(true);
    assert_eq!(
        quota.try_get_buffer().unwrap_err(),
        GetBufferError::Flushing
    );
    pool.set_flushing(false);
    assert_eq!(counts(&pool), (2, 1, 0));
    let all = quota.try_get_buffers(2).unwrap();
    let mut waiting = Polled::waiting(quota.get_buffer());
    pool.set_flushing(true);
    let result = waiting.expect_ready();
    assert_eq!(result.unwrap_err(), GetBufferError::Flushing);
    drop(all);
    assert_eq!(counts(&pool), (2, 1, 0));
}

#[test]
fn one_buffer_is_left_for_ordinary_gets() {
    let (small, _) = pool(2, 10);
    assert_eq!(counts(&small), (2, 1, 0));
    assert!(small.try_get_buffer().is_ok());
    small.decommit();
    let one = Properties {
        buffers: 1,
        ..small.properties()
    };
    small.set_properties(one).unwrap();
    small.commit().unwrap();
    assert_eq!(counts(&small), (1, 0, 0));
    assert!(small.try_get_buffer().is_ok());
}

#[test]
fn priority_buffers_are_not_used_before_they_are_taken() {
    let (pool, quota) = pool(64, 8);
    drop(pool.try_get_buffer().unwrap());
    assert_eq!(pool.status().high_water, 1);
    drop(quota.try_get_buffers(64).unwrap());
    assert_eq!(pool.status().high_water, 64);
}

/// Free priority buffers do not keep the pool alive.
#[test]
fn the_last_handle_and_the_last_sample_free_a_pool_with_priority_buffers() {
    let freed = Arc::new(AtomicBool::new(false));
    struct Freed(Arc<AtomicBool>);
    impl Drop for Freed {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let life = Freed(freed.clone());
    let (pool, quota) = pool(4, 2);
    pool.on_release(move |_| {
        let _kept = &life;
    })
    .detach();
    let samples = quota.try_get_buffers(3).unwrap();
    drop(quota);
    drop(pool);
    assert!(!freed.load(Ordering::SeqCst));
    thread::spawn(move || drop(samples)).join().unwrap();
    assert!(freed.load(Ordering::SeqCst));
}

/// Tasks with and without high priority: a get of high priority never waits for long, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_kinds_of_gets_against_each_other() {
    const ROUNDS: usize = 400;
    let (pool, quota) = pool(6, 2);
    let ordinary = pool.quota("ordinary", 3);
    let mut tasks = Vec::new();
    for task in 0..12 {
        let (pool, quota, ordinary) = (pool.clone(), quota.clone(), ordinary.clone());
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let samples = match task % 4 {
                    0 => quota.get_buffers(1 + round % 3).await,
                    1 => ordinary.get_buffer().await.map(|sample| vec![sample]),
                    2 => pool.get_buffers(1 + round % 4).await,
                    _ => pool.get_buffer().await.map(|sample| vec![sample]),
                };
                tokio::task::yield_now().await;
                drop(samples.unwrap());
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(counts(&pool), (6, 2, 0));
    assert_eq!(quota.status().in_use + ordinary.status().in_use, 0);
    drop(quota.try_get_buffers(6).unwrap());
}
