//! Lifetimes: samples outlive the handles of their pool; the last sample frees the pool exactly once, on any
//! thread; and a forgotten future leaks no more than its sample.
//!
//! Guarantees: 11

#![deny(unsafe_code)]

use crate::polling::{Polled, at_once, poll_once};
use crate::wakers::hooked;
use bytes::{BufMut, Bytes};
use sample_pool::{GetBufferError, Pool, Sample, SharedSample, State, WeakPool};
use std::{
    cell::RefCell,
    mem,
    pin::Pin,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

/// Counts how often a pool was freed: its callback is dropped with it.
struct Freed(Arc<AtomicUsize>);

impl Drop for Freed {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A pool, and how often it was freed.
fn pool(buffers: usize) -> (Pool, Arc<AtomicUsize>) {
    let freed = Arc::new(AtomicUsize::new(0));
    let token = Freed(freed.clone());
    let builder = Pool::builder().buffers(buffers).size(64);
    let builder = builder.on_release(move |_| {
        let _goes_with_the_pool = &token;
    });
    (builder.build().expect("small"), freed)
}

fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("free")
}

fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn count(freed: &AtomicUsize) -> usize {
    freed.load(Ordering::SeqCst)
}

/// Nothing that samples need may be freed with the last handle.
#[test]
fn samples_stay_usable_after_the_last_handle_is_gone() {
    let (pool, freed) = pool(4);
    let mut sample = take(&pool);
    let mut shared = take(&pool);
    shared.put_slice(b"shared");
    let shared: SharedSample = shared.freeze();
    let bytes: Bytes = take(&pool).into_bytes();
    drop(pool);
    sample.put_slice(b"written after");
    sample.properties_mut().set_user(5);
    assert_eq!(
        (&sample[..], sample.capacity()),
        (&b"written after"[..], 64)
    );
    let clone = shared.clone();
    drop(shared);
    let mut again = clone.try_into_sample().expect("the only handle");
    again.put_slice(b" and written");
    assert_eq!(&again[..], b"shared and written");
    drop((bytes, sample));
    assert_eq!(count(&freed), 0, "one is left");
    drop(again);
    assert_eq!(count(&freed), 1);
}

/// A handle or a sample frees the pool, and they must never both do so.
#[test]
fn the_pool_is_freed_exactly_once_by_whatever_ends_last() {
    for _ in 0..400 {
        let (pool, freed) = pool(3);
        let samples = [take(&pool), take(&pool)];
        let handles = [pool.clone(), pool];
        let together = Barrier::new(4);
        thread::scope(|scope| {
            for sample in samples {
                scope.spawn(|| {
                    together.wait();
                    drop(sample);
                });
            }
            for handle in handles {
                scope.spawn(|| {
                    together.wait();
                    drop(handle);
                });
            }
        });
        assert_eq!(count(&freed), 1);
    }
}

/// The same without a callback, where a release touches nothing after its sample is free. A memory checker
/// finds a double free here, and the decommit in between shows every other error.
#[test]
fn a_pool_without_a_callback_is_freed_while_others_release() {
    for round in 0..400 {
        let built = Pool::builder().buffers(3).size(64).build();
        let pool = built.expect("small");
        let samples = [take(&pool), take(&pool), take(&pool)];
        let weak = pool.downgrade();
        let together = Barrier::new(4);
        thread::scope(|scope| {
            for sample in samples {
                scope.spawn(|| {
                    together.wait();
                    drop(sample);
                });
            }
            together.wait();
            if round % 2 == 0 {
                pool.decommit();
            }
            drop(pool);
        });
        assert!(weak.upgrade().is_none());
    }
}

/// A weak handle to a pool that only samples keep alive does not upgrade.
#[test]
fn a_weak_handle_upgrades_as_long_as_a_handle_is_left() {
    let (pool, freed) = pool(2);
    let weak = pool.downgrade();
    let other = weak.clone();
    let again = weak.upgrade().expect("a handle is left");
    assert!(again.same_pool(&pool));
    drop(pool);
    let owned = again.get_buffer_owned();
    drop(again);
    assert!(weak.upgrade().is_some(), "the future owns a handle");
    let sample = at_once(owned).expect("free");
    assert!(weak.upgrade().is_none(), "the sample is none");
    drop(sample);
    assert!(other.upgrade().is_none());
    assert_eq!(count(&freed), 1, "a weak handle does not keep it");
}

/// A guard and a future of `drained` wait for nothing that needs a handle.
#[test]
fn neither_drained_nor_a_guard_is_a_handle() {
    let (pool, freed) = pool(1);
    let guard = pool.on_release(|_| {});
    let mut drained = Polled::waiting(pool.drained());
    assert_eq!(count(&freed), 1, "the first callback was replaced");
    let weak = pool.downgrade();
    drop(pool);
    assert!(weak.upgrade().is_none());
    drained.expect_ready();
    drop(guard);
}

thread_local! {
    static AT_EXIT: RefCell<Vec<Sample>> = const { RefCell::new(Vec::new()) };
    static LATER: RefCell<Option<Bytes>> = const { RefCell::new(None) };
}

/// At that time other thread-locals are destroyed already, including the pool's own if it had one with a
/// destructor.
#[test]
fn samples_in_a_thread_local_are_released_when_their_thread_ends() {
    let (pool, freed) = pool(4);
    let exclusive: Vec<_> = (0..3).map(|_| take(&pool)).collect();
    let bytes = take(&pool).into_bytes();
    let thread = thread::spawn(move || {
        LATER.set(Some(bytes));
        AT_EXIT.set(exclusive);
    });
    // A scope would wait only for the closure, and not for the thread-locals.
    thread.join().expect("no panic");
    assert_eq!(pool.free_count(), 4);
    // Also with a waiter, a callback, a drain and the end of the pool at once.
    let last = take(&pool);
    let mut get = Polled::waiting(pool.get_buffers(4));
    let thread = thread::spawn(move || AT_EXIT.set(vec![last]));
    thread.join().expect("no panic");
    let all = get.expect_ready().expect("all four");
    drop(get);
    let mut drained = pool.drained();
    pool.decommit();
    drop(pool);
    thread::spawn(move || AT_EXIT.set(all))
        .join()
        .expect("no panic");
    assert!(poll_once(&mut drained).is_ready());
    assert_eq!(count(&freed), 1);
}

/// The waker belongs to a runtime that no longer exists, and the thread has no runtime context.
#[test]
fn samples_may_be_released_after_the_runtime_is_gone() {
    let (pool, freed) = pool(2);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let held = runtime.block_on(async {
        let held = [take(&pool), pool.get_buffer().await.expect("free")];
        for _ in 0..3 {
            let get = pool.get_buffer_owned();
            tokio::spawn(async move {
                let _never = get.await;
            });
            // Gives the tasks time to queue.
            while pool.status().waiting == 0 {
                tokio::task::yield_now().await;
            }
        }
        held
    });
    drop(runtime);
    assert_eq!(pool.status().waiting, 0);
    drop(held);
    assert_eq!(pool.free_count(), 2);
    drop(pool);
    assert_eq!(count(&freed), 1);
}

/// A consumer's thread may be the one that frees the pool.
#[test]
fn the_pool_is_freed_on_the_thread_that_drops_the_last_sample() {
    let (pool, freed) = pool(8);
    let (send, samples) = mpsc::channel::<SharedSample>();
    let there = thread::spawn(move || samples.into_iter().map(|s| s.len()).sum::<usize>());
    for _ in 0..8 {
        let mut sample = take(&pool);
        sample.put_slice(b"12345678");
        send.send(sample.freeze()).expect("the consumer listens");
    }
    drop(pool);
    drop(send);
    assert_eq!(there.join().expect("no panic"), 64);
    assert_eq!(count(&freed), 1);
}

/// Each way into and out of a drain, for futures that were created before it and after it.
#[test]
fn drained_resolves_at_the_first_drain_that_completes_after_the_call() {
    let (pool, _) = pool(1);
    assert!(
        poll_once(&mut Pool::new().drained()).is_ready(),
        "unconfigured"
    );
    let mut early = Polled::waiting(pool.drained());
    let unpolled = pool.drained();
    let sample = take(&pool);
    pool.decommit();
    early.expect_pending();
    let mut during = Polled::waiting(pool.drained());
    pool.commit().expect("cancels the decommit");
    drop(sample);
    early.expect_pending();
    during.expect_pending();
    pool.decommit();
    assert_eq!((early.wakes(), during.wakes()), (1, 1));
    pool.commit().expect("small");
    early.expect_ready();
    during.expect_ready();
    at_once(unpolled);
    let mut late = Polled::waiting(pool.drained());
    pool.decommit();
    late.expect_ready();
    assert_eq!(pool.state(), State::Configured);
    at_once(pool.drained());
}

/// Forgetting is safe, so it may leak and must not corrupt: the sample stays checked out, and its bytes stay.
#[test]
fn a_forgotten_sample_stays_outstanding_and_keeps_the_pool() {
    let (pool, freed) = pool(2);
    mem::forget(take(&pool));
    mem::forget(take(&pool).freeze().clone());
    assert_eq!(pool.free_count(), 0);
    let mut drained = pool.drained();
    pool.decommit();
    assert!(poll_once(&mut drained).is_pending());
    assert_eq!(pool.state(), State::Draining);
    drop(pool);
    assert_eq!(count(&freed), 0);
}

/// Its queue slot is never released, and a sample that is handed to it is lost. The pool must survive both, and
/// must be freed if no sample is lost.
#[test]
fn a_forgotten_future_is_never_used_after_its_end() {
    let (pool, freed) = pool(1);
    let held = take(&pool);
    let woken = Arc::new(AtomicUsize::new(0));
    let hook = woken.clone();
    let waker = hooked(move |_| {
        hook.fetch_add(1, Ordering::SeqCst);
    });
    let mut get = pool.get_buffer();
    assert!(poll_with(&mut get, &waker).is_pending());
    mem::forget(get);
    let mut released = pool.released();
    assert!(poll_with(&mut released, &waker).is_pending());
    mem::forget(released);
    let mut drained = pool.drained();
    assert!(poll_with(&mut drained, &waker).is_pending());
    mem::forget(drained);
    pool.decommit();
    assert!(
        woken.load(Ordering::SeqCst) > 0,
        "it is woken like any other"
    );
    drop(held);
    assert_eq!(pool.free_count(), 1);
    drop(pool);
    assert_eq!(count(&freed), 1);
}

/// A forgotten future no longer borrows its pool, so the pool may end before the future is served.
#[test]
fn a_pool_may_end_while_forgotten_futures_are_still_queued() {
    let (pool, freed) = pool(2);
    let held = [take(&pool), take(&pool)];
    let mut get = pool.get_buffer();
    assert!(poll_once(&mut get).is_pending());
    let mut many = pool.get_buffers(2);
    assert!(poll_once(&mut many).is_pending());
    mem::forget((get, many));
    drop(pool);
    drop(held);
    assert_eq!(count(&freed), 1, "no get will ever take what they wait for");
}

/// A drained pool is committed and used again, long after the samples of its first commit were dropped.
#[test]
fn a_pool_lives_through_many_lives() {
    let (pool, freed) = pool(3);
    for _ in 0..50 {
        let held = [take(&pool), take(&pool)];
        pool.decommit();
        assert_eq!(
            pool.try_get_buffer().unwrap_err(),
            GetBufferError::NotCommitted
        );
        drop(held);
        at_once(pool.drained());
        pool.commit().expect("small");
    }
    assert_eq!((pool.status().acquired, pool.free_count()), (100, 3));
    drop(pool);
    assert_eq!(count(&freed), 1);
}

/// A waker that tries to upgrade a weak handle.
struct Look {
    weak: WeakPool,
    had: Mutex<Option<bool>>,
}

impl std::task::Wake for Look {
    fn wake(self: Arc<Self>) {
        let had = self.weak.upgrade().is_some();
        *self.had.lock().expect("nothing panics under it") = Some(had);
    }
}

/// A release keeps the pool alive until it ends, but must not make a new handle possible.
#[test]
fn once_no_handle_is_left_a_release_does_not_bring_one_back() {
    let pool = Pool::builder().buffers(1).size(8).build().expect("small");
    let sample = pool.try_get_buffer().expect("free");
    let look = Arc::new(Look {
        weak: pool.downgrade(),
        had: Mutex::new(None),
    });
    let mut drained = pool.drained();
    let waker = look.clone().into();
    let polled = Pin::new(&mut drained).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    pool.decommit();
    drop(pool);
    drop(sample);
    let had = *look.had.lock().expect("nothing panics under it");
    assert_eq!(had, Some(false), "woken in the middle of the last release");
}

thread_local! {
    static LAST: RefCell<Option<GetsAtTheEnd>> = const { RefCell::new(None) };
}

struct GetsAtTheEnd(Pool, mpsc::Sender<Result<usize, GetBufferError>>);

impl Drop for GetsAtTheEnd {
    fn drop(&mut self) {
        let got = self.0.blocking_get_buffer().map(|sample| sample.index());
        self.1.send(got).expect("the receiver is there");
    }
}

/// The thread-locals of the crate may be gone before those of the user, and a panic there would end the process.
#[test]
fn a_thread_that_is_torn_down_can_get_a_free_sample() {
    let pool = Pool::builder().buffers(1).build().unwrap();
    let held = pool.try_get_buffer().unwrap();
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn({
        let pool = pool.clone();
        move || {
            // Made before those of the crate, so it is dropped after them.
            LAST.set(Some(GetsAtTheEnd(pool.clone(), sender)));
            pool.blocking_get_buffer().map(drop)
        }
    });
    while pool.status().waiting == 0 {
        thread::yield_now();
    }
    // Until the thread sleeps.
    thread::sleep(Duration::from_millis(20));
    drop(held);
    assert_eq!(receiver.recv().expect("no panic"), Ok(0));
    thread.join().expect("no panic").expect("committed");
}
