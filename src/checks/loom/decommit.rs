//! Decommit, commit and flush against gets and releases.
//!
//! Guarantees: 7, 10, 14

use super::{get_and_release, spawn, take_two, use_exclusively};
use crate::{
    GetBufferError, Properties, SetPropertiesError, State,
    checks::shared::{assert_all_free, poll_once, pool},
};
use loom::future::block_on;

/// A get finds the pool committed or not, and the drain completes in either case.
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
        assert_all_free(&pool);
    });
}

/// The last sample is released while the pool is decommitted: one of the two completes the drain.
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
        assert_all_free(&pool);
    });
}

/// A waiter that a decommit wakes fails, even if the pool is committed again at once.
#[test]
fn decommit_and_commit_fail_all_waiters() {
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
        assert_all_free(&pool);
    });
}

/// Two drains end while the pool is committed: nothing is counted twice, and nothing is lost.
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
        assert_all_free(&pool);
    });
}

/// A flush begins while a waiter queues.
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
        assert_all_free(&pool);
    });
}

/// A get that read the words of one configuration takes its slot from the next configuration, or none.
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
        assert_all_free(&pool);
    });
}

/// Both change the state: one of them is last, and decides whether gets are served.
#[test]
fn decommit_meets_commit() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let other = pool.clone();
        let thread = spawn(move || other.decommit());
        pool.commit().unwrap();
        thread.join().unwrap();
        drop(sample);
        match pool.state() {
            State::Committed => assert!(pool.try_get_buffer().is_ok()),
            state => {
                assert_eq!(state, State::Configured);
                let refused = pool.try_get_buffer().unwrap_err();
                assert_eq!(refused, GetBufferError::NotCommitted);
            }
        }
        assert_all_free(&pool);
    });
}

/// No sample is checked out, so the decommit ends its own drain, while a commit waits for that end or comes
/// first.
#[test]
fn commit_meets_a_decommit_that_drains_at_once() {
    loom::model(|| {
        let pool = pool(1);
        drop(pool.try_get_buffer().unwrap());
        let other = pool.clone();
        let thread = spawn(move || other.decommit());
        pool.commit().unwrap();
        thread.join().unwrap();
        pool.commit().unwrap();
        drop(pool.try_get_buffer().unwrap());
        assert_eq!(pool.status().acquired, 2, "each turn is counted once");
        assert_all_free(&pool);
    });
}

/// The last two samples are released at the same time: one release ends the drain, and counts both.
#[test]
fn the_last_two_releases_end_a_drain_once() {
    loom::model(|| {
        let pool = pool(2);
        let mut samples = take_two(&pool);
        let (one, two) = (samples.pop(), samples.pop());
        let drained = pool.drained();
        pool.decommit();
        let thread = spawn(move || drop(one));
        drop(two);
        block_on(drained);
        assert_eq!(pool.state(), State::Configured);
        thread.join().unwrap();
        assert_eq!(pool.status().acquired, 2, "each turn is counted once");
        assert_all_free(&pool);
    });
}

/// A get finds the pool open or flushing. After the flush is announced no get is served.
#[test]
fn flush_meets_get() {
    loom::model(|| {
        let pool = pool(1);
        drop(pool.try_get_buffer().unwrap());
        let other = pool.clone();
        let thread = spawn(move || match get_and_release(&other) {
            Ok(()) | Err(GetBufferError::Flushing) => {}
            Err(error) => panic!("{error}"),
        });
        pool.set_flushing(true);
        let refused = pool.try_get_buffer().unwrap_err();
        assert_eq!(refused, GetBufferError::Flushing);
        pool.set_flushing(false);
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// A waiter gets its slot or the error of the flush, never both.
#[test]
fn flush_meets_a_hand_off() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let mut get = pool.get_buffer();
        assert!(poll_once(&mut get).is_pending());
        let thread = spawn(move || drop(sample));
        pool.set_flushing(true);
        match block_on(get) {
            Ok(mut sample) => use_exclusively(&mut sample),
            Err(error) => assert_eq!(error, GetBufferError::Flushing),
        }
        thread.join().unwrap();
        pool.set_flushing(false);
        assert!(pool.try_get_buffer().is_ok());
        assert_all_free(&pool);
    });
}

/// Memory is mapped without the lock, and for the properties with which the commit began. A thread that sets
/// other properties during that time waits.
#[test]
fn set_properties_meets_commit() {
    loom::model(|| {
        let pool = crate::Builder::default().buffers(1).size(64);
        let pool = pool.build_uncommitted().unwrap();
        let other = pool.clone();
        let thread = spawn(move || other.commit().unwrap());
        let two = Properties {
            buffers: 2,
            ..pool.properties()
        };
        let buffers = match pool.set_properties(two) {
            Ok(_) => 2,
            Err(error) => {
                assert_eq!(error, SetPropertiesError::AlreadyCommitted);
                1
            }
        };
        thread.join().unwrap();
        assert_eq!(pool.properties().buffers, buffers);
        assert_eq!(pool.try_get_buffers(buffers).unwrap().len(), buffers);
        assert_all_free(&pool);
    });
}
