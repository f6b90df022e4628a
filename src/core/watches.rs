//! The watches of a pool (its stall detectors), and the events that wake them.
//!
//! A [watch](crate::Pool::detect_stalls) sleeps without a timer while there is nothing to time. In one hold of the
//! pool's lock it registers the events that it wants to be woken by, and checks the wait queues.
//!
//! | event that wakes it              | reported by                                                        |
//! |----------------------------------|--------------------------------------------------------------------|
//! | [`JOINED`]: a get began to wait  | the get, after it has joined its queue                             |
//! | [`LEFT`]: a wait has ended       | the get, when it reads the outcome of its wait; never a releaser   |
//! | no handle to the pool is left    | the thread that dropped the last one                               |
//!
//! While there is no watch, a get that waits loads one number for this, which no thread writes. Any other get loads
//! nothing.
//!
//! # No wake-up is lost
//!
//! The interest is stored under the pool's lock before the watch checks a queue, and each queue is under a lock. A get
//! loads the interest after it had the lock of its queue. So either the watch has found the get in the queue, or the
//! get finds the interest. loom `checks::loom::watch`

#![forbid(unsafe_code)]

use crate::sync::{AtomicUsize, Ordering};
use std::task::Waker;

/// A get began to wait.
pub(crate) const JOINED: usize = 1;
/// A wait has ended.
pub(crate) const LEFT: usize = 2;
/// A watch sleeps, and wants to be woken when the last handle is dropped.
pub(crate) const ASLEEP: usize = 4;

/// The events that any of the watches wants to be woken by. Relaxed, because a lock orders each load of it.
#[derive(Debug)]
pub(crate) struct Interest(AtomicUsize);

impl Default for Interest {
    fn default() -> Self {
        Interest(AtomicUsize::new(0))
    }
}

impl Interest {
    #[inline]
    pub(crate) fn is_in(&self, happening: usize) -> bool {
        self.0.load(Ordering::Relaxed) & happening != 0
    }

    /// Stores the events that the watches want to be woken by. Called under the lock, after each change of them.
    pub(crate) fn note(&self, watches: &Watches) {
        self.0.store(watches.interest(), Ordering::Relaxed);
    }
}

/// All watches of the pool. They are under the pool's lock, where no waker is cloned, woken or dropped.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    made: u64,
    all: Vec<Watch>,
}

#[derive(Debug)]
struct Watch {
    number: u64,
    wakes_on: usize,
    /// `None` before it sleeps, and after it was woken.
    waker: Option<Waker>,
}

impl Watches {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds a watch, and returns its number.
    pub(crate) fn add(&mut self) -> u64 {
        self.made += 1;
        self.all.push(Watch {
            number: self.made,
            wakes_on: 0,
            waker: None,
        });
        self.made
    }

    /// Makes a watch sleep until one of these events, or until no handle is left. The caller drops the returned waker
    /// after the unlock.
    pub(crate) fn sleep(&mut self, number: u64, wakes_on: usize, waker: Waker) -> Option<Waker> {
        let mut all = self.all.iter_mut();
        let watch = all.find(|watch| watch.number == number)?;
        watch.wakes_on = wakes_on;
        watch.waker.replace(waker)
    }

    /// Replaces the events that a sleeping watch wants to be woken by.
    pub(crate) fn sleep_until(&mut self, number: u64, wakes_on: usize) {
        let all = self.all.iter_mut();
        for watch in all.filter(|watch| watch.number == number) {
            watch.wakes_on = wakes_on;
        }
    }

    /// Ends a watch. The caller drops the returned waker after the unlock.
    pub(crate) fn end(&mut self, number: u64) -> Option<Waker> {
        let at = self.all.iter().position(|watch| watch.number == number)?;
        let watch = self.all.swap_remove(at);
        // At a quarter and not at a half, so that many removals pass before the next shrink, which moves all of them.
        if self.all.len() < self.all.capacity() / 4 {
            self.all.shrink_to(2 * self.all.len());
        }
        watch.waker
    }

    fn interest(&self) -> usize {
        let asleep = self.all.iter().filter(|watch| watch.waker.is_some());
        asleep.fold(0, |interest, watch| interest | ASLEEP | watch.wakes_on)
    }

    pub(crate) fn take(&mut self, happening: usize) -> Vec<Waker> {
        let asleep = self.all.iter_mut();
        let to_wake = asleep.filter(|watch| (watch.wakes_on | ASLEEP) & happening != 0);
        to_wake.filter_map(|watch| watch.waker.take()).collect()
    }
}
