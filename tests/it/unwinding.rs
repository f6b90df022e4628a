//! Panics of users: samples and gets that are dropped while their thread unwinds or is torn down do everything
//! that they do otherwise, whatever user code they run.
//!
//! Guarantees: 8, 11

#![deny(unsafe_code)]

use crate::polling::{Polled, poll_once};
use crate::wakers::{Moment, hooked_at};
use sample_pool::{GetBufferError, Pool, Sample, State};
use std::{
    cell::RefCell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

fn pool(buffers: usize) -> Pool {
    let built = Pool::builder().buffers(buffers).size(64).build();
    built.expect("small")
}

fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("one is free")
}

/// Panics while it holds `held`.
fn unwind_with<T>(held: T) {
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _held = held;
        panic!("the task");
    }));
    assert!(unwound.is_err());
}

/// A waker that panics when it is woken, and counts.
fn panicking_waker() -> (Waker, Arc<AtomicUsize>) {
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    let waker = hooked_at(Moment::Wake, move || {
        count.fetch_add(1, Ordering::SeqCst);
        panic!("a waker");
    });
    (waker, woken)
}

fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> bool {
    let polled = Pin::new(future).poll(&mut Context::from_waker(waker));
    polled.is_ready()
}

/// A second panic while a thread unwinds aborts the process. So each step of a release must catch the panics of
/// its user code: of the served waiter's waker, of the listeners' wakers, and of the callback.
#[test]
fn a_release_while_unwinding_does_every_step_though_all_user_code_panics() {
    let pool = pool(2);
    pool.on_release(|_| panic!("a callback")).detach();
    let held = [take(&pool), take(&pool)];
    let (waker, woken) = panicking_waker();
    let mut first = pool.get_buffer();
    let mut second = pool.get_buffer();
    let mut released = pool.released();
    let mut drained = pool.drained();
    assert!(!poll_with(&mut first, &waker));
    assert!(!poll_with(&mut second, &waker));
    assert!(!poll_with(&mut released, &waker));
    assert!(!poll_with(&mut drained, &waker));
    unwind_with(held);
    assert_eq!(
        woken.load(Ordering::SeqCst),
        3,
        "two waiters and a listener"
    );
    assert!(poll_once(&mut released).is_ready());
    assert_eq!(pool.status().callback_panics, 2);
    let served = [poll_once(&mut first), poll_once(&mut second)];
    assert!(served.iter().all(|served| served.is_ready()));
    pool.decommit();
    unwind_with(served);
    assert_eq!(woken.load(Ordering::SeqCst), 4, "the end of the drain");
    assert!(poll_once(&mut drained).is_ready());
    assert_eq!((pool.state(), pool.free_count()), (State::Configured, 2));
}

/// A get that is dropped during unwinding leaves the queue and passes on what it was handed, like any cancelled
/// get.
#[test]
fn gets_that_are_dropped_while_unwinding_pass_on_what_they_have() {
    let pool = pool(2);
    let held = [take(&pool), take(&pool)];
    let queued = Polled::waiting(pool.get_buffer());
    let handed = Polled::waiting(pool.get_buffer_owned());
    let gathering = Polled::waiting(pool.get_buffers(2));
    let (waker, woken) = panicking_waker();
    let mut last = pool.get_buffers(2);
    assert!(!poll_with(&mut last, &waker));
    unwind_with(queued);
    drop(held);
    assert_eq!(handed.wakes(), 1);
    unwind_with((handed, gathering));
    assert_eq!(woken.load(Ordering::SeqCst), 1, "it has both");
    assert!(poll_once(&mut last).is_ready());
    let status = pool.status();
    assert_eq!((status.free, status.waiting), (2, 0));
}

/// The runtime drops what a panicking task holds, on a worker that continues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_panic_give_their_samples_to_waiters() {
    let pool = pool(3);
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let held = pool.get_buffer().await.expect("committed");
                tokio::task::yield_now().await;
                let shared = held.freeze();
                assert!(number % 2 == 0, "every other task panics");
                drop(shared);
            })
        })
        .collect();
    let mut panicked = 0;
    for task in tasks {
        panicked += usize::from(task.await.is_err_and(|error| error.is_panic()));
    }
    assert_eq!(panicked, 100);
    let status = pool.status();
    assert_eq!((status.free, status.waiting), (3, 0));
    assert_eq!((status.acquired, status.released), (200, 200));
}

/// Panics in a caller's closure, while filling, or elsewhere: the place makes no difference to the sample.
#[test]
fn a_panic_while_a_sample_is_filled_returns_it_empty() {
    let pool = pool(1);
    for _ in 0..3 {
        let mut sample = take(&pool);
        sample.properties_mut().set_user(7);
        let overfull = catch_unwind(AssertUnwindSafe(move || {
            bytes::BufMut::put_slice(&mut sample, &[1; 65]);
        }));
        assert!(overfull.is_err());
        let sample = take(&pool);
        assert_eq!((sample.len(), sample.properties().user()), (0, 0));
    }
}

thread_local! {
    static AT_EXIT: RefCell<Vec<Sample>> = const { RefCell::new(Vec::new()) };
}

/// A thread-local's destructor must not panic. At that time much that a waker or a callback uses is destroyed,
/// so they are likely to panic.
#[test]
fn samples_in_the_thread_local_of_a_thread_that_panics_are_released_past_code_that_panics() {
    let pool = pool(3);
    pool.on_release(|_| panic!("a callback")).detach();
    let all = pool.try_get_buffers(3).expect("free");
    let (waker, woken) = panicking_waker();
    let mut get = pool.get_buffer_owned();
    assert!(!poll_with(&mut get, &waker));
    let weak = pool.downgrade();
    let mut drained = pool.drained();
    pool.decommit();
    assert_eq!(woken.load(Ordering::SeqCst), 1, "turned away");
    let refused = poll_once(&mut get).map(|got| got.map(drop));
    assert_eq!(refused, Poll::Ready(Err(GetBufferError::NotCommitted)));
    drop((get, pool));
    let thread = thread::spawn(move || {
        AT_EXIT.set(all);
        panic!("the thread");
    });
    assert!(thread.join().is_err());
    assert!(poll_once(&mut drained).is_ready());
    assert!(weak.upgrade().is_none());
}

type Get = Pin<Box<dyn Future<Output = Result<Sample, GetBufferError>>>>;

/// A timer belongs to the runtime in which it was created, and polling Tokio's timer panics after that runtime
/// has ended, in whichever runtime it is polled. The get is documented to panic then, and must not lose the
/// sample that it waits for.
#[test]
fn a_timed_get_whose_runtime_is_gone_panics_in_another_one_and_loses_nothing() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().build().expect("a timer")
    };
    let for_long = Duration::from_secs(3600);
    let gets: [fn(&'static Pool, Duration) -> Get; 2] = [
        |pool, limit| Box::pin(pool.get_buffer_timeout(limit)),
        |pool, limit| {
            let pool = pool.clone();
            Box::pin(async move { pool.quota("one", 1).get_buffer_timeout(limit).await })
        },
    ];
    for get in gets {
        for served in [false, true] {
            let pool: &'static Pool = Box::leak(Box::new(pool(1)));
            let held = take(pool);
            let mut get = get(pool, for_long);
            runtime().block_on(async { assert!(poll_once(&mut get).is_pending()) });
            let mut next = Polled::waiting(pool.get_buffer());
            let held = match served {
                true => {
                    drop(held);
                    None
                }
                false => Some(held),
            };
            let polled = runtime().block_on(async {
                catch_unwind(AssertUnwindSafe(|| poll_once(&mut get))).map_err(drop)
            });
            match (served, polled) {
                (true, Ok(Poll::Ready(got))) => drop(got.expect("it was handed off")),
                (false, Err(())) => {}
                (_, other) => panic!("served: {served}: {other:?}"),
            }
            drop((get, held));
            drop(next.expect_ready().expect("it is the next one"));
            assert_eq!((pool.free_count(), pool.status().waiting), (1, 0));
        }
    }
}
