//! A `try_get_buffer` on an exhausted pool: it must not cost more with more slots.
//!
//! Time per failed call, on one thread. Not measured: the get that exhausted the pool, and a failed call while
//! other threads release.

mod measured;

use criterion::{BenchmarkId, Criterion};
use measured::Measured;
use sample_pool::GetBufferError;
use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
    time::Instant,
};

/// The bytes are never touched.
const SIZE: usize = 64;
const SLOTS: [usize; 4] = [1, 64, 4096, 65_536];

/// Nanoseconds per failed call. With `queued`, one future is queued at the same time.
fn misses(criterion: &mut Criterion, case: &str, queued: bool) {
    let mut group = criterion.benchmark_group(format!("miss/{case}"));
    for slots in SLOTS {
        let mut measured = Measured::of(slots, SIZE);
        let pool = measured.pool().clone();
        let held = pool.try_get_buffers(slots).expect("all are free");
        measured.takes(slots as u64);
        let mut waiting = pin!(pool.get_buffer());
        if queued {
            let mut context = Context::from_waker(Waker::noop());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
        }
        let mut refused = 0;
        group.bench_function(BenchmarkId::from_parameter(slots), |bencher| {
            bencher.iter_custom(|iterations| {
                refused += iterations;
                let start = Instant::now();
                for _ in 0..iterations {
                    let miss = black_box(&pool).try_get_buffer().err();
                    assert_eq!(miss, Some(GetBufferError::Exhausted));
                }
                start.elapsed()
            });
        });
        let status = pool.status();
        assert_eq!(status.exhausted, refused);
        assert_eq!(status.waiting, usize::from(queued));
        drop(held);
        // The queued future was handed the first sample that was released, and holds it until it is dropped.
        assert_eq!(pool.free_count(), slots - usize::from(queued));
        waiting.set(pool.get_buffer());
        measured.finish();
    }
}

fn main() {
    let mut criterion = measured::criterion();
    misses(&mut criterion, "no_waiter", false);
    misses(&mut criterion, "one_waiter", true);
    criterion.final_summary();
}
