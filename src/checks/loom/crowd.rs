//! More waiters than queue slots that are kept without a waiter: under loom the queue keeps one. A slot that is
//! left beyond that number is removed, and its wait node belongs to the future. Loom reports a node that is
//! never freed as a leak.

use super::{spawn, take_two, use_exclusively, with_two_preemptions};
use crate::{
    GetBufferError,
    checks::shared::{assert_all_free, poll_once, pool},
};
use loom::future::block_on;

/// One thread serves two waiters, and two other threads poll them: the first has a queue slot that is kept, and
/// the slot of the second is removed.
#[test]
fn notified_waiters_run_on_two_threads_and_free_their_own_nodes() {
    with_two_preemptions(|| {
        let pool = pool(2);
        let samples = take_two(&pool);
        let mut first = pool.get_buffer_owned();
        let mut second = pool.get_buffer_owned();
        assert!(poll_once(&mut first).is_pending());
        assert!(poll_once(&mut second).is_pending());
        let thread = spawn(move || use_exclusively(&mut block_on(second).unwrap()));
        drop(samples);
        use_exclusively(&mut block_on(first).unwrap());
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// The second waiter leaves, so the last one moves into its queue slot while the first is served.
#[test]
fn a_queue_slot_that_moves_keeps_its_place_in_the_queue() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let mut first = pool.get_buffer();
        let mut second = pool.get_buffer();
        let mut last = pool.get_buffer();
        for get in [&mut first, &mut second, &mut last] {
            assert!(poll_once(get).is_pending());
        }
        let thread = spawn(move || drop(sample));
        drop(second);
        drop(first);
        use_exclusively(&mut block_on(last).unwrap());
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// A waiter is served, its queue slot is removed and another waiter takes that index, all while another task
/// polls the first one. The waker of that poll must not replace the waker of the new waiter.
#[test]
fn a_waiter_without_a_queue_slot_does_not_touch_the_slot_that_replaced_its_own() {
    with_two_preemptions(|| {
        let pool = pool(2);
        let samples = take_two(&pool);
        let mut kept = pool.get_buffer();
        let mut removed = pool.get_buffer_owned();
        assert!(poll_once(&mut kept).is_pending());
        assert!(poll_once(&mut removed).is_pending());
        let other = pool.clone();
        let thread = spawn(move || {
            drop(samples);
            drop(block_on(other.get_buffer()).unwrap());
        });
        drop(block_on(removed).unwrap());
        drop(block_on(kept).unwrap());
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// A decommit notifies all waiters while one of them leaves.
#[test]
fn a_decommit_of_more_than_are_kept_meets_one_that_leaves() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let mut first = pool.get_buffer();
        let mut second = pool.get_buffer();
        assert!(poll_once(&mut first).is_pending());
        assert!(poll_once(&mut second).is_pending());
        let other = pool.clone();
        let thread = spawn(move || other.decommit());
        drop(second);
        assert_eq!(block_on(first).unwrap_err(), GetBufferError::NotCommitted);
        thread.join().unwrap();
        drop(sample);
        assert_all_free(&pool);
    });
}

/// The same in the wait queue of a quota: one waiter for room leaves while the other is admitted.
#[test]
fn a_waiter_for_room_that_leaves_meets_one_that_is_admitted() {
    loom::model(|| {
        let pool = pool(1);
        let quota = pool.quota("camera", 1);
        let sample = quota.try_get_buffer().unwrap();
        let mut first = Box::pin(quota.get_buffer_owned());
        let mut second = Box::pin(quota.get_buffer_owned());
        assert!(poll_once(&mut first).is_pending());
        assert!(poll_once(&mut second).is_pending());
        let thread = spawn(move || drop(sample));
        drop(second);
        drop(block_on(first).unwrap());
        thread.join().unwrap();
        assert_eq!(quota.status().in_use, 0);
        assert_all_free(&pool);
    });
}
