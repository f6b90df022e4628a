//! `mem::forget` is safe, so it may leak what was forgotten and nothing else, and `holders()` names what stays
//! checked out.
//!
//! Guarantees: 11

#![forbid(unsafe_code)]

use crate::polling::{Polled, at_once, poll_once};
use bytes::BufMut;
use sample_pool::{Pool, Sample, State};
use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

fn pool(buffers: usize) -> Pool {
    let builder = Pool::builder().buffers(buffers).size(64);
    builder.track_holders(true).build().expect("small")
}

#[track_caller]
fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("one is free")
}

type Way = (&'static str, fn(Sample));

/// Every way to forget a sample.
const WAYS: [Way; 6] = [
    ("Sample", mem::forget),
    ("SharedSample", |sample| mem::forget(sample.freeze())),
    ("a clone", |sample| mem::forget(sample.freeze().clone())),
    ("a slice", |sample| mem::forget(sample.freeze().slice(1..2))),
    ("Bytes", |sample| mem::forget(sample.into_bytes())),
    ("a box", |sample| {
        Box::leak(Box::new(sample));
    }),
];

/// One looks for a leak with `holders()`, so a forgotten sample must be listed, and the pool must work without
/// it.
#[test]
fn a_forgotten_sample_is_named_and_the_others_go_on() {
    for (name, forget) in WAYS {
        let pool = pool(3);
        let mut sample = take(&pool);
        let line = line!() - 1;
        let index = sample.index();
        sample.put_slice(b"four");
        forget(sample);
        for _ in 0..100 {
            let held = [take(&pool), take(&pool)];
            assert!(held.iter().all(|other| other.index() != index), "{name}");
            let mut waiting = Polled::waiting(pool.get_buffer());
            drop(held);
            drop(waiting.expect_ready().expect("one of the others"));
        }
        let holders = pool.holders();
        assert_eq!(holders.len(), 1, "{name}");
        assert_eq!(holders[0].index, index, "{name}");
        assert_eq!(holders[0].location.line(), line, "{name}");
        assert!(holders[0].location.file().ends_with("forgotten.rs"));
        let status = pool.status();
        assert_eq!((status.free, status.outstanding), (2, 1), "{name}");
        assert_eq!(status.acquired, status.released + 1, "{name}");
    }
}

/// Its drain never completes, but only callers that wait for the drain hang, and a commit makes the pool usable
/// again.
#[test]
fn a_pool_with_a_forgotten_sample_is_committed_again_without_it() {
    for (name, forget) in WAYS {
        let pool = pool(2);
        let mut sample = take(&pool);
        sample.put_slice(b"four");
        forget(sample);
        let mut drained = pool.drained();
        for _ in 0..3 {
            pool.decommit();
            assert_eq!(pool.state(), State::Draining, "{name}");
            assert!(poll_once(&mut drained).is_pending(), "{name}");
            pool.commit().expect("cancels the decommit");
            drop(take(&pool));
            assert_eq!(pool.free_count(), 1, "{name}");
        }
        pool.decommit();
        assert_eq!(pool.holders().len(), 1, "{name}: while it drains as well");
    }
}

/// A sample that was handed to a forgotten future is lost like a forgotten sample, and no other sample is: the
/// waiters behind it are served with the others.
#[test]
fn a_future_that_is_forgotten_with_its_sample_costs_that_sample_only() {
    let pool = pool(2);
    let mut held = vec![take(&pool), take(&pool)];
    let mut get = pool.get_buffer_owned();
    assert!(poll_once(&mut get).is_pending());
    let mut behind = Polled::waiting(pool.get_buffer());
    held.pop();
    mem::forget(get);
    behind.expect_pending();
    held.pop();
    let sample = behind.expect_ready().expect("the other one");
    assert_eq!(pool.holders().len(), 1, "no get has the first");
    drop(sample);
    assert_eq!((pool.free_count(), pool.status().outstanding), (1, 1));
    for _ in 0..100 {
        drop(take(&pool));
    }
}

/// A forgotten request for several keeps its position and what it has gathered, until a decommit fails it.
#[test]
fn a_decommit_has_back_what_a_forgotten_request_for_several_had_gathered() {
    let pool = pool(3);
    let held = take(&pool);
    let mut into = Vec::new();
    let mut many = pool.get_buffers_into(&mut into, 3);
    assert!(poll_once(&mut many).is_pending());
    mem::forget(many);
    assert_eq!((pool.free_count(), pool.status().waiting), (0, 1));
    assert!(pool.try_get_buffer().is_err(), "it is the first waiter");
    let mut drained = pool.drained();
    pool.decommit();
    assert_eq!((pool.free_count(), pool.status().waiting), (2, 0));
    drop(held);
    assert!(poll_once(&mut drained).is_ready());
    assert!(into.is_empty());
    pool.commit().expect("small");
    assert_eq!(pool.try_get_buffers(3).expect("all of them").len(), 3);
}

/// Listeners hold no sample, and a forgotten one in their list must not delay the others.
#[test]
fn forgotten_listeners_hold_up_no_other_listener() {
    let pool = pool(1);
    for _ in 0..100 {
        let (mut released, mut drained) = (pool.released(), pool.drained());
        assert!(poll_once(&mut released).is_pending());
        assert!(poll_once(&mut drained).is_pending());
        mem::forget(released);
        mem::forget(drained);
    }
    let mut released = Polled::waiting(pool.released());
    let mut drained = Polled::waiting(pool.drained());
    drop(take(&pool));
    released.expect_ready();
    pool.decommit();
    drained.expect_ready();
}

/// The guard holds a reference to the callback, which is leaked with it. The pool is not.
#[test]
fn a_forgotten_guard_leaves_its_callback_set_and_does_not_keep_the_pool() {
    let pool = pool(1);
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    mem::forget(pool.on_release(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    let last = take(&pool);
    let mut drained = pool.drained();
    drop(pool);
    assert!(poll_once(&mut drained).is_pending(), "a sample is out");
    drop(last);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(poll_once(&mut drained).is_ready(), "the pool is freed");
}

/// A thread that never ends keeps its samples. A pool whose samples are all kept is exhausted, and names the
/// lines.
#[test]
fn a_pool_that_is_forgotten_whole_says_exhausted_and_names_all() {
    let pool = pool(8);
    let forgetful: Vec<_> = (0..8)
        .map(|_| {
            let pool = pool.clone();
            thread::spawn(move || mem::forget(take(&pool)))
        })
        .collect();
    for thread in forgetful {
        thread.join().expect("no panic");
    }
    assert!(pool.try_get_buffer().is_err());
    let mut waiting = Polled::waiting(pool.get_buffer());
    let mut indexes: Vec<_> = pool.holders().iter().map(|held| held.index).collect();
    indexes.sort_unstable();
    assert!(indexes.into_iter().eq(0..8));
    pool.decommit();
    assert!(waiting.expect_ready().is_err(), "turned away all the same");
    assert!(at_once(pool.get_buffer()).is_err());
}
