//! A batch release, which frees several slots of one word in one step, against what else changes the word.
//!
//! Guarantees: 1, 7, 13

use super::{get_and_release, spawn, take_two, use_exclusively, with_two_preemptions};
use crate::{
    Pool, Sample,
    checks::shared::{assert_all_free, pool},
    sync::{Ordering, Statistic},
};
use std::sync::Arc;

/// A pool that has no free sample, two used ones of one word, which is open, and the rest.
fn one_word() -> (Pool, Vec<Sample>, Sample) {
    let pool = pool(3);
    // Opens both words, so that the get of the third sample does not take the lock and park the first word.
    drop(pool.try_get_buffers(3).unwrap());
    let mut samples = take_two(&pool);
    samples.iter_mut().for_each(use_exclusively);
    let indices = [samples[0].index(), samples[1].index()];
    assert_eq!(indices, [0, 1], "the first word has two of three slots");
    let rest = pool.try_get_buffer().unwrap();
    (pool, samples, rest)
}

/// The next owner of each slot sees it reset.
#[test]
fn a_batch_meets_a_get() {
    with_two_preemptions(|| {
        let (pool, mut samples, rest) = one_word();
        let thread = spawn(move || Sample::release_all(&mut samples));
        for _ in 0..2 {
            if let Ok(mut sample) = pool.try_get_buffer() {
                use_exclusively(&mut sample);
            }
        }
        thread.join().unwrap();
        drop(rest);
        assert_all_free(&pool);
    });
}

/// A waiter parks the word after the batch found it open. If the batch freed a slot of the parked word, the waiter would
/// wait for ever.
#[test]
fn a_batch_meets_a_get_that_waits() {
    with_two_preemptions(|| {
        let (pool, mut samples, rest) = one_word();
        let thread = spawn(move || Sample::release_all(&mut samples));
        get_and_release(&pool).unwrap();
        thread.join().unwrap();
        drop(rest);
        assert_all_free(&pool);
    });
}

/// Each sample that is not free when the callback is set calls it, once.
#[test]
fn a_batch_meets_a_new_callback() {
    loom::model(|| {
        let (pool, mut samples, rest) = one_word();
        let thread = spawn(move || Sample::release_all(&mut samples));
        let calls = Arc::new(Statistic::new(0));
        let count = calls.clone();
        pool.set_notify(Some(Arc::new(move |_pool: &Pool| {
            count.fetch_add(1, Ordering::Relaxed);
        })));
        let seen = pool.free_count();
        thread.join().unwrap();
        let called = calls.load(Ordering::Relaxed);
        assert!(called <= 2);
        assert!(seen + called >= 2, "free before the check, or a call");
        drop(rest);
        assert_all_free(&pool);
    });
}

/// The batch has the last samples, and the other thread drops the last handle. Loom reports an access after the end, and
/// a leak.
#[test]
fn a_batch_meets_the_drop_of_the_last_handle() {
    loom::model(|| {
        let (pool, mut samples, rest) = one_word();
        drop(rest);
        let weak = pool.downgrade();
        let thread = spawn(move || Sample::release_all(&mut samples));
        drop(pool);
        thread.join().unwrap();
        assert!(weak.upgrade().is_none());
    });
}
