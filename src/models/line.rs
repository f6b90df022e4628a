//! The line: joining against releases, leaving against being served.

use super::{assert_all_home, get_and_release, poll_once, pool, spawn, take_two, use_exclusively};
use loom::future::block_on;

/// A waiter joins while the last sample comes home. A lost wake-up is a deadlock here.
#[test]
fn no_slot_is_home_while_anyone_waits() {
    loom::model(|| {
        let pool = pool(1);
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let thread = spawn(move || drop(sample));
        get_and_release(&pool).unwrap();
        thread.join().unwrap();
        assert_all_home(&pool);
    });
}

/// Two releases before a waiter that has joined is polled again: a `Notify` that is shared would
/// remember one of them.
#[test]
fn two_releases_wake_two_waiters() {
    loom::model(|| {
        let pool = pool(2);
        let samples = take_two(&pool);
        let mut first = pool.get_buffer();
        let mut second = pool.get_buffer();
        assert!(poll_once(&mut first).is_pending());
        assert!(poll_once(&mut second).is_pending());
        let thread = spawn(move || drop(samples));
        let first = block_on(first).unwrap();
        let second = block_on(second).unwrap();
        assert_ne!(first.index(), second.index());
        drop((first, second));
        thread.join().unwrap();
        assert_all_home(&pool);
    });
}

/// A waiter is dropped while it is handed the slot: the one behind it must get it, or nobody will.
#[test]
fn cancel_meets_hand_over() {
    loom::model(|| {
        let pool = pool(1);
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let mut cancelled = pool.get_buffer();
        let mut next = pool.get_buffer();
        assert!(poll_once(&mut cancelled).is_pending());
        assert!(poll_once(&mut next).is_pending());
        let thread = spawn(move || drop(sample));
        drop(cancelled);
        let mut sample = block_on(next).unwrap();
        use_exclusively(&mut sample);
        drop(sample);
        thread.join().unwrap();
        assert_all_home(&pool);
    });
}

/// A waiter is dropped while it is handed the slot, and nobody is behind it: the slot goes home.
#[test]
fn cancel_of_the_only_waiter_meets_hand_over() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let mut cancelled = pool.get_buffer();
        assert!(poll_once(&mut cancelled).is_pending());
        let thread = spawn(move || drop(sample));
        drop(cancelled);
        thread.join().unwrap();
        assert!(pool.try_get_buffer().is_ok());
        assert_all_home(&pool);
    });
}

/// A request for two gathers at the front while a single one waits behind it.
#[test]
fn a_large_request_is_served_before_a_small_one_behind_it() {
    loom::model(|| {
        let pool = pool(2);
        let samples = take_two(&pool);
        let mut large = pool.get_buffers(2);
        let mut small = pool.get_buffer();
        assert!(poll_once(&mut large).is_pending());
        assert!(poll_once(&mut small).is_pending());
        let thread = spawn(move || drop(samples));
        let two = block_on(large).unwrap();
        assert!(poll_once(&mut small).is_pending(), "the large one has both");
        drop(two);
        drop(block_on(small).unwrap());
        thread.join().unwrap();
        assert_all_home(&pool);
    });
}

/// A large request gives up what it gathered while more comes home: the one behind it is served.
#[test]
fn cancel_of_a_large_request_meets_a_release() {
    loom::model(|| {
        let pool = pool(2);
        let mut samples = take_two(&pool);
        let mut large = pool.get_buffers(2);
        let mut small = pool.get_buffer();
        assert!(poll_once(&mut large).is_pending());
        assert!(poll_once(&mut small).is_pending());
        drop(samples.pop());
        let thread = spawn(move || drop(samples));
        drop(large);
        drop(block_on(small).unwrap());
        thread.join().unwrap();
        assert_all_home(&pool);
    });
}
