//! Dropping a get in any state loses no sample and no waiter's position, and leaves nothing behind.
//!
//! Guarantees: 3, 4

#![forbid(unsafe_code)]

use crate::polling::{Polled, at_once, poll_once};
use futures::future::poll_fn;
use sample_pool::{GetBufferError, Pool, Sample, Status};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::{task::coop, time};

const SECOND: Duration = Duration::from_secs(1);

/// A pool, and the number of times that its callback was called.
fn pool(buffers: usize) -> (Pool, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let pool = Pool::builder()
        .buffers(buffers)
        .size(64)
        .on_release(move |_pool| {
            count.fetch_add(1, Ordering::SeqCst);
        });
    (pool.build().expect("small"), calls)
}

fn take_all(pool: &Pool) -> Vec<Sample> {
    pool.try_get_buffers(pool.properties().buffers)
        .expect("all are free")
}

/// The parts of the status that a cancellation may change, and those that it may not.
fn counted(pool: &Pool) -> (usize, u64, u64, u64, u64) {
    let Status {
        waiting,
        waited,
        timed_out,
        cancelled,
        exhausted,
        ..
    } = pool.status();
    (waiting, waited, timed_out, cancelled, exhausted)
}

/// Every sample is free, no waiter is queued, and each sample can be taken again.
#[track_caller]
fn assert_nothing_is_lost(pool: &Pool) {
    let status = pool.status();
    assert_eq!((status.outstanding, status.waiting), (0, 0));
    assert_eq!(status.acquired, status.released);
    let all = take_all(pool);
    assert_eq!(all.len(), status.buffers);
}

/// It never requested anything, so nothing is released and nothing is counted.
#[test]
fn dropping_a_future_that_was_never_polled_does_nothing() {
    let (pool, calls) = pool(2);
    let mut samples = Vec::new();
    drop(Polled::new(pool.get_buffer()));
    drop(Polled::new(pool.get_buffer_owned()));
    drop(Polled::new(pool.get_buffer_timeout(SECOND)));
    drop(Polled::new(pool.get_buffers(2)));
    drop(Polled::new(pool.get_buffers_into(&mut samples, 2)));
    assert_eq!(counted(&pool), (0, 0, 0, 0, 0));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_nothing_is_lost(&pool);
}

/// The links of the waiters on both sides must be joined, wherever the waiter was queued.
#[test]
fn leaving_the_queue_from_any_place_keeps_the_order_of_the_others() {
    for leaving in 0..5 {
        let (pool, _calls) = pool(1);
        let mut held = take_all(&pool);
        let mut line: Vec<_> = (0..5)
            .map(|_| Some(Polled::waiting(pool.get_buffer())))
            .collect();
        line[leaving] = None;
        line.push(Some(Polled::waiting(pool.get_buffer())));
        assert_eq!(counted(&pool), (5, 6, 0, 1, 0));
        for next in (0..6).filter(|&n| n != leaving) {
            held.clear();
            let mut waiter = line[next].take().expect("it did not leave");
            held.push(waiter.expect_ready().expect("the first waiter"));
            for behind in line.iter_mut().flatten() {
                behind.expect_pending();
            }
        }
        held.clear();
        assert_nothing_is_lost(&pool);
    }
}

/// The hand-off already happened, so the sample must go on to the next waiter, which no other event wakes. No
/// user had the sample, so the callback is not called.
#[test]
fn a_cancelled_waiter_hands_its_sample_to_the_next_waiter_without_a_callback() {
    let (pool, calls) = pool(1);
    let held = take_all(&pool);
    let first = Polled::waiting(pool.get_buffer());
    let second = Polled::waiting(pool.get_buffer_owned());
    let mut third = Polled::waiting(pool.get_buffer());
    drop(held);
    assert_eq!((first.wakes(), second.wakes(), third.wakes()), (1, 0, 0));
    drop(first);
    assert_eq!((second.wakes(), third.wakes()), (1, 0));
    drop(second);
    assert_eq!(third.wakes(), 1);
    assert_eq!(calls.load(Ordering::SeqCst), 1, "that of the holder");
    assert_eq!((pool.free_count(), pool.status().cancelled), (0, 2));
    drop(third.expect_ready().expect("it travelled on"));
    assert_eq!(pool.status().acquired, 2, "only two ever saw it");
    assert_nothing_is_lost(&pool);
}

/// Without another waiter the sample is returned to the pool, and during a drain it completes the drain.
#[test]
fn a_sample_of_a_cancelled_last_waiter_is_freed_and_completes_a_drain() {
    let (pool, calls) = pool(1);
    let held = take_all(&pool);
    let handed = Polled::waiting(pool.get_buffer());
    drop(held);
    drop(handed);
    assert_eq!(pool.free_count(), 1);

    let held = take_all(&pool);
    let mut handed = Polled::waiting(pool.get_buffer());
    drop(held);
    pool.decommit();
    let mut drained = Polled::waiting(pool.drained());
    assert_eq!(handed.wakes(), 1);
    drop(handed);
    drained.expect_ready();
    pool.commit().expect("small");
    assert_eq!(calls.load(Ordering::SeqCst), 2, "those of the two holders");
    handed = Polled::new(pool.get_buffer());
    drop(handed.expect_ready().expect("it is free"));
    assert_nothing_is_lost(&pool);
}

/// The get was woken and took its sample, but could not return it without cooperative budget: a state of its
/// own.
#[test]
fn a_sample_held_without_budget_goes_to_the_next_waiter() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let (pool, calls) = pool(2);
    // The pool was used before, so the first get takes the fast path.
    drop(take_all(&pool));
    calls.store(0, Ordering::SeqCst);
    runtime.expect("a runtime").block_on(poll_fn(|cx| {
        while let Poll::Ready(budget) = coop::poll_proceed(cx) {
            budget.made_progress();
        }
        let mut found = Polled::waiting(pool.get_buffer());
        found.expect_pending();
        let held = Polled::waiting(pool.get_buffers(1));
        let mut next = Polled::waiting(pool.get_buffers(2));
        assert_eq!(pool.status().waiting, 1);
        drop(found);
        assert_eq!(next.wakes(), 0, "it wants one more");
        drop(held);
        assert_eq!((next.wakes(), pool.free_count()), (1, 0));
        next.expect_pending();
        drop(next);
        assert_eq!(pool.free_count(), 2);
        Poll::Ready(())
    }));
    assert_eq!(pool.status().cancelled, 3);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_nothing_is_lost(&pool);
}

/// It has returned its sample already, and must not release another.
#[test]
fn dropping_a_future_that_has_resolved_changes_nothing() {
    let (pool, _calls) = pool(2);
    let held = pool.try_get_buffer().expect("two are free");
    let mut hit = Polled::new(pool.get_buffer());
    let sample = hit.expect_ready().expect("one is free");
    let mut refused = Polled::waiting(pool.get_buffer());
    pool.set_flushing(true);
    pool.set_flushing(false);
    refused.expect_ready().expect_err("it was turned away");
    drop((hit, refused));
    assert_eq!((pool.free_count(), pool.status().cancelled), (0, 0));
    drop((sample, held));
    assert_nothing_is_lost(&pool);
}

/// A waiter that failed has left the queue already. Removing it again would break the queue.
#[test]
fn dropping_a_waiter_that_was_notified_of_a_failure_loses_no_sample() {
    let (pool, _calls) = pool(1);
    let held = take_all(&pool);
    let turned_away = Polled::waiting(pool.get_buffer());
    pool.decommit();
    pool.commit().expect("it has its memory");
    let mut next = Polled::waiting(pool.get_buffer());
    drop(turned_away);
    assert_eq!(pool.status().waiting, 1);
    drop(held);
    drop(next.expect_ready().expect("the only waiter"));
    assert_nothing_is_lost(&pool);
}

/// A waiter that stays queued after its failure would be handed the next sample, which would then be lost.
#[test]
fn gets_that_failed_leave_no_trace() {
    let (pool, _calls) = pool(2);
    let held = take_all(&pool);
    for _ in 0..100 {
        pool.try_get_buffer().expect_err("none is free");
        pool.try_get_buffers(2).expect_err("none is free");
        at_once(pool.get_buffers(3)).expect_err("it has two");
        drop(Polled::waiting(pool.get_buffer()));
        drop(Polled::waiting(pool.get_buffers(2)));
    }
    assert_eq!(counted(&pool), (0, 200, 0, 200, 200));
    drop(held);
    assert_eq!(pool.free_count(), 2);
    assert_nothing_is_lost(&pool);
}

/// A cancelled waiter leaves the queue, so it does not count against the limit of waiters.
#[test]
fn a_cancelled_waiter_makes_room_under_the_limit_of_waiters() {
    let pool = Pool::builder().buffers(1).size(64).max_waiters(2).build();
    let pool = pool.expect("small");
    let held = take_all(&pool);
    let first = Polled::waiting(pool.get_buffer());
    let mut second = Polled::waiting(pool.get_buffer());
    let refused = at_once(pool.get_buffer()).map(drop);
    assert_eq!(refused, Err(GetBufferError::TooManyWaiters));
    drop(first);
    let mut third = Polled::waiting(pool.get_buffer());
    drop(held);
    drop(second.expect_ready().expect("the first waiter"));
    drop(third.expect_ready().expect("the next waiter"));
    assert_nothing_is_lost(&pool);
}

/// A timer costs more than a get and needs a runtime, so the fast path must not create one.
#[test]
fn a_timed_get_needs_no_timer_before_it_waits() {
    let (pool, _calls) = pool(1);
    let sample = at_once(pool.get_buffer_timeout(Duration::ZERO)).expect("it is free");
    drop(sample);
    let mut timed = Polled::new(pool.get_buffer_timeout(SECOND));
    drop(timed.expect_ready().expect("it is free"));
    pool.set_flushing(true);
    let refused = at_once(pool.get_buffer_timeout(SECOND)).map(drop);
    assert_eq!(refused, Err(GetBufferError::Flushing));
}

/// Time is paused except for the timer, so the elapsed time is exactly the limit.
#[tokio::test(start_paused = true)]
async fn a_timed_get_times_out_after_its_limit_counted_from_the_begin_of_its_wait() {
    let (pool, calls) = pool(1);
    let held = take_all(&pool);
    let get = pool.get_buffer_timeout(SECOND);
    time::advance(10 * SECOND).await;
    let began = time::Instant::now();
    let late = get.await.map(drop);
    assert_eq!(late, Err(GetBufferError::TimedOut));
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(counted(&pool), (0, 1, 1, 0, 0));
    drop(held);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_nothing_is_lost(&pool);
}

/// If the sample and the deadline are both ready, the get returns the sample.
#[tokio::test(start_paused = true)]
async fn a_sample_that_was_handed_off_beats_the_deadline() {
    let (pool, _calls) = pool(1);
    for limit in [Duration::from_millis(1), SECOND] {
        let held = take_all(&pool);
        let mut timed = Polled::waiting(pool.get_buffer_timeout(limit));
        drop(held);
        time::advance(100 * SECOND).await;
        drop(timed.expect_ready().expect("it was handed in time"));
    }
    assert_eq!(pool.status().timed_out, 0);
    assert_nothing_is_lost(&pool);
}

/// A sample that was taken and waits only for cooperative budget is returned whatever the clock says.
#[tokio::test(start_paused = true)]
async fn a_sample_held_without_budget_beats_the_deadline() {
    let (pool, _calls) = pool(1);
    let mut timed = Polled::new(pool.get_buffer_timeout(Duration::ZERO));
    poll_fn(|cx| {
        while let Poll::Ready(budget) = coop::poll_proceed(cx) {
            budget.made_progress();
        }
        timed.expect_pending();
        Poll::Ready(())
    })
    .await;
    time::advance(SECOND).await;
    drop(timed.expect_ready().expect("it was free in time"));
    assert_nothing_is_lost(&pool);
}

/// With a limit of zero the pool must still be checked once, and the largest limit must not overflow the clock.
#[tokio::test(start_paused = true)]
async fn the_limits_may_be_zero_and_for_ever() {
    let (pool, _calls) = pool(1);
    drop(at_once(pool.get_buffer_timeout(Duration::ZERO)).expect("it is free"));
    let held = take_all(&pool);
    let late = pool.get_buffer_timeout(Duration::ZERO).await.map(drop);
    assert_eq!(late, Err(GetBufferError::TimedOut));
    let mut for_ever = Polled::waiting(pool.get_buffer_timeout(Duration::MAX));
    time::advance(1_000_000 * SECOND).await;
    for_ever.expect_pending();
    drop(held);
    drop(for_ever.expect_ready().expect("it came back"));
    assert_nothing_is_lost(&pool);
}

/// The timer is kept for the next wait, which has another limit.
#[tokio::test(start_paused = true)]
async fn a_timer_that_ran_for_one_waiter_does_not_run_for_the_next() {
    let (pool, _calls) = pool(1);
    let held = take_all(&pool);
    drop(Polled::waiting(pool.get_buffer_timeout(SECOND)));
    let mut long = Polled::waiting(pool.get_buffer_timeout(60 * SECOND));
    time::advance(30 * SECOND).await;
    long.expect_pending();
    drop(long);
    let mut untimed = Polled::waiting(pool.get_buffer());
    time::advance(60 * SECOND).await;
    untimed.expect_pending();
    assert_eq!(untimed.wakes(), 0);
    drop(held);
    drop(untimed.expect_ready().expect("it came back"));
    assert_nothing_is_lost(&pool);
}

/// Both branches of a `select!` become ready in turn, and the other branch is dropped in whatever state it is.
#[tokio::test]
async fn losing_a_select_loses_no_sample() {
    let (pool, _calls) = pool(2);
    for round in 0..300 {
        let held = take_all(&pool);
        let mut front = pool.get_buffer();
        assert!(poll_once(&mut front).is_pending());
        let releases = tokio::spawn(async move { drop(held) });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        tokio::select! {
            sample = pool.get_buffer() => drop(sample.expect("it came back")),
            samples = pool.get_buffers(2) => drop(samples.expect("they came back")),
            sample = &mut front => drop(sample.expect("it came back")),
        }
        releases.await.expect("a release does not panic");
    }
    assert_nothing_is_lost(&pool);
}

/// `abort` drops a future on another thread, between any two of its steps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_aborts_and_timeouts_loses_no_sample() {
    let (pool, _calls) = pool(3);
    for round in 0..60 {
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    for _ in 0..4 {
                        let limit = Duration::from_micros(50 * (n % 3));
                        drop(pool.get_buffer_timeout(limit).await);
                        drop(time::timeout(limit, pool.get_buffers(2)).await);
                        let sample = pool.get_buffer().await;
                        tokio::task::yield_now().await;
                        drop(sample);
                    }
                })
            })
            .collect();
        for task in tasks.iter().skip(round % 3).step_by(2) {
            tokio::task::yield_now().await;
            task.abort();
        }
        for task in tasks {
            assert!(!task.await.is_err_and(|error| error.is_panic()));
        }
        assert_nothing_is_lost(&pool);
    }
}
