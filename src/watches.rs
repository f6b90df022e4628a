//! The watches of a pool, and what wakes them.
//!
//! A [watch](crate::Pool::detect_stalls) sleeps without a timer while there is nothing to time. It says under the pool's
//! lock what it wants to be woken by, and what it has found before, in the same hold of the lock.
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
//! loom `models::watch`

#![forbid(unsafe_code)]

use crate::{
    clock::{Moment, Stamp},
    engine::{Engine, Shared},
    foreign,
    raw::waiter::Ticket,
    sync::{AtomicUsize, Ordering},
};
use std::task::Waker;

/// A get began to wait.
pub(crate) const JOINED: usize = 1;
/// A get waits no more.
pub(crate) const LEFT: usize = 2;
/// Somebody sleeps, and wants to know of the pool's end.
const ASLEEP: usize = 4;

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
    fn is_in(&self, happening: usize) -> bool {
        self.0.load(Ordering::Relaxed) & happening != 0
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

    fn interest(&self) -> usize {
        let asleep = self.all.iter().filter(|watch| watch.waker.is_some());
        asleep.fold(0, |interest, watch| interest | ASLEEP | watch.wakes_on)
    }

    fn take(&mut self, happening: usize) -> Vec<Waker> {
        let asleep = self.all.iter_mut();
        let to_wake = asleep.filter(|watch| (watch.wakes_on | ASLEEP) & happening != 0);
        to_wake.filter_map(|watch| watch.waker.take()).collect()
    }
}

impl Engine {
    /// Lets a watch sleep until one of these happens, or no handle is left. What comes back is to be dropped once
    /// the lock is free.
    pub(crate) fn sleep(
        &self,
        shared: &mut Shared,
        number: u64,
        wakes_on: usize,
        waker: Waker,
    ) -> Option<Waker> {
        let mut all = shared.watches.all.iter_mut();
        let watch = all.find(|watch| watch.number == number)?;
        watch.wakes_on = wakes_on;
        let before = watch.waker.replace(waker);
        self.note_interest(shared);
        before
    }

    /// A watch that is asleep wants to be woken by this alone from now on.
    pub(crate) fn sleep_until(&self, shared: &mut Shared, number: u64, wakes_on: usize) {
        let all = shared.watches.all.iter_mut();
        for watch in all.filter(|watch| watch.number == number) {
            watch.wakes_on = wakes_on;
        }
        self.note_interest(shared);
    }

    /// Ends a watch. What comes back is to be dropped once the lock is free.
    pub(crate) fn end_watch(&self, shared: &mut Shared, number: u64) -> Option<Waker> {
        let all = &mut shared.watches.all;
        let at = all.iter().position(|watch| watch.number == number)?;
        let watch = all.swap_remove(at);
        // A quarter, so that the next removal that moves all of them is far away.
        if all.len() < all.capacity() / 4 {
            all.shrink_to(2 * all.len());
        }
        self.note_interest(shared);
        watch.waker
    }

    fn note_interest(&self, shared: &Shared) {
        let interest = shared.watches.interest();
        self.interest.0.store(interest, Ordering::Relaxed);
    }

    #[cold]
    fn wake_watches(&self, happening: usize) {
        let mut shared = self.lock();
        let wakers = shared.watches.take(happening);
        self.note_interest(&shared);
        drop(shared);
        for waker in wakers {
            foreign::quietly(|| waker.wake());
        }
    }

    /// Something of the pool was dropped that may have been the last handle.
    pub(crate) fn wake_watches_of_one_gone(&self) {
        if self.interest.is_in(ASLEEP) && !self.can_be_had(&self.lock()) {
            self.wake_watches(ASLEEP);
        }
    }

    /// When a get joins a line, if that is to be written down.
    #[inline]
    pub(crate) fn stamp_if_measured(&self, shared: &Shared) -> Option<Stamp> {
        if !shared.watches.is_empty() {
            return Some(self.stamp(Moment::now_and_which()));
        }
        let is_measured = self.settings.measure_waits;
        is_measured.then(|| self.stamp(Moment::now()))
    }

    /// A get has joined a line.
    #[inline]
    pub(crate) fn wait_began(&self) {
        if self.interest.is_in(JOINED) {
            self.wake_watches(JOINED);
        }
    }

    /// A get has joined the line of a quota.
    pub(crate) fn wait_for_room_began(&self) {
        self.waited_for_room.fetch_add(1, Ordering::Relaxed);
        self.wait_began();
    }

    /// A get has learnt what came of its wait, or gives up. Called by the get itself, whose clock it is measured by.
    #[inline]
    pub(crate) fn wait_ended(&self, ticket: &Ticket) {
        if let Some(joined) = ticket.joined() {
            self.measured_wait_ended(joined);
        }
    }

    #[cold]
    fn measured_wait_ended(&self, joined: Stamp) {
        if let Some(waits) = &self.waits {
            waits.add(self.since(joined));
        }
        // One that was in line when a watch began has a stamp as well.
        if self.interest.is_in(LEFT) {
            self.wake_watches(LEFT);
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::{Pool, sync::Statistic};
    use std::{sync::Arc, task::Wake};

    #[derive(Default)]
    struct Wakes(Statistic);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A watch that is woken by what it did not ask for costs each wait of a busy pool a task's wake-up.
    #[test]
    fn a_watch_is_woken_once_and_only_by_what_it_sleeps_for() {
        let pool = Pool::builder().buffers(1).build().expect("small");
        let engine = pool.engine();
        let number = engine.lock().watches.add();
        let wakes = Arc::new(Wakes::default());
        let sleep = |wakes_on| {
            let waker = Waker::from(wakes.clone());
            drop(engine.sleep(&mut engine.lock(), number, wakes_on, waker));
        };
        for (wakes_on, woken) in [(0, 0), (JOINED, 1), (LEFT, 1), (JOINED | LEFT, 2)] {
            wakes.0.store(0, Ordering::SeqCst);
            sleep(wakes_on);
            engine.wait_began();
            engine.wait_began();
            if wakes_on != JOINED {
                sleep(wakes_on);
            }
            engine.measured_wait_ended(engine.stamp(Moment::now()));
            assert_eq!(wakes.0.load(Ordering::SeqCst), woken, "{wakes_on}");
        }
    }
}
