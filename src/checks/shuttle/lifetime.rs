//! The end of a pool: its last sample, its last handle, and threads that are still inside a release.
//!
//! Guarantees: 11

use super::*;
use crate::sync::Statistic;

/// What the callback of a pool saw. The callback is dropped with the pool.
#[derive(Default)]
struct Seen {
    calls: Statistic,
    ends: Statistic,
}

struct Life(Arc<Seen>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.ends.fetch_add(1, Ordering::Relaxed);
    }
}

impl Seen {
    fn watch(pool: &Pool) -> Arc<Seen> {
        let seen = Arc::new(Seen::default());
        let life = Life(seen.clone());
        pool.on_release(move |_pool| {
            life.0.calls.fetch_add(1, Ordering::Relaxed);
        })
        .detach();
        seen
    }

    /// The pool was freed once, after one call for each release.
    fn assert_freed_after(&self, calls: usize) {
        assert_eq!(self.calls.load(Ordering::Relaxed), calls, "calls");
        assert_eq!(self.ends.load(Ordering::Relaxed), 1, "freed once");
    }
}

/// Every sample and every handle is dropped on a thread of its own, and a weak handle is upgraded in between.
#[test]
fn the_pool_is_freed_once_by_any_last_owner() {
    play(|| {
        let stage = Stage::new(3);
        let seen = Seen::watch(&stage.pool);
        let mut threads: Vec<_> = stage
            .take_all()
            .into_iter()
            .map(|sample| start(move || drop(sample)))
            .collect();
        let Stage { pool, taken } = stage;
        let weak = pool.downgrade();
        let another = pool.clone();
        threads.push(start(move || drop(another)));
        let watcher = weak.clone();
        threads.push(start(move || {
            if let Some(pool) = watcher.upgrade() {
                assert!(pool.free_count() <= 3);
            }
        }));
        drop((pool, taken));
        join_all(threads);
        assert!(weak.upgrade().is_none());
        seen.assert_freed_after(3);
    });
}

/// Without a callback a release touches nothing after its sample is free, and may free the pool.
#[test]
fn samples_without_a_callback_outlive_the_pool() {
    play(|| {
        let stage = Stage::new(4);
        let samples = stage.take_all();
        let mut threads = Vec::new();
        for (number, sample) in samples.into_iter().enumerate() {
            threads.push(match number % 2 {
                0 => start(move || drop(sample)),
                _ => {
                    let shared = sample.freeze();
                    let bytes = shared.clone().into_bytes();
                    start(move || drop((shared, bytes)))
                }
            });
        }
        let weak = stage.pool.downgrade();
        drop(stage);
        join_all(threads);
        assert!(weak.upgrade().is_none());
    });
}

/// An owned get keeps its pool alive while it waits, and may be the last to do so.
#[test]
fn owned_gets_keep_the_pool_until_they_are_served_or_dropped() {
    play(|| {
        let stage = Stage::new(1);
        let seen = Seen::watch(&stage.pool);
        let samples = stage.take_all();
        let mut threads: Vec<_> = (0..3)
            .map(|_| {
                let get = stage.pool.get_buffer_owned();
                let taken = stage.taken.clone();
                start(move || {
                    let sample = block_on(get).expect("the pool is committed");
                    assert!(!taken[0].swap(true, Ordering::Relaxed), "two owners");
                    taken[0].store(false, Ordering::Relaxed);
                    drop(sample);
                })
            })
            .collect();
        let mut abandoned = stage.pool.get_buffer_owned();
        threads.push(start(move || {
            // A sample that it took is released, which calls the callback. One that was handed to it and not
            // taken goes to the next waiter, without a call.
            let got = poll_once(&mut abandoned);
            drop(abandoned);
            drop(got);
        }));
        let weak = stage.pool.downgrade();
        drop(stage);
        threads.push(start(move || drop(samples)));
        join_all(threads);
        assert!(weak.upgrade().is_none());
        let calls = seen.calls.load(Ordering::Relaxed);
        assert!((4..=5).contains(&calls), "{calls} calls");
        seen.assert_freed_after(calls);
    });
}

/// The callback of the last release keeps the handle that it is given.
#[test]
fn a_handle_that_a_callback_clones_keeps_the_pool() {
    play(|| {
        let stage = Stage::new(2);
        let (send, kept) = shuttle::sync::mpsc::channel();
        stage
            .pool
            .on_release(move |pool| drop(send.send(pool.clone())))
            .detach();
        let threads: Vec<_> = stage
            .take_all()
            .into_iter()
            .map(|sample| start(move || drop(sample)))
            .collect();
        let weak = stage.pool.downgrade();
        drop(stage);
        let (one, two) = (kept.recv(), kept.recv());
        let pool = one.expect("a call for each release");
        let another = two.expect("a call for each release");
        assert!(pool.same_pool(&another));
        let last = start(move || drop(another));
        drop(pool.set_notify(None));
        assert!(pool.try_get_buffer().is_ok());
        drop(pool);
        join_all(threads);
        join_all([last]);
        assert!(weak.upgrade().is_none());
    });
}
