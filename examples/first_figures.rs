//! The cost of one get and drop, on one thread and on two, compared with a `Semaphore` and a fresh `BytesMut`.
//!
//! ```text
//! cargo run --release --example first_figures
//! ```
//!
//! Prints nanoseconds per get and drop on each thread: the median of the rounds. In each round every contender
//! runs once. Both threads share the pool, and both share the semaphore. The floor is two atomic
//! read-modify-writes of a cache line that no other thread uses; no pool that threads share can cost less. Not
//! measured here: waiting, filling, freezing. Run it on a quiet machine. Compare the columns: the digits depend
//! on the machine.

use bytes::BytesMut;
use sample_pool::Pool;
use std::{
    future::Future,
    hint::black_box,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};
use tokio::sync::Semaphore;

const BUFFERS: usize = 64;
const SIZE: usize = 4096;
const ROUNDS: usize = 15;
const OPERATIONS: u32 = 200_000;

/// Runs `operations` on `threads` threads at once, and returns the nanoseconds per operation.
fn time<F: Future<Output = ()>>(threads: usize, operations: impl Fn() -> F + Sync) -> f64 {
    let start = Barrier::new(threads);
    let total: f64 = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .build()
                        .expect("a runtime");
                    let work = tokio::task::coop::unconstrained(operations());
                    start.wait();
                    let begin = Instant::now();
                    runtime.block_on(work);
                    begin.elapsed().as_nanos() as f64
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a thread of the measurement"))
            .sum()
    });
    total / threads as f64 / f64::from(OPERATIONS)
}

async fn floor() {
    let own = Box::new(AtomicU64::new(0));
    for _ in 0..OPERATIONS {
        black_box(&own).fetch_add(1, Ordering::AcqRel);
        black_box(&own).fetch_sub(1, Ordering::AcqRel);
    }
}

async fn sample_pool(pool: &Pool) {
    for _ in 0..OPERATIONS {
        let sample = pool.get_buffer().await.expect("committed");
        black_box(&sample);
    }
}

async fn semaphore_and_bytes_mut(semaphore: &Semaphore) {
    for _ in 0..OPERATIONS {
        let permit = semaphore.acquire().await.expect("open");
        let buffer = BytesMut::with_capacity(SIZE);
        black_box((&permit, &buffer));
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder().buffers(BUFFERS).size(SIZE).build()?;
    let semaphore = Arc::new(Semaphore::new(BUFFERS));
    println!("{BUFFERS} buffers of {SIZE} bytes, ns per get and drop, median of {ROUNDS} rounds\n");
    println!("threads   floor   sample-pool   Semaphore + BytesMut   ratio");
    for threads in [1, 2] {
        let mut figures = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            figures[0].push(time(threads, floor));
            figures[1].push(time(threads, || sample_pool(&pool)));
            figures[2].push(time(threads, || semaphore_and_bytes_mut(&semaphore)));
        }
        let ratios = figures[1].iter().zip(&figures[2]).map(|(a, b)| a / b);
        let ratio = median(ratios.collect());
        let [floor, ours, theirs] = figures.map(median);
        println!("{threads:>7} {floor:>7.1} {ours:>13.1} {theirs:>22.1} {ratio:>7.2}");
    }
    let status = pool.status();
    assert_eq!(status.acquired, status.released);
    assert_eq!(status.acquired, (ROUNDS as u64) * 3 * u64::from(OPERATIONS));
    Ok(())
}
