//! Filling whole buffers, from 2 KiB to 4 MiB.
//!
//! Prints time per sample, and bytes per second. Not measured: reading from a socket or a device; the first use
//! of a buffer's memory, which happens in the warm-up; and a cache that is shared with other users.

mod measured;

use bytes::BufMut;
use criterion::{BenchmarkId, Throughput};
use measured::{Measured, ready};
use std::hint::black_box;

const BUFFERS: usize = 4;
const SIZES: [usize; 4] = [2 << 10, 64 << 10, 1 << 20, 4 << 20];

/// Nanoseconds per sample: get, set all its bytes to one value, `into_bytes`, drop. The pool gives the lowest
/// free buffer, so each iteration uses the same one, and it is in the cache if it fits.
fn main() {
    let mut criterion = measured::criterion();
    let mut group = criterion.benchmark_group("fill_into_bytes_drop/size");
    for size in SIZES {
        let mut measured = Measured::of(BUFFERS, size);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_custom(|iterations| {
                measured.on_threads(1, iterations, |pool, iterations| {
                    for _ in 0..iterations {
                        let mut sample = ready(pool.get_buffer()).expect("committed");
                        sample.put_bytes(black_box(7), size);
                        let bytes = black_box(sample.into_bytes());
                        assert_eq!((bytes.len(), bytes[size - 1]), (size, 7));
                    }
                })
            });
        });
        measured.finish();
    }
    group.finish();
    criterion.final_summary();
}
