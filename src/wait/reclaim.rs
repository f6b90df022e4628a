//! The wakers of tasks that keep a buffer while they wait for something else. They are woken when a get is queued.
//!
//! A reader keeps the buffer of a frame that it has read in part. While it waits for its source, no other event shows
//! it that gets wait for a buffer. So it registers its waker here, under the lock under which gets are queued: either
//! it finds a queued get, or the next get that is queued finds its waker. A get that is queued takes all wakers, and
//! wakes them once the lock is free. A task that still keeps its buffer then registers again.
//!
//! A [`Key`] belongs to one round. Taking the wakers ends the round. From then on all keys of the round are void: they
//! stand for no waker.
//!
//! With [`max_waiters(0)`](crate::Builder::max_waiters) no get is queued. A get that fails for this reason takes the
//! wakers too, and marks the round as refused. So a task that was woken learns from its key that its buffer is wanted.

#![forbid(unsafe_code)]

use crate::sync::user_code;
use std::{mem, task::Waker};

/// How many empty places are kept when no waker is left, so that a task that registers again and again allocates once.
const KEPT: usize = 64;

/// The wakers, under the lock of the queue for which they are woken.
#[derive(Debug, Default)]
pub(crate) struct Reclaim {
    wakers: Vec<Option<Waker>>,
    /// The places in `wakers` that are empty.
    vacant: Vec<usize>,
    round: u64,
    /// The last round that was ended by a get that may not be queued.
    refused: Option<u64>,
}

/// Where a waker is registered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    round: u64,
    place: usize,
}

/// All the wakers of a round, to be woken without the lock.
#[derive(Debug)]
pub(crate) struct Requested(Vec<Option<Waker>>);

impl Reclaim {
    /// Registers `waker`, in place of the one that `key` stands for. Returns the replaced waker, which the caller drops
    /// once the lock is free.
    pub(crate) fn register(&mut self, key: &mut Option<Key>, waker: Waker) -> Option<Waker> {
        if let Some(known) = self.at(*key) {
            return known.replace(waker);
        }
        let place = match self.vacant.pop() {
            Some(place) => {
                self.wakers[place] = Some(waker);
                place
            }
            None => {
                self.wakers.push(Some(waker));
                self.wakers.len() - 1
            }
        };
        let round = self.round;
        *key = Some(Key { round, place });
        None
    }

    /// Removes the waker that `key` stands for. The caller drops it once the lock is free.
    pub(crate) fn remove(&mut self, key: &mut Option<Key>) -> Option<Waker> {
        let gone = key.take();
        let removed = self.at(gone)?.take();
        self.vacant.extend(gone.map(|key| key.place));
        if self.vacant.len() == self.wakers.len() && self.vacant.len() > KEPT {
            // The last of many tasks: their memory is freed, and all keys of this round are void.
            *self = Reclaim {
                round: self.round + 1,
                refused: self.refused,
                ..Reclaim::default()
            };
        }
        removed
    }

    /// The place that `key` stands for, if it is of this round.
    fn at(&mut self, key: Option<Key>) -> Option<&mut Option<Waker>> {
        let key = key.filter(|key| key.round == self.round)?;
        self.wakers.get_mut(key.place)
    }

    /// All wakers, if there are any, to be woken once the lock is free.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Requested> {
        if self.wakers.is_empty() {
            return None;
        }
        self.end_round()
    }

    /// As [`take`](Reclaim::take), for a get that fails because no get may be queued. A task that it wakes finds the
    /// queue empty, so the round is marked: [`was_refused`](Reclaim::was_refused) shows the task why it was woken.
    #[cold]
    pub(crate) fn take_for_refused(&mut self) -> Option<Requested> {
        let round = self.round;
        let requested = self.take();
        if requested.is_some() {
            self.refused = Some(round);
        }
        requested
    }

    /// Whether a get has failed since `key` was registered because no get may be queued. `true` once: `key` is void
    /// then.
    pub(crate) fn was_refused(&self, key: &mut Option<Key>) -> bool {
        let was_refused = key.is_some_and(|key| Some(key.round) <= self.refused);
        if was_refused {
            *key = None;
        }
        was_refused
    }

    #[cold]
    fn end_round(&mut self) -> Option<Requested> {
        self.round += 1;
        self.vacant.clear();
        Some(Requested(mem::take(&mut self.wakers)))
    }
}

impl Requested {
    /// Wakes all of them. User code runs, so the lock must be free.
    #[cold]
    pub(crate) fn wake_all(self) {
        for waker in self.0.into_iter().flatten() {
            user_code::quietly(|| waker.wake());
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::sync::{AtomicUsize, Ordering};
    use std::{sync::Arc, task::Wake};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A key of an earlier round may have the place that another task has now.
    #[test]
    fn a_key_of_an_earlier_round_touches_no_other_waker() {
        let mut reclaim = Reclaim::default();
        let wakes = [(); 2].map(|()| Arc::new(Wakes::default()));
        let [first, second] = wakes.clone().map(Waker::from);
        let (mut old, mut new) = (None, None);
        assert!(reclaim.register(&mut old, first.clone()).is_none());
        reclaim.take().expect("one is registered").wake_all();
        assert!(reclaim.register(&mut new, second).is_none());
        assert!(reclaim.remove(&mut old).is_none());
        assert!(reclaim.register(&mut old, first).is_none(), "a new place");
        reclaim.take().expect("two are registered").wake_all();
        assert!(reclaim.take().is_none());
        let counts = wakes.map(|wakes| wakes.0.load(Ordering::Relaxed));
        assert_eq!(counts, [2, 1]);
    }

    /// Otherwise a reader that registers again and again would add a place each time.
    #[test]
    fn places_are_used_again() {
        let mut reclaim = Reclaim::default();
        for _ in 0..100 {
            let mut key = None;
            assert!(reclaim.register(&mut key, Waker::noop().clone()).is_none());
            assert!(reclaim.register(&mut key, Waker::noop().clone()).is_some());
            assert!(reclaim.remove(&mut key).is_some());
            assert!(reclaim.remove(&mut key).is_none());
        }
        assert_eq!((reclaim.wakers.len(), reclaim.vacant.len()), (1, 1));
    }

    /// Otherwise the places of many tasks would stay allocated as long as the pool, or the quota.
    #[test]
    fn a_crowd_leaves_no_places_behind() {
        let mut reclaim = Reclaim::default();
        for crowd in [1000, 1000] {
            let mut keys = vec![None; crowd];
            for key in &mut keys {
                assert!(reclaim.register(key, Waker::noop().clone()).is_none());
            }
            for key in &mut keys {
                assert!(reclaim.remove(key).is_some());
            }
            assert_eq!(
                (reclaim.wakers.capacity(), reclaim.vacant.capacity()),
                (0, 0)
            );
            assert!(reclaim.take().is_none());
        }
    }
}
