//! Futures that move: each poll may be on another thread and with another waker, the waker of the last poll is
//! the one that is woken, and polling a future again after it has resolved panics.
//!
//! Guarantees: 3

#![forbid(unsafe_code)]

use crate::polling::{Polled, Wakes, poll_once};
use futures::future::FusedFuture;
use sample_pool::{GetBufferError, Pool, Quota, Sample};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

type Gets<'a> = Box<dyn Get + 'a>;

/// Any get, with its result reduced to the samples.
trait Get: Send {
    fn poll_get(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Sample>, GetBufferError>>;
    fn is_over(&self) -> bool;
}

struct One<F>(F);
struct Many<F>(F);

impl<F> Get for One<F>
where
    F: Future<Output = Result<Sample, GetBufferError>> + FusedFuture + Unpin + Send,
{
    fn poll_get(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Sample>, GetBufferError>> {
        let polled = Pin::new(&mut self.0).poll(cx);
        polled.map(|got| got.map(|sample| vec![sample]))
    }

    fn is_over(&self) -> bool {
        self.0.is_terminated()
    }
}

impl<F> Get for Many<F>
where
    F: Future<Output = Result<Vec<Sample>, GetBufferError>> + FusedFuture + Unpin + Send,
{
    fn poll_get(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Sample>, GetBufferError>> {
        Pin::new(&mut self.0).poll(cx)
    }

    fn is_over(&self) -> bool {
        self.0.is_terminated()
    }
}

/// One of each kind of get that waits without a timer. Each requests one sample.
fn each_kind<'a>(pool: &'a Pool, quota: &'a Quota) -> Vec<(&'static str, Gets<'a>)> {
    vec![
        ("get_buffer", Box::new(One(pool.get_buffer()))),
        ("get_buffer_owned", Box::new(One(pool.get_buffer_owned()))),
        ("get_buffers", Box::new(Many(pool.get_buffers(1)))),
        ("quota: get_buffer", Box::new(One(quota.get_buffer()))),
        (
            "quota: get_buffer_owned",
            Box::new(One(quota.get_buffer_owned())),
        ),
        ("quota: get_buffers", Box::new(Many(quota.get_buffers(1)))),
    ]
}

fn pool(buffers: usize) -> Pool {
    let built = Pool::builder().buffers(buffers).size(64).build();
    built.expect("small")
}

fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("one is free")
}

/// Polls on a thread of its own, with a waker of its own.
fn poll_elsewhere(get: &mut Gets<'_>) -> (Poll<Result<Vec<Sample>, GetBufferError>>, Arc<Wakes>) {
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let polled = thread::scope(|scope| {
        let poll = scope.spawn(|| get.poll_get(&mut Context::from_waker(&waker)));
        poll.join().expect("no panic")
    });
    (polled, wakes)
}

/// Each thread has its own stripe, and each task its own waker. What a future remembers of its first thread
/// must not decide where its sample comes from, or which waker is woken.
#[test]
fn a_get_may_be_polled_on_ever_other_threads_and_wakes_the_last_one() {
    let pool = pool(1);
    let quota = pool.quota("one", 1);
    for kind in 0..each_kind(&pool, &quota).len() {
        let held = take(&pool);
        let (name, mut get) = each_kind(&pool, &quota).remove(kind);
        let mut wakes = Vec::new();
        for _ in 0..5 {
            let (polled, woken) = poll_elsewhere(&mut get);
            assert!(polled.is_pending(), "{name}");
            wakes.push(woken);
        }
        assert_eq!(
            pool.status().waiting,
            1,
            "{name} has one place in the queue"
        );
        thread::spawn(move || drop(held)).join().expect("no panic");
        let (last, earlier) = wakes.split_last().expect("five");
        assert_eq!(last.count(), 1, "{name}");
        assert!(earlier.iter().all(|wakes| wakes.count() == 0), "{name}");
        let (polled, unused) = poll_elsewhere(&mut get);
        let Poll::Ready(Ok(samples)) = polled else {
            panic!("{name} was handed its sample");
        };
        assert_eq!((samples.len(), unused.count()), (1, 0), "{name}");
        thread::scope(|scope| {
            scope
                .spawn(|| drop((get, samples)))
                .join()
                .expect("no panic")
        });
        assert_eq!(pool.free_count(), 1, "{name}");
    }
}

/// The future is dropped in the state of its last poll, not of its first one.
#[test]
fn a_get_may_be_dropped_on_another_thread_than_any_that_polled_it() {
    let pool = pool(1);
    let quota = pool.quota("one", 1);
    for kind in 0..each_kind(&pool, &quota).len() {
        for handed in [false, true] {
            let held = take(&pool);
            let (name, mut get) = each_kind(&pool, &quota).remove(kind);
            let mut next = Polled::new(pool.get_buffer());
            assert!(poll_elsewhere(&mut get).0.is_pending(), "{name}");
            next.expect_pending();
            let mut held = Some(held);
            if handed {
                drop(held.take());
                next.expect_pending();
            }
            thread::scope(|scope| scope.spawn(move || drop(get)).join().expect("no panic"));
            drop(held);
            drop(next.expect_ready().expect("the next waiter"));
            let status = pool.status();
            assert_eq!((status.free, status.waiting), (1, 0), "{name}");
        }
    }
}

/// A second sample from one get would be one too many, and a wait for it would never end.
#[test]
fn a_get_that_is_polled_after_it_has_resolved_panics_and_takes_nothing() {
    let pool = pool(2);
    let quota = pool.quota("one", 1);
    for kind in 0..each_kind(&pool, &quota).len() {
        for waits in [false, true] {
            let (name, mut get) = each_kind(&pool, &quota).remove(kind);
            let held = waits.then(|| pool.try_get_buffers(2).expect("free"));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(!get.is_over(), "{name}: `select!` would not poll it");
            if let Some(held) = held {
                assert!(get.poll_get(&mut cx).is_pending(), "{name}");
                assert!(!get.is_over(), "{name}: `select!` would not poll it");
                drop(held);
            }
            let mut poll = || get.poll_get(&mut cx);
            assert!(matches!(poll(), Poll::Ready(Ok(_))), "{name}");
            for _ in 0..3 {
                let again = catch_unwind(AssertUnwindSafe(&mut poll));
                let reason = again.map(drop).expect_err(name);
                let reason = reason.downcast_ref::<&str>().expect("a message");
                assert_eq!(*reason, "a get was polled after it had resolved", "{name}");
            }
            assert!(get.is_over(), "{name}");
            drop(get);
            let status = pool.status();
            assert_eq!((status.free, status.waiting), (2, 0), "{name}");
            assert_eq!(status.acquired, status.released, "{name}");
        }
    }
}

/// A get of a quota waits twice, and each wait may end it. When it fails, the room is released at once, not
/// only when the future is dropped.
#[test]
fn a_get_of_a_quota_is_over_after_either_wait_and_returns_its_room() {
    let pool = pool(1);
    let quota = pool.quota("one", 1);
    let kinds = each_kind(&pool, &quota).len();
    for kind in 3..kinds {
        for admitted in [false, true] {
            let (name, mut get) = each_kind(&pool, &quota).remove(kind);
            let mut poll = || get.poll_get(&mut Context::from_waker(Waker::noop()));
            let held = quota.try_get_buffer().expect("there is room");
            assert!(poll().is_pending(), "{name}");
            if admitted {
                // There is room in the quota, and the sample goes to another get.
                drop(held);
                let other = take(&pool);
                assert!(poll().is_pending(), "{name}");
                assert_eq!(quota.status().in_use, 1, "{name}");
                pool.set_flushing(true);
                drop(other);
            } else {
                pool.set_flushing(true);
                drop(held);
            }
            pool.set_flushing(false);
            let failed = poll();
            assert!(
                matches!(failed, Poll::Ready(Err(GetBufferError::Flushing))),
                "{name}"
            );
            let status = quota.status();
            assert_eq!((status.in_use, status.waiting), (0, 0), "{name}");
            assert!(catch_unwind(AssertUnwindSafe(poll)).is_err(), "{name}");
            assert!(get.is_over(), "{name}");
            assert_eq!(quota.status().in_use, 0, "{name}");
        }
    }
}

/// The same for a get that failed: it has left the queue, and must not queue again.
#[test]
fn a_get_that_failed_panics_when_it_is_polled_again_and_does_not_queue() {
    let pool = pool(1);
    let quota = pool.quota("one", 1);
    let held = take(&pool);
    for kind in 0..each_kind(&pool, &quota).len() {
        let (name, mut get) = each_kind(&pool, &quota).remove(kind);
        let mut poll = || get.poll_get(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending(), "{name}");
        pool.set_flushing(true);
        pool.set_flushing(false);
        assert!(
            matches!(poll(), Poll::Ready(Err(GetBufferError::Flushing))),
            "{name}"
        );
        assert!(catch_unwind(AssertUnwindSafe(poll)).is_err(), "{name}");
        assert!(get.is_over(), "{name}");
        assert_eq!(pool.status().waiting, 0, "{name}");
    }
    drop(held);
    assert_eq!(pool.free_count(), 1);
}

/// A timer belongs to the runtime of the first poll, and the last poll may be in another runtime.
#[test]
fn a_timed_get_may_move_from_one_runtime_to_another() {
    let runtime = || tokio::runtime::Runtime::new().expect("threads");
    let (first, second) = (runtime(), runtime());
    let pool = pool(1);
    let held = take(&pool);
    for limit in [Duration::from_secs(3600), Duration::from_millis(30)] {
        let mut get = pool.get_buffer_timeout(limit);
        first.block_on(async { assert!(poll_once(&mut get).is_pending()) });
        second.block_on(async { assert!(poll_once(&mut get).is_pending()) });
        if limit < Duration::from_secs(1) {
            let late = second.block_on(get).map(drop);
            assert_eq!(late, Err(GetBufferError::TimedOut));
        }
    }
    assert_eq!(pool.status().waiting, 0);
    drop(held);
    assert_eq!(pool.free_count(), 1);
}

/// Listeners move as well, and stay resolved: a second poll has nothing to take.
#[test]
fn listeners_may_move_and_stay_resolved() {
    let pool = pool(1);
    let held = take(&pool);
    let mut released = pool.released();
    let mut drained = pool.drained();
    for _ in 0..3 {
        thread::scope(|scope| {
            scope.spawn(|| assert!(poll_once(&mut released).is_pending()));
            scope.spawn(|| assert!(poll_once(&mut drained).is_pending()));
        });
    }
    let mut released = Polled::waiting(released);
    let mut drained = Polled::waiting(drained);
    pool.decommit();
    thread::spawn(move || drop(held)).join().expect("no panic");
    assert_eq!((released.wakes(), drained.wakes()), (1, 1));
    for _ in 0..3 {
        released.expect_ready();
        drained.expect_ready();
    }
}
