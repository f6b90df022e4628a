//! Get and release while a buffer is free: the common case.
//!
//! Time per get and release on each thread. With two threads that share the pool, the time should be that of
//! one thread. Not measured: filling, sharing, waiting, and the first use of a buffer's memory. The future is
//! polled by hand, so the time does not include a runtime's work.

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

/// Nanoseconds per `get_buffer` and drop, on each thread. Not measured: two threads that use the same word of
/// the free list, since after the first time they use different words.
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

/// The same with `get_buffer_owned`, on a handle for each thread. Not measured: cloning that handle.
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

/// The same with `get_buffer` and a release callback that adds one to a thread-local. This measures the call,
/// not the work of a callback.
fn with_callback(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get_and_release_with_callback/threads");
    for threads in THREADS {
        let builder = Pool::builder().buffers(BUFFERS).size(SIZE);
        let mut measured = Measured::new(builder.on_release(|_pool| CALLS.set(CALLS.get() + 1)));
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            bencher.iter_custom(|iterations| {
                measured.on_threads(threads, iterations, |pool, iterations| {
                    get_and_release(pool, iterations);
                    // Each call of the closure is on a new thread.
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
                        black_box(pool.try_get_buffer().expect("one is free"));
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
