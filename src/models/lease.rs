//! Owned gets, which keep the pool alive by a lease in a word until they are polled.

use super::{
    assert_all_home, freed, poll_once, pool, spawn, use_exclusively, watch, with_two_preemptions,
};
use crate::{GetBufferError, GetBufferOwned, Pool, Properties, State};
use loom::future::block_on;
use std::task::Poll;

/// A pool of one with its word open, so that a get of it has a lease.
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

/// The lease's word is dry, and gets its slot back or is parked by the get itself.
#[test]
fn a_lease_meets_a_release() {
    loom::model(|| {
        let pool = open_pool();
        let mut sample = pool.try_get_buffer().unwrap();
        use_exclusively(&mut sample);
        let get = pool.get_buffer_owned();
        let thread = spawn(move || drop(sample));
        finish(get).unwrap();
        thread.join().unwrap();
        assert_all_home(&pool);
    });
}

/// The word is opened for the first time by another thread, and parked again: what a lease of it is
/// followed to was written by that thread, and the lease alone makes it seen.
#[test]
fn an_unpolled_lease_of_a_word_that_another_thread_opened() {
    loom::model(|| {
        let pool = pool(1);
        let other = pool.clone();
        let thread = spawn(move || {
            drop(other.try_get_buffer());
            drop(other.released());
        });
        drop(pool.get_buffer_owned());
        thread.join().unwrap();
        assert_all_home(&pool);
    });
}

/// As above, and the first poll of the get finds the word's only slot out.
#[test]
fn a_lease_of_a_word_that_another_thread_opened_finds_no_slot() {
    with_two_preemptions(|| {
        let pool = pool(1);
        let other = pool.clone();
        let thread = spawn(move || drop(other.try_get_buffer()));
        let mut get = pool.get_buffer_owned();
        if let Poll::Ready(sample) = poll_once(&mut get) {
            use_exclusively(&mut sample.unwrap());
        }
        drop(get);
        thread.join().unwrap();
        assert_all_home(&pool);
    });
}

/// The last handle parks the word and counts the lease there, or finds a slot out instead of it.
#[test]
fn a_lease_that_takes_a_slot_meets_the_last_handle() {
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

/// A future that was never polled, the last sample and the last handle go at the same time: one of them
/// frees the pool.
#[test]
fn an_unpolled_lease_the_last_sample_and_the_last_handle() {
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

/// The end, seen by what dies with the pool: not while a lease is left, and then at once.
#[test]
fn a_lease_keeps_the_pool_without_a_handle() {
    loom::model(|| {
        let pool = open_pool();
        let watched = watch(&pool);
        // The callback parked the word.
        drop(pool.try_get_buffer().unwrap());
        let (one, two) = (pool.get_buffer_owned(), pool.get_buffer_owned());
        drop(pool);
        assert!(!freed(&watched), "two leases are left");
        let thread = spawn(move || drop(one));
        finish(two).unwrap();
        thread.join().unwrap();
        assert!(freed(&watched));
    });
}

/// A lease is a handle as far as a weak one is concerned.
#[test]
fn upgrade_meets_the_last_lease() {
    loom::model(|| {
        let pool = open_pool();
        let weak = pool.downgrade();
        let get = pool.get_buffer_owned();
        drop(pool);
        let thread = spawn(move || drop(get));
        if let Some(pool) = weak.upgrade() {
            assert!(pool.try_get_buffer().is_ok());
        }
        thread.join().unwrap();
        assert!(weak.upgrade().is_none());
    });
}

/// Two leases of one word whose slot only one of them finds there.
#[test]
fn two_leases_meet_at_one_slot() {
    loom::model(|| {
        let pool = open_pool();
        let (one, two) = (pool.get_buffer_owned(), pool.get_buffer_owned());
        let thread = spawn(move || finish(one).unwrap());
        finish(two).unwrap();
        thread.join().unwrap();
        assert_all_home(&pool);
    });
}

/// A decommit parks the word between the call and the poll, or after it.
#[test]
fn a_lease_meets_decommit() {
    loom::model(|| {
        let pool = open_pool();
        let get = pool.get_buffer_owned();
        let thread = spawn(move || match finish(get) {
            Ok(()) | Err(GetBufferError::NotCommitted) => {}
            Err(error) => panic!("{error}"),
        });
        let drained = pool.drained();
        pool.decommit();
        block_on(drained);
        thread.join().unwrap();
        assert_eq!(pool.state(), State::Configured);
        assert_all_home(&pool);
    });
}

/// A lease stands in the word of a configuration that is replaced: it takes a slot of the next one, and
/// is given up where it was taken.
#[test]
fn a_lease_survives_a_reconfiguration() {
    loom::model(|| {
        let pool = open_pool();
        let weak = pool.downgrade();
        let get = pool.get_buffer_owned();
        let thread = spawn(move || match poll_once(get) {
            std::task::Poll::Ready(Ok(mut sample)) => {
                use_exclusively(&mut sample);
                assert!(sample.index() < 3);
            }
            std::task::Poll::Ready(Err(error)) => assert_eq!(error, GetBufferError::NotCommitted),
            std::task::Poll::Pending => panic!("a slot is home"),
        });
        pool.decommit();
        let larger = Properties {
            buffers: 3,
            size: 128,
            align: 64,
            prefix: 0,
        };
        if pool.set_properties(larger).is_ok() {
            pool.commit().unwrap();
        }
        thread.join().unwrap();
        assert_all_home(&pool);
        drop(pool);
        assert!(weak.upgrade().is_none());
    });
}

/// A future that waits has a handle, and a hand-over is by a guest: the last one out frees the pool.
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
