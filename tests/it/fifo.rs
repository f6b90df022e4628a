//! Waiters are served in the order of their first poll, and no later request overtakes them.
//!
//! Guarantees: 1, 5

#![forbid(unsafe_code)]

use crate::polling::{Polled, Wakes, at_once};
use futures::{FutureExt, future::poll_fn};
use sample_pool::{GetBufferError, Pool, Sample};
use std::{
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};
use tokio::task::coop;

/// A pool that was used before, so that its gets and releases take the fast path while they can.
fn pool(buffers: usize) -> Pool {
    let pool = unused(buffers);
    drop(take_all(&pool));
    pool
}

fn unused(buffers: usize) -> Pool {
    let pool = Pool::builder().buffers(buffers).size(64).build();
    pool.expect("small")
}

fn take_all(pool: &Pool) -> Vec<Sample> {
    pool.try_get_buffers(pool.properties().buffers)
        .expect("all are free")
}

/// A waiter is queued, or was handed a sample and not polled since: every later request must wait.
#[track_caller]
fn assert_no_get_overtakes(pool: &Pool) {
    let later = [
        pool.try_get_buffer().map(drop),
        pool.try_get_buffers(1).map(drop),
    ];
    assert_eq!(later, [Err(GetBufferError::Exhausted); 2]);
    assert!(Polled::new(pool.get_buffer()).poll().is_pending());
    assert!(Polled::new(pool.get_buffer_owned()).poll().is_pending());
    assert!(Polled::new(pool.get_buffers(1)).poll().is_pending());
    let mut samples = Vec::new();
    assert!(
        Polled::new(pool.get_buffers_into(&mut samples, 1))
            .poll()
            .is_pending()
    );
}

/// Uses up the rest of the task's cooperative budget.
fn exhaust_budget(cx: &mut Context<'_>) {
    while let Poll::Ready(budget) = coop::poll_proceed(cx) {
        budget.made_progress();
    }
}

/// Runs `first` in a task without any budget, and returns its result.
fn without_budget<T>(mut first: impl FnMut(&mut Context<'_>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let made = poll_fn(|cx| {
            exhaust_budget(cx);
            Poll::Ready(first(cx))
        })
        .await;
        // A future that ran out of budget is woken when its task yields.
        tokio::task::yield_now().await;
        made
    })
}

/// Creating a future requests nothing, so the order of creation does not matter.
#[test]
fn waiters_are_served_in_the_order_of_their_first_poll() {
    let pool = pool(1);
    let mut held = Some(pool.try_get_buffer().expect("it is free"));
    let mut gets: Vec<_> = (0..8).map(|_| Polled::new(pool.get_buffer())).collect();
    let order = [3, 7, 0, 5, 1, 6, 2, 4];
    for index in order {
        gets[index].expect_pending();
    }
    for (served, index) in order.into_iter().enumerate() {
        assert_eq!(pool.status().waiting, 8 - served);
        drop(held.take());
        for other in order.into_iter().skip(served + 1) {
            gets[other].expect_pending();
        }
        held = Some(gets[index].expect_ready().expect("it is served"));
    }
}

/// A position kept for it would block all later waiters if it is never polled.
#[test]
fn a_future_that_was_not_polled_has_no_place() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("it is free");
    let mut early = Polled::new(pool.get_buffer());
    let mut waiter = Polled::waiting(pool.get_buffer());
    assert_eq!(pool.status().waiting, 1);
    drop(held);
    early.expect_pending();
    waiter.expect_ready().expect("it was polled first");
    early.expect_ready().expect("it was polled second");
}

/// The waiter was woken, and a later request that runs before it must find no sample in the free list.
#[test]
fn no_get_overtakes_a_waiter_that_was_handed_a_sample_and_has_not_run_yet() {
    let pool = pool(2);
    let mut samples = take_all(&pool);
    let mut first = Polled::waiting(pool.get_buffer());
    assert_no_get_overtakes(&pool);
    samples.pop();
    assert_eq!((first.wakes(), pool.free_count()), (1, 0));
    assert_no_get_overtakes(&pool);
    let mut second = Polled::waiting(pool.get_buffer());
    samples.pop();
    assert_no_get_overtakes(&pool);
    second.expect_ready().expect("handed");
    first.expect_ready().expect("handed");
    assert_eq!(pool.free_count(), 2);
}

/// The samples that a large request has gathered are free for no other get.
#[test]
fn no_get_overtakes_a_large_request_that_is_not_filled_yet() {
    let pool = pool(4);
    let mut samples = take_all(&pool);
    let mut large = Polled::waiting(pool.get_buffers(3));
    for _ in 0..2 {
        samples.pop();
        assert_eq!((large.wakes(), pool.free_count()), (0, 0));
        assert_no_get_overtakes(&pool);
        large.expect_pending();
    }
    samples.pop();
    let all = large.expect_ready().expect("three came back");
    assert_eq!((all.len(), pool.free_count()), (3, 0));
}

/// A large request behind a small one must not gather the sample that the small one waits for.
#[test]
fn all_kinds_of_gets_share_one_wait_queue() {
    let pool = pool(3);
    let mut samples = take_all(&pool);
    let mut into = Vec::new();
    let mut one = Polled::waiting(pool.get_buffer());
    let mut two = Polled::waiting(pool.get_buffers(2));
    let mut owned = Polled::waiting(pool.get_buffer_owned());
    let mut appended = Polled::waiting(pool.get_buffers_into(&mut into, 3));
    let mut last = Polled::waiting(pool.get_buffer());
    assert_eq!(pool.status().waiting, 5);
    samples.pop();
    samples.push(one.expect_ready().expect("the first waiter"));
    samples.truncate(1);
    let pair = two.expect_ready().expect("two came back");
    owned.expect_pending();
    drop(samples);
    let owned = owned.expect_ready().expect("the third waiter");
    drop(pair);
    appended.expect_pending();
    drop(owned);
    appended.expect_ready().expect("three came back");
    drop(appended);
    last.expect_pending();
    into.truncate(2);
    last.expect_ready().expect("the last waiter");
}

/// To wake more would run tasks that find nothing; to wake none would be a lost wake-up.
#[test]
fn one_release_wakes_exactly_one_waiter() {
    let pool = pool(4);
    let mut samples = take_all(&pool);
    let mut line: Vec<_> = (0..4).map(|_| Polled::waiting(pool.get_buffer())).collect();
    for released in 1..=4 {
        samples.pop();
        let woken: Vec<usize> = line.iter().map(Polled::wakes).collect();
        let expected: Vec<usize> = (0..4).map(|n| usize::from(n < released)).collect();
        assert_eq!(woken, expected);
        assert_eq!(pool.status().waiting, 4 - released);
    }
    for waiter in &mut line {
        waiter.expect_ready().expect("handed");
    }
}

/// A waiter is polled for many reasons, above all by `select!`, and must not queue again each time.
#[test]
fn polling_again_keeps_the_place_and_wakes_the_latest_waker() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("it is free");
    let mut first = pin!(pool.get_buffer());
    let stale = Arc::new(Wakes::default());
    let latest = Arc::new(Wakes::default());
    let mut poll_with = |wakes: &Arc<Wakes>| {
        let waker = Waker::from(wakes.clone());
        first.as_mut().poll_unpin(&mut Context::from_waker(&waker))
    };
    assert!(poll_with(&stale).is_pending());
    let mut second = Polled::waiting(pool.get_buffer());
    for _ in 0..3 {
        assert!(poll_with(&latest).is_pending());
        second.expect_pending();
    }
    drop(held);
    assert_eq!((stale.count(), latest.count()), (0, 1));
    second.expect_pending();
    assert!(poll_with(&latest).is_ready());
}

/// A get that was cancelled loses its position.
#[test]
fn a_waiter_that_leaves_and_comes_back_is_the_last_of_the_queue() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("it is free");
    let first = Polled::waiting(pool.get_buffer());
    let mut second = Polled::waiting(pool.get_buffer());
    drop(first);
    let mut back = Polled::waiting(pool.get_buffer());
    drop(held);
    back.expect_pending();
    let sample = second.expect_ready().expect("the first waiter now");
    drop(sample);
    back.expect_ready().expect("the only waiter");
}

/// The first poll must queue before it checks the budget; otherwise a busy task starves.
#[test]
fn a_first_poll_without_budget_takes_a_place_in_the_queue() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("it is free");
    let mut starved = Polled::new(pool.get_buffer());
    without_budget(|_cx| starved.expect_pending());
    assert_eq!(pool.status().waiting, 1);
    let mut later = Polled::waiting(pool.get_buffer());
    drop(held);
    later.expect_pending();
    starved.expect_ready().expect("it was polled first");
}

/// A sample is free, and only the budget is missing: the next request must not find that sample.
#[test]
fn a_first_poll_without_budget_keeps_the_sample_that_it_found() {
    for pool in [pool(1), unused(1)] {
        keeps_what_it_found(&pool);
    }
}

fn keeps_what_it_found(pool: &Pool) {
    let mut one = Polled::new(pool.get_buffer());
    let mut many = Polled::new(pool.get_buffers(1));
    without_budget(|_cx| one.expect_pending());
    assert_eq!(pool.free_count(), 0);
    assert_eq!(one.wakes(), 1, "its task runs again at once");
    assert_no_get_overtakes(pool);
    without_budget(|_cx| many.expect_pending());
    drop(one.expect_ready().expect("it was taken"));
    without_budget(|_cx| many.expect_pending());
    assert_no_get_overtakes(pool);
    many.expect_ready().expect("it was taken");
}

/// The hand-off wakes it, and it is polled when its task has no budget left.
#[test]
fn a_waiter_that_runs_out_of_budget_with_a_sample_handed_to_it_keeps_it() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("it is free");
    let mut first = Polled::waiting(pool.get_buffer());
    let mut second = Polled::waiting(pool.get_buffer());
    drop(held);
    without_budget(|_cx| first.expect_pending());
    without_budget(|_cx| first.expect_pending());
    second.expect_pending();
    assert_no_get_overtakes(&pool);
    drop(first.expect_ready().expect("it kept it"));
    second.expect_ready().expect("the next waiter");
}

/// When no waiter is queued a get takes the fast path, and the pool must return to that state.
#[test]
fn when_the_queue_is_empty_again_every_get_finds_free_samples() {
    let pool = pool(2);
    for _ in 0..3 {
        let held = take_all(&pool);
        let mut waiter = Polled::waiting(pool.get_buffer());
        drop(held);
        assert_eq!(pool.free_count(), 1, "no other get waits for the other");
        let later = pool.try_get_buffer().expect("no waiter is queued");
        let served = waiter.expect_ready().expect("handed");
        drop((later, served));
        drop(at_once(pool.get_buffers(2)).expect("all are free"));
    }
}

/// Blocked threads and waiting tasks share one queue, in the order in which they queued.
#[test]
fn threads_and_tasks_are_served_in_one_order() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("it is free");
    let (send, receive) = mpsc::channel();
    let mut threads = Vec::new();
    let mut task = None;
    for number in 0..6 {
        if number == 3 {
            task = Some(Polled::waiting(pool.get_buffer()));
        } else {
            let (pool, send) = (pool.clone(), send.clone());
            threads.push(thread::spawn(move || {
                let sample = pool.blocking_get_buffer().expect("served in turn");
                send.send((number, sample)).expect("received below");
            }));
        }
        while pool.status().waiting <= number {
            thread::yield_now();
        }
    }
    drop(held);
    for expected in 0..6 {
        if expected == 3 {
            let mut task = task.take().expect("it is there once");
            task.expect_ready().expect("served in turn");
            continue;
        }
        let (number, sample) = receive
            .recv_timeout(Duration::from_secs(20))
            .expect("a waiter is served");
        assert_eq!(number, expected);
        drop(sample);
    }
    for thread in threads {
        thread.join().expect("a waiting thread does not panic");
    }
}
