//! The watches of a pool, and what wakes them.
//!
//! A [watch](crate::Pool::detect_stalls) sleeps without a timer while there is nothing to time. It says under the
//! pool's lock what it wants to be woken by, and what it has found before, in the same hold of the lock.
//!
//! | wakes it | seen by |
//! |---|---|
//! | [`JOINED`]: a get began to wait | the get, after it has joined its line |
//! | [`LEFT`]: a get waits no more | the get, when it learns what came of its wait: never a releaser |
//! | no handle to the pool is left | whoever dropped the last one |
//!
//! While nobody watches, a get that waits loads one number for this, which nobody writes, and any other get nothing.
//!
//! # No wake-up is lost
//!
//! The interest is stored under the pool's lock before the watch looks at a line, each of which is under a lock. A get
//! loads it after it had that line's lock: either the watch has found the get in line, or the get finds the interest.
//! loom `checks::loom::watch`

#![forbid(unsafe_code)]

use crate::sync::{AtomicUsize, Ordering};
use std::task::Waker;

/// A get began to wait.
pub(crate) const JOINED: usize = 1;
/// A get waits no more.
pub(crate) const LEFT: usize = 2;
/// Somebody sleeps, and wants to know of the pool's end.
pub(crate) const ASLEEP: usize = 4;

/// What any of the watches wants to be woken by. Relaxed: whoever loads it was ordered by a lock.
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

    /// Takes over what the watches want to be woken by. Called under the lock, after each change of them.
    pub(crate) fn note(&self, watches: &Watches) {
        self.0.store(watches.interest(), Ordering::Relaxed);
    }
}

/// The watches that there are; under the pool's lock, where no waker is cloned, woken or dropped.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    made: u64,
    all: Vec<Watch>,
}

#[derive(Debug)]
struct Watch {
    number: u64,
    wakes_on: usize,
    /// `None` until it sleeps, and from when it was woken.
    waker: Option<Waker>,
}

impl Watches {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds one, and says its number.
    pub(crate) fn add(&mut self) -> u64 {
        self.made += 1;
        self.all.push(Watch {
            number: self.made,
            wakes_on: 0,
            waker: None,
        });
        self.made
    }

    /// Lets a watch sleep until one of these happens, or no handle is left. What comes back is to be dropped once
    /// the lock is free.
    pub(crate) fn sleep(&mut self, number: u64, wakes_on: usize, waker: Waker) -> Option<Waker> {
        let mut all = self.all.iter_mut();
        let watch = all.find(|watch| watch.number == number)?;
        watch.wakes_on = wakes_on;
        watch.waker.replace(waker)
    }

    /// A watch that is asleep wants to be woken by this alone from now on.
    pub(crate) fn sleep_until(&mut self, number: u64, wakes_on: usize) {
        let all = self.all.iter_mut();
        for watch in all.filter(|watch| watch.number == number) {
            watch.wakes_on = wakes_on;
        }
    }

    /// Ends a watch. What comes back is to be dropped once the lock is free.
    pub(crate) fn end(&mut self, number: u64) -> Option<Waker> {
        let at = self.all.iter().position(|watch| watch.number == number)?;
        let watch = self.all.swap_remove(at);
        // A quarter, so that the next removal that moves all of them is far away.
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
