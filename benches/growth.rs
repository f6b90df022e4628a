//! How the cost per sample grows with the number of slots, from 1 to 65,536: it should not grow.
//!
//! One thread. Not measured here: waiters, which are in `hand_off`, and gets from an empty pool, which are in
//! `miss`.

mod measured;

use criterion::{BenchmarkId, Criterion, Throughput};
use measured::{Measured, ready};
use sample_pool::Pool;
use std::{hint::black_box, time::Instant};

const SIZE: usize = 4096;
const SLOTS: [usize; 4] = [1, 64, 4096, 65_536];

/// Nanoseconds per get and release while all other slots are free. Not measured: the memory of the bytes, which
/// is not touched.
fn one(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get_and_release/slots");
    for slots in SLOTS {
        let mut measured = Measured::of(slots, SIZE);
        group.bench_function(BenchmarkId::from_parameter(slots), |bencher| {
            bencher.iter_custom(|iterations| {
                measured.on_threads(1, iterations, |pool, iterations| {
                    for _ in 0..iterations {
                        black_box(ready(pool.get_buffer()).expect("committed"));
                    }
                })
            });
        });
        measured.finish();
    }
}

/// Time per burst that takes every slot, one by one, and releases them in the order in which they were taken.
/// Divide by the number of slots, or use the elements per second.
fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("burst/slots");
    for slots in SLOTS {
        let mut measured = Measured::of(slots, SIZE);
        group.throughput(Throughput::Elements(slots as u64));
        group.bench_function(BenchmarkId::from_parameter(slots), |bencher| {
            bencher.iter_custom(|iterations| {
                measured.takes(iterations * slots as u64);
                let mut samples = Vec::with_capacity(slots);
                let start = Instant::now();
                for _ in 0..iterations {
                    let gets = (0..slots).map(|_| ready(measured.pool().get_buffer()));
                    samples.extend(gets.map(|sample| sample.expect("one is free")));
                    assert_eq!(black_box(&samples).len(), slots);
                    samples.clear();
                }
                start.elapsed()
            });
        });
        measured.finish();
    }
}

/// Time to build a pool, take one sample, release it and drop the pool. It is the time of the memory mapping,
/// and does not grow with the slots that are never taken.
fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build_get_drop/slots");
    for slots in SLOTS {
        group.bench_function(BenchmarkId::from_parameter(slots), |bencher| {
            bencher.iter(|| {
                let pool = Pool::builder().buffers(slots).size(SIZE).build();
                let pool = pool.expect("address space");
                drop(ready(pool.get_buffer()).expect("committed"));
                assert_eq!(pool.free_count(), slots);
            });
        });
    }
}

fn main() {
    let mut criterion = measured::criterion();
    one(&mut criterion);
    all(&mut criterion);
    build(&mut criterion);
    criterion.final_summary();
}
