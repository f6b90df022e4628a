//! Running the same work on one or more threads at once, and how long it takes.

use crate::{contenders::Contender, table::Outcome};
use std::{
    future::Future,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};
use tokio::task::LocalSet;

/// Runs `work` on each of `threads` threads at once, each pinned to a core of its own, and gives the time that it took
/// them, counted from when all were ready: the mean of the threads.
///
/// `work` is called twice on each thread with a number of operations: first with few, so that what a thread makes for
/// itself is there, and then with `operations`.
pub(crate) fn time_on_threads(
    threads: usize,
    operations: u64,
    work: impl Fn(u64) + Sync,
) -> Duration {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let barrier = Barrier::new(threads);
    let total: Duration = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let (barrier, cores, work) = (&barrier, &cores, &work);
                scope.spawn(move || {
                    if threads <= cores.len() {
                        core_affinity::set_for_current(cores[number]);
                    }
                    work(warm_up(operations));
                    barrier.wait();
                    let begin = Instant::now();
                    work(operations);
                    begin.elapsed()
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a thread that measures"))
            .sum()
    });
    total / u32::try_from(threads).expect("few threads")
}

/// Runs a future that is never pending, without the limit that Tokio puts on how long a task goes on.
pub(crate) fn run_to_end<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(tokio::task::coop::unconstrained(future))
}

fn warm_up(operations: u64) -> u64 {
    (operations / 64).clamp(1, 2_000)
}

/// A measurement that repeats `operation` on each of `threads` threads, on one pool that they share.
pub(crate) fn repeat<C: Contender>(
    threads: usize,
    pool: C,
    operation: impl AsyncFn(&C) + Sync,
) -> impl FnMut(u64) -> Outcome {
    move |operations| {
        let before = pool.gets();
        let elapsed = time_on_threads(threads, operations, |operations| {
            run_to_end(async {
                for _ in 0..operations {
                    operation(&pool).await;
                }
            });
        });
        pool.assert_all_free();
        if let (Some(before), Some(after)) = (before, pool.gets()) {
            assert_eq!(
                after - before,
                threads as u64 * (operations + warm_up(operations))
            );
        }
        Outcome::per_operation(elapsed, operations)
    }
}

/// A measurement of `work` in a task, which has Tokio's cooperative budget as any other.
pub(crate) fn repeat_in_task<C: Contender, F: Future<Output = ()> + 'static>(
    pool: C,
    work: impl Fn(Arc<C>, u64) -> F + Sync,
) -> impl FnMut(u64) -> Outcome {
    let pool = Arc::new(pool);
    move |operations| {
        let elapsed = time_on_threads(1, operations, |operations| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let task = work(Arc::clone(&pool), operations);
            let running = async { tokio::task::spawn_local(task).await };
            let done = LocalSet::new().block_on(&runtime.expect("a runtime"), running);
            done.expect("a task that is measured");
        });
        pool.assert_all_free();
        Outcome::per_operation(elapsed, operations)
    }
}
