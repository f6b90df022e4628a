//! Quotas: admission during a release, waiters for room that leave, and the priority buffers.

use super::{freed, spawn, use_exclusively, watch, with_two_preemptions};
use crate::{
    GetBufferError, Pool, Quota, State,
    checks::shared::{assert_all_free, poll_once, pool},
    sync::{Ordering, Statistic},
};
use loom::future::block_on;
use std::sync::Arc;

/// A pool with `priority_buffers` priority buffers, and a quota of high priority that is large enough.
fn pool_with_priority_buffers(buffers: usize, priority_buffers: usize) -> (Pool, Quota) {
    let pool = crate::Builder::default().buffers(buffers).size(64);
    let pool = pool
        .priority_buffers(priority_buffers)
        .build()
        .expect("a page of memory");
    let quota = pool.priority_quota("control", 4);
    (pool, quota)
}

fn assert_all_given_back(pool: &Pool, quota: &Quota) {
    let status = quota.status();
    assert_eq!((status.in_use, status.waiting), (0, 0));
    assert_all_free(pool);
}

/// Waits for a sample of the quota, uses it and releases it.
fn get_and_release(quota: &Quota) -> Result<(), GetBufferError> {
    let mut sample = block_on(quota.get_buffer())?;
    use_exclusively(&mut sample);
    Ok(())
}

/// A get finds no room in the quota while a sample of it is released. Under loom, room that is missed is a
/// deadlock.
#[test]
fn returned_room_meets_a_waiter_for_room() {
    loom::model(|| {
        let pool = pool(2);
        let quota = pool.quota("camera", 1);
        let sample = quota.try_get_buffer().unwrap();
        let thread = spawn(move || drop(sample));
        get_and_release(&quota).unwrap();
        thread.join().unwrap();
        assert_all_given_back(&pool, &quota);
    });
}

/// A release with the last handle beside it, and another release: one of the three frees the account, and none uses it
/// afterwards.
#[test]
fn the_last_handle_and_the_last_sample_free_the_account_once() {
    loom::model(|| {
        let pool = pool(2);
        let quota = pool.quota("camera", 2);
        let [one, another] = [(); 2].map(|()| quota.try_get_buffer().unwrap());
        let threads = [spawn(move || drop(one)), spawn(move || drop(another))];
        drop(quota);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(pool.quotas().is_empty(), "its account was freed");
        assert_all_free(&pool);
    });
}

/// The room that a release returns admits a waiter, which is dropped with the last handle.
#[test]
fn a_waiter_for_room_is_dropped_with_the_last_handle() {
    loom::model(|| {
        let pool = pool(2);
        let quota = pool.quota("camera", 1);
        let sample = quota.try_get_buffer().unwrap();
        let mut waiter = Box::pin(quota.get_buffer_owned());
        assert!(poll_once(&mut waiter).is_pending());
        drop(quota);
        let thread = spawn(move || drop(sample));
        drop(waiter);
        thread.join().unwrap();
        assert!(pool.quotas().is_empty(), "its account was freed");
        assert_all_free(&pool);
    });
}

/// Two gets compete for the same room, and one of them waits: never do both have it.
#[test]
fn a_quota_is_not_exceeded() {
    loom::model(|| {
        let pool = pool(2);
        let quota = pool.quota("camera", 1);
        let out = Arc::new(Statistic::new(0));
        let hold = |quota: &Quota, out: &Statistic| {
            let sample = block_on(quota.get_buffer()).unwrap();
            assert_eq!(out.fetch_add(1, Ordering::Relaxed), 0, "one at a time");
            out.fetch_sub(1, Ordering::Relaxed);
            drop(sample);
        };
        let thread = spawn({
            let (quota, out) = (quota.clone(), out.clone());
            move || hold(&quota, &out)
        });
        hold(&quota, &out);
        thread.join().unwrap();
        assert_all_given_back(&pool, &quota);
    });
}

/// The first waiter leaves while room is released: the waiter behind it gets the room.
#[test]
fn a_waiter_that_is_admitted_leaves() {
    loom::model(|| {
        let pool = pool(2);
        let quota = pool.quota("camera", 1);
        let sample = quota.try_get_buffer().unwrap();
        let mut first = Box::pin(quota.get_buffer_owned());
        let mut second = Box::pin(quota.get_buffer());
        assert!(poll_once(&mut first).is_pending());
        assert!(poll_once(&mut second).is_pending());
        let thread = spawn(move || drop(first));
        drop(sample);
        drop(block_on(second).unwrap());
        thread.join().unwrap();
        assert_all_given_back(&pool, &quota);
    });
}

/// The first waiter requests more than there is room for, and leaves: the smaller request behind it must not
/// wait any longer.
#[test]
fn a_waiter_that_leaves_lets_the_waiters_behind_it_pass() {
    loom::model(|| {
        let pool = pool(3);
        let quota = pool.quota("camera", 2);
        let one = quota.try_get_buffer().unwrap();
        let other = quota.clone();
        let thread = spawn(move || {
            let mut large = Box::pin(other.get_buffers(2));
            let _admitted = poll_once(&mut large);
        });
        get_and_release(&quota).unwrap();
        thread.join().unwrap();
        drop(one);
        assert_all_given_back(&pool, &quota);
    });
}

/// A decommit fails every waiter for room, queued before it or during it, even if room is released later.
#[test]
fn a_decommit_meets_a_waiter_for_room() {
    loom::model(|| {
        let pool = pool(2);
        let quota = pool.quota("camera", 1);
        let sample = quota.try_get_buffer().unwrap();
        let other = pool.clone();
        let thread = spawn(move || other.decommit());
        let result = get_and_release(&quota);
        assert_eq!(result, Err(GetBufferError::NotCommitted));
        thread.join().unwrap();
        drop(sample);
        assert_eq!(pool.state(), State::Configured);
        assert_all_given_back(&pool, &quota);
    });
}

/// One get waits for room in the quota and another for a sample, and one sample is left.
#[test]
fn the_wait_queue_of_a_quota_meets_that_of_the_pool() {
    with_two_preemptions(|| {
        let pool = pool(1);
        let quota = pool.quota("camera", 1);
        let sample = quota.try_get_buffer().unwrap();
        let other = pool.clone();
        let thread = spawn(move || drop(block_on(other.get_buffer()).unwrap()));
        let mut over = Box::pin(quota.get_buffer());
        assert!(poll_once(&mut over).is_pending());
        drop(sample);
        drop(block_on(over).unwrap());
        thread.join().unwrap();
        assert_all_given_back(&pool, &quota);
    });
}

/// A priority buffer was taken, and two samples are released while a waiter without priority is queued.
#[test]
fn priority_buffers_are_filled_up_before_others_are_served() {
    with_two_preemptions(|| {
        let (pool, quota) = pool_with_priority_buffers(2, 1);
        let sample = pool.try_get_buffer().unwrap();
        let control = quota.try_get_buffer().unwrap();
        let first = spawn(move || drop(sample));
        let second = spawn(move || drop(control));
        let sample = block_on(pool.get_buffer()).unwrap();
        assert_eq!(pool.status().priority_free, 1);
        drop(sample);
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(pool.status().priority_free, 1);
        assert_all_given_back(&pool, &quota);
    });
}

/// One sample is released while an earlier waiter without priority and one of high priority are queued.
#[test]
fn high_priority_comes_first() {
    loom::model(|| {
        let (pool, quota) = pool_with_priority_buffers(2, 1);
        let sample = pool.try_get_buffer().unwrap();
        let control = quota.try_get_buffer().unwrap();
        let mut ordinary = Box::pin(pool.get_buffer());
        assert!(poll_once(&mut ordinary).is_pending());
        let thread = spawn(move || drop(sample));
        get_and_release(&quota).unwrap();
        assert!(poll_once(&mut ordinary).is_pending(), "one is missing");
        drop(control);
        drop(block_on(ordinary).unwrap());
        thread.join().unwrap();
        assert_eq!(pool.status().priority_free, 1);
        assert_all_given_back(&pool, &quota);
    });
}

/// A get that may take priority buffers empties the pool while a sample is released without the lock.
#[test]
fn emptied_priority_buffers_meet_a_release() {
    loom::model(|| {
        let (pool, quota) = pool_with_priority_buffers(2, 1);
        let sample = pool.try_get_buffer().unwrap();
        let thread = spawn(move || drop(sample));
        let control = quota.try_get_buffer().unwrap();
        thread.join().unwrap();
        assert_eq!(
            pool.status().priority_free,
            1,
            "by the release, or unchanged"
        );
        drop(control);
        assert!(pool.try_get_buffer().is_ok());
        assert_all_given_back(&pool, &quota);
    });
}

/// Priority buffers that are free do not keep the pool alive.
#[test]
fn a_pool_with_priority_buffers_is_freed_once() {
    loom::model(|| {
        let (pool, quota) = pool_with_priority_buffers(2, 1);
        let watched = watch(&pool);
        let sample = quota.try_get_buffer().unwrap();
        let thread = spawn(move || drop(sample));
        drop((pool, quota));
        thread.join().unwrap();
        assert!(freed(&watched));
    });
}

/// A commit refills the priority buffers while the last sample of the drain that it cancels is released.
#[test]
fn a_commit_fills_the_priority_buffers_while_a_drain_ends() {
    loom::model(|| {
        let (pool, quota) = pool_with_priority_buffers(2, 1);
        let sample = quota.try_get_buffer().unwrap();
        pool.decommit();
        let thread = spawn(move || drop(sample));
        pool.commit().unwrap();
        thread.join().unwrap();
        assert_eq!(pool.status().priority_free, 1);
        drop(block_on(pool.get_buffer()).unwrap());
        assert_all_given_back(&pool, &quota);
    });
}
