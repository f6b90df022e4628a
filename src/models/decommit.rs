//! Decommit, commit and flush against gets and releases.

use super::{assert_all_home, get_and_release, poll_once, pool, spawn, use_exclusively};
use crate::{GetBufferError, Properties, State};
use loom::future::block_on;

/// A get finds the pool open or shut, and a drain completes in either case.
#[test]
fn decommit_meets_get() {
    loom::model(|| {
        let pool = pool(1);
        let other = pool.clone();
        let thread = spawn(move || match get_and_release(&other) {
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

/// The last sample comes home while the pool is decommitted: one of the two completes the drain.
#[test]
fn decommit_meets_release() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let drained = pool.drained();
        let thread = spawn(move || drop(sample));
        pool.decommit();
        block_on(drained);
        thread.join().unwrap();
        assert_eq!(pool.state(), State::Configured);
        assert_all_home(&pool);
    });
}

/// A waiter that is woken by a decommit fails, even if the pool is committed again at once.
#[test]
fn decommit_and_commit_fail_whoever_waits() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let other = pool.clone();
        let thread = spawn(move || match get_and_release(&other) {
            Ok(()) | Err(GetBufferError::NotCommitted) => {}
            Err(error) => panic!("{error}"),
        });
        pool.decommit();
        pool.commit().unwrap();
        drop(sample);
        thread.join().unwrap();
        assert_all_home(&pool);
    });
}

/// Two drains end at the same time as a commit: nothing is counted twice, nothing is lost.
#[test]
fn commit_meets_the_end_of_a_drain() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        pool.decommit();
        let thread = spawn(move || drop(sample));
        pool.commit().unwrap();
        thread.join().unwrap();
        assert_eq!(pool.state(), State::Committed);
        assert!(pool.try_get_buffer().is_ok());
        assert_all_home(&pool);
    });
}

/// A flush begins while a waiter joins.
#[test]
fn flush_meets_a_waiter() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let other = pool.clone();
        let thread = spawn(move || {
            let result = poll_once(other.get_buffer());
            assert!(!matches!(result, std::task::Poll::Ready(Ok(_))));
        });
        pool.set_flushing(true);
        pool.set_flushing(false);
        thread.join().unwrap();
        drop(sample);
        assert_all_home(&pool);
    });
}

/// A get that looked at the words of one configuration takes its slot from the next one, or nothing.
#[test]
fn a_stalled_get_survives_a_reconfiguration() {
    loom::model(|| {
        let pool = pool(1);
        let other = pool.clone();
        let thread = spawn(move || {
            if let Ok(mut sample) = other.try_get_buffer() {
                use_exclusively(&mut sample);
                assert!(sample.index() < 3);
            }
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
    });
}
