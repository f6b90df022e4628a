//! Shuttle tests: random schedules of more threads than loom can explore.
//!
//! Each test runs the real pool, with its real memory layout, through its public methods, on shuttle's locks
//! and with a switch point before each atomic operation. The tests assert what must hold between threads. A
//! lost wake-up is a deadlock, which shuttle reports.
//!
//! A failed test prints its schedule. `SHUTTLE_RANDOM_SEED` runs that schedule again, and `SHUTTLE_SCHEDULES`
//! is the number of schedules of each kind.

#![forbid(unsafe_code)]

mod lifecycle;
mod lifetime;
mod notify;
mod parts;
mod queue;
mod quota;
mod sharing;

use crate::{
    GetBufferError, Pool, Sample,
    checks::shared::{assert_all_free, poll_once, pool},
    sync::{Ordering, StatisticBool},
};
use shuttle::{
    Config, MaxSteps, Runner,
    future::block_on,
    scheduler::{PctScheduler, RandomScheduler},
    thread,
};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// How many schedules each kind of scheduler runs.
const SCHEDULES: usize = 2_000;
/// How many times a schedule of the second kind departs from its priorities.
const CHANGES_OF_PRIORITY: usize = 4;
/// Far more steps than any test takes: a test that spins for ever must fail.
const MOST_STEPS: usize = 20_000;

/// Runs `scene` in random schedules of two kinds: in the first, any thread may continue at each switch point;
/// in the second, threads have priorities that change now and then, which delays a thread for long.
#[track_caller]
fn play(scene: impl Fn() + Send + Sync + 'static) {
    let schedules = match std::env::var("SHUTTLE_SCHEDULES") {
        Ok(number) => number.parse().expect("SHUTTLE_SCHEDULES is a number"),
        Err(_unset) => SCHEDULES,
    };
    let scene = Arc::new(scene);
    let again = scene.clone();
    let random = RandomScheduler::new(schedules);
    let played = Runner::new(random, config()).run(move || scene());
    let priorities = PctScheduler::new(CHANGES_OF_PRIORITY, schedules);
    let played = played + Runner::new(priorities, config()).run(move || again());
    assert_eq!(played, 2 * schedules, "every schedule was played");
    println!("{played} schedules");
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 0x40000;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    // Shuttle does not explore memory orderings; loom does.
    config.silence_warnings = true;
    config
}

/// A pool, and which of its samples have an owner.
#[derive(Clone)]
struct Stage {
    pool: Pool,
    taken: Arc<[StatisticBool]>,
}

impl Stage {
    fn new(buffers: usize) -> Self {
        Stage {
            pool: pool(buffers),
            taken: (0..buffers).map(|_| StatisticBool::new(false)).collect(),
        }
    }

    /// Takes all samples one by one.
    fn take_all(&self) -> Vec<Sample> {
        let count = self.taken.len();
        let all = (0..count).map(|_| self.pool.try_get_buffer().expect("it is free"));
        all.collect()
    }

    /// Uses and releases a sample. It must be empty, as new, and have no other owner.
    fn use_up(&self, mut sample: Sample) {
        self.enter(&mut sample);
        self.leave(&sample);
        drop(sample);
    }

    fn enter(&self, sample: &mut Sample) {
        let taken = self.taken[sample.index()].swap(true, Ordering::Relaxed);
        assert!(!taken, "two owners of slot {}", sample.index());
        assert!(sample.is_empty(), "the last owner's length");
        assert_eq!(sample.properties().user(), 0, "the last owner's properties");
        sample.set_len(8).expect("it has 64");
        sample.properties_mut().set_user(7);
    }

    fn leave(&self, sample: &Sample) {
        assert_eq!(sample.properties().user(), 7, "only this owner wrote");
        let taken = self.taken[sample.index()].swap(false, Ordering::Relaxed);
        assert!(taken, "another owner released slot {}", sample.index());
    }

    /// Waits for a sample, uses it and releases it.
    fn get(&self) -> Result<(), GetBufferError> {
        let sample = block_on(self.pool.get_buffer())?;
        self.use_up(sample);
        Ok(())
    }

    /// Waits for several samples, uses them and releases them.
    fn get_many(&self, count: usize) -> Result<(), GetBufferError> {
        let samples = block_on(self.pool.get_buffers(count))?;
        assert_eq!(samples.len(), count);
        samples.into_iter().for_each(|sample| self.use_up(sample));
        Ok(())
    }

    /// What must hold after all threads have ended.
    fn assert_all_free(&self) {
        assert_all_free(&self.pool);
        let count = self.taken.len();
        let all = self.pool.try_get_buffers(count).expect("all are free");
        assert_eq!(all.len(), count);
    }
}

/// Starts a thread.
fn start(thread: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(thread)
}

fn join_all(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("no thread panics");
    }
}
