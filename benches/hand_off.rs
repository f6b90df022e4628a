//! More tasks than buffers: a release hands its buffer to the head of the wait queue, and wakes that task.
//!
//! Time per hand-off of all tasks together: each task gets, yields and drops. More than half of it is the
//! runtime's work: to wake, poll and yield. Not measured: how long one task waits.

mod measured;

use bytes::BufMut;
use criterion::{BenchmarkId, Criterion};
use measured::{Measured, runtime};
use sample_pool::Sample;
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Runtime,
    sync::{Barrier, mpsc},
    task::{JoinSet, yield_now},
};

const SIZE: usize = 2048;
const WORKERS: [usize; 2] = [1, 2];
const CROWDS: [(usize, usize); 2] = [(8, 2), (64, 8)];
/// So many tasks wait while one holds the only buffer.
const WAITERS: [usize; 4] = [1, 10, 100, 1000];

/// The content of one packet of a video stream.
const PACKET: [u8; 1400] = [7; 1400];
const QUEUED: usize = 16;

/// The time of `iterations` hand-offs by `tasks` tasks. Each task does the same number. If that makes more
/// hand-offs than `iterations`, the time is scaled down to `iterations`.
fn time(measured: &mut Measured, runtime: &Runtime, tasks: usize, iterations: u64) -> Duration {
    let each = iterations.div_ceil(tasks as u64);
    let all = each * tasks as u64;
    measured.takes(all);
    let waited = measured.pool().status().waited;
    let elapsed = runtime.block_on(async {
        let ready = Arc::new(Barrier::new(tasks + 1));
        let mut running = JoinSet::new();
        for _ in 0..tasks {
            let (pool, ready) = (measured.pool().clone(), ready.clone());
            running.spawn(async move {
                ready.wait().await;
                for _ in 0..each {
                    let sample = pool.get_buffer().await.expect("committed");
                    yield_now().await;
                    drop(black_box(sample));
                }
            });
        }
        ready.wait().await;
        let start = Instant::now();
        while let Some(done) = running.join_next().await {
            done.expect("no bench panics");
        }
        start.elapsed()
    });
    let waited = measured.pool().status().waited - waited;
    assert!(
        all < 1000 || waited > all / 10,
        "{waited} of {all} gets waited: this is no hand-off"
    );
    elapsed.mul_f64(iterations as f64 / all as f64)
}

/// Nanoseconds per hand-off: 8 tasks on 2 buffers and 64 on 8, with one worker and with two.
fn crowds(criterion: &mut Criterion) {
    for (tasks, buffers) in CROWDS {
        let name = format!("hand_off/{tasks}_tasks_on_{buffers}/workers");
        let mut group = criterion.benchmark_group(name);
        for workers in WORKERS {
            let mut measured = Measured::of(buffers, SIZE);
            let runtime = runtime(workers);
            group.bench_function(BenchmarkId::from_parameter(workers), |bencher| {
                bencher.iter_custom(|iterations| time(&mut measured, &runtime, tasks, iterations));
            });
            measured.finish();
        }
    }
}

/// Nanoseconds per hand-off of a single buffer, for 1 to 1,000 queued tasks, with one worker.
fn waiters(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hand_off/waiters");
    let runtime = runtime(1);
    for waiters in WAITERS {
        let mut measured = Measured::of(1, SIZE);
        group.bench_function(BenchmarkId::from_parameter(waiters), |bencher| {
            bencher
                .iter_custom(|iterations| time(&mut measured, &runtime, waiters + 1, iterations));
        });
        measured.finish();
    }
}

/// Nanoseconds per packet: one task fills it with 1,400 bytes and sends it through a channel of 16 to another
/// task, which drops it; two workers. Most gets find a free buffer. Not measured: latency, and copying to a
/// socket.
fn between_tasks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("send_to_task/bytes");
    let mut measured = Measured::of(2 * QUEUED, SIZE);
    let runtime = runtime(2);
    group.bench_function(BenchmarkId::from_parameter(PACKET.len()), |bencher| {
        bencher.iter_custom(|iterations| {
            measured.takes(iterations);
            let pool = measured.pool().clone();
            runtime.block_on(async {
                let (sender, mut receiver) = mpsc::channel::<Sample>(QUEUED);
                let start = Instant::now();
                let sending = tokio::spawn(async move {
                    for _ in 0..iterations {
                        let mut sample = pool.get_buffer().await.expect("committed");
                        sample.put_slice(black_box(&PACKET));
                        sender.send(sample).await.expect("the receiver is there");
                    }
                });
                let receiving = tokio::spawn(async move {
                    let mut packets = 0;
                    while let Some(sample) = receiver.recv().await {
                        assert_eq!(black_box(&sample).len(), PACKET.len());
                        packets += 1;
                    }
                    packets
                });
                sending.await.expect("no bench panics");
                assert_eq!(receiving.await.expect("no bench panics"), iterations);
                start.elapsed()
            })
        });
    });
    measured.finish();
}

fn main() {
    let mut criterion = measured::criterion();
    crowds(&mut criterion);
    waiters(&mut criterion);
    between_tasks(&mut criterion);
    criterion.final_summary();
}
