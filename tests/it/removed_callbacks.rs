//! A callback is not called after it was removed, whatever user code runs during the same release, and the
//! callback that replaces it is called.
//!
//! Guarantees: 7

#![forbid(unsafe_code)]

use crate::polling::at_once;
use sample_pool::{NotifyGuard, NotifyRelease, Pool, Sample};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    thread,
};

fn pool(buffers: usize) -> Pool {
    let built = Pool::builder().buffers(buffers).size(64).build();
    built.expect("small")
}

/// A waker that runs the test's code.
struct OnWake<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn on_wake(act: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(OnWake(act)))
}

/// The change of the callback during a release.
#[derive(Clone, Copy, Debug)]
enum Change {
    Remove,
    DropGuard,
    Replace,
    ReplaceTwice,
    /// The same callback, which has another address each time it is set.
    RemoveAndSetAgain,
    /// No callback was set before.
    SetFirst,
}

const CHANGES: [Change; 6] = [
    Change::Remove,
    Change::DropGuard,
    Change::Replace,
    Change::ReplaceTwice,
    Change::RemoveAndSetAgain,
    Change::SetFirst,
];

impl Change {
    /// How often the release calls the old and the new callback.
    fn expected(self) -> (usize, usize) {
        match self {
            Change::Remove | Change::DropGuard => (0, 0),
            Change::Replace | Change::ReplaceTwice | Change::SetFirst => (0, 1),
            Change::RemoveAndSetAgain => (1, 0),
        }
    }
}

/// A callback that counts, and everything that is needed to change it once.
struct Scene {
    change: Change,
    old: Arc<dyn NotifyRelease>,
    guard: Mutex<Option<NotifyGuard>>,
    calls: [Arc<AtomicUsize>; 2],
    changes: AtomicUsize,
}

fn counting(calls: &Arc<AtomicUsize>) -> Arc<dyn NotifyRelease> {
    let calls = calls.clone();
    Arc::new(move |_: &Pool| {
        calls.fetch_add(1, Ordering::SeqCst);
    })
}

impl Scene {
    fn new(pool: &Pool, change: Change) -> Arc<Scene> {
        let calls: [Arc<AtomicUsize>; 2] = Default::default();
        let old = counting(&calls[0]);
        let guard = match change {
            Change::SetFirst => None,
            Change::DropGuard => {
                let old = old.clone();
                Some(pool.on_release(move |pool| old.notify_release(pool)))
            }
            _ => {
                assert!(pool.set_notify(Some(old.clone())).is_none());
                None
            }
        };
        Arc::new(Scene {
            change,
            old,
            guard: Mutex::new(guard),
            calls,
            changes: AtomicUsize::new(0),
        })
    }

    /// Changes the callback at the first call of this method.
    fn change(&self, pool: &Pool) {
        if self.changes.fetch_add(1, Ordering::SeqCst) > 0 {
            return;
        }
        let new = || Some(counting(&self.calls[1]));
        match self.change {
            Change::Remove => drop(pool.set_notify(None)),
            Change::DropGuard => drop(self.guard.lock().expect("whole").take()),
            Change::Replace | Change::SetFirst => drop(pool.set_notify(new())),
            Change::ReplaceTwice => {
                drop(pool.set_notify(Some(counting(&Arc::default()))));
                drop(pool.set_notify(new()));
            }
            Change::RemoveAndSetAgain => {
                drop(pool.set_notify(None));
                assert!(pool.set_notify(Some(self.old.clone())).is_none());
            }
        }
    }

    #[track_caller]
    fn assert_calls(&self, way: &str) {
        let calls = self
            .calls
            .each_ref()
            .map(|calls| calls.load(Ordering::SeqCst));
        let here = format!("{way}, {:?}", self.change);
        assert!(
            self.changes.load(Ordering::SeqCst) > 0,
            "{here}: nothing was changed"
        );
        assert_eq!(
            (calls[0], calls[1]),
            self.change.expected(),
            "{here}: old and new"
        );
    }
}

/// Changes the callback in a waker that is woken by the release of the only sample, for each change.
///
/// `wait` makes the future that waits. Whether it resolved is not asked: that is another test's matter.
#[track_caller]
fn changed_in_a_waker<F: Future>(way: &str, wait: impl Fn(&Pool) -> F) {
    for change in CHANGES {
        let pool = pool(1);
        let scene = Scene::new(&pool, change);
        let sample = pool.try_get_buffer().expect("one is free");
        let mut waiting = Box::pin(wait(&pool));
        let (there, weak) = (scene.clone(), pool.downgrade());
        let waker = on_wake(move || {
            there.change(&weak.upgrade().expect("the test has it"));
        });
        let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(sample);
        scene.assert_calls(way);
        drop(pool.set_notify(None));
    }
}

/// The waker runs after the sample was handed off, which is when the callback used to be looked up.
#[test]
fn a_callback_that_the_waker_of_a_waiter_changes_is_not_called() {
    changed_in_a_waker("waiter", |pool| {
        let pool = pool.clone();
        async move { drop(pool.get_buffer().await) }
    });
}

/// They are notified after the waiter and before the callback.
#[test]
fn a_callback_that_the_waker_of_released_changes_is_not_called() {
    changed_in_a_waker("released()", |pool| {
        let pool = pool.clone();
        async move { pool.released().await }
    });
}

/// The last sample ends the drain before its release calls anyone.
#[test]
fn a_callback_that_the_waker_of_drained_changes_is_not_called() {
    changed_in_a_waker("drained()", |pool| {
        let drained = pool.drained();
        pool.decommit();
        drained
    });
}

/// A quota releases its room before the sample is free, on the same path.
#[test]
fn a_callback_that_the_waker_of_a_quotas_waiter_changes_is_not_called() {
    for change in CHANGES {
        let pool = pool(2);
        let scene = Scene::new(&pool, change);
        let quota = pool.quota("one", 1);
        let sample = quota.try_get_buffer().expect("one is free");
        let mut waiting = Box::pin(quota.get_buffer());
        let (there, weak) = (scene.clone(), pool.downgrade());
        let waker = on_wake(move || {
            there.change(&weak.upgrade().expect("the test has it"));
        });
        let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(sample);
        scene.assert_calls("quota");
    }
}

/// Another thread, unrelated to the releaser, removes the callback while a waker runs: the removal returned
/// before the releaser looked up the callback.
#[test]
fn a_callback_that_another_thread_changed_before_the_check_is_not_called() {
    for change in CHANGES {
        let pool = pool(1);
        let scene = Scene::new(&pool, change);
        let sample = pool.try_get_buffer().expect("one is free");
        let mut waiting = Box::pin(pool.get_buffer());
        let (there, weak) = (scene.clone(), pool.downgrade());
        let waker = on_wake(move || {
            let (there, pool) = (there.clone(), weak.upgrade().expect("the test has it"));
            let other = thread::spawn(move || there.change(&pool));
            other.join().expect("no panic");
        });
        let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(sample);
        scene.assert_calls("another thread");
    }
}

/// Several listeners and a waiter run one after another: the callback that the last of them leaves is called.
#[test]
fn a_callback_that_comes_and_goes_in_one_release_is_called_as_the_last_waker_left_it() {
    let pool = pool(1);
    let calls = Arc::<AtomicUsize>::default();
    assert!(pool.set_notify(Some(counting(&calls))).is_none());
    let sample = pool.try_get_buffer().expect("one is free");
    let mut released: Vec<_> = (0..4).map(|_| Box::pin(pool.released())).collect();
    for (number, released) in released.iter_mut().enumerate() {
        let (weak, calls) = (pool.downgrade(), calls.clone());
        let waker = on_wake(move || {
            let pool = weak.upgrade().expect("the test has it");
            drop(pool.set_notify((number % 2 == 0).then(|| counting(&calls))));
        });
        let polled = Pin::new(released).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    drop(sample);
    assert_eq!(calls.load(Ordering::SeqCst), 0, "the last one removed it");
}

/// The releaser holds a reference to the callback until it has compared. The last reference may be dropped
/// there, which runs user code, and that code may use the pool.
#[test]
fn a_callback_that_is_removed_in_a_release_is_dropped_by_the_end_of_it_under_no_lock() {
    struct UsesThePool(sample_pool::WeakPool, Arc<AtomicUsize>);
    impl Drop for UsesThePool {
        fn drop(&mut self) {
            let pool = self.0.upgrade().expect("the test has it");
            drop(pool.set_notify(None));
            self.1.fetch_add(pool.free_count(), Ordering::SeqCst);
        }
    }
    let pool = pool(2);
    let seen = Arc::<AtomicUsize>::default();
    let held = UsesThePool(pool.downgrade(), seen.clone());
    let _spare = pool.try_get_buffer().expect("one is free");
    let sample = pool.try_get_buffer().expect("one is free");
    pool.on_release(move |_| panic!("removed before {}", held.1.load(Ordering::SeqCst)))
        .detach();
    let mut released = Box::pin(pool.released());
    let weak = pool.downgrade();
    let waker = on_wake(move || {
        drop(weak.upgrade().expect("the test has it").set_notify(None));
    });
    let polled = released.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(sample);
    assert_eq!(
        seen.load(Ordering::SeqCst),
        1,
        "dropped once, with one free"
    );
    assert_eq!(pool.status().callback_panics, 0);
    at_once(released);
}

/// No waiter is queued, so the word is open and the release takes no lock. A callback that a nested call
/// removed is not called for samples that are released after that.
#[test]
fn a_callback_that_a_nested_call_removed_is_not_called_without_the_lock_either() {
    let pool = pool(2);
    let calls = Arc::<AtomicUsize>::default();
    let held: Arc<Mutex<Option<Sample>>> = Arc::default();
    let (count, nested) = (calls.clone(), held.clone());
    pool.on_release(move |pool| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            drop(pool.set_notify(None));
            drop(nested.lock().expect("whole").take());
        }
    })
    .detach();
    let sample = pool.try_get_buffer().expect("one is free");
    *held.lock().expect("whole") = pool.try_get_buffer().ok();
    drop(sample);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(pool.free_count(), 2);
}
