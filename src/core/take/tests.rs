//! What a get that finds no slot leaves behind.

use crate::{Pool, core::engine::tests::without_the_lock, free_list::stripe, sync::Ordering};

fn pool(buffers: usize) -> Pool {
    Pool::builder().buffers(buffers).size(64).build().unwrap()
}

/// Where many processors are idle, a pool would have as many words, and a thread that holds several buffers would
/// need the lock for each of them.
#[test]
fn a_small_pool_has_words_of_at_least_four_slots() {
    for (buffers, words) in [(1, 1), (3, 1), (7, 1), (8, 2), (15, 3)] {
        let pool = pool(buffers);
        assert_eq!(
            pool.engine()
                .free_list
                .table
                .word_count
                .load(Ordering::Relaxed),
            words.min(stripe::count()),
            "{buffers} buffers"
        );
    }
}

/// A miss that parks the words makes each release that follows take the lock.
#[test]
fn a_get_that_finds_no_slot_leaves_the_words_open() {
    let pool = pool(64);
    let fill = || -> Vec<_> { (0..64).map(|_| pool.try_get_buffer().unwrap()).collect() };
    // The first time, words are opened one after the other. Their releases open those that were parked meanwhile.
    drop(fill());
    let held = fill();
    pool.try_get_buffer().unwrap_err();
    without_the_lock(&pool, move || drop(held));
}

/// Gets that go on to fail cost one load each, and not a look at all words.
#[test]
fn after_many_misses_one_load_shows_that_the_pool_is_empty() {
    let pool = pool(64);
    let fill = || -> Vec<_> { (0..64).map(|_| pool.try_get_buffer().unwrap()).collect() };
    drop(fill());
    let _held = fill();
    for _ in 0..stripe::MISSES_TO_PARK {
        assert!(!pool.engine().free_list.is_empty());
        pool.try_get_buffer().unwrap_err();
    }
    assert!(pool.engine().free_list.is_empty());
    assert_eq!(pool.status().exhausted, u64::from(stripe::MISSES_TO_PARK));
}
