//! A release: its steps, and the exact order in which other threads see them.
//!
//! Guarantees: 7

#![deny(unsafe_code)]

use crate::polling::{Polled, at_once, poll_once};
use crate::wakers::{Moment, hooked_at};
use bytes::BufMut;
use sample_pool::{
    GetBufferError, MediaType, Pool, Properties, ReferenceTime, Sample, SetPropertiesError, State,
};
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Context,
    thread,
    time::Duration,
};

fn pool(buffers: usize) -> Pool {
    let built = Pool::builder().buffers(buffers).size(64).prefix(8).build();
    built.expect("small")
}

/// The events, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn add(&self, event: &'static str) {
        self.0.lock().expect("whole").push(event);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().expect("whole"))
    }
}

fn poll_with_wake<F: Future>(future: Pin<&mut F>, wake: impl Fn() + Send + Sync + 'static) {
    let waker = hooked_at(Moment::Wake, wake);
    let polled = future.poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "it has to wait");
}

fn describe(sample: &mut Sample) {
    sample.put_slice(b"of the last owner");
    sample.prepend(b"head").expect("headroom");
    let properties = sample.properties_mut();
    properties.set_time(Some(ReferenceTime(1)), Some(ReferenceTime(2)));
    properties.set_media_time(Some(3), Some(4));
    properties.set_sync_point(true);
    properties.set_user(5);
    properties.set_stream_id(6);
    properties.set_media_type(Some(MediaType::new("video/mp2t")));
}

fn assert_fresh(sample: &Sample) {
    assert_eq!(sample.len(), 0);
    assert_eq!(sample.headroom(), 8);
    assert_eq!(sample.spare_capacity(), sample.capacity());
    assert_eq!(sample.properties(), &Default::default());
}

/// If the reset came after the sample is free, code that takes it inside the callback would see the old values.
#[test]
fn a_sample_is_reset_before_the_callback_can_take_it() {
    let pool = pool(1);
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let callback = move |pool: &Pool| {
        // The sample that is taken here is released here too, which calls this callback again.
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            assert_fresh(&pool.try_get_buffer().expect("it is free"));
        }
    };
    pool.on_release(callback).detach();
    let mut sample = pool.try_get_buffer().expect("free");
    describe(&mut sample);
    drop(sample);
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert_eq!(pool.status().callback_panics, 0);
}

/// A hand-off does not use the free list, so a reset on the way into the free list would be skipped.
#[test]
fn a_sample_that_is_handed_to_a_waiter_is_reset_too() {
    let pool = pool(1);
    let mut sample = pool.try_get_buffer().expect("free");
    let mut waiting = Polled::waiting(pool.get_buffer());
    describe(&mut sample);
    drop(sample.freeze());
    assert_fresh(&waiting.expect_ready().expect("committed"));
}

/// If a sample were published before it is reset, another thread would now and then see its previous owner's
/// times.
#[test]
fn no_thread_ever_takes_a_sample_that_is_not_reset() {
    let pool = pool(2);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    if let Ok(mut sample) = pool.try_get_buffer() {
                        assert_fresh(&sample);
                        describe(&mut sample);
                    }
                }
            });
        }
    });
    assert_eq!(pool.free_count(), 2);
}

/// If the callback ran before the sample is in the free list, code that refills by the count would stall.
#[test]
fn in_the_callback_the_sample_is_counted_as_free() {
    let counts = Arc::new(Mutex::new(Vec::new()));
    let seen = counts.clone();
    let pool = pool(3);
    let held = pool.try_get_buffers(3).expect("free");
    // Once on the fast path, and once on the slow path, where a listener waits for a release.
    let callback = move |pool: &Pool| seen.lock().expect("whole").push(pool.free_count());
    pool.on_release(callback).detach();
    let mut held = held.into_iter();
    drop(held.next());
    let released = pool.released();
    drop(held.next());
    drop(released);
    drop(held.next());
    assert_eq!(*counts.lock().expect("whole"), [1, 2, 3]);
}

/// The callback for the last sample of a drain is called after the drain is over, not before.
#[test]
fn in_the_callback_of_a_drains_last_sample_new_properties_can_be_set() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let results = seen.clone();
    let pool = pool(2);
    let wanted = Properties {
        buffers: 5,
        size: 32,
        align: 1,
        prefix: 0,
    };
    let callback = move |pool: &Pool| {
        let set = pool.set_properties(wanted);
        results.lock().expect("whole").push((pool.state(), set));
    };
    pool.on_release(callback).detach();
    let (first, last) = (pool.try_get_buffer(), pool.try_get_buffer());
    pool.decommit();
    drop(first);
    drop(last);
    let outstanding = Err(SetPropertiesError::BuffersOutstanding);
    assert_eq!(
        *seen.lock().expect("whole"),
        [
            (State::Draining, outstanding),
            (State::Configured, Ok(wanted))
        ]
    );
    assert_eq!(pool.free_count(), 5);
}

/// Each step must finish before the next notification: the callback may rely on the waiter having been served.
#[test]
fn the_waiter_is_woken_before_released_is_and_released_before_the_callback_runs() {
    let log = Log::default();
    let called = log.clone();
    let pool = pool(1);
    pool.on_release(move |_| called.add("callback")).detach();
    let sample = pool.try_get_buffer().expect("free");
    let mut get = pin!(pool.get_buffer());
    let mut released = pin!(pool.released());
    let (first, second) = (log.clone(), log.clone());
    poll_with_wake(released.as_mut(), move || second.add("released"));
    poll_with_wake(get.as_mut(), move || first.add("waiter"));
    drop(sample);
    assert_eq!(log.take(), ["waiter", "released", "callback"]);
    assert!(at_once(get).is_ok());
    at_once(released);
}

/// Code that is notified of the release may read the state, and must find the drain completed.
#[test]
fn a_drain_is_over_before_released_resolves_and_the_callback_runs() {
    let log = Log::default();
    let pool = pool(1);
    let called = log.clone();
    let callback = move |pool: &Pool| {
        assert_eq!(pool.state(), State::Configured);
        called.add("callback");
    };
    pool.on_release(callback).detach();
    let sample = pool.try_get_buffer();
    let mut released = pin!(pool.released());
    let mut drained = pin!(pool.drained());
    let (first, second) = (log.clone(), log.clone());
    let weak = pool.downgrade();
    poll_with_wake(released.as_mut(), move || second.add("released"));
    poll_with_wake(drained.as_mut(), move || {
        let pool = weak.upgrade().expect("the test holds it");
        assert_eq!(pool.state(), State::Configured);
        first.add("drained");
    });
    pool.decommit();
    drop(sample);
    assert_eq!(log.take(), ["drained", "released", "callback"]);
    assert_eq!(pool.status().callback_panics, 0);
}

/// Between the release and the waiter there must be no moment at which another get can take the sample, not
/// even one that runs while the waiter is woken.
#[test]
fn no_get_can_take_a_sample_that_is_handed_to_a_waiter() {
    let pool = pool(1);
    let sample = pool.try_get_buffer().expect("free");
    let tried = Arc::new(Mutex::new(Vec::new()));
    let (seen, called) = (tried.clone(), tried.clone());
    let weak = pool.downgrade();
    let mut get = pin!(pool.get_buffer());
    poll_with_wake(get.as_mut(), move || {
        let pool = weak.upgrade().expect("the test holds it");
        let result = pool.try_get_buffer().map(drop);
        seen.lock().expect("whole").push(result);
    });
    let guard = pool.on_release(move |pool| {
        let result = pool.try_get_buffer().map(drop);
        called.lock().expect("whole").push(result);
    });
    drop(sample);
    let exhausted = Err(GetBufferError::Exhausted);
    assert_eq!(*tried.lock().expect("whole"), [exhausted; 2]);
    // Otherwise the callback would continue to take samples.
    drop(guard);
    assert!(at_once(get).is_ok());
}

/// If the future registered at its first poll, a release between the call and the poll would be missed.
#[test]
fn released_counts_from_the_call_and_not_from_the_first_poll() {
    let pool = pool(2);
    drop(pool.try_get_buffer());
    let mut early = pool.released();
    assert!(poll_once(&mut early).is_pending(), "that was before");
    let unpolled = pool.released();
    drop(pool.try_get_buffer());
    at_once(unpolled);
    assert!(poll_once(&mut early).is_ready());
}

/// A sample has many handles, which are dropped on many threads: one call, on the thread that drops the last.
#[test]
fn the_callback_runs_once_for_each_release_and_on_the_releasing_thread() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let pool = pool(4);
    let callback = move |_: &Pool| seen.lock().expect("whole").push(thread::current().id());
    pool.on_release(callback).detach();
    let shared = pool.try_get_buffer().expect("free").freeze();
    let clones: Vec<_> = (0..10).map(|_| shared.clone()).collect();
    drop(shared);
    drop(clones);
    let bytes = pool.try_get_buffer().expect("free").into_bytes();
    drop((bytes.clone(), bytes));
    let here = thread::current().id();
    let sample = pool.try_get_buffer().expect("free");
    let elsewhere = thread::spawn(move || {
        drop(sample);
        thread::current().id()
    });
    let there = elsewhere.join().expect("no panic");
    assert_eq!(*calls.lock().expect("whole"), [here, here, there]);
}

/// Each of these moves slots, or seems to: none is a release.
#[tokio::test(start_paused = true)]
async fn no_callback_runs_for_anything_but_a_release() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let counted = move |_: &Pool| {
        count.fetch_add(1, Ordering::SeqCst);
    };
    let builder = Pool::builder().buffers(2).size(64).max_waiters(2);
    let pool = builder.on_release(counted).build().expect("small");
    let none = |what| assert_eq!(calls.load(Ordering::SeqCst), 0, "{what}");
    none("the initial free list");

    let first = pool.try_get_buffer().expect("free");
    let mut many = Polled::waiting(pool.get_buffers(2));
    none("gathering");
    drop(many);
    none("cancelling a request that had gathered one");
    many = Polled::waiting(pool.get_buffers(2));
    pool.set_flushing(true);
    assert!(many.expect_ready().is_err());
    assert!(pool.try_get_buffer().is_err());
    pool.set_flushing(false);
    none("flushing away a request that had gathered one");
    many = Polled::waiting(pool.get_buffers(2));
    pool.decommit();
    assert!(many.expect_ready().is_err());
    assert!(pool.try_get_buffer().is_err());
    none("decommitting away a request that had gathered one");
    pool.commit().expect("cancels the decommit");
    none("cancelling the decommit");
    drop(many);

    let second = pool.try_get_buffer().expect("free");
    assert!(pool.try_get_buffer().is_err());
    assert!(pool.try_get_buffers(3).is_err());
    let late = pool.get_buffer_timeout(Duration::from_secs(1)).await;
    assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    none("gets that fail or time out");
    let waiting = (
        Polled::waiting(pool.get_buffer()),
        Polled::waiting(pool.get_buffer()),
    );
    assert!(at_once(pool.get_buffer()).is_err());
    drop(waiting);
    none("gets that are cancelled or find the queue full");

    let handed = Polled::waiting(pool.get_buffer());
    drop(first);
    assert_eq!(calls.load(Ordering::SeqCst), 1, "that was a release");
    drop(handed);
    assert_eq!(pool.free_count(), 1);
    assert_eq!(calls.load(Ordering::SeqCst), 1, "and this only returned it");
    drop(second);
    assert_eq!(calls.swap(0, Ordering::SeqCst), 2);
    pool.decommit();
    none("a decommit");
    pool.commit().expect("small");
    none("a commit");
    drop(pool);
    none("dropping the pool");
    assert_eq!(Arc::strong_count(&calls), 1, "it did go");
}

/// The releaser of the last sample holds a reference to the pool while the callback runs. If it freed the pool
/// regardless, the clone would dangle.
#[test]
fn a_pool_that_is_cloned_in_its_last_callback_lives_on() {
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let pool = pool(2);
    let callback = move |pool: &Pool| {
        keep.lock()
            .expect("whole")
            .get_or_insert_with(|| pool.clone());
    };
    pool.on_release(callback).detach();
    let weak = pool.downgrade();
    let last = pool.try_get_buffer().expect("free");
    drop(pool);
    drop(last);
    let pool = kept.lock().expect("whole").take().expect("called");
    drop(pool.set_notify(None));
    assert_eq!(Arc::strong_count(&kept), 1, "the callback is gone");
    assert_eq!(pool.try_get_buffers(2).expect("both are free").len(), 2);
    drop(pool);
    assert!(weak.upgrade().is_none());
}

/// As above, when the last handle is dropped inside that callback, so that only the running release keeps the
/// pool alive.
#[test]
fn a_callback_may_drop_the_last_handle_and_clone_the_pool_after() {
    let token = Arc::new(());
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let captured = token.clone();
    let pool = pool(2);
    let last = Arc::new(Mutex::new(Some(pool.clone())));
    let callback = move |pool: &Pool| {
        let _keep = &captured;
        drop(last.lock().expect("whole").take());
        *keep.lock().expect("whole") = Some(pool.clone());
    };
    pool.on_release(callback).detach();
    let sample = pool.try_get_buffer().expect("free");
    drop(pool);
    drop(sample);
    let pool = kept.lock().expect("whole").take().expect("called");
    assert_eq!(pool.free_count(), 2);
    assert_eq!(Arc::strong_count(&token), 2);
    drop(pool);
    assert_eq!(Arc::strong_count(&token), 1, "freed with its callback");
}
