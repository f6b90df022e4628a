//! Requests for several samples: all or nothing, one position in the wait queue, and no part is kept on
//! failure.
//!
//! Guarantees: 1

#![forbid(unsafe_code)]

use crate::polling::{Polled, at_once};
use sample_pool::{GetBufferError, Pool, Sample};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

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

/// The result of each of the three methods at the first poll, as a number of samples.
fn answers(pool: &Pool, count: usize) -> [Result<usize, GetBufferError>; 3] {
    let mut samples = Vec::new();
    let appended = at_once(pool.get_buffers_into(&mut samples, count));
    let appended = appended.map(|()| samples.len());
    drop(samples);
    [
        pool.try_get_buffers(count).map(|samples| samples.len()),
        at_once(pool.get_buffers(count)).map(|samples| samples.len()),
        appended,
    ]
}

/// Several slots are taken in one step. A step that takes one twice, or too few, fails here.
#[test]
fn exactly_as_many_distinct_samples_as_asked_for_are_given() {
    for buffers in [1, 5, 52, 100, 1000] {
        let (pool, _calls) = pool(buffers);
        for count in [0, 1, buffers / 2, buffers - 1, buffers] {
            assert_eq!(answers(&pool, count), [Ok(count); 3]);
            let samples = at_once(pool.get_buffers(count)).expect("all are free");
            assert_eq!(pool.free_count(), buffers - count);
            let mut indices: Vec<usize> = samples.iter().map(Sample::index).collect();
            indices.sort_unstable();
            indices.dedup();
            assert_eq!(indices.len(), count);
            assert!(samples.iter().all(Sample::is_empty));
        }
        assert_eq!(pool.free_count(), buffers);
    }
}

/// An impossible request would wait for ever at the head of the queue, and block all waiters behind it.
#[test]
fn more_than_the_pool_has_is_refused_after_the_state_and_before_anything_is_taken() {
    let (pool, calls) = pool(3);
    for count in [4, 100, usize::MAX] {
        assert_eq!(answers(&pool, count), [Err(GetBufferError::TooMany); 3]);
        let held = take_all(&pool);
        assert_eq!(answers(&pool, count), [Err(GetBufferError::TooMany); 3]);
        drop(held);
        pool.set_flushing(true);
        assert_eq!(answers(&pool, count), [Err(GetBufferError::Flushing); 3]);
        pool.decommit();
        let not_committed = [Err(GetBufferError::NotCommitted); 3];
        assert_eq!(answers(&pool, count), not_committed);
        pool.set_flushing(false);
        assert_eq!(answers(&pool, count), not_committed);
        pool.commit().expect("small");
        assert_eq!(pool.free_count(), 3);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 9, "those of the holders");
}

/// A request for none waits for nothing, so neither a queue nor an empty pool delays it. A pool that is not
/// committed still returns its error.
#[test]
fn none_at_all_are_given_at_once_unless_the_pool_is_shut() {
    let (pool, _calls) = pool(1);
    let _held = take_all(&pool);
    let _waiter = Polled::waiting(pool.get_buffer());
    assert_eq!(answers(&pool, 0), [Ok(0); 3]);
    assert_eq!((pool.status().waiting, pool.status().waited), (1, 1));
    pool.set_flushing(true);
    assert_eq!(answers(&pool, 0), [Err(GetBufferError::Flushing); 3]);
    pool.decommit();
    assert_eq!(answers(&pool, 0), [Err(GetBufferError::NotCommitted); 3]);
}

/// The samples that a failed try took must be free again, and no one must be notified of a release.
#[test]
fn a_try_that_cannot_have_all_takes_none() {
    let (pool, calls) = pool(120);
    for free in [0, 1, 60, 119] {
        let mut held = take_all(&pool);
        held.truncate(120 - free);
        let called = calls.load(Ordering::SeqCst);
        for _ in 0..3 {
            let refused = pool.try_get_buffers(free + 1).map(drop);
            assert_eq!(refused, Err(GetBufferError::Exhausted));
            assert_eq!(pool.free_count(), free);
        }
        assert_eq!(calls.load(Ordering::SeqCst), called);
        let rest = pool.try_get_buffers(free).expect("as many are free");
        assert_eq!(rest.len(), free);
    }
}

/// The limit counts waiters, not samples, and the samples that the refused request found are returned.
#[test]
fn the_wait_queue_has_room_for_a_number_of_requests_of_any_size() {
    let pool = Pool::builder().buffers(4).size(64).max_waiters(1).build();
    let pool = pool.expect("small");
    let held = pool.try_get_buffer().expect("all are free");
    let mut large = Polled::waiting(pool.get_buffers(4));
    let too_many_waiters = Err(GetBufferError::TooManyWaiters);
    assert_eq!(at_once(pool.get_buffers(2)).map(drop), too_many_waiters);
    assert_eq!(at_once(pool.get_buffer()).map(drop), too_many_waiters);
    drop(held);
    drop(large.expect_ready().expect("all came back"));

    let refuses_to_wait = Pool::builder().buffers(4).size(64).max_waiters(0).build();
    let pool = refuses_to_wait.expect("small");
    let held = pool.try_get_buffer().expect("all are free");
    assert_eq!(at_once(pool.get_buffers(4)).map(drop), too_many_waiters);
    assert_eq!(pool.free_count(), 3);
    drop(held);
    assert_eq!(take_all(&pool).len(), 4);
}

/// Any free sample is enough for a small request, so if small ones could overtake, the large one would never be
/// served.
#[test]
fn a_large_request_at_the_head_is_not_starved_by_small_ones_behind_it() {
    let (pool, _calls) = pool(3);
    let mut held = take_all(&pool);
    let mut large = Polled::waiting(pool.get_buffers(3));
    let mut small: Vec<_> = (0..5).map(|_| Polled::waiting(pool.get_buffer())).collect();
    for _ in 0..2 {
        held.pop();
        small.push(Polled::waiting(pool.get_buffer()));
        for waiter in &mut small {
            waiter.expect_pending();
        }
    }
    held.pop();
    let mut samples = large.expect_ready().expect("three came back");
    assert_eq!(samples.len(), 3);
    for waiter in &mut small {
        if samples.pop().is_none() {
            break;
        }
        waiter.expect_ready().expect("the next waiter");
    }
}

/// If each took what it found, each would hold half of what the other needs, for ever.
#[test]
fn two_large_requests_do_not_hold_half_each() {
    let (pool, _calls) = pool(4);
    let mut held = take_all(&pool);
    let mut first = Polled::waiting(pool.get_buffers(4));
    let mut second = Polled::waiting(pool.get_buffers(4));
    while held.pop().is_some() {
        second.expect_pending();
    }
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first.expect_ready().expect("all came back"));
    assert_eq!(second.expect_ready().expect("all came back").len(), 4);
}

/// A request takes the free samples when it queues, and waits only for the rest.
#[test]
fn free_slots_count_for_a_request_that_queues() {
    let (pool, calls) = pool(100);
    let mut held = take_all(&pool);
    held.truncate(30);
    let called = calls.load(Ordering::SeqCst);
    let mut large = Polled::waiting(pool.get_buffers(99));
    assert_eq!((pool.free_count(), pool.status().outstanding), (0, 100));
    held.truncate(2);
    large.expect_pending();
    held.pop();
    assert_eq!(large.wakes(), 1);
    assert_eq!(large.expect_ready().expect("99 came back").len(), 99);
    assert_eq!(calls.load(Ordering::SeqCst), called + 29 + 99);
}

/// No user had what it gathered, so nothing was released, and the other waiters still wait for these samples.
#[test]
fn what_a_cancelled_request_had_gathered_goes_to_the_next_waiter_without_a_callback() {
    let (pool, calls) = pool(4);
    let mut held = take_all(&pool);
    let large = Polled::waiting(pool.get_buffers(4));
    let mut one = Polled::waiting(pool.get_buffer());
    let mut two = Polled::waiting(pool.get_buffers(2));
    let mut last = Polled::waiting(pool.get_buffers(2));
    held.truncate(1);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    drop(large);
    assert_eq!((one.wakes(), two.wakes(), last.wakes()), (1, 1, 0));
    let one = one.expect_ready().expect("three travelled on");
    drop(two.expect_ready().expect("three travelled on"));
    assert_eq!(calls.load(Ordering::SeqCst), 5, "the pair was released");
    drop(last.expect_ready().expect("the pair came back"));
    drop((held, one));
    assert_eq!((pool.free_count(), pool.status().cancelled), (4, 1));
    assert_eq!(calls.load(Ordering::SeqCst), 9);
}

/// A gathered slot counts as outstanding in the drain, and no user holds it, so no release would return it.
#[test]
fn gathered_slots_are_freed_before_a_drain_is_judged_complete() {
    let (pool, calls) = pool(4);
    let mut held = take_all(&pool);
    let mut large = Polled::waiting(pool.get_buffers(3));
    held.truncate(2);
    let mut drained = Polled::waiting(pool.drained());
    pool.decommit();
    assert_eq!(pool.free_count(), 2);
    assert_eq!(calls.load(Ordering::SeqCst), 2, "those of the holders");
    drained.expect_pending();
    drop(held);
    drained.expect_ready();
    assert_eq!(calls.load(Ordering::SeqCst), 4);
    let result = large.expect_ready().map(drop);
    assert_eq!(result, Err(GetBufferError::NotCommitted));
}

/// The same without a drain: the pool continues, and needs every slot.
#[test]
fn gathered_slots_are_freed_when_a_flush_begins() {
    let (pool, calls) = pool(4);
    let mut held = take_all(&pool);
    let mut large = Polled::waiting(pool.get_buffers(4));
    held.truncate(1);
    pool.set_flushing(true);
    assert_eq!((pool.free_count(), calls.load(Ordering::SeqCst)), (3, 3));
    pool.set_flushing(false);
    let result = large.expect_ready().map(drop);
    assert_eq!(result, Err(GetBufferError::Flushing));
    assert_eq!(pool.try_get_buffers(3).expect("they are free").len(), 3);
}

/// An error must not drop the samples that the caller already has.
#[test]
fn the_vec_is_appended_to_on_success_and_untouched_on_error() {
    let (pool, _calls) = pool(5);
    let mut samples = vec![pool.try_get_buffer().expect("all are free")];
    let first = samples[0].index();
    at_once(pool.get_buffers_into(&mut samples, 2)).expect("four are free");
    assert_eq!((samples.len(), samples[0].index()), (3, first));
    at_once(pool.get_buffers_into(&mut samples, 6)).expect_err("it has five");
    assert_eq!(samples.len(), 3);
    for stop in [Pool::decommit, |pool: &Pool| pool.set_flushing(true)] {
        pool.commit().expect("it has its memory");
        let mut waiting = Polled::waiting(pool.get_buffers_into(&mut samples, 3));
        stop(&pool);
        waiting.expect_ready().expect_err("it was turned away");
        drop(waiting);
        assert_eq!((samples.len(), pool.free_count()), (3, 2));
    }
    pool.set_flushing(false);
    drop(Polled::waiting(pool.get_buffers_into(&mut samples, 3)));
    assert_eq!((samples.len(), pool.free_count()), (3, 2));
}

/// The request was handed everything, was not polled, and is dropped: all of it goes to the next waiters.
#[test]
fn a_served_request_that_is_dropped_hands_everything_on() {
    let (pool, calls) = pool(3);
    let held = take_all(&pool);
    let large = Polled::waiting(pool.get_buffers(3));
    let mut one = Polled::waiting(pool.get_buffer());
    let mut behind = Polled::waiting(pool.get_buffer());
    drop(held);
    assert_eq!((large.wakes(), one.wakes(), behind.wakes()), (1, 0, 0));
    drop(large);
    assert_eq!((one.wakes(), behind.wakes(), pool.free_count()), (1, 1, 1));
    assert_eq!(calls.load(Ordering::SeqCst), 3, "those of the holders");
    one.expect_ready().expect("it travelled on");
    behind.expect_ready().expect("it travelled on");
}

/// A request for one is counted like any other get, whichever method makes it.
#[test]
fn the_numbers_of_a_request_for_many_add_up() {
    let (pool, _calls) = pool(4);
    let held = take_all(&pool);
    let mut large = Polled::waiting(pool.get_buffers(4));
    pool.try_get_buffers(2).expect_err("none is free");
    drop(held);
    let samples = large.expect_ready().expect("all came back");
    let status = pool.status();
    assert_eq!((status.acquired, status.released), (8, 4));
    assert_eq!((status.waited, status.exhausted), (1, 1));
    assert_eq!((status.outstanding, status.high_water), (4, 4));
    drop(samples);
    assert_eq!(pool.status().released, 8);
}
/// A pool that is sized by its high water mark would otherwise be too small for the waiting request.
#[test]
fn the_high_water_mark_counts_what_an_unfinished_request_has_gathered() {
    let (pool, _calls) = pool(5);
    let _held = pool.try_get_buffer().expect("all are free");
    let large = Polled::waiting(pool.get_buffers(5));
    let status = pool.status();
    assert_eq!((status.outstanding, status.high_water), (5, 5));
    drop(large);
    let status = pool.status();
    assert_eq!((status.outstanding, status.high_water), (1, 5));
}
