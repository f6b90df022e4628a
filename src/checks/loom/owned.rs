//! Owned gets, which have a handle of their own until they take their slot.

use super::{freed, spawn, use_exclusively, watch};
use crate::{
    GetBufferError, GetBufferOwned, Pool,
    checks::shared::{assert_all_free, poll_once, pool},
};
use loom::future::block_on;

/// A pool of one buffer whose word is open, so that a get takes the slot without the lock.
fn open_pool() -> Pool {
    let pool = pool(1);
    drop(pool.try_get_buffer().unwrap());
    pool
}

/// Waits for the sample, uses it and releases it.
fn finish(get: GetBufferOwned) -> Result<(), GetBufferError> {
    let mut sample = block_on(get)?;
    use_exclusively(&mut sample);
    Ok(())
}

/// The get takes its slot and drops its handle while the other handle is dropped: one of them is the last, and
/// parks the word of the slot.
#[test]
fn an_owned_get_takes_its_slot_as_the_last_handle_goes() {
    loom::model(|| {
        let pool = open_pool();
        let weak = pool.downgrade();
        let get = pool.get_buffer_owned();
        let thread = spawn(move || drop(pool));
        finish(get).unwrap();
        thread.join().unwrap();
        assert!(weak.upgrade().is_none());
    });
}

/// Two gets have the only handles, and there is one slot for both.
#[test]
fn two_owned_gets_with_the_last_handles() {
    loom::model(|| {
        let pool = open_pool();
        let weak = pool.downgrade();
        let (one, two) = (pool.get_buffer_owned(), pool.get_buffer_owned());
        drop(pool);
        let thread = spawn(move || finish(one).unwrap());
        finish(two).unwrap();
        thread.join().unwrap();
        assert!(weak.upgrade().is_none());
    });
}

/// A future that was never polled, the last sample and the last handle are dropped at the same time: one of
/// them frees the pool.
#[test]
fn an_unpolled_owned_get_the_last_sample_and_the_last_handle() {
    loom::model(|| {
        let pool = open_pool();
        let weak = pool.downgrade();
        let get = pool.get_buffer_owned();
        let sample = pool.try_get_buffer().unwrap();
        let first = spawn(move || drop(get));
        let second = spawn(move || drop(sample));
        drop(pool);
        first.join().unwrap();
        second.join().unwrap();
        assert!(weak.upgrade().is_none());
    });
}

/// Observes the end by the drop of the pool's callback: it is not dropped while such a future is left, and is
/// dropped with the last one.
#[test]
fn an_unpolled_owned_get_keeps_the_pool() {
    loom::model(|| {
        let pool = open_pool();
        let watched = watch(&pool);
        let (one, two) = (pool.get_buffer_owned(), pool.get_buffer_owned());
        drop(pool);
        assert!(!freed(&watched), "two gets are left");
        let thread = spawn(move || drop(one));
        finish(two).unwrap();
        thread.join().unwrap();
        assert!(freed(&watched));
    });
}

/// A waiting future has a handle, and a hand-off runs under a release guard: the last of them to be dropped
/// frees the pool.
#[test]
fn an_owned_waiter_is_served_after_the_last_handle_went() {
    loom::model(|| {
        let pool = open_pool();
        let weak = pool.downgrade();
        let sample = pool.try_get_buffer().unwrap();
        let mut get = pool.get_buffer_owned();
        assert!(poll_once(&mut get).is_pending());
        drop(pool);
        let thread = spawn(move || drop(sample));
        finish(get).unwrap();
        thread.join().unwrap();
        assert!(weak.upgrade().is_none());
    });
}

/// A waiting get is served by the release, or takes the slot that is released at that moment.
#[test]
fn an_owned_get_meets_a_release() {
    loom::model(|| {
        let pool = open_pool();
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let get = pool.get_buffer_owned();
        let thread = spawn(move || drop(sample));
        finish(get).unwrap();
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}
