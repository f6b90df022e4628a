//! The callback and `released()` while many threads release.
//!
//! Guarantees: 7, 8, 9

use super::*;
use crate::{NotifyRelease, sync::Statistic};

/// A callback that counts its calls, and records whether it was called after its removal. A panic inside it
/// would be caught.
struct Callback {
    calls: Arc<Statistic>,
    ended: StatisticBool,
    late: Arc<StatisticBool>,
}

impl NotifyRelease for Callback {
    fn notify_release(&self, pool: &Pool) {
        let late = self.ended.load(Ordering::Relaxed);
        self.late.fetch_or(late, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        // A callback may call the pool.
        let _free = pool.free_count();
        let late = self.ended.load(Ordering::Relaxed);
        self.late.fetch_or(late, Ordering::Relaxed);
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// What all callbacks of a test saw.
#[derive(Clone, Default)]
struct Calls {
    calls: Arc<Statistic>,
    late: Arc<StatisticBool>,
}

impl Calls {
    fn callback(&self) -> Option<Arc<dyn NotifyRelease>> {
        Some(Arc::new(Callback {
            calls: self.calls.clone(),
            ended: StatisticBool::new(false),
            late: self.late.clone(),
        }))
    }

    fn assert_calls(&self, least: usize, most: usize) {
        assert!(!self.late.load(Ordering::Relaxed), "called after its end");
        let calls = self.calls.load(Ordering::Relaxed);
        assert!((least..=most).contains(&calls), "{calls} calls");
    }
}

/// One callback after the other is set, and each release calls exactly one of them.
#[test]
fn each_release_calls_the_callback_once_while_it_is_replaced() {
    play(|| {
        let stage = Stage::new(3);
        let calls = Calls::default();
        assert!(stage.pool.set_notify(calls.callback()).is_none());
        let mut threads: Vec<_> = stage
            .take_all()
            .into_iter()
            .map(|sample| {
                let stage = stage.clone();
                start(move || {
                    drop(sample);
                    stage.get().expect("it is committed");
                })
            })
            .collect();
        let (pool, more) = (stage.pool.clone(), calls.clone());
        threads.push(start(move || {
            for _ in 0..2 {
                let old = pool.set_notify(more.callback());
                assert!(old.is_some());
            }
        }));
        join_all(threads);
        calls.assert_calls(6, 6);
        assert!(stage.pool.set_notify(None).is_some());
        stage.assert_all_free();
    });
}

/// Two threads set and remove callbacks. Register before checking: a release that the check does not see calls
/// the callback.
#[test]
fn callbacks_that_come_and_go_are_never_called_after_their_end() {
    play(|| {
        let stage = Stage::new(2);
        let calls = Calls::default();
        let mut threads: Vec<_> = stage
            .take_all()
            .into_iter()
            .map(|sample| start(move || drop(sample)))
            .collect();
        for _ in 0..2 {
            let (pool, calls) = (stage.pool.clone(), calls.clone());
            threads.push(start(move || {
                drop(pool.set_notify(calls.callback()));
                drop(pool.set_notify(None));
            }));
        }
        let getter = stage.clone();
        threads.push(start(move || getter.get().expect("it is committed")));
        join_all(threads);
        calls.assert_calls(0, 3);
        stage.assert_all_free();
    });
}

/// A release that a check right after `set_notify` does not see calls the callback.
#[test]
fn registering_before_checking_misses_no_release_on_many_threads() {
    play(|| {
        let stage = Stage::new(3);
        let calls = Calls::default();
        let threads: Vec<_> = stage
            .take_all()
            .into_iter()
            .map(|sample| start(move || drop(sample)))
            .collect();
        drop(stage.pool.set_notify(calls.callback()));
        let seen = stage.pool.free_count();
        join_all(threads);
        calls.assert_calls(3 - seen, 3);
        stage.assert_all_free();
    });
}

/// The callback takes the sample that was released and releases it, which calls the callback again.
#[test]
fn a_callback_may_get_and_release() {
    play(|| {
        let stage = Stage::new(2);
        let calls = Arc::new(Statistic::new(0));
        let count = calls.clone();
        stage
            .pool
            .on_release(move |pool| {
                if count.fetch_add(1, Ordering::Relaxed) < 3 {
                    drop(pool.try_get_buffer());
                }
            })
            .detach();
        let mut threads: Vec<_> = stage
            .take_all()
            .into_iter()
            .map(|sample| start(move || drop(sample)))
            .collect();
        for _ in 0..2 {
            let stage = stage.clone();
            threads.push(start(move || stage.get().expect("it is committed")));
        }
        join_all(threads);
        let released = stage.pool.status().released;
        assert_eq!(calls.load(Ordering::Relaxed) as u64, released);
        stage.pool.set_notify(None);
        stage.assert_all_free();
    });
}

/// Every future of `released()` that was made before the releases resolves, each by itself.
#[test]
fn every_listener_is_notified_of_a_release() {
    play(|| {
        let stage = Stage::new(2);
        let samples = stage.take_all();
        let mut threads: Vec<_> = (0..2)
            .map(|_| {
                let pool = stage.pool.clone();
                let (ask, asked) = shuttle::sync::mpsc::channel();
                let thread = start(move || {
                    let released = pool.released();
                    ask.send(()).expect("it is awaited below");
                    block_on(released);
                });
                asked.recv().expect("it asks");
                thread
            })
            .collect();
        let mut dropped = stage.pool.released();
        assert!(poll_once(&mut dropped).is_pending());
        threads.extend(
            samples
                .into_iter()
                .map(|sample| start(move || drop(sample))),
        );
        drop(dropped);
        join_all(threads);
        stage.assert_all_free();
    });
}
