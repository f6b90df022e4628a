//! Flushing: gets fail, and the memory stays.

use super::{SMALL, STATES, addresses, assert_all_refused, committed, pool_in};
use crate::polling::Polled;
use sample_pool::{GetBufferError, State};

/// A flushing pool has free samples, so a get that checked the free list first would take one.
#[test]
fn every_get_says_flushing_while_the_pool_flushes_and_works_when_it_ends() {
    let pool = committed();
    let before = addresses(&pool);
    let region = pool.region();
    pool.set_flushing(true);
    assert!(pool.is_flushing());
    assert_all_refused(&pool, GetBufferError::Flushing);
    assert_eq!((pool.state(), pool.region()), (State::Committed, region));
    pool.set_flushing(true);
    pool.set_flushing(false);
    assert!(!pool.is_flushing());
    assert_eq!(addresses(&pool), before);
}

/// The two errors require different actions of the caller, so their precedence is promised.
#[test]
fn not_committed_comes_before_flushing() {
    for state in STATES {
        let (pool, _sample) = pool_in(state);
        pool.set_flushing(true);
        let expected = match state {
            State::Committed => GetBufferError::Flushing,
            _ => GetBufferError::NotCommitted,
        };
        assert_all_refused(&pool, expected);
        assert_eq!(pool.state(), state);
    }
}

/// Otherwise the waiter would find the flush over, and continue to wait.
#[test]
fn a_waiter_gets_the_error_of_a_flush_even_if_it_ends_before_it_is_polled() {
    let pool = committed();
    let samples = pool.try_get_buffers(4).expect("all are free");
    let mut one = Polled::waiting(pool.get_buffer_owned());
    let mut many = Polled::waiting(pool.get_buffers(4));
    pool.set_flushing(true);
    pool.set_flushing(false);
    drop(samples);
    assert_eq!((one.wakes(), many.wakes()), (1, 1));
    assert_eq!(one.expect_ready().map(drop), Err(GetBufferError::Flushing));
    assert_eq!(many.expect_ready().map(drop), Err(GetBufferError::Flushing));
    assert_eq!(pool.free_count(), 4);
}

/// The caller that began the flush decides when it ends, whatever the owner of the pool does in between.
#[test]
fn a_flush_outlives_decommit_commit_and_new_properties() {
    let pool = committed();
    pool.set_flushing(true);
    pool.decommit();
    assert!(pool.is_flushing());
    assert_all_refused(&pool, GetBufferError::NotCommitted);
    pool.set_properties(SMALL).expect("drained");
    pool.commit().expect("small");
    assert!(pool.is_flushing());
    assert_all_refused(&pool, GetBufferError::Flushing);
    pool.set_flushing(false);
    assert_eq!(addresses(&pool).len(), 4);
}

/// Releases take another path while the pool flushes, and must still return their samples.
#[test]
fn outstanding_samples_are_returned_during_a_flush_and_complete_a_drain() {
    let pool = committed();
    let mut samples = pool.try_get_buffers(4).expect("all are free");
    pool.set_flushing(true);
    samples.truncate(1);
    assert_eq!(pool.free_count(), 3);
    pool.decommit();
    let mut drained = Polled::waiting(pool.drained());
    drop(samples);
    drained.expect_ready();
    assert_eq!((pool.state(), pool.free_count()), (State::Configured, 4));
}
