//! What is done at the limit. Each pattern takes a number of buffers in all and returns how long that took.

pub(super) mod pipe;
pub(super) mod saw;
pub(super) mod walk;

use crate::{
    contenders::{Contender, Counters, Limited},
    table::Outcome,
};
use nix::time::{ClockId, clock_gettime};
use std::{
    future::Future,
    ops::AddAssign,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// What the threads or tasks counted themselves.
#[derive(Clone, Copy, Default)]
pub(super) struct Taken {
    pub(super) taken: u64,
    pub(super) missed: u64,
}

impl AddAssign for Taken {
    fn add_assign(&mut self, other: Self) {
        self.taken += other.taken;
        self.missed += other.missed;
    }
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Clock {
    /// The time that passes.
    Wall,
    /// The time for which the process has a processor, all threads together. It says something on a machine that others
    /// use as well, and does not see a thread that waits. It includes the start of the threads.
    Processor,
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .expect("Linux has this clock")
        .into()
}

/// A measurement of `work` on `pool`; what the pool counted meanwhile is passed to `counted`.
///
/// The value is the time for each buffer that was taken. A get that misses is part of that time and counts for nothing,
/// so a pool does not gain by missing.
pub(super) fn measurement<C: Limited>(
    pool: C,
    clock: Clock,
    counted: impl Fn(Counters),
    work: impl Fn(&Arc<C>, u64) -> (Taken, Duration),
) -> impl FnMut(u64) -> Outcome {
    let pool = Arc::new(pool);
    move |operations| {
        let before = pool.counters();
        let used = processor_time();
        let (taken, mut elapsed) = work(&pool, operations);
        if clock == Clock::Processor {
            elapsed = processor_time() - used;
        }
        assert!(taken.taken >= operations, "as many as were asked for");
        pool.assert_all_free();
        if let (Some(before), Some(after)) = (before, pool.counters()) {
            let new = Counters {
                taken: after.taken - before.taken,
                waited: after.waited - before.waited,
                missed: after.missed - before.missed,
            };
            assert_eq!((new.taken, new.missed), (taken.taken, taken.missed));
            counted(new);
        }
        Outcome::per_operation(elapsed, taken.taken)
    }
}

/// Runs the tasks to their end.
fn on_tasks<F>(runtime: &Runtime, tasks: impl Iterator<Item = F>) -> (Taken, Duration)
where
    F: Future<Output = Taken> + Send + 'static,
{
    let begin = Instant::now();
    let taken = runtime.block_on(async {
        let running: Vec<_> = tasks.map(tokio::spawn).collect();
        let mut all = Taken::default();
        for task in running {
            all += task.await.expect("a task that is measured");
        }
        all
    });
    (taken, begin.elapsed())
}

/// A contender whose buffers can travel from task to task.
pub(super) trait Travelling<B>: Limited + for<'a> Contender<Buffer<'a> = B> {}

impl<C, B> Travelling<B> for C where C: Limited + for<'a> Contender<Buffer<'a> = B> {}
