//! Around exhaustion: threads and tasks that take all that the pool has, or almost.
//!
//! Time per sample taken, of all threads or tasks together. A failed get is part of that time and counts for nothing.
//! Not measured: other pools. `benches/peers` measures them in the same patterns, and in others that it draws.

mod measured;

use criterion::{BenchmarkId, Criterion};
use measured::{Measured, runtime};
use sample_pool::{Pool, Sample};
use std::{
    thread,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{self, UnboundedReceiver},
    task::{JoinSet, yield_now},
};

const SIZE: usize = 2048;

/// Threads, how many samples each takes before it drops them all, and buffers.
const SAWS: [(usize, usize, usize); 3] = [(1, 8, 8), (2, 8, 8), (2, 9, 8)];
/// Tasks, workers and buffers.
const WALKS: [(usize, usize, usize); 5] = [(8, 2, 12), (8, 2, 9), (8, 2, 8), (4, 2, 8), (8, 1, 8)];
/// The most samples that a task of a walk holds.
const MOST: usize = 4;
const PRODUCERS: usize = 4;
/// So many buffers, all of which are dropped at once.
const BURST: usize = 64;

/// Takes up to `take` samples without waiting, drops them all, and starts again, until it took `gets` samples.
fn saw(pool: &Pool, take: usize, gets: u64) {
    let mut held = Vec::with_capacity(take);
    let mut left = gets;
    while left > 0 {
        while left > 0 && held.len() < take {
            let Ok(sample) = pool.try_get_buffer() else {
                break;
            };
            held.push(sample);
            left -= 1;
        }
        if held.is_empty() {
            // The holder may wait for this core.
            thread::yield_now();
        }
        held.clear();
    }
}

/// Nanoseconds per sample: 1 and 2 threads take 8 or 9 of 8.
fn saws(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limit/saw");
    for (threads, take, buffers) in SAWS {
        let mut measured = Measured::of(buffers, SIZE);
        let name = format!("{threads}_threads_take_{take}_of");
        group.bench_function(BenchmarkId::new(name, buffers), |bencher| {
            bencher.iter_custom(|iterations| {
                let each = iterations.div_ceil(threads as u64);
                let elapsed =
                    measured.on_threads(threads, each, |pool, gets| saw(pool, take, gets));
                elapsed.mul_f64(iterations as f64 / (each * threads as u64) as f64)
            });
        });
        measured.finish();
    }
}

/// Xorshift: a number below `bound`, and the same ones in each run.
fn below(state: &mut u32, bound: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state as usize % bound
}

/// Takes and drops at random, and waits only while it holds nothing, until it took `gets` samples.
async fn walk(pool: Pool, mut random: u32, gets: u64) {
    let mut held: Vec<Sample> = Vec::with_capacity(MOST);
    let mut left = gets;
    while left > 0 {
        let taken = if held.is_empty() {
            Some(pool.get_buffer().await.expect("committed"))
        } else if held.len() < MOST && below(&mut random, 2) == 0 {
            pool.try_get_buffer().ok()
        } else {
            None
        };
        if let Some(sample) = taken {
            held.push(sample);
            left -= 1;
        } else {
            held.swap_remove(below(&mut random, held.len()));
        }
        // The other tasks run while this one holds what it holds.
        if below(&mut random, 4) == 0 {
            yield_now().await;
        }
    }
}

/// Runs `work` in each of `tasks` tasks with an equal part of `iterations`; returns the time for `iterations`.
fn on_tasks<F>(
    measured: &mut Measured,
    runtime: &Runtime,
    tasks: usize,
    iterations: u64,
    work: impl Fn(Pool, usize, u64) -> F,
) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let each = iterations.div_ceil(tasks as u64);
    let all = each * tasks as u64;
    measured.takes(all);
    let start = Instant::now();
    runtime.block_on(async {
        let mut running = JoinSet::new();
        for number in 0..tasks {
            running.spawn(work(measured.pool().clone(), number, each));
        }
        while let Some(done) = running.join_next().await {
            done.expect("no bench panics");
        }
    });
    start.elapsed().mul_f64(iterations as f64 / all as f64)
}

/// Nanoseconds per sample: tasks that hold up to 4 samples each, of fewer than all want.
fn walks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limit/walk");
    for (tasks, workers, buffers) in WALKS {
        let mut measured = Measured::of(buffers, SIZE);
        let runtime = runtime(workers);
        let name = format!("{tasks}_tasks_{workers}_workers_on");
        group.bench_function(BenchmarkId::new(name, buffers), |bencher| {
            bencher.iter_custom(|iterations| {
                let work = |pool, number, gets| walk(pool, number as u32 + 1, gets);
                on_tasks(&mut measured, &runtime, tasks, iterations, work)
            });
        });
        measured.finish();
    }
}

async fn drop_in_bursts(mut receiver: UnboundedReceiver<Sample>) {
    let mut held = Vec::with_capacity(BURST);
    while let Some(sample) = receiver.recv().await {
        held.push(sample);
        if held.len() == BURST {
            held.clear();
        }
    }
}

/// Nanoseconds per sample: 4 tasks send what they get to one that drops all samples at once; two workers.
fn pipe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limit/pipe/burst");
    let mut measured = Measured::of(BURST, SIZE);
    let runtime = runtime(2);
    group.bench_function(BenchmarkId::from_parameter(BURST), |bencher| {
        bencher.iter_custom(|iterations| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let consumer = runtime.spawn(drop_in_bursts(receiver));
            let produce = |pool: Pool, _, gets| {
                let sender = sender.clone();
                async move {
                    for _ in 0..gets {
                        let sample = pool.get_buffer().await.expect("committed");
                        sender.send(sample).expect("the consumer is there");
                    }
                }
            };
            let elapsed = on_tasks(&mut measured, &runtime, PRODUCERS, iterations, produce);
            drop(sender);
            runtime.block_on(consumer).expect("no bench panics");
            elapsed
        });
    });
    measured.finish();
}

fn main() {
    let mut criterion = measured::criterion();
    saws(&mut criterion);
    walks(&mut criterion);
    pipe(&mut criterion);
    criterion.final_summary();
}
