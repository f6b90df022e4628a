//! The end of a pool: the last sample and the last handle.
//!
//! Guarantees: 7, 11

use super::{freed, spawn, take_two, watch};
use crate::{checks::shared::pool, sync::Lock};
use std::sync::Arc;

/// One thread drops the last sample, and the other the last handle. Loom reports an access after the end, and a
/// leak. The test asserts that the pool is freed.
#[test]
fn the_last_sample_frees_the_pool_once() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let weak = pool.downgrade();
        let thread = spawn(move || drop(sample));
        drop(pool);
        thread.join().unwrap();
        assert!(weak.upgrade().is_none());
    });
}

/// Observes the end by the drop of the pool's callback: it is not dropped while a sample is left, and is
/// dropped with the last one.
#[test]
fn a_sample_keeps_the_pool_without_a_handle() {
    loom::model(|| {
        let pool = pool(1);
        let watched = watch(&pool);
        let one = pool.try_get_buffer().unwrap().freeze();
        let two = one.clone();
        drop(pool);
        assert!(!freed(&watched), "the sample is left");
        let thread = spawn(move || drop(one));
        drop(two);
        thread.join().unwrap();
        assert!(freed(&watched));
    });
}

/// Two samples and the last handle are dropped at the same time.
#[test]
fn two_last_samples_and_the_last_handle() {
    loom::model(|| {
        let pool = pool(2);
        let mut samples = take_two(&pool);
        let weak = pool.downgrade();
        let (one, two) = (samples.pop(), samples.pop());
        let first = spawn(move || drop(one));
        let second = spawn(move || drop(two));
        drop(pool);
        first.join().unwrap();
        second.join().unwrap();
        assert!(weak.upgrade().is_none());
    });
}

/// With a callback set, the releaser is still inside the pool after its slot is free.
#[test]
fn the_last_release_calls_back_before_the_pool_is_freed() {
    loom::model(|| {
        let pool = pool(1);
        let watched = watch(&pool);
        let sample = pool.try_get_buffer().unwrap();
        let thread = spawn(move || drop(sample));
        drop(pool);
        thread.join().unwrap();
        assert!(freed(&watched));
    });
}

/// The last handle sets a callback and is dropped, while the last sample is released with a reference to the
/// old callback. Each callback is called at most once, and the pool is freed with the one that is set then.
#[test]
fn set_notify_meets_the_last_release() {
    loom::model(|| {
        let pool = pool(1);
        let first = watch(&pool);
        let sample = pool.try_get_buffer().unwrap();
        let thread = spawn(move || drop(sample));
        let second = Arc::new(());
        let watched = Arc::downgrade(&second);
        let callback = move |_pool: &crate::Pool| drop(second.clone());
        drop(pool.set_notify(Some(Arc::new(callback))));
        drop(pool);
        thread.join().unwrap();
        assert!(freed(&first) && freed(&watched));
    });
}

/// A weak handle is upgraded while a release takes the slow path and no handle is left.
#[test]
fn upgrade_meets_the_last_release() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let weak = pool.downgrade();
        drop(pool);
        let thread = spawn(move || drop(sample));
        assert!(weak.upgrade().is_none(), "a release is no handle");
        thread.join().unwrap();
    });
}

/// The callback of the last release clones the pool that it is given: the pool stays alive.
#[test]
fn a_handle_cloned_in_the_last_callback_keeps_the_pool() {
    loom::model(|| {
        let pool = pool(1);
        let kept = Arc::new(Lock::new(None));
        let keep = kept.clone();
        pool.on_release(move |pool| *keep.lock() = Some(pool.clone()))
            .detach();
        let sample = pool.try_get_buffer().unwrap();
        let thread = spawn(move || drop(sample));
        drop(pool);
        thread.join().unwrap();
        let pool = kept.lock().take().expect("the callback ran");
        drop(pool.set_notify(None));
        assert!(pool.try_get_buffer().is_ok());
    });
}

/// A weak handle is upgraded while the last handle is dropped.
#[test]
fn upgrade_meets_the_last_handle() {
    loom::model(|| {
        let pool = pool(1);
        let weak = pool.downgrade();
        let thread = spawn(move || {
            if let Some(pool) = weak.upgrade() {
                assert!(pool.try_get_buffer().is_ok());
            }
        });
        drop(pool);
        thread.join().unwrap();
    });
}
