//! Commit, decommit, flush and new properties during gets and releases.
//!
//! Guarantees: 10

use super::*;
use crate::{Properties, SetPropertiesError, State};

/// Gets until one fails, and returns its error.
fn get_until_refused(stage: &Stage, most: usize) -> Option<GetBufferError> {
    (0..most).find_map(|_| stage.get().err())
}

/// Every waiter is woken by a decommit or a flush, however soon the pool serves again.
#[test]
fn decommit_commit_and_flush_meet_waiters() {
    play(|| {
        let stage = Stage::new(1);
        let sample = stage.take_all();
        let mut threads: Vec<_> = (0..3)
            .map(|_| {
                let stage = stage.clone();
                start(move || match get_until_refused(&stage, 2) {
                    None | Some(GetBufferError::NotCommitted | GetBufferError::Flushing) => {}
                    Some(error) => panic!("{error}"),
                })
            })
            .collect();
        let pool = stage.pool.clone();
        threads.push(start(move || {
            pool.set_flushing(true);
            pool.set_flushing(false);
        }));
        threads.push(start(move || drop(sample)));
        stage.pool.decommit();
        stage.pool.commit().expect("it has its memory");
        join_all(threads);
        assert_eq!(stage.pool.state(), State::Committed);
        stage.assert_all_free();
    });
}

/// A decommit notifies every waiter, even if no sample is ever released.
#[test]
fn every_queued_get_is_notified_of_a_decommit() {
    play(|| {
        let stage = Stage::new(2);
        let samples = stage.take_all();
        let mut line = [stage.pool.get_buffer(), stage.pool.get_buffer()];
        let mut large = stage.pool.get_buffers(2);
        line.iter_mut()
            .for_each(|get| assert!(poll_once(get).is_pending()));
        assert!(poll_once(&mut large).is_pending());
        let pool = stage.pool.clone();
        let flusher = start(move || {
            pool.set_flushing(true);
            pool.set_flushing(false);
        });
        let pool = stage.pool.clone();
        let closer = start(move || {
            pool.decommit();
            pool.commit().expect("it has its memory");
        });
        for get in line {
            let refused = block_on(get).map(drop);
            assert!(refused.is_err(), "nothing was released");
        }
        assert!(block_on(large).is_err(), "nothing was released");
        join_all([flusher, closer]);
        drop(samples);
        stage.assert_all_free();
    });
}

/// A drain that is completed twice would count its samples twice. A drain that is never completed would leave
/// its listeners waiting.
#[test]
fn a_drain_completes_once() {
    play(|| {
        let stage = Stage::new(3);
        let mut samples = stage.take_all();
        let mut late = stage.pool.get_buffers(2);
        assert!(poll_once(&mut late).is_pending());
        let last = samples.pop().map(Sample::freeze);
        let mut threads: Vec<_> = samples
            .into_iter()
            .map(|sample| start(move || drop(sample)))
            .collect();
        let another = last.clone();
        threads.push(start(move || drop(another)));
        for _ in 0..2 {
            let pool = stage.pool.clone();
            threads.push(start(move || {
                let drained = pool.drained();
                pool.decommit();
                block_on(drained);
                assert_eq!(pool.state(), State::Configured);
            }));
        }
        drop(last);
        let late = match block_on(late) {
            Ok(samples) => samples
                .into_iter()
                .map(|sample| stage.use_up(sample))
                .count(),
            Err(error) => {
                assert_eq!(error, GetBufferError::NotCommitted);
                0
            }
        };
        join_all(threads);
        let status = stage.pool.status();
        assert_eq!(status.state, State::Configured);
        assert_eq!(status.acquired, 3 + late as u64);
        stage.pool.commit().expect("it has its memory");
        stage.assert_all_free();
    });
}

/// Commits cancel drains whose last sample may have been released already.
#[test]
fn commits_meet_the_ends_of_drains() {
    play(|| {
        let stage = Stage::new(2);
        let samples = stage.take_all();
        let mut threads: Vec<_> = samples
            .into_iter()
            .map(|sample| start(move || drop(sample)))
            .collect();
        for _ in 0..2 {
            let pool = stage.pool.clone();
            threads.push(start(move || {
                pool.decommit();
                pool.commit().expect("it has its memory, or is given it");
            }));
        }
        let getter = stage.clone();
        threads.push(start(move || {
            if let Ok(sample) = getter.pool.try_get_buffer() {
                getter.use_up(sample);
            }
        }));
        join_all(threads);
        assert_eq!(stage.pool.state(), State::Committed);
        stage.assert_all_free();
    });
}

/// Gets are delayed between a check of the words of one configuration and a take from those of another.
#[test]
fn gets_meet_new_properties() {
    play(|| {
        let stage = Stage::new(2);
        // As many flags as the larger configuration has slots.
        let stage = Stage {
            taken: Stage::new(60).taken,
            ..stage
        };
        let mut threads: Vec<_> = (0..3)
            .map(|_| {
                let stage = stage.clone();
                start(move || match get_until_refused(&stage, 2) {
                    None | Some(GetBufferError::NotCommitted) => {}
                    Some(error) => panic!("{error}"),
                })
            })
            .collect();
        let pool = stage.pool.clone();
        threads.push(start(move || {
            let larger = Properties {
                buffers: 60,
                size: 128,
                align: 64,
                prefix: 0,
            };
            pool.decommit();
            block_on(pool.drained());
            match pool.set_properties(larger) {
                Ok(actual) => assert_eq!(actual.buffers, 60),
                Err(SetPropertiesError::AlreadyCommitted) => {}
                Err(error) => panic!("drained, and still {error}"),
            }
            pool.commit().expect("a page of memory");
        }));
        join_all(threads);
        assert_eq!(stage.pool.properties().buffers, 60);
        stage.assert_all_free();
    });
}
