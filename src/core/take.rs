//! How a get takes slots: those that are free at once, and a queue slot if they are not enough.
//!
//! A get looks for slots without the lock first. Under the lock, a get that does not get all that it wants finds every
//! word parked and no slot free, and joins the wait queue in the same hold of the lock. So no release can come between
//! the check and the join.

#![forbid(unsafe_code)]

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

use crate::{
    core::engine::{Engine, Shared},
    free_list::{stripe, striped::Miss},
    slot::{block_ref::NotTaken, list::SlotList, owned::OwnedSlot},
    sync::{
        LockGuard, events,
        user_code::{self, Spare},
    },
    values::error::GetBufferError,
    wait::{
        node::{NodeRef, Outcome},
        queue::LeaveResult,
        request::{Rank, Wanted, Why},
    },
};
use std::{mem, task::Waker};

/// The result of a get under the lock: all slots, or a position in the wait queue.
pub(crate) enum TakenOrQueued {
    Slots(SlotList),
    Queued(NodeRef),
}

impl Engine {
    /// Takes a free slot without the lock. It may miss one that is free.
    #[inline]
    pub(crate) fn take_free(&self) -> Option<OwnedSlot> {
        self.free_list.take().ok()
    }

    /// Takes a slot if one is free and no waiter is queued, and counts nothing if not.
    pub(crate) fn take_if_free(&self) -> Option<OwnedSlot> {
        match self.free_list.take() {
            Ok(slot) => Some(slot),
            Err(Miss::Empty | Miss::NoneSeen) => None,
            // Only a look under the lock is exact.
            Err(Miss::Unsure) => {
                let one = Wanted {
                    slots: 1,
                    rank: Rank::Ordinary,
                };
                self.try_take_up_to(one).ok()?.pop()
            }
        }
    }

    /// Takes a slot if one is free and no waiter is queued.
    #[inline]
    pub(crate) fn try_take(&self) -> Result<OwnedSlot, GetBufferError> {
        self.free_list
            .take_at_cursor()
            .or_else(|first| self.try_take_elsewhere(first))
    }

    /// Goes on after the first word. In one function with all that a get does in an empty pool, so that it costs little.
    #[cold]
    #[inline(never)]
    fn try_take_elsewhere(&self, first: NotTaken) -> Result<OwnedSlot, GetBufferError> {
        // No word has a free slot, and the pool serves gets. So it is empty, and a look under the lock would find no slot
        // either.
        if first == NotTaken::Unavailable && self.free_list.is_empty() && self.serves_gets() {
            return Err(self.exhausted(1));
        }
        self.try_take_from_another_word(first)
    }

    #[inline(never)]
    fn try_take_from_another_word(&self, first: NotTaken) -> Result<OwnedSlot, GetBufferError> {
        match self.free_list.take_after(first) {
            Ok(slot) => Ok(slot),
            // As above, since then.
            Err(Miss::Empty) if self.serves_gets() => Err(self.exhausted(1)),
            // The words stay open, so the releases that follow need no lock either. Not always: if gets go on to fail,
            // parking the words makes each further miss a single load.
            Err(Miss::NoneSeen) if self.serves_gets() && !stripe::parks_at_this_miss() => {
                Err(self.exhausted(1))
            }
            Err(_) => self.try_take_one(Rank::Ordinary),
        }
    }

    /// Takes one free slot under the lock, if no waiter goes before this rank.
    pub(crate) fn try_take_one(&self, rank: Rank) -> Result<OwnedSlot, GetBufferError> {
        let one = Wanted { slots: 1, rank };
        self.try_take_many(one).map(SlotList::into_only)
    }

    /// Takes the `wanted` slots if as many are free and no waiter goes before this rank; otherwise none.
    pub(crate) fn try_take_many(&self, wanted: Wanted) -> Result<SlotList, GetBufferError> {
        let mut gathered = self.take_without_the_lock(wanted);
        // A get of no slot goes on: only the lock tells whether the pool serves gets at all.
        if gathered.len() == wanted.slots && wanted.slots > 0 {
            return Ok(gathered);
        }
        let mut shared = self.lock_for(wanted, &mut gathered)?;
        if self.takes_all(&mut shared, wanted, true, &mut gathered) {
            return Ok(gathered);
        }
        drop(shared);
        // After the unlock, because `put_back` takes the lock. A get of high priority may have gathered slots while
        // others wait, and these slots may serve some of them now.
        self.put_back(gathered);
        Err(self.exhausted(wanted.slots))
    }

    /// Takes up to the `wanted` number of free slots, if no waiter goes before this rank. It may take none.
    pub(crate) fn try_take_up_to(&self, wanted: Wanted) -> Result<SlotList, GetBufferError> {
        let mut gathered = self.free_list.take_up_to(wanted.slots);
        let is_short = gathered.len() < wanted.slots || wanted.slots == 0;
        let has_more = match wanted.rank {
            Rank::Ordinary => !self.free_list.is_empty(),
            Rank::HighPriority => true,
        };
        if !is_short || (!has_more && self.serves_gets()) {
            return Ok(gathered);
        }
        // More slots than the pool has may be asked for, so the check is only whether one slot can ever be served.
        let slots = wanted.slots.min(1);
        let mut shared = self.lock_for(Wanted { slots, ..wanted }, &mut gathered)?;
        if shared.queue.lets_pass(wanted.rank) {
            let may_open = shared.allows_fast_path(self);
            self.take_one_by_one(&mut shared, wanted, may_open, &mut gathered);
        }
        Ok(gathered)
    }

    /// Counts a get that found no slot and may not wait, and returns its error.
    #[inline]
    pub(crate) fn exhausted(&self, wanted: usize) -> GetBufferError {
        self.misses.increment();
        events::exhausted(self.name(), wanted);
        GetBufferError::Exhausted
    }

    /// Counts a get that was cancelled or timed out.
    pub(crate) fn count(&self, why: Why) {
        self.lock().count(why);
    }

    /// Takes the `wanted` slots, or joins the wait queue for them.
    // Always, like those that it calls: this is half of a hand-off, and it passes large values on.
    #[inline(always)]
    pub(crate) fn take_or_join(
        &self,
        wanted: Wanted,
        waker: &Waker,
    ) -> Result<TakenOrQueued, GetBufferError> {
        let mut gathered = self.take_without_the_lock(wanted);
        if gathered.len() == wanted.slots && wanted.slots > 0 {
            return Ok(TakenOrQueued::Slots(gathered));
        }
        // Cloning a waker is user code, so it is cloned before the lock is taken. If it panics, the gathered slots are
        // put back. A clone that is not needed is dropped after the lock is released.
        let waker =
            user_code::or_first(|| waker.clone(), || self.put_back(mem::take(&mut gathered)));
        let waker = Spare::new(waker);
        let mut shared = self.lock_for(wanted, &mut gathered)?;
        if self.takes_all(&mut shared, wanted, false, &mut gathered) {
            return Ok(TakenOrQueued::Slots(gathered));
        }
        // A get of high priority must not fail because ordinary gets have filled the queue.
        let is_bounded = wanted.rank == Rank::Ordinary;
        if is_bounded && shared.queue.len() >= self.settings.max_waiters {
            // If the queue may have no waiter, this is the only sign that a buffer is wanted.
            let requested = shared.reclaim.take_for_refused();
            drop(shared);
            // After the unlock, because both calls can run wakers.
            self.put_back(gathered);
            if let Some(requested) = requested {
                requested.wake_all();
            }
            return Err(GetBufferError::TooManyWaiters);
        }
        shared.counters.waited += 1;
        let joined = self.stamp_if_measured(&shared);
        // In the same hold of the lock as the check in `takes_all`: a release in between would find no waiter and put
        // its slot, and this get would wait while a slot is free.
        let node_ref = shared
            .queue
            .join(wanted, gathered, joined, waker.into_inner());
        let requested = shared.reclaim.take();
        if wanted.rank == Rank::HighPriority {
            // This get and a get that gathered slots before it must not want more than the pool has together. Each
            // would keep its slots and wait for those of the other.
            let left = shared.properties.buffers - wanted.slots;
            let others = shared.queue.give_up_gathered(left);
            drop(shared);
            self.put_back(others);
        } else {
            drop(shared);
        }
        self.wait_began();
        events::wait_began(self.name(), node_ref.number().get(), wanted.slots);
        if let Some(requested) = requested {
            requested.wake_all();
        }
        Ok(TakenOrQueued::Queued(node_ref))
    }

    /// Continues the wait with `waker` as the waker from now on, or returns the outcome if the wait has just ended.
    #[cold]
    pub(crate) fn wait_on(&self, node_ref: &mut NodeRef, waker: &Waker) -> Option<Outcome> {
        let another = self.lock().queue.needs_waker(node_ref, waker);
        if another {
            // Clone before the lock is taken, and drop the other waker after it is released: both are user code.
            let waker = waker.clone();
            let unused = self.lock().queue.replace_waker(node_ref, waker);
            user_code::quietly(|| drop(unused));
        }
        // Last, because a hand-off before the new waker was stored has woken the old one.
        node_ref.take_outcome()
    }

    /// Takes up to the `wanted` number of free slots without the lock. A get of one has done this already.
    fn take_without_the_lock(&self, wanted: Wanted) -> SlotList {
        match wanted.slots {
            1 => SlotList::default(),
            slots => self.free_list.take_many(slots),
        }
    }

    /// Takes the lock for a get, if what is `wanted` can ever be served. The gathered slots are put back if it cannot,
    /// or if a waiter that goes first has joined since they were taken.
    #[inline(always)]
    fn lock_for(
        &self,
        wanted: Wanted,
        gathered: &mut SlotList,
    ) -> Result<LockGuard<'_, Shared>, GetBufferError> {
        let mut shared = self.lock();
        if gathered.len() > 0 && !shared.lets_pass(wanted.rank) {
            // A waiter joined, or the pool was closed, after these slots were taken. They belong to the waiter, or to
            // the drain, so they are put back through the slow path.
            drop(shared);
            self.put_back(mem::take(gathered));
            shared = self.lock();
        }
        match shared.may_want(wanted) {
            Ok(()) => Ok(shared),
            Err(error) => {
                drop(shared);
                self.put_back(mem::take(gathered));
                Err(error)
            }
        }
    }

    /// Takes what is free of what is `wanted`, in addition to what is in `gathered`, and returns whether that is all.
    ///
    /// If it is not all, and it need not be all or nothing, then every word is parked and no slot is free except those
    /// gathered.
    #[inline]
    fn takes_all(
        &self,
        shared: &mut Shared,
        wanted: Wanted,
        all_or_nothing: bool,
        gathered: &mut SlotList,
    ) -> bool {
        if wanted.slots > 0 && shared.queue.lets_pass(wanted.rank) {
            self.gather(shared, wanted, all_or_nothing, gathered);
        }
        gathered.len() == wanted.slots
    }

    /// Takes free slots until `gathered` has the `wanted` number or none is left.
    ///
    /// If a get of several must have all or nothing, it takes them only if enough are free. Otherwise other gets would
    /// find the pool empty for no reason.
    fn gather(
        &self,
        shared: &mut Shared,
        wanted: Wanted,
        all_or_nothing: bool,
        gathered: &mut SlotList,
    ) {
        let mut may_open = shared.allows_fast_path(self);
        if wanted.slots > 1 {
            let free = shared.words.park_all_and_count(&self.free_list);
            let free = free + shared.priority_buffers_for(wanted.rank);
            if all_or_nothing && gathered.len() + free < wanted.slots {
                return;
            }
            // Another thread could take a slot from an open word first, and the count above would be wrong.
            may_open = false;
        }
        self.take_one_by_one(shared, wanted, may_open, gathered);
    }

    /// Takes free slots one by one, until `gathered` has the `wanted` number or none is left.
    #[inline]
    fn take_one_by_one(
        &self,
        shared: &mut Shared,
        wanted: Wanted,
        may_open: bool,
        gathered: &mut SlotList,
    ) {
        while gathered.len() < wanted.slots {
            let slot = match shared.words.take(&self.free_list, may_open) {
                // Only if no other slot is free: ordinary gets cannot take priority buffers. No slot was free, so every
                // word is parked: it must stay so while there are too few of them, or releases without the lock would
                // not replace them.
                None if wanted.rank == Rank::HighPriority => shared.priority_buffers.take(),
                free => free,
            };
            let Some(slot) = slot else {
                return;
            };
            slot.mark_used();
            gathered.push(slot);
        }
    }

    /// Leaves the wait queue. Returns the slots that were handed off already, or the error that the wait ended with.
    /// Slots that were only gathered go to the next waiter.
    pub(crate) fn leave_queue(
        &self,
        mut node_ref: NodeRef,
        why: Why,
    ) -> Result<SlotList, GetBufferError> {
        let mut shared = self.lock();
        let left = shared.queue.leave(&mut node_ref);
        let how = match &left {
            LeaveResult::WasQueued(..) => why.name(),
            LeaveResult::HadOutcome(outcome) => outcome.name(),
        };
        let (result, gathered, waker) = match left {
            LeaveResult::WasQueued(gathered, waker) => (Ok(SlotList::default()), gathered, waker),
            LeaveResult::HadOutcome(Outcome::Slots(slots)) => {
                (Ok(slots), SlotList::default(), None)
            }
            LeaveResult::HadOutcome(Outcome::Failed(error)) => {
                (Err(error), SlotList::default(), None)
            }
        };
        // A get that has failed is neither cancelled nor timed out. A get that has its slots returns them, even after
        // its deadline.
        let counts = match (&result, why) {
            (Err(_), _) => false,
            (Ok(_), Why::Cancelled) => true,
            (Ok(slots), Why::TimedOut) => slots.len() == 0,
        };
        if counts {
            shared.count(why);
        }
        drop(shared);
        // After the unlock: dropping a waker is user code, and `put_back` takes the lock.
        user_code::quietly(|| drop(waker));
        self.put_back(gathered);
        self.wait_ended(&node_ref);
        events::wait_ended(self.name(), node_ref.number().get(), how);
        node_ref.give_back();
        result
    }
}

impl Shared {
    /// Whether gets are served, and no waiter goes before a get of this rank.
    fn lets_pass(&self, rank: Rank) -> bool {
        self.serves().is_ok() && self.queue.lets_pass(rank)
    }

    /// Whether a get of so many slots can ever be served, and otherwise its error.
    #[inline]
    pub(crate) fn may_want(&self, wanted: Wanted) -> Result<(), GetBufferError> {
        self.serves()?;
        // Ordinary gets cannot take the priority buffers.
        let out_of_reach = match wanted.rank {
            Rank::Ordinary => self.priority_buffers.size(),
            Rank::HighPriority => 0,
        };
        if wanted.slots > self.properties.buffers - out_of_reach {
            return Err(GetBufferError::TooMany);
        }
        Ok(())
    }

    /// How many priority buffers a get of this rank may take.
    fn priority_buffers_for(&self, rank: Rank) -> usize {
        match rank {
            Rank::Ordinary => 0,
            Rank::HighPriority => self.priority_buffers.len(),
        }
    }

    fn count(&mut self, why: Why) {
        match why {
            Why::Cancelled => self.counters.cancelled += 1,
            Why::TimedOut => self.counters.timed_out += 1,
        }
    }
}
