//! Get and release while a buffer is home: the common case.
//!
//! Time per get and release on each thread; on two threads at once, which share the pool, it should be
//! what it is on one. Not measured: filling, sharing, waiting, and the first use of a buffer's memory.
//! The future is polled by hand, so a runtime's work is not in it.

mod measured;

use criterion::{BenchmarkId, Criterion};
use measured::{Measured, ready};
use sample_pool::Pool;
use std::{cell::Cell, hint::black_box};

const BUFFERS: usize = 64;
const SIZE: usize = 4096;
const THREADS: [usize; 2] = [1, 2];

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn get_and_release(pool: &Pool, iterations: u64) {
    for _ in 0..iterations {
        black_box(ready(pool.get_buffer()).expect("committed"));
    }
}

/// Nanoseconds per `get_buffer` and drop, on each thread. Not measured: a thread that meets another in
/// one word of the free list, because after the first such meeting they keep apart.
fn borrowed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get_and_release/threads");
    for threads in THREADS {
        let mut measured = Measured::of(BUFFERS, SIZE);
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            bencher.iter_custom(|iterations| {
                measured.on_threads(threads, iterations, get_and_release)
            });
        });
        measured.finish();
    }
}

/// The same with `get_buffer_owned` on a handle of each thread's own. Not measured: making that handle.
fn owned(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get_owned_and_release/threads");
    for threads in THREADS {
        let mut measured = Measured::of(BUFFERS, SIZE);
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            bencher.iter_custom(|iterations| {
                measured.on_threads(threads, iterations, |pool, iterations| {
                    let pool = pool.clone();
                    for _ in 0..iterations {
                        black_box(ready(pool.get_buffer_owned()).expect("committed"));
                    }
                })
            });
        });
        measured.finish();
    }
}

/// The same with `get_buffer` and a release callback, which adds one to a thread-local: what is measured
/// is calling it, not what it does.
fn with_callback(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get_and_release_with_callback/threads");
    for threads in THREADS {
        let builder = Pool::builder().buffers(BUFFERS).size(SIZE);
        let mut measured = Measured::new(builder.on_release(|_pool| CALLS.set(CALLS.get() + 1)));
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            bencher.iter_custom(|iterations| {
                measured.on_threads(threads, iterations, |pool, iterations| {
                    get_and_release(pool, iterations);
                    // Each thread is a new one.
                    assert_eq!(CALLS.get(), iterations);
                })
            });
        });
        measured.finish();
    }
}

/// The same with `try_get_buffer`.
fn without_waiting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("try_get_and_release/threads");
    for threads in THREADS {
        let mut measured = Measured::of(BUFFERS, SIZE);
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            bencher.iter_custom(|iterations| {
                measured.on_threads(threads, iterations, |pool, iterations| {
                    for _ in 0..iterations {
                        black_box(pool.try_get_buffer().expect("one is home"));
                    }
                })
            });
        });
        measured.finish();
    }
}

fn main() {
    let mut criterion = measured::criterion();
    borrowed(&mut criterion);
    owned(&mut criterion);
    with_callback(&mut criterion);
    without_waiting(&mut criterion);
    criterion.final_summary();
}
