//! The cost of sharing the bytes of a sample after they are written.
//!
//! Time per sample on each thread, from its get to its release, with 16 bytes written. Not measured: filling a
//! whole buffer (`filling`), and several threads that hold the same sample.

mod measured;

use bytes::BufMut;
use criterion::{BenchmarkId, Criterion};
use measured::{Measured, ready};
use sample_pool::{Pool, Sample};
use std::hint::black_box;

const BUFFERS: usize = 64;
const SIZE: usize = 4096;
const THREADS: [usize; 2] = [1, 2];
const PACKET: [u8; 16] = *b"sixteen bytes...";

/// The number of handles to one sample at the same time.
const HANDLES: usize = 16;

#[inline]
fn filled(pool: &Pool) -> Sample {
    let mut sample = ready(pool.get_buffer()).expect("committed");
    sample.put_slice(black_box(&PACKET));
    sample
}

/// One bench for each number of threads. `share` is given a sample and must drop it.
fn bench(criterion: &mut Criterion, name: &str, share: impl Fn(Sample) + Sync) {
    let mut group = criterion.benchmark_group(name);
    for threads in THREADS {
        let mut measured = Measured::of(BUFFERS, SIZE);
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            bencher.iter_custom(|iterations| {
                measured.on_threads(threads, iterations, |pool, iterations| {
                    for _ in 0..iterations {
                        share(filled(pool));
                    }
                })
            });
        });
        measured.finish();
    }
}

/// Nanoseconds per sample: get, write, `freeze`, `clone`, drop both.
fn freeze_clone(criterion: &mut Criterion) {
    bench(criterion, "freeze_clone_drop_both/threads", |sample| {
        let shared = sample.freeze();
        let clone = black_box(&shared).clone();
        drop(shared);
        assert_eq!(*black_box(clone), PACKET);
    });
}

/// Nanoseconds per sample: get, write, `into_bytes`, drop. It includes the allocation that `Bytes` makes.
fn into_bytes(criterion: &mut Criterion) {
    bench(criterion, "into_bytes_drop/threads", |sample| {
        assert_eq!(*black_box(sample.into_bytes()), PACKET);
    });
}

/// Nanoseconds per sample with 16 handles on one thread: get, write, `freeze`, 15 clones, drop all. Not
/// measured: clones that are dropped on other threads.
fn fan_out(criterion: &mut Criterion) {
    bench(criterion, "freeze_16_handles_drop_all/threads", |sample| {
        let first = sample.freeze();
        let handles: [_; HANDLES - 1] = std::array::from_fn(|_| first.clone());
        assert_eq!(*black_box(first), PACKET);
        black_box(handles);
    });
}

/// Nanoseconds per sample: get, write, `freeze`, `try_into_sample`, which makes it writable again, drop.
fn and_back(criterion: &mut Criterion) {
    bench(criterion, "freeze_try_into_sample/threads", |sample| {
        let shared = black_box(sample.freeze());
        let sample = shared.try_into_sample().expect("the only handle");
        assert_eq!(*black_box(sample), PACKET);
    });
}

fn main() {
    let mut criterion = measured::criterion();
    freeze_clone(&mut criterion);
    into_bytes(&mut criterion);
    fan_out(&mut criterion);
    and_back(&mut criterion);
    criterion.final_summary();
}
