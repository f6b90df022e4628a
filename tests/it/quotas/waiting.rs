//! Waiting for room: the order, the time limits, and everything that ends a wait.

#![forbid(unsafe_code)]

use super::{assert_nothing_is_lost, assert_used, pool};
use crate::polling::{Polled, at_once};
use futures::future::FusedFuture;
use sample_pool::{GetBufferError, Pool};
use std::{
    panic::{self, AssertUnwindSafe},
    time::Duration,
};
use tokio::{
    runtime,
    task::{coop, yield_now},
    time,
};

#[test]
fn a_waiter_for_room_does_not_delay_gets_of_the_pool() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let other = pool.quota("microphone", 1);
    let held = quota.try_get_buffer().unwrap();
    let mut over = Polled::waiting(quota.get_buffer());
    assert_used(&quota, 1, 1);
    assert_eq!(pool.status().waiting, 0, "not in the pool's line");
    assert!(at_once(pool.get_buffer()).is_ok());
    assert!(at_once(other.get_buffer()).is_ok());
    drop(held);
    assert!(over.is_woken());
    assert!(over.expect_ready().is_ok());
    assert_nothing_is_lost(&pool, &quota);
}

/// No request overtakes in the queue of a quota: no try, and no request for fewer samples than the first.
#[test]
fn a_quota_serves_first_come_first_served() {
    let pool = pool(8);
    let quota = pool.quota("camera", 3);
    let mut held = quota.try_get_buffers(2).unwrap();
    let mut large = Polled::waiting(quota.get_buffers(2));
    let mut small = Polled::waiting(quota.get_buffer());
    assert_eq!(
        quota.try_get_buffer().unwrap_err(),
        GetBufferError::Exhausted,
        "there is room for one, and who wants two is first"
    );
    held.pop();
    assert!(large.is_woken() && !small.is_woken());
    small.expect_pending();
    let two = large.expect_ready().unwrap();
    held.pop();
    assert!(small.is_woken());
    let one = small.expect_ready().unwrap();
    assert_used(&quota, 3, 0);
    drop((one, two));
    assert_nothing_is_lost(&pool, &quota);
}

/// A get with room in the quota does not overtake in the pool.
#[test]
fn with_room_a_get_waits_in_the_queue_of_the_pool() {
    let pool = pool(1);
    let quota = pool.quota("camera", 2);
    let held = pool.try_get_buffer().unwrap();
    let mut first = Polled::waiting(pool.get_buffer());
    let mut second = Polled::waiting(quota.get_buffer());
    assert_used(&quota, 1, 0);
    assert_eq!(pool.status().waiting, 2);
    drop(held);
    let sample = first.expect_ready().unwrap();
    second.expect_pending();
    drop(sample);
    drop(second.expect_ready().unwrap());
    assert_nothing_is_lost(&pool, &quota);
}

#[test]
fn a_cancelled_wait_loses_neither_room_nor_the_place_of_another() {
    let pool = pool(4);
    let quota = pool.quota("camera", 2);

    // Queued in the quota, with a smaller request behind it.
    let mut held = quota.try_get_buffers(2).unwrap();
    let large = Polled::waiting(quota.get_buffers(2));
    let mut small = Polled::waiting(quota.get_buffer());
    held.pop();
    assert!(!small.is_woken(), "who wants two is first");
    drop(large);
    assert!(small.is_woken());
    drop(small.expect_ready().unwrap());
    assert_eq!(pool.status().cancelled, 1);

    // Admitted, and not polled since: the next one is admitted.
    held.extend(quota.try_get_buffer());
    let admitted = Polled::waiting(quota.get_buffer());
    let mut next = Polled::waiting(quota.get_buffer());
    held.pop();
    assert!(admitted.is_woken() && !next.is_woken());
    drop(admitted);
    assert!(next.is_woken());
    drop(next.expect_ready().unwrap());
    assert_eq!(pool.status().cancelled, 2);
    held.clear();

    // Admitted, and queued in the pool.
    let all = pool.try_get_buffers(4).unwrap();
    let queued = Polled::waiting(quota.get_buffer());
    assert_used(&quota, 1, 0);
    drop(queued);
    assert_used(&quota, 0, 0);

    // Handed a sample, and not polled since.
    let handed = Polled::waiting(quota.get_buffer());
    drop(all);
    assert!(handed.is_woken());
    drop(handed);

    // Never polled.
    drop(quota.get_buffer());
    drop(quota.get_buffer_owned());
    assert_nothing_is_lost(&pool, &quota);
}

#[test]
fn the_lines_of_quotas_are_bounded_as_the_pools_is() {
    let pool = Pool::builder().buffers(4).size(64).max_waiters(1);
    let pool = pool.build().unwrap();
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let first = Polled::waiting(quota.get_buffer());
    let refused = GetBufferError::TooManyWaiters;
    assert_eq!(at_once(quota.get_buffer()).unwrap_err(), refused);
    drop((first, held));

    let pool = Pool::builder().buffers(4).size(64).max_waiters(0);
    let pool = pool.build().unwrap();
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    assert_eq!(at_once(quota.get_buffer()).unwrap_err(), refused);
    drop(held);
    assert!(at_once(quota.get_buffer()).is_ok());
    assert_nothing_is_lost(&pool, &quota);
}

/// If it were taken for a waiter, the room that is left would be kept for it until the next release.
#[test]
fn a_get_that_may_not_wait_leaves_the_room_that_there_is_to_others() {
    let pool = Pool::builder().buffers(4).size(64).max_waiters(0);
    let pool = pool.build().unwrap();
    let quota = pool.quota("camera", 2);
    let held = quota.try_get_buffer().unwrap();
    let refused = at_once(quota.get_buffers(2)).unwrap_err();
    assert_eq!(refused, GetBufferError::TooManyWaiters);
    let other = quota.try_get_buffer().expect("there is room for one");
    drop((held, other));
    assert_nothing_is_lost(&pool, &quota);
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_is_of_both_waits_together() {
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    let limit = Duration::from_secs(10);
    let held = quota.try_get_buffer().unwrap();
    let begun = time::Instant::now();
    let late = quota.get_buffer_timeout(limit).await;
    assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    assert_eq!(begun.elapsed(), limit);
    assert_eq!(pool.status().timed_out, 1);
    assert_used(&quota, 1, 0);

    // Six seconds for room, then four for a sample.
    let all = pool.try_get_buffer().unwrap();
    let begun = time::Instant::now();
    let waiting = tokio::spawn({
        let quota = quota.clone();
        async move { quota.get_buffer_timeout(limit).await }
    });
    time::sleep(Duration::from_secs(6)).await;
    // Another holder keeps the slot, and the quota has room.
    let taker = Polled::waiting(pool.get_buffer());
    drop(held);
    assert_eq!(
        waiting.await.unwrap().unwrap_err(),
        GetBufferError::TimedOut
    );
    assert_eq!(begun.elapsed(), limit);
    assert_eq!(pool.status().timed_out, 2);
    drop((taker, all));
    assert_nothing_is_lost(&pool, &quota);
}

/// It would wait again otherwise, if it is polled in a `select!` loop, or keep its room until it is dropped.
#[tokio::test(start_paused = true)]
async fn a_get_whose_time_has_ended_is_over_and_has_no_room() {
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    for waits_for_room in [true, false] {
        let held = if waits_for_room {
            vec![quota.try_get_buffer().unwrap()]
        } else {
            pool.try_get_buffers(2).unwrap()
        };
        let mut get = quota.get_buffer_timeout(Duration::from_secs(1));
        let late = (&mut get).await;
        assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
        assert!(get.is_terminated());
        assert!(panic::catch_unwind(AssertUnwindSafe(|| at_once(&mut get))).is_err());
        assert_used(&quota, usize::from(waits_for_room), 0);
        drop(held);
        assert_nothing_is_lost(&pool, &quota);
    }
}

#[tokio::test(start_paused = true)]
async fn in_time_is_in_time() {
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let waiting = tokio::spawn({
        let quota = quota.clone();
        async move { quota.get_buffer_timeout(Duration::from_secs(10)).await }
    });
    time::sleep(Duration::from_secs(9)).await;
    drop(held);
    drop(waiting.await.unwrap().unwrap());
    assert_eq!(pool.status().timed_out, 0);
    assert_nothing_is_lost(&pool, &quota);
}

#[test]
fn a_decommit_and_a_flush_fail_waiters_for_room() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();

    let mut waiting = Polled::waiting(quota.get_buffer());
    pool.set_flushing(true);
    pool.set_flushing(false);
    assert!(waiting.is_woken());
    let result = waiting.expect_ready();
    assert_eq!(result.unwrap_err(), GetBufferError::Flushing);

    let mut waiting = Polled::waiting(quota.get_buffer());
    let dropped = Polled::waiting(quota.get_buffer());
    pool.decommit();
    pool.commit().unwrap();
    assert!(waiting.is_woken() && dropped.is_woken());
    drop(dropped);
    let result = waiting.expect_ready();
    assert_eq!(result.unwrap_err(), GetBufferError::NotCommitted);
    assert_eq!(pool.status().cancelled, 0, "they failed");

    let mut again = Polled::waiting(quota.get_buffer());
    drop(held);
    drop(again.expect_ready().unwrap());
    assert_nothing_is_lost(&pool, &quota);
}

/// Later gets would not find the room otherwise, until the next release.
#[test]
fn after_a_flush_no_room_is_kept_for_the_waiters_that_it_failed() {
    let pool = pool(4);
    let quota = pool.quota("camera", 2);
    let held = quota.try_get_buffer().unwrap();
    let mut two = Polled::waiting(quota.get_buffers(2));
    assert!(quota.try_get_buffer().is_err(), "a waiter comes first");
    pool.set_flushing(true);
    pool.set_flushing(false);
    let other = quota.try_get_buffer().expect("there is room for one");
    assert_eq!(two.expect_ready().unwrap_err(), GetBufferError::Flushing);
    drop((held, other));
    assert_nothing_is_lost(&pool, &quota);
}

/// Room is not a sample: an admitted get still waits. If a decommit ended before its next poll, it must not
/// take a sample of the next configuration.
#[test]
fn an_admitted_get_that_was_not_polled_yet_gets_the_error_of_a_decommit_and_a_flush() {
    type Stop = (fn(&Pool), GetBufferError);
    let stops: [Stop; 2] = [
        (
            |pool| {
                pool.decommit();
                pool.commit().unwrap();
            },
            GetBufferError::NotCommitted,
        ),
        (
            |pool| {
                pool.set_flushing(true);
                pool.set_flushing(false);
            },
            GetBufferError::Flushing,
        ),
    ];
    for (stop, error) in stops {
        let pool = pool(4);
        let quota = pool.quota("camera", 3);
        let mut samples = Vec::new();
        let mut held = quota.try_get_buffers(3).unwrap();
        let mut one = Polled::waiting(quota.get_buffer());
        let mut owned = Polled::waiting(quota.get_buffer_owned());
        let dropped = Polled::waiting(quota.get_buffer());
        let mut two = Polled::waiting(quota.get_buffers(2));
        let mut into = Polled::waiting(quota.get_buffers_into(&mut samples, 2));

        held.clear();
        assert!(one.is_woken() && owned.is_woken() && dropped.is_woken() && !two.is_woken());
        stop(&pool);
        assert_eq!(one.expect_ready().unwrap_err(), error);
        assert_eq!(owned.expect_ready().unwrap_err(), error);
        drop(dropped);
        assert_eq!(two.expect_ready().unwrap_err(), error);
        assert_eq!(into.expect_ready().unwrap_err(), error);
        drop((one, owned, two, into));
        assert_eq!(pool.status().cancelled, 0, "they failed");
        assert_nothing_is_lost(&pool, &quota);

        // A get that was not queued at that time does not fail.
        let held = quota.try_get_buffers(3).unwrap();
        let mut later = Polled::waiting(quota.get_buffer());
        drop(held);
        assert!(later.expect_ready().is_ok());
        assert_nothing_is_lost(&pool, &quota);
    }
}

#[tokio::test(start_paused = true)]
async fn an_admitted_get_reports_a_flush_rather_than_its_timeout() {
    let pool = pool(4);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let mut waiting = Polled::waiting(quota.get_buffer_timeout(Duration::from_secs(1)));
    drop(held);
    pool.set_flushing(true);
    pool.set_flushing(false);
    time::sleep(Duration::from_secs(2)).await;
    let result = waiting.expect_ready();
    assert_eq!(result.unwrap_err(), GetBufferError::Flushing);
    assert_nothing_is_lost(&pool, &quota);
}

/// It has found a sample, and waits for its turn only. Other gets could exceed the limit otherwise. In a pool that was
/// used before, it finds the sample without the lock.
#[tokio::test]
async fn a_get_without_cooperative_budget_keeps_its_room_with_its_sample() {
    for used in [false, true] {
        let pool = pool(2);
        let quota = pool.quota("camera", 1);
        if used {
            drop(quota.try_get_buffer().unwrap());
        }
        while coop::has_budget_remaining() {
            coop::consume_budget().await;
        }
        let mut get = Polled::waiting(quota.get_buffer());
        assert_used(&quota, 1, 0);
        yield_now().await;
        let sample = get.expect_ready().unwrap();
        assert_used(&quota, 1, 0);
        drop(sample);
        assert_nothing_is_lost(&pool, &quota);
    }
}

/// It would block all waiters behind it, for ever.
#[test]
fn a_request_for_more_than_the_pool_has_does_not_wait_for_room() {
    let pool = pool(8);
    let too_many = GetBufferError::TooMany;
    for limit in [10, usize::MAX] {
        let quota = pool.quota("camera", limit);
        let held = quota.try_get_buffers(2).unwrap();
        for count in [9, limit - 1, limit] {
            let refused = at_once(quota.get_buffers(count)).unwrap_err();
            assert_eq!(refused, too_many);
            assert_eq!(quota.try_get_buffers(count).unwrap_err(), too_many);
        }
        assert_used(&quota, 2, 0);
        drop(held);
        assert_nothing_is_lost(&pool, &quota);
    }
}

/// The same for a get with a time limit.
#[test]
fn a_timed_get_that_does_not_wait_works_outside_a_runtime() {
    let pool = Pool::builder().buffers(2).size(64).max_waiters(0);
    let pool = pool.build().unwrap();
    let quota = pool.quota("camera", 1);
    let hour = Duration::from_secs(3600);
    let held = at_once(quota.get_buffer_timeout(hour)).unwrap();
    let refused = at_once(quota.get_buffer_timeout(hour)).unwrap_err();
    assert_eq!(refused, GetBufferError::TooManyWaiters);
    drop(held);
    assert_nothing_is_lost(&pool, &quota);
}

/// Its documentation names the runtimes in which it panics. The panic releases its room and its queue position.
#[test]
fn a_timed_get_that_has_to_wait_needs_a_runtime_with_time_and_loses_nothing_without() {
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    let hour = Duration::from_secs(3600);
    let without_time = runtime::Builder::new_current_thread().build().unwrap();
    let panics = |runtime: Option<&runtime::Runtime>| {
        let _guard = runtime.map(runtime::Runtime::enter);
        let get = AssertUnwindSafe(|| drop(Polled::waiting(quota.get_buffer_timeout(hour))));
        panic::catch_unwind(get).is_err()
    };
    for runtime in [None, Some(&without_time)] {
        let held = quota.try_get_buffer().unwrap();
        assert!(panics(runtime), "it waits for room");
        assert_used(&quota, 1, 0);
        drop(held);
        let held = pool.try_get_buffers(2).unwrap();
        assert!(panics(runtime), "it waits for a sample");
        assert_used(&quota, 0, 0);
        drop(held);
        assert_nothing_is_lost(&pool, &quota);
    }
}

/// The timer belongs to the runtime in which the wait began.
#[test]
fn a_timed_get_outlives_its_runtime_by_a_panic_that_loses_nothing() {
    let with_time = || {
        let runtime = runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap()
    };
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    let held = quota.try_get_buffer().unwrap();
    let first = with_time();
    let mut get = Polled::new(quota.get_buffer_timeout(Duration::from_secs(3600)));
    {
        let _guard = first.enter();
        get.expect_pending();
    }
    drop(first);
    let other = with_time();
    let _guard = other.enter();
    let again = panic::catch_unwind(AssertUnwindSafe(|| get.expect_pending()));
    assert!(again.is_err(), "its timer has no runtime any more");
    drop(get);
    drop(held);
    assert_nothing_is_lost(&pool, &quota);
}
