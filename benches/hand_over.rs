//! More tasks than buffers: a release gives its buffer to the first in line, and wakes it.
//!
//! Time per hand-over of all tasks together: each task gets, yields and drops. The runtime's work, to
//! wake, poll and yield, is in it, and is more than half. Not measured: how long one task waits.

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
/// As many tasks wait while one has the only buffer.
const WAITERS: [usize; 4] = [1, 10, 100, 1000];

/// What goes into a packet of a video stream.
const PACKET: [u8; 1400] = [7; 1400];
const QUEUED: usize = 16;

/// The time of `iterations` hand-overs by `tasks` tasks. Each does the same number, so there may be a few
/// more of them, and then the time is that part of it.
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
        "{waited} of {all} gets waited: this is no hand-over"
    );
    elapsed.mul_f64(iterations as f64 / all as f64)
}

/// Nanoseconds per hand-over, 8 tasks on 2 buffers and 64 on 8, with one and with two workers.
fn crowds(criterion: &mut Criterion) {
    for (tasks, buffers) in CROWDS {
        let name = format!("hand_over/{tasks}_tasks_on_{buffers}/workers");
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

/// Nanoseconds per hand-over of a single buffer, for 1 to 1,000 in line, with one worker.
fn waiters(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hand_over/waiters");
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

/// Nanoseconds per packet that one task fills with 1,400 bytes and sends through a channel of 16 to
/// another, which drops it; two workers. Most gets are hits. Not measured: latency, and copying to a
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
