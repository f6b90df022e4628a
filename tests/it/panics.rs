//! User code that panics: the panic is caught and counted, and skips neither a later step nor another waker.
//!
//! Guarantees: 8

#![deny(unsafe_code)]

use crate::polling::{Polled, at_once, poll_once};
use crate::wakers::{Moment, hooked, hooked_at};
use futures::{FutureExt, TryFutureExt};
use sample_pool::{GetBufferError, Pool, Sample, State};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};

fn pool(buffers: usize) -> Pool {
    let built = Pool::builder().buffers(buffers).size(64).build();
    built.expect("small")
}

fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("one is free")
}

/// A future whose waker panics, polled once.
struct Panicking<F> {
    future: F,
    panicked: Arc<AtomicUsize>,
    /// Dropped after the future, whose clone of the waker is the one that panics.
    _waker: Waker,
}

impl<F: Future + Unpin> Panicking<F> {
    fn waiting(moment: Moment, mut future: F) -> Self {
        let panicked = Arc::new(AtomicUsize::new(0));
        let count = panicked.clone();
        let waker = hooked_at(moment, move || {
            // The waker panics only that often, so the code that holds the other clones can end.
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                panic!("a waker");
            }
        });
        let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "it has to wait");
        Panicking {
            future,
            panicked,
            _waker: waker,
        }
    }

    fn assert_panicked(&self) {
        assert!(self.panicked.load(Ordering::SeqCst) > 0, "it never ran");
    }

    fn poll(&mut self) -> Poll<F::Output> {
        poll_once(&mut self.future)
    }
}

/// A bug in a callback must not lose a sample of the pool, or end the releasing task.
#[test]
fn a_panicking_callback_is_counted_and_the_sample_is_free() {
    let pool = pool(2);
    pool.on_release(|_| panic!("a callback")).detach();
    drop(take(&pool));
    assert_eq!(pool.free_count(), 2);
    let mut released = pool.released();
    assert!(poll_once(&mut released).is_pending());
    let held = (take(&pool), take(&pool));
    let mut waiting = Polled::waiting(pool.get_buffer());
    drop(held.0);
    assert!(poll_once(&mut released).is_ready());
    drop(waiting.expect_ready());
    drop(held.1);
    assert_eq!(pool.status().callback_panics, 4);
    assert_eq!(pool.free_count(), 2);
    drop(pool.set_notify(None));
    drop(take(&pool));
    assert_eq!(pool.status().callback_panics, 4);
}

/// The last release of a drain, and of a pool, has steps around the callback, which must still run.
#[test]
fn a_panicking_callback_neither_undoes_a_drain_nor_keeps_a_pool() {
    let pool = pool(1);
    let token = Arc::new(());
    let captured = token.clone();
    let panics = move |_: &Pool| panic!("a callback with {captured:?}");
    pool.on_release(panics).detach();
    let sample = take(&pool);
    let mut drained = pool.drained();
    pool.decommit();
    drop(sample);
    assert_eq!(pool.state(), State::Configured);
    assert!(poll_once(&mut drained).is_ready());
    pool.commit().expect("small");
    let last = take(&pool);
    drop(pool);
    assert_eq!(Arc::strong_count(&token), 2);
    drop(last);
    assert_eq!(Arc::strong_count(&token), 1, "freed all the same");
}

/// A panic that leaves a destructor while the thread unwinds aborts the process.
#[test]
fn a_callback_may_panic_while_its_thread_is_unwinding() {
    let pool = pool(2);
    pool.on_release(|_| {
        assert!(thread::panicking());
        panic!("a callback");
    })
    .detach();
    let (fast, slow) = (take(&pool), take(&pool));
    let released = pool.released();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _held = (slow, fast);
        panic!("the task");
    }));
    assert!(unwound.is_err());
    at_once(released);
    assert_eq!(pool.status().callback_panics, 2);
    assert_eq!(pool.free_count(), 2);
}

/// The payload of a panic is user code too, and is dropped in the middle of the release.
#[test]
fn the_payload_of_a_panic_may_panic_when_it_is_dropped() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("a payload");
        }
    }
    let pool = pool(1);
    pool.on_release(|_| panic_any(Payload)).detach();
    drop(take(&pool));
    let released = pool.released();
    drop(take(&pool));
    at_once(released);
    assert_eq!(pool.status().callback_panics, 2);
    assert_eq!(pool.free_count(), 1);
}

/// Only the pool has the callback then, so no other code could catch a panic of its drop.
#[test]
fn a_callback_may_panic_when_the_pool_drops_it() {
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("a callback's drop");
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    for with_listener in [false, true] {
        let pool = pool(1);
        let bomb = Bomb(dropped.clone());
        let remove = move |pool: &Pool| {
            let _armed = &bomb;
            // The call in flight has the last reference.
            drop(pool.set_notify(None));
        };
        pool.on_release(remove).detach();
        let listener = with_listener.then(|| pool.released());
        drop(take(&pool));
        drop(listener);
        assert_eq!((pool.free_count(), pool.status().callback_panics), (1, 0));
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    let pool = pool(1);
    let bomb = Bomb(dropped.clone());
    let keep = move |_: &Pool| {
        let _armed = &bomb;
    };
    pool.on_release(keep).detach();
    let weak = pool.downgrade();
    drop(pool);
    assert!(weak.upgrade().is_none());
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}

/// Without budget Tokio clones the waker, or wakes it at once, while the get holds its samples.
#[tokio::test]
async fn a_waker_that_panics_when_the_budget_is_used_up_loses_no_sample() {
    let pool = pool(2);
    // So that both are taken without the lock from now on.
    drop([take(&pool), take(&pool)]);
    while tokio::task::coop::has_budget_remaining() {
        tokio::task::coop::consume_budget().await;
    }
    let waker = hooked(|moment| assert_eq!(moment, Moment::Drop, "a waker"));
    let mut cx = Context::from_waker(&waker);
    let mut poll = |future: &mut dyn FnMut(&mut Context<'_>)| {
        let polled = catch_unwind(AssertUnwindSafe(|| future(&mut cx)));
        assert!(polled.is_err(), "the waker never ran");
    };
    let mut get = pool.get_buffer();
    poll(&mut |cx| drop(Pin::new(&mut get).poll(cx)));
    let mut owned = pool.get_buffer_owned();
    poll(&mut |cx| drop(Pin::new(&mut owned).poll(cx)));
    assert_eq!(pool.free_count(), 0, "both hold their sample");
    drop((get, owned));
    assert_eq!(pool.free_count(), 2);
    // An owned get that takes its slot without the lock.
    let mut owned = pool.get_buffer_owned();
    poll(&mut |cx| drop(Pin::new(&mut owned).poll(cx)));
    assert_eq!(pool.free_count(), 1);
    drop(owned);
    assert_eq!(pool.free_count(), 2);
    let mut both = pool.get_buffers(2);
    poll(&mut |cx| drop(Pin::new(&mut both).poll(cx)));
    drop(both);
    let mut one = pool.get_buffers(1);
    poll(&mut |cx| drop(Pin::new(&mut one).poll(cx)));
    drop(one);
    pool.decommit();
    assert_eq!(pool.state(), State::Configured, "every sample is free");
}

/// As above: the next poll could find the pool committed again, and wait for a sample.
#[tokio::test]
async fn a_waker_that_panics_when_the_budget_is_used_up_loses_no_error() {
    let pool = pool(2);
    let quota = pool.quota("full", 1);
    let held = quota.try_get_buffer().expect("two are free");
    let mut refused = [
        pool.get_buffers(2).boxed(),
        quota
            .get_buffer_owned()
            .map_ok(|sample| vec![sample])
            .boxed(),
    ];
    let mut noop = Context::from_waker(Waker::noop());
    for refused in &mut refused {
        assert!(refused.as_mut().poll(&mut noop).is_pending());
    }
    pool.decommit();
    while tokio::task::coop::has_budget_remaining() {
        tokio::task::coop::consume_budget().await;
    }
    let waker = hooked(|moment| assert_eq!(moment, Moment::Drop, "a waker"));
    let mut cx = Context::from_waker(&waker);
    for refused in &mut refused {
        let poll = || drop(refused.as_mut().poll(&mut cx));
        assert!(
            catch_unwind(AssertUnwindSafe(poll)).is_err(),
            "the waker never ran"
        );
    }
    pool.commit().expect("it was committed before");
    tokio::task::yield_now().await;
    for refused in refused {
        assert_eq!(refused.await.unwrap_err(), GetBufferError::NotCommitted);
    }
    drop(held);
    assert_eq!(pool.free_count(), 2);
}

/// The first waiter is woken first, so its panic could skip all others.
#[test]
fn one_waker_that_panics_does_not_keep_a_decommit_or_a_flush_from_the_others() {
    type Stop = (fn(&Pool), GetBufferError);
    let stops: [Stop; 2] = [
        (|pool| pool.decommit(), GetBufferError::NotCommitted),
        (|pool| pool.set_flushing(true), GetBufferError::Flushing),
    ];
    for (stop, error) in stops {
        let pool = pool(1);
        let held = take(&pool);
        let mut first = Panicking::waiting(Moment::Wake, pool.get_buffer());
        let mut others = [(); 2].map(|()| Polled::waiting(pool.get_buffer()));
        stop(&pool);
        first.assert_panicked();
        assert!(matches!(first.poll(), Poll::Ready(Err(got)) if got == error));
        for other in &mut others {
            assert_eq!(other.wakes(), 1);
            assert_eq!(other.expect_ready().unwrap_err(), error);
        }
        drop(held);
        assert_eq!(pool.free_count(), 1);
    }
}

/// If the pool woke a whole list with one call of Tokio, the first panic would lose the rest.
#[test]
fn one_waker_that_panics_does_not_keep_a_release_or_a_drain_from_the_others() {
    let pool = pool(1);
    let held = take(&pool);
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let callback = move |_: &Pool| {
        count.fetch_add(1, Ordering::SeqCst);
    };
    pool.on_release(callback).detach();
    let mut released = [(); 2].map(|()| Panicking::waiting(Moment::Wake, pool.released()));
    let mut drained = [(); 2].map(|()| Panicking::waiting(Moment::Wake, pool.drained()));
    let mut more_released = [(); 3].map(|()| Polled::waiting(pool.released()));
    let mut more_drained = [(); 3].map(|()| Polled::waiting(pool.drained()));
    pool.decommit();
    drop(held);
    for released in &mut released {
        released.assert_panicked();
        assert!(released.poll().is_ready());
    }
    for drained in &mut drained {
        drained.assert_panicked();
        assert!(drained.poll().is_ready());
    }
    for listener in &mut more_released {
        assert_eq!(listener.wakes(), 1);
        listener.expect_ready();
    }
    for listener in &mut more_drained {
        assert_eq!(listener.wakes(), 1);
        listener.expect_ready();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(pool.state(), State::Configured);
}

/// The waiter is woken in the middle of the release, which has two more steps.
#[test]
fn a_waiter_whose_waker_panics_has_its_sample_and_the_callback_still_runs() {
    let pool = pool(1);
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let guard = pool.on_release(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let held = take(&pool);
    let mut waiting = Panicking::waiting(Moment::Wake, pool.get_buffer());
    let released = pool.released();
    drop(held);
    waiting.assert_panicked();
    at_once(released);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(matches!(waiting.poll(), Poll::Ready(Ok(_))));
    drop(guard);
    assert_eq!(pool.free_count(), 1);
}

/// What a cancelled request had gathered goes to several waiters, and each of them must be woken.
#[test]
fn one_waker_that_panics_does_not_keep_the_samples_of_a_cancelled_request_from_the_others() {
    let pool = pool(2);
    let held = (take(&pool), take(&pool));
    let many = Polled::waiting(pool.get_buffers(2));
    let mut first = Panicking::waiting(Moment::Wake, pool.get_buffer());
    let mut second = Polled::waiting(pool.get_buffer());
    drop(held);
    drop(many);
    first.assert_panicked();
    assert_eq!(second.wakes(), 1);
    assert!(matches!(first.poll(), Poll::Ready(Ok(_))));
    drop(second.expect_ready());
    assert_eq!(pool.free_count(), 2);
}

/// The get is queued already when it clones the waker.
#[test]
fn a_waker_that_panics_when_it_is_cloned_loses_no_sample() {
    let pool = pool(1);
    let held = take(&pool);
    let waker = hooked_at(Moment::Clone, || panic!("a waker's clone"));
    let mut get = pool.get_buffer();
    let polled = catch_unwind(AssertUnwindSafe(|| {
        Pin::new(&mut get).poll(&mut Context::from_waker(&waker))
    }));
    assert!(polled.is_err(), "it is the caller's own waker");
    let mut behind = Polled::waiting(pool.get_buffer());
    drop(held);
    drop(get);
    drop(behind.expect_ready());
    let status = pool.status();
    assert_eq!((status.free, status.waiting), (1, 0));
}

/// A future drops its waker in the middle of leaving the queue.
#[test]
fn a_waker_that_panics_when_it_is_dropped_loses_no_place_in_the_queue() {
    let pool = pool(1);
    let held = take(&pool);
    let first = Panicking::waiting(Moment::Drop, pool.get_buffer());
    let mut second = Polled::waiting(pool.get_buffer());
    let panicked = first.panicked.clone();
    let _ = catch_unwind(AssertUnwindSafe(move || drop(first)));
    assert!(panicked.load(Ordering::SeqCst) > 0);
    assert_eq!(pool.status().waiting, 1);
    drop(held);
    drop(second.expect_ready());
    assert_eq!(pool.free_count(), 1);
    for _ in 0..3 {
        let held = take(&pool);
        drop(Polled::waiting(pool.get_buffer()));
        drop(held);
    }
    assert_eq!(pool.free_count(), 1);
}

/// It was handed its sample and not woken yet, so it has both its waker and the sample when it is dropped. A
/// panic of the waker's drop must not lose the sample.
#[test]
fn a_waker_that_panics_when_it_is_dropped_does_not_take_a_sample_with_it() {
    let pool = pool(2);
    let held = (take(&pool), take(&pool));
    let many = Polled::waiting(pool.get_buffers(2));
    let second = Arc::new(Mutex::new(None));
    let cancel = second.clone();
    let waker = hooked_at(Moment::Wake, move || {
        let second = cancel.lock().expect("whole").take();
        let _ = catch_unwind(AssertUnwindSafe(move || drop(second)));
    });
    let mut first = pool.get_buffer_owned();
    assert!(
        Pin::new(&mut first)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let behind = Panicking::waiting(Moment::Drop, pool.get_buffer_owned());
    let panicked = behind.panicked.clone();
    *second.lock().expect("whole") = Some(behind);
    drop(held);
    // Both are handed one of these samples, and the first one's waker drops the second before it is woken.
    drop(many);
    assert!(
        panicked.load(Ordering::SeqCst) > 0,
        "it went with its waker"
    );
    assert!(matches!(poll_once(&mut first), Poll::Ready(Ok(_))));
    assert_eq!(pool.free_count(), 2);
}
