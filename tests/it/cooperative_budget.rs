//! Tokio's cooperative budget, threads that block, and executors other than Tokio's.
//!
//! Guarantees: 5

#![forbid(unsafe_code)]

use futures::{executor, future::poll_fn};
use sample_pool::{GetBufferError, Pool};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::Poll,
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    task::coop,
};

/// How long a test waits for what should happen at once before it fails.
const HANG: Duration = Duration::from_secs(20);

fn pool() -> Pool {
    Pool::builder().buffers(4).size(64).build().expect("small")
}

fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime")
}

/// Runs `test` on a thread of its own. If it hangs, the test fails instead.
#[track_caller]
fn within_reason<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || drop(send.send(test())));
    receive
        .recv_timeout(HANG)
        .expect("it neither hangs nor panics")
}

/// A task that repeats `step` for ever must let another task of its only thread run.
#[track_caller]
fn assert_it_lets_others_run<F, S>(step: F)
where
    F: Fn(Pool) -> S + Send + 'static,
    S: Future<Output = ()> + Send,
{
    within_reason(move || {
        current_thread().block_on(async move {
            let pool = pool();
            let greedy = tokio::spawn(async move {
                let ran = Arc::new(AtomicBool::new(false));
                let other = tokio::spawn({
                    let ran = ran.clone();
                    async move { ran.store(true, Ordering::SeqCst) }
                });
                while !ran.load(Ordering::SeqCst) {
                    step(pool.clone()).await;
                }
                other.await.expect("no panic");
            });
            greedy.await.expect("no panic");
        });
    });
}

async fn exhaust_budget() {
    poll_fn(|cx| {
        while let Poll::Ready(budget) = coop::poll_proceed(cx) {
            budget.made_progress();
        }
        Poll::Ready(())
    })
    .await;
}

/// The get never waits, so only the budget makes the task yield to the task that it spawned.
#[test]
fn a_task_that_always_finds_a_buffer_lets_others_run() {
    assert_it_lets_others_run(|pool| async move {
        drop(pool.get_buffer().await.expect("four are free"));
    });
    assert_it_lets_others_run(|pool| async move {
        drop(pool.get_buffer_owned().await.expect("four are free"));
    });
    assert_it_lets_others_run(|pool| async move {
        drop(pool.get_buffer_timeout(HANG).await.expect("four are free"));
    });
    assert_it_lets_others_run(|pool| async move {
        drop(pool.get_buffers(4).await.expect("four are free"));
    });
    assert_it_lets_others_run(|pool| async move {
        let mut samples = Vec::new();
        let got = pool.get_buffers_into(&mut samples, 2).await;
        got.expect("four are free");
    });
}

/// To yield at each get would cost a task switch for each buffer.
#[test]
fn a_get_takes_one_unit_of_the_budget_and_not_all_of_it() {
    let pool = pool();
    current_thread().block_on(async move {
        let mut in_a_row = 0;
        poll_fn(|cx| {
            loop {
                let mut get = pool.get_buffer();
                match std::pin::Pin::new(&mut get).poll(cx) {
                    Poll::Ready(sample) => drop(sample.expect("four are free")),
                    Poll::Pending => return Poll::Ready(()),
                }
                in_a_row += 1;
            }
        })
        .await;
        assert!((32..=512).contains(&in_a_row), "{in_a_row} in a row");
    });
}

/// A blocked thread has no task that could yield, so the remaining budget of its task must not matter.
#[test]
fn a_blocking_get_does_not_depend_on_the_budget() {
    within_reason(|| {
        let runtime = multi_thread();
        let task = runtime.spawn(async {
            let pool = pool();
            for _ in 0..1000 {
                exhaust_budget().await;
                let got = tokio::task::block_in_place(|| pool.blocking_get_buffer());
                drop(got.expect("four are free"));
            }
            pool.set_flushing(true);
            for _ in 0..1000 {
                exhaust_budget().await;
                let refused = tokio::task::block_in_place(|| pool.blocking_get_buffer());
                assert_eq!(refused.map(drop), Err(GetBufferError::Flushing));
            }
            pool.set_flushing(false);
            let in_the_pool_of_threads = tokio::task::spawn_blocking(move || {
                for _ in 0..1000 {
                    drop(pool.blocking_get_buffer().expect("four are free"));
                }
            });
            in_the_pool_of_threads.await.expect("no panic");
        });
        runtime.block_on(task).expect("no panic");
    });
}

/// It would block every task of the thread, including the one that holds the sample.
#[test]
fn a_blocking_get_panics_on_a_thread_that_drives_tasks_even_if_a_sample_is_free() {
    let pool = pool();
    let panics = |pool: &Pool| {
        let got = catch_unwind(AssertUnwindSafe(|| drop(pool.blocking_get_buffer())));
        got.is_err()
    };
    for runtime in [current_thread(), multi_thread()] {
        assert!(runtime.block_on(async { panics(&pool) }));
        let of_the_task = pool.clone();
        let task = runtime.spawn(async move { panics(&of_the_task) });
        assert!(runtime.block_on(task).expect("the panic was caught"));
    }
    assert_eq!(pool.free_count(), 4, "nothing was taken");
    assert_eq!(pool.status().waiting, 0);
}

/// All places where blocking is allowed, with a free sample and without.
#[test]
fn a_blocking_get_waits_wherever_a_thread_may_block() {
    within_reason(|| {
        let pool = pool();
        let wait = |pool: Pool| move || pool.blocking_get_buffer().map(|sample| sample.index());
        let runtime = multi_thread();
        for rounds in 0..4 {
            let held = pool.try_get_buffers(4).expect("all are free");
            let waiting = || {
                while pool.status().waiting == 0 {
                    thread::yield_now();
                }
            };
            let plain = wait(pool.clone());
            let served = match rounds {
                0 => {
                    let thread = thread::spawn(plain);
                    waiting();
                    drop(held);
                    thread.join().expect("no panic")
                }
                1 => {
                    let task = runtime.spawn_blocking(plain);
                    waiting();
                    drop(held);
                    runtime.block_on(task).expect("no panic")
                }
                2 => {
                    let task = runtime.spawn(async { tokio::task::block_in_place(plain) });
                    waiting();
                    drop(held);
                    runtime.block_on(task).expect("no panic")
                }
                _ => {
                    // A thread in the context of a runtime does not necessarily drive the tasks of that
                    // runtime.
                    let _context = runtime.enter();
                    drop(held);
                    plain()
                }
            };
            assert!(served.expect("it came back") < 4);
        }
        assert_eq!(pool.free_count(), 4);
    });
}

/// Without a runtime of Tokio, a get may rely only on polls and wakers.
#[test]
fn everything_but_the_timeout_works_on_another_executor() {
    within_reason(|| {
        let pool = pool();
        executor::block_on(async {
            for _ in 0..1000 {
                drop(pool.get_buffer().await.expect("four are free"));
            }
            let held = pool.get_buffers(4).await.expect("four are free");
            let released = pool.released();
            let release = thread::spawn(move || drop(held));
            let one = pool.get_buffer().await.expect("it comes back");
            released.await;
            let mut rest = Vec::new();
            pool.get_buffers_into(&mut rest, 3).await.expect("the rest");
            release.join().expect("a release does not panic");
            let timed = pool.get_buffer_timeout(HANG);
            drop(one);
            drop(timed.await.expect("one is free, so there is no timer"));
            pool.decommit();
            let drained = pool.drained();
            let last = thread::spawn(move || drop(rest));
            drained.await;
            last.join().expect("a release does not panic");
        });
        assert_eq!(pool.free_count(), 4);
    });
}

/// Buffers move between executors, and a waker of one executor is woken from the other.
#[test]
fn a_sample_released_on_one_executor_wakes_a_waiter_of_another() {
    within_reason(|| {
        let pool = Pool::builder().buffers(1).size(64).build().expect("small");
        let runtime = multi_thread();
        let there = runtime.spawn({
            let pool = pool.clone();
            async move {
                for _ in 0..500 {
                    drop(pool.get_buffer().await.expect("it comes back"));
                }
            }
        });
        executor::block_on(async {
            for _ in 0..500 {
                drop(pool.get_buffer().await.expect("it comes back"));
            }
        });
        runtime.block_on(there).expect("no panic");
        assert_eq!(pool.free_count(), 1);
    });
}
