//! Shuttle scenes: random schedules of more threads than loom can explore.
//!
//! Each scene runs the real pool, with its real layout of memory, through its public methods, on
//! shuttle's locks and with a switch point before each atomic operation. What must hold when threads
//! meet is asserted; a lost wake-up is a deadlock, which shuttle reports.
//!
//! A failed scene prints its schedule. `SHUTTLE_RANDOM_SEED` plays one again, and
//! `SHUTTLE_SCHEDULES` says how many schedules of each kind are played.

#![forbid(unsafe_code)]

mod lifecycle;
mod lifetime;
mod line;
mod notify;
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

/// How often each kind of scheduler plays a scene.
const SCHEDULES: usize = 2_000;
/// How many times a schedule of the second kind goes against its priorities.
const CHANGES_OF_PRIORITY: usize = 4;
/// Far more than any scene takes: one that spins for ever must fail.
const MOST_STEPS: usize = 20_000;

/// Plays `scene` in random schedules: in those where any thread may go on at each switch point, and in
/// those where threads have priorities that change now and then, which holds a thread back for long.
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
    // Loom explores the orderings.
    config.silence_warnings = true;
    config
}

/// A pool, and who has which of its samples.
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
        let all = (0..count).map(|_| self.pool.try_get_buffer().expect("it is home"));
        all.collect()
    }

    /// Uses and releases a sample, which nobody else may have meanwhile, and which is as new.
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
        assert_eq!(sample.properties().user(), 7, "nobody else wrote");
        let taken = self.taken[sample.index()].swap(false, Ordering::Relaxed);
        assert!(taken, "somebody else released slot {}", sample.index());
    }

    /// Waits for a sample and uses it up.
    fn get(&self) -> Result<(), GetBufferError> {
        let sample = block_on(self.pool.get_buffer())?;
        self.use_up(sample);
        Ok(())
    }

    /// Waits for several and uses them up.
    fn get_many(&self, count: usize) -> Result<(), GetBufferError> {
        let samples = block_on(self.pool.get_buffers(count))?;
        assert_eq!(samples.len(), count);
        samples.into_iter().for_each(|sample| self.use_up(sample));
        Ok(())
    }

    /// What must hold when everybody has gone.
    fn assert_all_free(&self) {
        assert_all_free(&self.pool);
        let count = self.taken.len();
        let all = self.pool.try_get_buffers(count).expect("all are home");
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
