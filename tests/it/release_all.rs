//! `Sample::release_all` does what dropping the samples one after the other does.
//!
//! Guarantees: 1, 7, 8

#![forbid(unsafe_code)]

use crate::polling::{Polled, poll_once};
use crate::wakers::{Moment, hooked_at};
use bytes::BufMut;
use sample_pool::{Pool, Sample, State};
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

/// So many slots that they are in several words.
const SEVERAL_WORDS: usize = 300;

/// A pool that was used before, so that the releases take the fast path while they can.
fn pool(buffers: usize) -> Pool {
    let pool = Pool::builder().buffers(buffers).size(64).prefix(8);
    let pool = pool.build().expect("small");
    drop(take(&pool, buffers));
    pool
}

fn take(pool: &Pool, count: usize) -> Vec<Sample> {
    pool.try_get_buffers(count).expect("all are free")
}

/// Every slot is free, once, and can be taken.
#[track_caller]
fn assert_all_free(pool: &Pool) {
    let status = pool.status();
    assert_eq!((status.free, status.outstanding), (status.buffers, 0));
    assert_eq!(status.acquired, status.released);
    let mut indices: Vec<_> = take(pool, status.buffers)
        .iter()
        .map(Sample::index)
        .collect();
    indices.sort_unstable();
    assert!(indices.into_iter().eq(0..status.buffers));
}

fn poll_with_wake<F: Future>(
    future: Pin<&mut F>,
    wake: impl Fn() + Send + Sync + 'static,
) -> Poll<F::Output> {
    let waker = hooked_at(Moment::Wake, wake);
    future.poll(&mut Context::from_waker(&waker))
}

/// A step that frees the slots of one word must free exactly those, whatever the order of the samples is.
#[test]
fn the_samples_of_several_words_are_free_and_the_vec_keeps_its_capacity() {
    let orders: [fn(&mut Vec<Sample>); 4] = [
        |_| {},
        |samples| samples.reverse(),
        |samples| samples.sort_by_key(|sample| sample.index() % 7),
        |samples| samples.sort_by_key(|sample| sample.index() % 150),
    ];
    for order in orders {
        let pool = pool(SEVERAL_WORDS);
        let mut samples = take(&pool, SEVERAL_WORDS);
        order(&mut samples);
        let kept = samples.split_off(SEVERAL_WORDS / 2);
        let capacity = samples.capacity();
        Sample::release_all(&mut samples);
        assert!(samples.is_empty());
        assert_eq!(samples.capacity(), capacity);
        assert_eq!(pool.status().outstanding, kept.len());
        drop(kept);
        Sample::release_all(&mut samples);
        assert_all_free(&pool);
    }
}

/// The word of one pool says nothing about the slots of another.
#[test]
fn each_sample_returns_to_its_own_pool() {
    let pools = [pool(20), pool(20)];
    let [one, two] = [0, 1].map(|at| take(&pools[at], 20));
    let mut samples = Vec::new();
    for (a, b) in one.into_iter().zip(two) {
        samples.extend([a, b]);
    }
    Sample::release_all(&mut samples);
    pools.iter().for_each(assert_all_free);
}

/// The next owner must see nothing of the last one, although no drop of a sample ran.
#[test]
fn each_sample_is_reset() {
    let pool = pool(4);
    let mut samples = take(&pool, 4);
    for sample in &mut samples {
        sample.put_slice(b"of the last owner");
        sample.prepend(b"head").expect("headroom");
        // Not in all of them: those with properties and those without are freed together.
        if sample.index() % 2 == 0 {
            sample.properties_mut().set_user(5);
        }
    }
    Sample::release_all(&mut samples);
    for sample in take(&pool, 4) {
        assert_eq!((sample.len(), sample.headroom()), (0, 8));
        assert_eq!(sample.properties(), &Default::default());
    }
    assert_eq!(pool.status().bytes_used, 0);
}

/// One call for each sample, when that sample and those before it are free, and those after it are not: also those of
/// other pools, which owe no call.
#[test]
fn the_callback_is_called_for_each_sample_and_sees_those_before_it_free() {
    let quiet = pool(8);
    let calling = pool(6);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, other) = (seen.clone(), quiet.clone());
    let callback = move |pool: &Pool| {
        let status = pool.status();
        let released = status.buffers - (status.acquired - status.released) as usize;
        assert_eq!(status.free, released, "counted as released when it is free");
        let free = (status.free, other.free_count());
        log.lock().expect("whole").push(free);
    };
    calling.on_release(callback).detach();
    let mut samples = take(&quiet, 8);
    let others = samples.split_off(4);
    samples.extend(take(&calling, 6));
    samples.extend(others);
    Sample::release_all(&mut samples);
    let expected = [(1, 4), (2, 4), (3, 4), (4, 4), (5, 4), (6, 4)];
    assert_eq!(*seen.lock().expect("whole"), expected);
    assert_eq!(calling.status().callback_panics, 0);
    drop(calling.set_notify(None));
    assert_all_free(&calling);
    assert_all_free(&quiet);
}

/// A call removes the callback, so the other samples owe none, and are freed together.
#[test]
fn a_callback_that_removes_itself_is_called_once() {
    let pool = pool(8);
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    pool.on_release(move |pool: &Pool| {
        count.fetch_add(1, Ordering::SeqCst);
        drop(pool.set_notify(None));
    })
    .detach();
    Sample::release_all(&mut take(&pool, 8));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_all_free(&pool);
}

/// No slot of the batch may pass a waiter, and none may be free before the last waiter is served.
#[test]
fn waiters_are_served_first_come_first_served() {
    let pool = pool(9);
    let mut samples = take(&pool, 9);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut first = pin!(pool.get_buffer());
    let mut many = pin!(pool.get_buffers(4));
    let mut last = pin!(pool.get_buffer());
    let log = |name: &'static str| {
        let (order, pool) = (order.clone(), pool.clone());
        move || {
            let free = pool.free_count();
            order.lock().expect("whole").push((name, free));
        }
    };
    assert!(poll_with_wake(first.as_mut(), log("first")).is_pending());
    assert!(poll_with_wake(many.as_mut(), log("many")).is_pending());
    assert!(poll_with_wake(last.as_mut(), log("last")).is_pending());
    Sample::release_all(&mut samples);
    let order = std::mem::take(&mut *order.lock().expect("whole"));
    assert_eq!(order, [("first", 0), ("many", 0), ("last", 0)]);
    assert_eq!(pool.free_count(), 3);
    assert!(poll_once(&mut first).is_ready());
    let Poll::Ready(Ok(gathered)) = poll_once(&mut many) else {
        panic!("it has all that it wants");
    };
    assert_eq!(gathered.len(), 4);
    drop(gathered);
    assert!(poll_once(&mut last).is_ready());
    assert_all_free(&pool);
}

/// The last of the batch ends the drain, once, and `drained()` and `released()` are notified.
#[test]
fn a_batch_ends_a_drain() {
    let pool = pool(40);
    let mut samples = take(&pool, 40);
    let mut released = Polled::waiting(pool.released());
    let mut drained = Polled::waiting(pool.drained());
    pool.decommit();
    let last = samples.pop();
    Sample::release_all(&mut samples);
    assert_eq!(pool.state(), State::Draining);
    released.expect_ready();
    drained.expect_pending();
    samples.extend(last);
    Sample::release_all(&mut samples);
    assert_eq!(pool.state(), State::Configured);
    drained.expect_ready();
    pool.commit().expect("small");
    assert_all_free(&pool);
}

/// The samples keep the pool without a handle, and the last of them frees it.
#[test]
fn a_batch_is_released_after_the_last_handle_is_gone() {
    let pool = pool(12);
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    pool.on_release(move |_pool| {
        count.fetch_add(1, Ordering::SeqCst);
    })
    .detach();
    let mut samples = take(&pool, 12);
    drop(pool);
    Sample::release_all(&mut samples);
    assert_eq!(calls.load(Ordering::SeqCst), 12);
    assert_eq!(Arc::strong_count(&calls), 1, "the pool is freed");
}

/// The pool is freed by the exchange of another sample that follows in the batch, or by the drop of the handle in a
/// callback: the batch must not touch it after that.
#[test]
fn a_callback_may_drop_the_last_handle_of_a_pool_of_the_batch() {
    let quiet = pool(8);
    let calling = pool(2);
    let mut samples = take(&quiet, 8);
    let rest = samples.split_off(4);
    samples.extend(take(&calling, 2));
    samples.extend(rest);
    let weak = quiet.downgrade();
    let handle = Mutex::new(Some(quiet));
    let callback = move |_: &Pool| drop(handle.lock().expect("whole").take());
    calling.on_release(callback).detach();
    Sample::release_all(&mut samples);
    assert!(weak.upgrade().is_none());
    drop(calling.set_notify(None));
    assert_all_free(&calling);
}

/// Each sample gives its room back, and a waker that runs then sees the samples before it free.
#[test]
fn samples_of_a_quota_give_its_room_back() {
    let pool = pool(10);
    let quota = pool.quota("camera", 4);
    let mut samples = take(&pool, 3);
    samples.extend(quota.try_get_buffers(4).expect("room"));
    samples.extend(take(&pool, 3));
    assert_eq!((pool.free_count(), quota.status().in_use), (0, 4));
    let free = Arc::new(Mutex::new(Vec::new()));
    let wake = || {
        let (seen, handle) = (free.clone(), pool.clone());
        move || seen.lock().unwrap().push(handle.free_count())
    };
    let mut waiting = [pin!(quota.get_buffer()), pin!(quota.get_buffer())];
    for get in &mut waiting {
        assert!(poll_with_wake(get.as_mut(), wake()).is_pending());
    }
    Sample::release_all(&mut samples);
    let free = std::mem::take(&mut *free.lock().unwrap());
    assert_eq!(free, [3, 4], "those before it are free");
    let samples = waiting.map(|mut get| match poll_once(&mut get) {
        Poll::Ready(Ok(sample)) => sample,
        _ => panic!("there is room"),
    });
    assert_eq!((pool.free_count(), quota.status().in_use), (8, 2));
    drop(samples);
    assert_eq!(quota.status().in_use, 0);
    assert_all_free(&pool);
}

/// A panic in one call must not lose the samples after it.
#[test]
fn user_code_that_panics_loses_no_sample() {
    let quiet = pool(8);
    let calling = pool(8);
    let mut samples = take(&calling, 8);
    samples.extend(take(&quiet, 8));
    let mut waiting = pin!(quiet.get_buffer());
    assert!(poll_with_wake(waiting.as_mut(), || panic!("a waker")).is_pending());
    calling.on_release(|_| panic!("a callback")).detach();
    Sample::release_all(&mut samples);
    assert!(samples.is_empty());
    assert_eq!(calling.status().callback_panics, 8);
    drop(calling.set_notify(None));
    assert_all_free(&calling);
    assert!(poll_once(&mut waiting).is_ready());
    assert_all_free(&quiet);
}
