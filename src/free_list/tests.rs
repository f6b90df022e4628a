//! The operations that need no lock, tested while another thread holds the lock all the time.
//!
//! Under the lock they would have the same results, only slower and one thread at a time, so no other test notices if
//! one of them takes the lock.
//!
//! Guarantees: 15

#![forbid(unsafe_code)]

use crate::{
    GetBufferError, Pool, Sample,
    free_list::stripe,
    slot::word::SLOTS_PER_WORD,
    sync::{Ordering, Statistic},
};
use futures::FutureExt;
use std::{
    thread,
    time::{Duration, Instant},
};

fn pool(buffers: usize) -> Pool {
    Pool::builder().buffers(buffers).size(64).build().unwrap()
}

/// Runs `operation` on another thread while this one holds the pool's lock. Fails if it does not end.
#[track_caller]
fn while_the_lock_is_held(pool: &Pool, operation: impl FnOnce(&Pool) + Send + 'static) {
    let lock = pool.engine().lock();
    let other = pool.clone();
    let thread = thread::spawn(move || operation(&other));
    let limit = Instant::now() + Duration::from_secs(10);
    while !thread.is_finished() && Instant::now() < limit {
        thread::sleep(Duration::from_millis(1));
    }
    let in_time = thread.is_finished();
    drop(lock);
    thread.join().unwrap();
    assert!(in_time, "the operation waits for the lock");
}

/// Takes all samples one by one, which opens every word, and releases them.
fn open_all_words(pool: &Pool) {
    let all: Vec<Sample> = std::iter::from_fn(|| pool.try_get_buffer().ok()).collect();
    assert_eq!(all.len(), pool.properties().buffers);
}

/// The first get opens the word that it takes from.
#[test]
fn a_get_and_a_release_after_the_first_get() {
    let pool = pool(64);
    let first = pool.try_get_buffer().unwrap();
    while_the_lock_is_held(&pool, |pool| {
        drop(first);
        for _ in 0..3 {
            drop(pool.try_get_buffer().unwrap());
            drop(pool.get_buffer().now_or_never().unwrap().unwrap());
        }
    });
}

/// A thread's stripe number can be larger than the pool's number of stripes, and it never leads past the last word.
#[test]
fn a_get_of_any_stripe() {
    let pool = pool(64);
    open_all_words(&pool);
    while_the_lock_is_held(&pool, |pool| {
        for _ in 0..200 {
            drop(pool.try_get_buffer().unwrap());
            stripe::move_on();
        }
    });
}

/// The handle is not the last one, so it is counted without the lock.
#[test]
fn cloning_and_dropping_a_handle_that_is_not_the_last() {
    let pool = pool(2);
    while_the_lock_is_held(&pool, |pool| drop(pool.clone()));
}

/// The callback reference in the word keeps the pool alive, so the lock is not needed for it.
#[test]
fn a_release_that_calls_a_callback() {
    let pool = pool(2);
    pool.on_release(|_pool| {}).detach();
    let first = pool.try_get_buffer().unwrap();
    while_the_lock_is_held(&pool, |_pool| drop(first));
}

/// A call in progress keeps its word from being opened only if the callback was replaced.
#[test]
fn a_get_in_a_callback_from_a_word_that_was_parked_during_the_call() {
    let pool = pool(64);
    let first = Statistic::new(0);
    pool.on_release(move |pool| {
        if first.fetch_add(1, Ordering::Relaxed) == 0 {
            drop(pool.released());
            let _opens_the_word = pool.try_get_buffer().unwrap();
            while_the_lock_is_held(pool, |pool| drop(pool.try_get_buffer().unwrap()));
        }
    })
    .detach();
    drop(pool.try_get_buffer().unwrap());
    assert_eq!(pool.status().callback_panics, 0);
}

/// The future's handle is not the only one, so it is counted and dropped without the lock.
#[test]
fn an_owned_get() {
    let pool = pool(64);
    drop(pool.try_get_buffer().unwrap());
    while_the_lock_is_held(&pool, |pool| {
        drop(pool.get_buffer_owned());
        let mut get = pool.get_buffer_owned();
        drop((&mut get).now_or_never().unwrap().unwrap());
    });
}

/// Exactly as many slots as are free, in several words, from several stripes.
#[test]
fn a_get_of_all_free_slots() {
    for stripe in 0..4 {
        let pool = pool(64);
        open_all_words(&pool);
        while_the_lock_is_held(&pool, move |pool| {
            (0..stripe).for_each(|_| stripe::move_on());
            assert_eq!(pool.try_get_buffers(64).unwrap().len(), 64);
            let awaited = pool.get_buffers(64).now_or_never().unwrap();
            assert_eq!(awaited.unwrap().len(), 64);
        });
    }
}

/// The first get that finds no free slot parks every word, so the next ones need only one load.
#[test]
fn a_get_of_an_empty_pool_after_the_first_one() {
    let pool = pool(64);
    let _all: Vec<Sample> = std::iter::from_fn(|| pool.try_get_buffer().ok()).collect();
    while_the_lock_is_held(&pool, |pool| {
        let refused = pool.try_get_buffer().unwrap_err();
        assert_eq!(refused, GetBufferError::Exhausted);
    });
}

/// A pool may have more words than a get looks at. A get starts where the last get of its stripe found a slot.
#[test]
fn a_get_after_more_empty_words_than_it_searches() {
    for stripe in 0..4 {
        for empty_words in [17, 20, 23, 30] {
            let pool = pool(2000);
            let per_word = 2000_usize.div_ceil(2000_usize.div_ceil(SLOTS_PER_WORD));
            let taker = pool.clone();
            let take = move || {
                (0..stripe).for_each(|_| stripe::move_on());
                let take = |_| taker.try_get_buffer().unwrap();
                (0..empty_words * per_word + 1).map(take).collect()
            };
            let _held: Vec<Sample> = thread::spawn(take).join().unwrap();
            while_the_lock_is_held(&pool, move |pool| {
                (0..stripe).for_each(|_| stripe::move_on());
                drop(pool.try_get_buffer().unwrap());
            });
        }
    }
}
