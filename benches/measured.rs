//! What the benches share: a pool whose samples must all be free at the end, and a way to run an operation on
//! several threads at once.

#![allow(dead_code, reason = "each bench uses a part of it")]

use criterion::Criterion;
use sample_pool::{Builder, Pool};
use std::{
    future::Future,
    pin::Pin,
    sync::Barrier,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// A quarter of criterion's default times: there are many benches, and what matters are changes, not exact
/// figures.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

/// Polls a future that resolves at once. Inlined, as an `.await` is.
#[inline(always)]
pub(crate) fn ready<F: Future + Unpin>(mut future: F) -> F::Output {
    match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a sample is free"),
    }
}

/// A runtime with `workers` threads; all tasks run on these threads.
pub(crate) fn runtime(workers: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .build()
        .expect("a runtime")
}

/// A pool, and how many samples were taken from it.
#[derive(Debug)]
pub(crate) struct Measured {
    pool: Pool,
    taken: u64,
}

impl Measured {
    pub(crate) fn new(builder: Builder) -> Self {
        let pool = builder.build().expect("memory for the pool");
        Measured { pool, taken: 0 }
    }

    pub(crate) fn of(buffers: usize, size: usize) -> Self {
        Self::new(Pool::builder().buffers(buffers).size(size))
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Records that an operation takes so many samples.
    pub(crate) fn takes(&mut self, samples: u64) {
        self.taken += samples;
    }

    /// Runs `iterations` of an operation that takes one sample, on each of `threads` threads at once. Returns
    /// the time from when all threads are ready until the last one is done.
    pub(crate) fn on_threads(
        &mut self,
        threads: usize,
        iterations: u64,
        operations: impl Fn(&Pool, u64) + Sync,
    ) -> Duration {
        self.takes(threads as u64 * iterations);
        let ready = Barrier::new(threads);
        thread::scope(|scope| {
            let run = || {
                ready.wait();
                let start = Instant::now();
                operations(&self.pool, iterations);
                (start, Instant::now())
            };
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            let times = running.into_iter().map(|thread| thread.join());
            let times: Vec<_> = times.collect::<Result<_, _>>().expect("no bench panics");
            let first = times.iter().map(|(start, _)| start).min();
            let last = times.iter().map(|(_, end)| end).max();
            *last.expect("a thread") - *first.expect("a thread")
        })
    }

    /// Asserts what must hold after every bench: as many samples were taken as recorded, and all are free.
    pub(crate) fn finish(self) {
        let status = self.pool.status();
        assert_eq!(status.free, status.buffers);
        assert_eq!((status.acquired, status.released), (self.taken, self.taken));
    }
}
