//! *Hand-off latency*: from just before a release to the moment at which the next owner runs, each of them.
//!
//! There is one buffer and always a waiter queued, so the next owner reads when it was released.

use super::hand_off::runtime;
use crate::{
    contenders::{AsyncChannel, BareSemaphore, Contender, Deadpool, Flume, Kanal, SamplePool},
    table::{Base, Bound, OURS, Outcome, Table},
};
use hdrhistogram::Histogram;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

const TASKS: u64 = 8;
const SIZE: usize = 4096;
const BARE: &str = "bare Semaphore, no buffer";

pub(crate) fn tables() -> Vec<Table> {
    [("one worker", 1), ("two workers", 2)]
        .map(|(case, workers)| {
            Table::new("hand-off latency", format!("99th percentile, {case}"))
                .row(OURS, move || latency::<SamplePool>(workers))
                .row(BARE, move || latency::<BareSemaphore>(workers))
                .row("deadpool", move || latency::<Deadpool>(workers))
                .row("kanal", move || latency::<Kanal>(workers))
                .row("flume", move || latency::<Flume>(workers))
                .row("async-channel", move || latency::<AsyncChannel>(workers))
                .target(OURS, Base::Row(BARE), Bound::AtMost(1.0))
        })
        .into()
}

fn latency<C: Contender>(workers: usize) -> impl FnMut(u64) -> Outcome {
    let runtime = runtime(workers);
    let pool = Arc::new(C::with_buffers(1, SIZE));
    let epoch = Instant::now();
    move |operations| {
        let each = operations.div_ceil(TASKS);
        let released = Arc::new(AtomicU64::new(0));
        let begin = Instant::now();
        let latencies = runtime.block_on(async {
            let running: Vec<_> = (0..TASKS)
                .map(|_| {
                    tokio::spawn(take_turns(
                        Arc::clone(&pool),
                        Arc::clone(&released),
                        epoch,
                        each,
                    ))
                })
                .collect();
            let mut all = histogram();
            for task in running {
                all.add(task.await.expect("a task that takes turns"))
                    .expect("of one kind");
            }
            all
        });
        let elapsed = begin.elapsed();
        // The very first owner was handed nothing.
        assert_eq!(latencies.len(), each * TASKS - 1);
        pool.assert_all_free();
        Outcome {
            value: latencies.value_at_quantile(0.99) as f64,
            elapsed,
            latencies: Some(latencies),
        }
    }
}

/// Up to a second, with three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 1_000_000_000, 3).expect("bounds that fit")
}

async fn take_turns<C: Contender>(
    pool: Arc<C>,
    released: Arc<AtomicU64>,
    epoch: Instant,
    turns: u64,
) -> Histogram<u64> {
    let mut latencies = histogram();
    for _ in 0..turns {
        let buffer = pool.get().await;
        let now = nanoseconds_since(epoch);
        // The owner of the buffer is alone here, and its pool orders one owner after the other.
        let released_at = released.load(Ordering::Relaxed);
        if released_at != 0 {
            latencies.saturating_record(now - released_at);
        }
        tokio::task::yield_now().await;
        released.store(nanoseconds_since(epoch), Ordering::Relaxed);
        pool.give_back(buffer);
    }
    latencies
}

fn nanoseconds_since(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_nanos()).expect("not for centuries")
}
