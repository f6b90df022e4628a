//! The release callback: which callback is called, how it is replaced and removed, and that neither it nor its
//! guard keeps a pool alive.
//!
//! Guarantees: 7, 9

#![forbid(unsafe_code)]

use crate::polling::poll_once;
use sample_pool::{NotifyRelease, Pool, Sample, WeakPool};
use std::{
    cell::Cell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::Poll,
    thread,
};

fn pool(buffers: usize) -> Pool {
    let built = Pool::builder().buffers(buffers).size(64).build();
    built.expect("small")
}

fn release_one(pool: &Pool) {
    drop(pool.try_get_buffer().expect("one is free"));
}

/// A callback that counts its calls.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Calls {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl NotifyRelease for Calls {
    fn notify_release(&self, _pool: &Pool) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counting(calls: &Arc<Calls>) -> impl Fn(&Pool) + Send + Sync + 'static {
    let calls = calls.clone();
    move |pool| calls.notify_release(pool)
}

/// A racy replacement would call both, or would not return the old callback, for which its owner waits.
#[test]
fn set_notify_gives_back_the_old_callback_and_calls_the_new_one_only() {
    let pool = pool(1);
    let (first, second) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
    let erase = |calls: &Arc<Calls>| -> Arc<dyn NotifyRelease> { calls.clone() };
    assert!(pool.set_notify(Some(first.clone())).is_none());
    release_one(&pool);
    let old = pool.set_notify(Some(second.clone()));
    assert!(old.is_some_and(|old| Arc::ptr_eq(&old, &erase(&first))));
    release_one(&pool);
    release_one(&pool);
    let old = pool.set_notify(None);
    assert!(old.is_some_and(|old| Arc::ptr_eq(&old, &erase(&second))));
    release_one(&pool);
    assert_eq!((first.count(), second.count()), (1, 2));
    assert_eq!(
        (Arc::strong_count(&first), Arc::strong_count(&second)),
        (1, 1)
    );
}

/// A closure is called through a blanket implementation.
#[test]
fn a_closure_is_a_callback_and_is_given_its_own_pool() {
    let (pool, other) = (pool(1), pool(1));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let given = seen.clone();
    let weak = pool.downgrade();
    let callback = Arc::new(move |pool: &Pool| {
        let own = weak.upgrade().is_some_and(|own| own.same_pool(pool));
        given.lock().expect("whole").push(own);
    });
    assert!(pool.set_notify(Some(callback.clone())).is_none());
    assert!(other.set_notify(Some(callback)).is_none());
    release_one(&pool);
    release_one(&other);
    // Also of the last sample, which frees the pool directly afterwards.
    let last = other.try_get_buffer();
    drop(other);
    drop(last);
    assert_eq!(*seen.lock().expect("whole"), [true, false, false]);
}

/// The releases of an exhausted pool are the ones that matter most.
#[test]
fn a_callback_is_called_for_samples_that_were_outstanding_when_it_was_set() {
    let pool = pool(60);
    let held = pool.try_get_buffers(60).expect("free");
    let calls = Arc::new(Calls::default());
    drop(pool.set_notify(Some(calls.clone())));
    drop(held);
    assert_eq!(calls.count(), 60);
}

/// A guard can outlive its callback, and must not remove a later one.
#[test]
fn a_guard_removes_only_its_own_callback() {
    let pool = pool(1);
    let (first, second) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
    let early = pool.on_release(counting(&first));
    release_one(&pool);
    let late = pool.on_release(counting(&second));
    assert_eq!(Arc::strong_count(&first), 2, "the guard has it yet");
    drop(early);
    assert_eq!(Arc::strong_count(&first), 1);
    release_one(&pool);
    drop(late);
    release_one(&pool);
    assert_eq!((first.count(), second.count()), (1, 1));
    assert!(pool.set_notify(None).is_none());
}

/// `detach` drops the guard and keeps the callback.
#[test]
fn a_detached_callback_stays() {
    let pool = pool(1);
    let calls = Arc::new(Calls::default());
    pool.on_release(counting(&calls)).detach();
    release_one(&pool);
    assert_eq!((calls.count(), Arc::strong_count(&calls)), (1, 2));
    drop(pool);
    assert_eq!(Arc::strong_count(&calls), 1);
}

/// A struct may hold the guard and the pool, in either order.
#[test]
fn a_guard_does_not_keep_the_pool_alive_and_may_outlive_it() {
    let pool = pool(1);
    let calls = Arc::new(Calls::default());
    let guard = pool.on_release(counting(&calls));
    let weak = pool.downgrade();
    let last = pool.try_get_buffer();
    drop(pool);
    assert!(weak.upgrade().is_none());
    drop(last);
    assert_eq!(calls.count(), 1, "the last release calls as well");
    drop(guard);
    assert_eq!(Arc::strong_count(&calls), 1);
}

thread_local! {
    static CALLS_HERE: Cell<usize> = const { Cell::new(0) };
}

/// If the replacement had two steps, a release between them would call no callback, or both.
#[test]
fn each_release_calls_the_old_callback_or_the_new_one_and_never_both() {
    let pool = pool(8);
    let count = || |_: &Pool| CALLS_HERE.set(CALLS_HERE.get() + 1);
    drop(pool.set_notify(Some(Arc::new(count()))));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let releasers = [(); 2].map(|()| {
            scope.spawn(|| {
                for round in 1..=3_000 {
                    release_one(&pool);
                    assert_eq!(CALLS_HERE.get(), round);
                }
            })
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let old = pool.set_notify(Some(Arc::new(count())));
                assert!(old.is_some());
            }
        });
        let results = releasers.map(thread::ScopedJoinHandle::join);
        over.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
}

/// Calls its pool when it is dropped, as a callback that owns a producer may.
struct CallsBack {
    pool: WeakPool,
    dropped: Arc<AtomicUsize>,
}

impl Drop for CallsBack {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            assert_eq!(pool.status().buffers, 2);
            drop(pool.set_notify(None));
            release_one(&pool);
        }
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn calling_back(pool: &Pool) -> (CallsBack, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let callback = CallsBack {
        pool: pool.downgrade(),
        dropped: dropped.clone(),
    };
    (callback, dropped)
}

/// If it were dropped under the pool's lock, it would deadlock.
#[test]
fn a_replaced_callback_may_call_into_the_pool_when_it_is_dropped() {
    let pool = pool(2);
    for remove in [
        |pool: &Pool| drop(pool.set_notify(None)),
        |pool: &Pool| drop(pool.set_notify(Some(Arc::new(|_: &Pool| {})))),
        |pool: &Pool| pool.on_release(|_| {}).detach(),
    ] {
        let (callback, dropped) = calling_back(&pool);
        let call = move |_: &Pool| {
            let _keep = &callback;
        };
        pool.on_release(call).detach();
        remove(&pool);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        drop(pool.set_notify(None));
    }
    assert_eq!(pool.free_count(), 2);
}

/// Its last reference is dropped while it runs, so the pool drops it after the call, and not under a lock.
#[test]
fn a_callback_that_removes_itself_is_dropped_once_after_its_call() {
    for with_listener in [false, true] {
        let pool = pool(2);
        let (callback, dropped) = calling_back(&pool);
        let alive = dropped.clone();
        let call = move |pool: &Pool| {
            let _keep = &callback;
            drop(pool.set_notify(None));
            assert_eq!(
                alive.load(Ordering::SeqCst),
                0,
                "dropped under its own feet"
            );
        };
        pool.on_release(call).detach();
        let listener = with_listener.then(|| pool.released());
        release_one(&pool);
        drop(listener);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        assert_eq!(pool.status().callback_panics, 0);
        assert_eq!(pool.free_count(), 2);
    }
}

/// A caller that has removed its callback frees what the callback points to.
#[test]
fn after_none_only_a_call_in_flight_still_runs() {
    let pool = pool(2);
    let calls = Arc::new(Calls::default());
    let count = calls.clone();
    let (entered, has_entered) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let call = move |_: &Pool| {
        entered.send(()).expect("the test listens");
        may_go_on
            .lock()
            .expect("whole")
            .recv()
            .expect("the test goes on");
        count.0.fetch_add(1, Ordering::SeqCst);
    };
    drop(pool.set_notify(Some(Arc::new(call))));
    let in_flight = pool.try_get_buffer();
    let releaser = thread::spawn(move || drop(in_flight));
    has_entered.recv().expect("called");
    drop(pool.set_notify(None).expect("it was set"));
    assert_eq!(Arc::strong_count(&calls), 2, "the call in flight needs it");
    release_one(&pool);
    go_on.send(()).expect("it waits");
    releaser.join().expect("no panic");
    assert_eq!((calls.count(), Arc::strong_count(&calls)), (1, 1));
}

/// A callback is given its pool, so it needs at most a weak handle: there is no cycle.
#[test]
fn a_callback_with_a_weak_handle_does_not_keep_the_pool() {
    let pool = pool(1);
    let weak = pool.downgrade();
    let calls = Arc::new(Calls::default());
    let (inner, count) = (weak.clone(), calls.clone());
    let call = move |pool: &Pool| {
        if inner.upgrade().is_some_and(|same| same.same_pool(pool)) {
            count.notify_release(pool);
        }
    };
    pool.on_release(call).detach();
    release_one(&pool);
    assert_eq!(calls.count(), 1);
    drop(pool);
    assert!(weak.upgrade().is_none());
    assert_eq!(Arc::strong_count(&calls), 1);
}

/// With a strong handle it is a cycle, which removing the callback must break, even if the handle in the
/// callback is the last one.
#[test]
fn removing_a_callback_that_owns_its_pool_frees_both() {
    let pool = pool(1);
    let weak = pool.downgrade();
    let token = Arc::new(());
    let owned = (pool.clone(), token.clone());
    let call = move |given: &Pool| {
        assert!(given.same_pool(&owned.0) && Arc::strong_count(&owned.1) > 0);
    };
    pool.on_release(call).detach();
    drop(pool);
    let old = weak.upgrade().and_then(|pool| pool.set_notify(None));
    assert!(weak.upgrade().is_some(), "the callback has a handle");
    drop(old);
    assert!(weak.upgrade().is_none());
    assert_eq!(Arc::strong_count(&token), 1);
}

/// A release inside a callback is a nested call. Only the stack limits the depth: the counter of calls in
/// flight must not overflow.
#[test]
fn releases_inside_a_callback_nest_as_deep_as_the_stack_allows() {
    const DEPTH: usize = 3_000;
    let nest = || {
        let pool = pool(2);
        let calls = Arc::new(Calls::default());
        let count = calls.clone();
        let call = move |pool: &Pool| {
            count.notify_release(pool);
            if count.count() < DEPTH {
                release_one(pool);
            }
        };
        pool.on_release(call).detach();
        release_one(&pool);
        assert_eq!(calls.count(), DEPTH);
        assert_eq!(pool.free_count(), 2);
    };
    let thread = thread::Builder::new().stack_size(256 << 20).spawn(nest);
    thread.expect("address space").join().expect("no panic");
}

/// If a release looked up the callback before its sample is free, it could find none, and the thread that set
/// the callback could then find no sample: both would wait for ever.
#[test]
fn a_callback_that_is_set_before_a_get_finds_no_sample_is_called() {
    let pool = pool(1);
    let called = Arc::new(AtomicBool::new(false));
    each_racing_release(&pool, |pool, looked| {
        called.store(false, Ordering::SeqCst);
        let call = called.clone();
        let guard = pool.on_release(move |_| call.store(true, Ordering::SeqCst));
        let is_free = pool.free_count() == 1;
        looked();
        assert!(is_free || called.load(Ordering::SeqCst));
        drop(guard);
    });
}

/// The same for the future, polled only after the release is over.
#[test]
fn a_released_future_that_is_made_before_a_get_finds_no_sample_resolves() {
    let pool = pool(1);
    each_racing_release(&pool, |pool, looked| {
        let mut released = pool.released();
        let is_free = pool.free_count() == 1;
        looked();
        assert!(is_free || poll_once(&mut released) == Poll::Ready(()));
    });
}

/// Runs `look` during a release on another thread, many times. The argument of `look` waits until that release
/// is over.
fn each_racing_release(pool: &Pool, mut look: impl FnMut(&Pool, &dyn Fn())) {
    let (to_release, samples) = mpsc::channel::<Sample>();
    let (finished, over) = mpsc::channel();
    let releaser = thread::spawn(move || {
        for (round, sample) in samples.into_iter().enumerate() {
            // The delay changes, so that the two threads meet at different steps.
            for _ in 0..round % 64 {
                std::hint::spin_loop();
            }
            drop(sample);
            finished.send(()).expect("the test waits for it");
        }
    });
    for _ in 0..3_000 {
        let sample = pool.try_get_buffer().expect("free again");
        to_release.send(sample).expect("the releaser runs");
        look(pool, &|| over.recv().expect("the releaser sends it"));
    }
    drop(to_release);
    releaser.join().expect("no panic");
}
