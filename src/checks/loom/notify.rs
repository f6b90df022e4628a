//! The callback and `released()` during releases.
//!
//! Guarantees: 7, 8, 9

use super::{get_and_release, spawn, take_two};
use crate::{
    Pool, Sample,
    checks::shared::{assert_all_free, pool},
    sync::{Lock, Ordering, Setting, Statistic, StatisticBool},
};
use loom::future::block_on;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Wake, Waker},
};

fn count(calls: &Arc<Statistic>) -> Option<Arc<dyn crate::NotifyRelease>> {
    let calls = calls.clone();
    Some(Arc::new(move |_pool: &Pool| {
        calls.fetch_add(1, Ordering::Relaxed);
    }))
}

/// Counts its calls, and releases one sample of `held` in each: so calls in flight are nested.
fn count_and_release(
    calls: &Arc<Statistic>,
    held: &Arc<Lock<Vec<Sample>>>,
) -> Option<Arc<dyn crate::NotifyRelease>> {
    let (calls, held) = (calls.clone(), held.clone());
    Some(Arc::new(move |_pool: &Pool| {
        calls.fetch_add(1, Ordering::Relaxed);
        let next = held.lock().pop();
        drop(next);
    }))
}

/// Register before checking: a release that the check does not see calls the callback.
#[test]
fn registering_before_checking_misses_no_release() {
    loom::model(|| {
        let pool = pool(1);
        let calls = Arc::new(Statistic::new(0));
        let sample = pool.try_get_buffer().unwrap();
        let thread = spawn(move || drop(sample));
        assert!(pool.set_notify(count(&calls)).is_none());
        let seen = pool.free_count();
        thread.join().unwrap();
        let called = calls.load(Ordering::Relaxed);
        assert!(
            seen + called >= 1,
            "free before the check, or a call after it"
        );
        assert!(called <= 1);
        assert_all_free(&pool);
    });
}

/// A callback is replaced and removed while releases call it: one release never calls two, and the old one is
/// not used after it was dropped.
#[test]
fn set_notify_meets_releases() {
    loom::model(|| {
        let pool = pool(1);
        let calls = Arc::new(Statistic::new(0));
        pool.set_notify(count(&calls));
        let sample = pool.try_get_buffer().unwrap();
        let thread = spawn(move || drop(sample));
        let old = pool.set_notify(count(&calls));
        assert!(old.is_some());
        drop(old);
        drop(pool.set_notify(None));
        thread.join().unwrap();
        assert!(calls.load(Ordering::Relaxed) <= 1);
        assert!(pool.try_get_buffer().is_ok());
        assert_all_free(&pool);
    });
}

/// Another thread removes the callback while a release wakes a waiter. Once the waker saw that `set_notify`
/// returned, the callback is not called. A call that the releaser looked up before that is in flight, and runs.
#[test]
fn a_waker_that_saw_the_callback_removed_is_followed_by_no_call() {
    loom::model(|| {
        let pool = pool(1);
        let removed = Arc::new(Setting::new(0));
        let waker = Arc::new(SawIt {
            removed: removed.clone(),
            saw: StatisticBool::new(false),
        });
        let late = Arc::new(StatisticBool::new(false));
        let (saw, tell) = (waker.clone(), late.clone());
        // A panic inside a callback is caught, so the callback reports in a flag what it saw.
        pool.on_release(move |_pool| {
            tell.fetch_or(saw.saw.load(Ordering::Relaxed), Ordering::Relaxed);
        })
        .detach();
        let sample = pool.try_get_buffer().unwrap();
        let mut get = pool.get_buffer();
        let waker = Waker::from(waker);
        let polled = Pin::new(&mut get).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        let thread = spawn(move || drop(sample));
        drop(pool.set_notify(None));
        removed.store(1, Ordering::Release);
        thread.join().unwrap();
        assert!(!late.load(Ordering::Relaxed), "called after its end");
        drop(get);
        assert_all_free(&pool);
    });
}

/// A waker that checks whether the callback was removed.
struct SawIt {
    /// One once `set_notify` has returned.
    removed: Arc<Setting>,
    saw: StatisticBool,
}

impl Wake for SawIt {
    fn wake(self: Arc<Self>) {
        let saw = self.removed.load(Ordering::Acquire) == 1;
        self.saw.store(saw, Ordering::Relaxed);
    }
}

/// A callback removes itself while another release calls it.
#[test]
fn a_callback_that_removes_itself_is_dropped_after_the_last_call() {
    loom::model(|| {
        let pool = pool(2);
        let life = Arc::new(());
        let watched = Arc::downgrade(&life);
        // A panic inside a callback is caught, so the callback reports in a flag what it saw.
        let lost = Arc::new(StatisticBool::new(false));
        let tell = lost.clone();
        let callback = move |pool: &Pool| {
            let (watch, tell) = (Arc::downgrade(&life), tell.clone());
            drop(pool.set_notify(None));
            tell.fetch_or(watch.strong_count() == 0, Ordering::Relaxed);
        };
        pool.set_notify(Some(Arc::new(callback)));
        let mut samples = take_two(&pool);
        let one = samples.pop();
        let thread = spawn(move || drop(one));
        drop(samples);
        thread.join().unwrap();
        assert!(!lost.load(Ordering::Relaxed), "the call in flight keeps it");
        assert!(watched.upgrade().is_none());
        assert_all_free(&pool);
    });
}

/// Two calls in flight hold all the callback references that a word has under loom. So the third release takes
/// the lock although its word is open. A callback that replaces the old one at the same time is called for
/// every release after that, and the old one is dropped when its last call has ended.
#[test]
fn a_release_without_a_callback_reference_left_meets_set_notify() {
    loom::model(|| {
        let pool = pool(6);
        let (before, after) = (Arc::new(Statistic::new(0)), Arc::new(Statistic::new(0)));
        let held = Arc::new(Lock::new(Vec::new()));
        let old = count_and_release(&before, &held).unwrap();
        let watched = Arc::downgrade(&old);
        pool.set_notify(Some(old));
        let samples = [(); 3].map(|()| pool.try_get_buffer().unwrap());
        held.lock().extend(samples);
        let first = held.lock().pop();
        let thread = spawn(move || drop(first));
        drop(pool.set_notify(count_and_release(&after, &held)));
        let seen = pool.free_count() - 3;
        thread.join().unwrap();
        let (before, after) = (
            before.load(Ordering::Relaxed),
            after.load(Ordering::Relaxed),
        );
        assert_eq!(before + after, 3, "one call for each release");
        assert!(
            seen + after >= 3,
            "free before the check, or a call after it"
        );
        assert!(
            watched.upgrade().is_none(),
            "no call of the old one is left"
        );
        assert_all_free(&pool);
    });
}

/// The future counts from the call of `released()`: a release after that resolves it, whenever it is polled.
#[test]
fn released_meets_a_release() {
    loom::model(|| {
        let pool = pool(2);
        let mut samples = take_two(&pool);
        let one = samples.pop();
        let thread = spawn(move || drop(one));
        let released = pool.released();
        drop(samples);
        block_on(released);
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// While a listener exists no get may open a word, or the next release would not notify the listener.
#[test]
fn released_meets_a_get() {
    loom::model(|| {
        let pool = pool(2);
        drop(take_two(&pool));
        let released = pool.released();
        let other = pool.clone();
        let thread = spawn(move || get_and_release(&other).unwrap());
        block_on(released);
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}
