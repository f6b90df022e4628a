//! Pool handles that are dropped before the samples, and operations that never call the callback.

use super::{committed, pool_in};
use crate::polling::Polled;
use bytes::BufMut;
use futures::FutureExt;
use sample_pool::{GetBufferError, Pool, State};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A callback that counts its calls, and a value whose count drops when the pool is freed.
fn watch(pool: &Pool) -> (Arc<AtomicUsize>, Arc<()>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let alive = Arc::new(());
    let (count, owned) = (calls.clone(), alive.clone());
    pool.on_release(move |_pool| {
        let _owned = &owned;
        count.fetch_add(1, Ordering::SeqCst);
    })
    .detach();
    (calls, alive)
}

/// Samples keep the memory alive as handles do, and any of them can be the last.
#[test]
fn samples_outlive_the_last_handle_and_the_last_of_them_frees_the_pool() {
    let pool = committed();
    let (calls, alive) = watch(&pool);
    let weak = pool.downgrade();
    let mut samples = pool.try_get_buffers(3).expect("all are free");
    drop(pool.clone());
    drop(pool);
    assert!(weak.upgrade().is_none(), "no handle is left");
    for (n, sample) in samples.iter_mut().enumerate() {
        sample.put_bytes(n as u8, 64);
    }
    let shared = samples.pop().expect("three").freeze();
    let bytes = samples.pop().expect("two").into_bytes();
    drop(samples);
    let slice = shared.slice(1..2);
    drop(shared);
    assert_eq!((Arc::strong_count(&alive), &slice[..]), (2, &[2_u8][..]));
    thread::spawn(move || drop(slice)).join().expect("no panic");
    assert_eq!((Arc::strong_count(&alive), &bytes[..]), (2, &[1; 64][..]));
    drop(bytes);
    assert_eq!(Arc::strong_count(&alive), 1, "freed, once");
    assert_eq!(calls.load(Ordering::SeqCst), 3, "once for each release");
    assert!(weak.upgrade().is_none());
}

/// Only the future can still reach the pool, and it must not reach freed memory.
#[test]
fn an_owned_get_keeps_the_pool_and_can_still_be_served() {
    let pool = committed();
    let (_calls, alive) = watch(&pool);
    let mut samples = pool.try_get_buffers(4).expect("all are free");
    let mut get = Polled::waiting(pool.get_buffer_owned());
    drop(pool);
    samples.pop();
    let sample = get.expect_ready().expect("one came back");
    drop(samples);
    drop(get);
    assert_eq!(Arc::strong_count(&alive), 2, "the sample is out");
    drop(sample);
    assert_eq!(Arc::strong_count(&alive), 1);
}

/// No caller can complete the drain of a pool that was freed, so a future that waited for it would wait for
/// ever.
#[test]
fn drained_does_not_keep_the_pool_and_resolves_when_it_is_freed() {
    for state in [State::Committed, State::Draining] {
        let (pool, sample) = pool_in(state);
        let (_calls, alive) = watch(&pool);
        let mut drained = Polled::waiting(pool.drained());
        drop(pool);
        drop(sample);
        assert_eq!(Arc::strong_count(&alive), 1, "the pool is freed");
        drained.expect_ready();
    }
}

/// The callback may clone the pool that it is given, at the moment when the pool would be freed.
#[test]
fn the_callback_of_the_last_sample_may_keep_the_pool() {
    let pool = committed();
    let (send, receive) = std::sync::mpsc::channel();
    pool.on_release(move |pool| send.send(pool.clone()).expect("received below"))
        .detach();
    let sample = pool.try_get_buffer().expect("all are free");
    drop(pool);
    drop(sample);
    let kept = receive.recv().expect("the callback sent it");
    assert_eq!(kept.free_count(), 4);
    drop(kept.set_notify(None));
    drop(kept.try_get_buffer().expect("it works as before"));
}

/// A callback uses the pool as a handle does, even after the last handle was dropped.
#[test]
fn a_callback_can_have_the_pool_again_after_it_dropped_the_last_handle() {
    let pool = committed();
    let weak = pool.downgrade();
    let last = Arc::new(Mutex::new(None));
    let again = Arc::new(Mutex::new(None));
    let (handle, upgraded) = (last.clone(), again.clone());
    pool.on_release(move |_pool: &Pool| {
        let gone = handle.lock().expect("nothing panics under it").take();
        drop::<Option<Pool>>(gone);
        *upgraded.lock().expect("nothing panics under it") = weak.upgrade();
    })
    .detach();
    let sample = pool.try_get_buffer().expect("all are free");
    *last.lock().expect("nothing panics under it") = Some(pool);
    drop(sample);
    let pool = again.lock().expect("nothing panics under it").take();
    let pool = pool.expect("its releaser had it");
    assert_eq!(pool.free_count(), 4);
    drop(pool.set_notify(None));
}

/// The sample is enough: a resolved future that is not dropped would keep a pool that is not used.
#[test]
fn an_owned_get_is_no_handle_once_it_has_resolved() {
    let pool = committed();
    let weak = pool.downgrade();
    // The first get takes the lock, and those after it need not.
    drop(pool.try_get_buffer().expect("all are free"));
    let (mut served, mut refused) = (pool.get_buffer_owned(), pool.get_buffer_owned());
    let (mut handed, mut failed) = (pool.get_buffer_owned(), pool.get_buffer_owned());
    let sample = (&mut served).now_or_never().expect("all are free");
    let mut others = pool.try_get_buffers(3).expect("all are free");
    assert!((&mut handed).now_or_never().is_none());
    assert!((&mut failed).now_or_never().is_none());
    others.pop();
    let after_a_wait = (&mut handed).now_or_never().expect("one came back");
    pool.set_flushing(true);
    let while_it_waits = (&mut failed).now_or_never().expect("a flush fails it");
    assert!(while_it_waits.is_err());
    let at_once = (&mut refused).now_or_never().expect("a flush fails it");
    assert!(at_once.is_err());
    drop(pool);
    assert!(weak.upgrade().is_none(), "four futures and three samples");
    drop((sample, after_a_wait, others));
    drop((served, refused, handed, failed));
}

/// An owned get that was not polled has a handle, and exchanges it for the slot that it takes.
#[test]
fn an_owned_get_that_was_never_polled_keeps_the_pool_until_it_is_dropped() {
    let pool = committed();
    let (_calls, alive) = watch(&pool);
    drop(pool.try_get_buffer().expect("all are free"));
    let first = pool.get_buffer_owned();
    // A listener moves the count under the lock, and the next get moves it back to the word.
    drop(pool.released());
    drop(pool.try_get_buffer().expect("all are free"));
    drop(first);
    let last = pool.get_buffer_owned();
    drop(pool);
    assert_eq!(Arc::strong_count(&alive), 2, "the future keeps it");
    let sample = Polled::new(last).expect_ready().expect("all are free");
    assert_eq!(Arc::strong_count(&alive), 2, "the sample keeps it");
    drop(sample);
    assert_eq!(Arc::strong_count(&alive), 1, "freed");
}

/// The same for a call in flight, which counts once, wherever it is counted.
#[test]
fn a_callback_that_listens_and_gets_does_not_keep_the_pool() {
    let pool = committed();
    let alive = Arc::new(());
    let (owned, calls) = (alive.clone(), AtomicUsize::new(0));
    pool.on_release(move |pool: &Pool| {
        let _owned = &owned;
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            drop(pool.released());
            drop(pool.try_get_buffer().expect("all are free"));
        }
    })
    .detach();
    drop(pool.try_get_buffer().expect("all are free"));
    drop(pool);
    assert_eq!(Arc::strong_count(&alive), 1, "freed");
}

/// A callback that counts buffers would count some that were never taken.
#[test]
fn only_a_release_calls_the_callback() {
    let pool = Pool::builder().buffers(2).size(64).build_uncommitted();
    let pool = pool.expect("small");
    let (calls, alive) = watch(&pool);
    pool.commit().expect("small");
    let samples = pool.try_get_buffers(2).expect("all are free");
    let refused = pool.try_get_buffers(2).map(drop);
    assert_eq!(refused, Err(GetBufferError::Exhausted));
    drop(Polled::waiting(pool.get_buffer()));
    drop(Polled::waiting(pool.get_buffers(2)));
    let mut handed = Polled::waiting(pool.get_buffer());
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    drop(samples);
    assert_eq!(calls.load(Ordering::SeqCst), 2, "one each");
    assert_eq!(handed.wakes(), 1);
    drop(handed);
    handed = Polled::new(pool.get_buffer());
    drop(handed);
    pool.set_flushing(true);
    pool.decommit();
    drop(pool);
    assert_eq!(Arc::strong_count(&alive), 1, "the pool is freed");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}
