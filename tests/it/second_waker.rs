//! A waker may call the pool, also a waker that comes with a later poll: tasks move, and `select!` and joins
//! poll with wakers of their own.
//!
//! Guarantees: 8

#![deny(unsafe_code)]

use crate::polling::poll_once;
use crate::wakers::{Moment, hooked_at};
use sample_pool::{GetBufferError, Pool, Sample};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

/// Runs `scene` on a thread of its own, and fails instead of hanging.
fn within_bounds(scene: impl FnOnce() + Send + 'static) {
    let (done, over) = mpsc::channel();
    let thread = thread::spawn(move || {
        scene();
        done.send(()).expect("the test waits");
    });
    let in_time = over.recv_timeout(Duration::from_secs(10));
    assert!(
        in_time.is_ok() || thread.is_finished(),
        "it hangs: a waker was cloned under a lock that it needs"
    );
    thread.join().expect("the scene's own assertions");
}

/// A pool of one buffer, and its sample.
fn exhausted() -> (Pool, Sample) {
    let pool = Pool::builder().buffers(1).size(8).build().expect("small");
    let held = pool.try_get_buffer().expect("free");
    (pool, held)
}

/// Polls with a waker whose first clone runs `act`.
fn poll_with<F: Future + Unpin>(
    future: &mut F,
    act: impl FnOnce() + Send + 'static,
) -> Poll<F::Output> {
    let act = Mutex::new(Some(act));
    let waker = hooked_at(Moment::Clone, move || {
        let act = act.lock().expect("nothing panics under it").take();
        if let Some(act) = act {
            act();
        }
    });
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

/// Most tasks keep their waker, so a task that is polled again for another reason must not pay for a clone.
#[test]
fn a_waker_that_is_known_is_not_cloned_again() {
    let (pool, _held) = exhausted();
    let mut get = pool.get_buffer();
    let clones = Arc::new(AtomicUsize::new(0));
    let count = clones.clone();
    let waker = hooked_at(Moment::Clone, move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    for _ in 0..3 {
        let polled = Pin::new(&mut get).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        assert_eq!(clones.load(Ordering::SeqCst), 1, "at the first poll alone");
    }
}

#[test]
fn the_second_waker_of_a_get_may_release_the_sample_that_it_waits_for() {
    within_bounds(|| {
        let (pool, held) = exhausted();
        let mut get = pool.get_buffer();
        assert!(poll_once(&mut get).is_pending());
        let polled = poll_with(&mut get, move || drop(held));
        let sample = match polled {
            Poll::Ready(sample) => sample,
            Poll::Pending => futures::executor::block_on(get),
        };
        assert!(sample.is_ok());
    });
}

#[test]
fn the_second_waker_of_a_get_may_decommit() {
    within_bounds(|| {
        let (pool, _held) = exhausted();
        let other = pool.clone();
        let mut get = pool.get_buffer();
        assert!(poll_once(&mut get).is_pending());
        let polled = poll_with(&mut get, move || other.decommit());
        let failed = match polled {
            Poll::Ready(failed) => failed,
            Poll::Pending => futures::executor::block_on(get),
        };
        assert_eq!(failed.unwrap_err(), GetBufferError::NotCommitted);
    });
}

#[test]
fn the_second_waker_of_released_may_release() {
    within_bounds(|| {
        let (pool, held) = exhausted();
        let mut released = pool.released();
        assert!(poll_once(&mut released).is_pending());
        if poll_with(&mut released, move || drop(held)).is_pending() {
            futures::executor::block_on(released);
        }
        assert_eq!(pool.free_count(), 1);
    });
}

#[test]
fn the_second_waker_of_drained_may_decommit() {
    within_bounds(|| {
        let pool = Pool::builder().buffers(1).size(8).build().expect("small");
        let other = pool.clone();
        let mut drained = pool.drained();
        assert!(poll_once(&mut drained).is_pending());
        if poll_with(&mut drained, move || other.decommit()).is_pending() {
            futures::executor::block_on(drained);
        }
    });
}

/// The pool reference that a callback is given is not counted as a handle. But a get that waits through it must
/// still be served after the last handle is dropped.
#[test]
fn a_get_made_in_a_callback_is_served_after_the_last_handle_went() {
    within_bounds(|| {
        let pool = Pool::builder().buffers(2).size(8).build().expect("small");
        let (inside, is_inside) = mpsc::channel();
        let (served, is_served) = mpsc::channel();
        let once = Mutex::new(Some((inside, served)));
        pool.on_release(move |pool: &Pool| {
            let Some((inside, served)) = once.lock().expect("nothing panics under it").take()
            else {
                return;
            };
            let keep = pool.try_get_buffer().expect("the one that came back");
            let mut get = pool.get_buffer();
            assert!(poll_once(&mut get).is_pending());
            inside.send(()).expect("the test waits");
            let sample = futures::executor::block_on(get);
            served.send(sample.is_ok()).expect("the test waits");
            drop(keep);
        })
        .detach();
        let last = pool.try_get_buffer().expect("free");
        let first = pool.try_get_buffer().expect("free");
        let releaser = thread::spawn(move || drop(first));
        is_inside.recv().expect("the callback runs");
        drop(pool);
        drop(last);
        assert!(is_served.recv().expect("the waiter sends it"));
        releaser.join().expect("the release is finished");
    });
}
