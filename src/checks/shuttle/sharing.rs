//! Shared handles on many threads.
//!
//! Guarantees: 12

use super::*;
use crate::sync::Statistic;

/// The last of many handles releases the sample, and only a sole handle becomes writable again.
#[test]
fn one_of_many_handles_releases_or_owns() {
    play(|| {
        let stage = Stage::new(1);
        let mut sample = stage.take_all().pop().expect("one");
        stage.enter(&mut sample);
        let shared = sample.freeze();
        let owners = Arc::new(Statistic::new(0));
        let mut threads: Vec<_> = (0..4)
            .map(|number| {
                let (one, stage, owners) = (shared.clone(), stage.clone(), owners.clone());
                start(move || {
                    let two = one.slice(..4);
                    assert_eq!(one.properties().user(), 7);
                    if number % 2 == 0 {
                        drop(two);
                        if let Ok(sample) = one.try_into_sample() {
                            owners.fetch_add(1, Ordering::Relaxed);
                            stage.leave(&sample);
                        }
                    } else {
                        drop(one);
                        let bytes = two.into_bytes();
                        assert_eq!(bytes, vec![0; 4]);
                        drop(bytes);
                    }
                })
            })
            .collect();
        drop(shared);
        let getter = stage.clone();
        threads.push(start(move || {
            let sample = block_on(getter.pool.get_buffer()).expect("it is committed");
            assert!(sample.is_empty(), "the last owner's length");
            assert_eq!(sample.properties().user(), 0, "the last owner's properties");
        }));
        join_all(threads);
        assert!(owners.load(Ordering::Relaxed) <= 1);
        stage.assert_all_free();
    });
}

/// Handles to different samples are made, moved and dropped while other threads get and release.
#[test]
fn handles_that_move_between_threads_release_their_samples() {
    play(|| {
        let stage = Stage::new(2);
        let (send, receive) = shuttle::sync::mpsc::channel();
        let mut threads: Vec<_> = (0..3)
            .map(|number| {
                let (stage, send) = (stage.clone(), send.clone());
                start(move || {
                    for _ in 0..2 {
                        let sample = block_on(stage.pool.get_buffer());
                        let mut sample = sample.expect("it is committed");
                        stage.enter(&mut sample);
                        sample.fill(number);
                        stage.leave(&sample);
                        let shared = sample.freeze();
                        send.send((number, shared.clone())).expect("received below");
                        assert_eq!(shared, [number; 8]);
                    }
                })
            })
            .collect();
        drop(send);
        threads.push(start(move || {
            for (number, shared) in receive {
                assert_eq!(shared, [number; 8]);
            }
        }));
        join_all(threads);
        stage.assert_all_free();
    });
}
