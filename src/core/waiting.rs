//! The begin and the end of a wait: each is reported here, so that waits are measured, and watches and tasks that keep
//! a buffer are woken.

#![forbid(unsafe_code)]

use crate::{
    core::{
        engine::{Engine, Shared},
        watches::{ASLEEP, JOINED, LEFT},
    },
    sync::{
        Ordering,
        user_code::{self, Spare},
    },
    values::status::State,
    wait::{
        clock::{Moment, Stamp},
        node::NodeRef,
        reclaim::Key,
    },
};
use std::task::Waker;

impl Engine {
    /// Begins a watch, and returns its number. For gets that wait already, the join time is set to now.
    pub(crate) fn begin_watch(&self) -> u64 {
        let now = self.stamp(Moment::now_and_which());
        let mut shared = self.lock();
        let number = shared.watches.add();
        shared.queue.measure_from(now);
        self.accounts.measure_from(now);
        number
    }

    /// Makes a watch sleep until one of these events, or until no handle is left. The caller drops the returned waker
    /// after the unlock.
    pub(crate) fn sleep(
        &self,
        shared: &mut Shared,
        number: u64,
        wakes_on: usize,
        waker: Waker,
    ) -> Option<Waker> {
        let before = shared.watches.sleep(number, wakes_on, waker);
        self.interest.note(&shared.watches);
        before
    }

    /// Replaces the events that a sleeping watch wants to be woken by.
    pub(crate) fn sleep_until(&self, shared: &mut Shared, number: u64, wakes_on: usize) {
        shared.watches.sleep_until(number, wakes_on);
        self.interest.note(&shared.watches);
    }

    /// Ends a watch. The caller drops the returned waker.
    pub(crate) fn end_watch(&self, number: u64) -> Option<Waker> {
        let mut shared = self.lock();
        let waker = shared.watches.end(number);
        self.interest.note(&shared.watches);
        waker
    }

    #[cold]
    fn wake_watches(&self, happening: usize) {
        let mut shared = self.lock();
        let wakers = shared.watches.take(happening);
        self.interest.note(&shared.watches);
        drop(shared);
        for waker in wakers {
            user_code::quietly(|| waker.wake());
        }
    }

    /// Wakes the watches if no handle is left. Called after something was dropped that may have been the last handle.
    pub(crate) fn wake_watches_of_one_gone(&self) {
        if self.interest.is_in(ASLEEP) && !self.has_handle(&self.lock()) {
            self.wake_watches(ASLEEP);
        }
    }

    /// The join time of a get that joins a queue, if waits are measured or watched.
    #[inline]
    pub(crate) fn stamp_if_measured(&self, shared: &Shared) -> Option<Stamp> {
        if !shared.watches.is_empty() {
            return Some(self.stamp(Moment::now_and_which()));
        }
        let is_measured = self.settings.measure_waits;
        is_measured.then(|| self.stamp(Moment::now()))
    }

    /// Reports that a get has joined a queue.
    #[inline]
    pub(crate) fn wait_began(&self) {
        if self.interest.is_in(JOINED) {
            self.wake_watches(JOINED);
        }
    }

    /// Reports that a get has joined the queue of a quota.
    pub(crate) fn wait_for_room_began(&self) {
        self.waited_for_room.fetch_add(1, Ordering::Relaxed);
        self.wait_began();
    }

    /// Reports that a get has read the outcome of its wait, or gives up. Called by the get itself, because the wait is
    /// measured by its clock.
    #[inline]
    pub(crate) fn wait_ended(&self, node_ref: &NodeRef) {
        if let Some(joined) = node_ref.joined() {
            self.measured_wait_ended(joined);
        }
    }

    #[cold]
    fn measured_wait_ended(&self, joined: Stamp) {
        if let Some(waits) = &self.waits {
            waits.add(self.since(joined));
        }
        // Not only if waits are measured: a get that was queued when a watch began has a stamp as well.
        if self.interest.is_in(LEFT) {
            self.wake_watches(LEFT);
        }
    }

    /// Registers a waker for the next get that queues. Returns `None` if a get is queued already, if one was refused
    /// since `key` was registered, or if the pool drains.
    pub(crate) fn register_reclaim(
        &self,
        key: &mut Option<Key>,
        waker: Spare<Waker>,
    ) -> Option<Option<Waker>> {
        let mut shared = self.lock();
        // In the same hold of the lock as the registration, or a get could queue in between and find no waker.
        if !shared.queue.is_empty() || shared.state == State::Draining {
            return None;
        }
        if shared.reclaim.was_refused(key) {
            return None;
        }
        Some(shared.reclaim.register(key, waker.into_inner()))
    }

    /// Removes the waker that `register_reclaim` stored. The caller drops it.
    pub(crate) fn unregister_reclaim(&self, key: &mut Option<Key>) -> Option<Waker> {
        self.lock().reclaim.remove(key)
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

    /// A watch that is woken by an event that it did not ask for costs a busy pool a wake-up for each wait.
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
