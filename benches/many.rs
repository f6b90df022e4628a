//! Several samples at once, compared with the same number one by one.
//!
//! Time per batch: take that many, release all. Not measured: waiting for a batch. The pool has enough buffers
//! for many batches, and one thread uses it.

mod measured;

use criterion::{BenchmarkId, Criterion};
use measured::{Measured, ready};
use sample_pool::{Pool, Sample};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

const BUFFERS: usize = 4096;
const SIZE: usize = 2048;
const BATCHES: [usize; 4] = [1, 8, 32, 256];

/// The time of `iterations` batches. `take` fills the `Vec`, which has enough capacity.
fn time(
    measured: &mut Measured,
    batch: usize,
    iterations: u64,
    take: impl Fn(&Pool, &mut Vec<Sample>),
) -> Duration {
    measured.takes(iterations * batch as u64);
    let mut samples = Vec::with_capacity(batch);
    let start = Instant::now();
    for _ in 0..iterations {
        take(measured.pool(), &mut samples);
        assert_eq!(black_box(&samples).len(), batch);
        samples.clear();
    }
    start.elapsed()
}

/// Nanoseconds per batch with `get_buffers_into`. Not measured: allocating the `Vec`, which is reused.
fn at_once(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get_many_and_release/at_once");
    for batch in BATCHES {
        let mut measured = Measured::of(BUFFERS, SIZE);
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter_custom(|iterations| {
                time(&mut measured, batch, iterations, |pool, samples| {
                    ready(pool.get_buffers_into(samples, batch)).expect("committed");
                })
            });
        });
        measured.finish();
    }
}

/// Nanoseconds per batch with one `get_buffer` after another.
fn one_by_one(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get_many_and_release/one_by_one");
    for batch in BATCHES {
        let mut measured = Measured::of(BUFFERS, SIZE);
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter_custom(|iterations| {
                time(&mut measured, batch, iterations, |pool, samples| {
                    samples.extend((0..batch).map(|_| ready(pool.get_buffer()).expect("one")));
                })
            });
        });
        measured.finish();
    }
}

fn main() {
    let mut criterion = measured::criterion();
    at_once(&mut criterion);
    one_by_one(&mut criterion);
    criterion.final_summary();
}
