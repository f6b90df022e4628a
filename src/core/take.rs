//! Taking slots for a get: those that are home, or else a place in line for those that are not.
//!
//! Slots are looked for without the lock first. Under it, whoever does not get all that it wants finds
//! every word parked and no slot home, and joins the line in the same hold of the lock, so no release
//! can pass between the look and the joining.

#![forbid(unsafe_code)]

use crate::{
    core::engine::{Engine, Shared},
    free_list::striped::Miss,
    slot::{list::SlotList, owned::OwnedSlot},
    sync::{
        LockGuard, Ordering, events,
        user_code::{self, Spare},
    },
    values::error::GetBufferError,
    wait::{
        node::{Outcome, Ticket},
        queue::Left,
        request::{Rank, Wanted, Why},
    },
};
use std::{mem, task::Waker};

/// What a get found under the lock.
pub(crate) enum Found {
    Slots(SlotList),
    Place(Ticket),
}

impl Engine {
    /// Takes a slot that is free, without the lock. It may miss one.
    #[inline]
    pub(crate) fn take_free(&self) -> Option<OwnedSlot> {
        self.free_list.take().ok()
    }

    /// Takes a slot if one is home and nobody is in line.
    #[inline]
    pub(crate) fn try_take(&self) -> Result<OwnedSlot, GetBufferError> {
        match self.free_list.take() {
            Ok(slot) => Ok(slot),
            Err(Miss::Empty) if self.is_open() => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                events::exhausted(self.name(), 1);
                Err(GetBufferError::Exhausted)
            }
            Err(_) => self.try_take_one(Rank::Ordinary),
        }
    }

    /// Takes a slot that is home under the lock, if nobody is in line who comes first.
    pub(crate) fn try_take_one(&self, rank: Rank) -> Result<OwnedSlot, GetBufferError> {
        let one = Wanted { slots: 1, rank };
        self.try_take_many(one).map(SlotList::into_only)
    }

    /// Takes the slots that are `wanted` if as many are home and nobody is in line who comes first.
    pub(crate) fn try_take_many(&self, wanted: Wanted) -> Result<SlotList, GetBufferError> {
        let mut gathered = self.take_without_the_lock(wanted);
        if gathered.len() == wanted.slots && wanted.slots > 0 {
            return Ok(gathered);
        }
        let mut shared = self.lock_for(wanted, &mut gathered)?;
        if self.takes_all(&mut shared, wanted, true, &mut gathered) {
            return Ok(gathered);
        }
        shared.counters.exhausted += 1;
        drop(shared);
        // A get of high priority may have gathered while others wait: some of them may be served now.
        self.put_back(gathered);
        events::exhausted(self.name(), wanted.slots);
        Err(GetBufferError::Exhausted)
    }

    /// Takes up to as many free slots as are `wanted`, if no waiter comes first; perhaps none.
    pub(crate) fn try_take_up_to(&self, wanted: Wanted) -> Result<SlotList, GetBufferError> {
        let mut gathered = self.free_list.take_up_to(wanted.slots);
        let is_short = gathered.len() < wanted.slots || wanted.slots == 0;
        let has_more = match wanted.rank {
            Rank::Ordinary => !self.free_list.is_empty(),
            Rank::HighPriority => true,
        };
        if !is_short || (!has_more && self.is_open()) {
            return Ok(gathered);
        }
        // More than there is may be asked for, so that whether one can be served is all that matters.
        let slots = wanted.slots.min(1);
        let mut shared = self.lock_for(Wanted { slots, ..wanted }, &mut gathered)?;
        if shared.queue.lets_pass(wanted.rank) {
            let may_open = shared.allows_fast_path(self);
            self.take_one_by_one(&mut shared, wanted, may_open, &mut gathered);
        }
        Ok(gathered)
    }

    /// Counts a get that found no slot and may not wait.
    #[cold]
    pub(crate) fn exhausted(&self, wanted: usize) -> GetBufferError {
        self.lock().counters.exhausted += 1;
        events::exhausted(self.name(), wanted);
        GetBufferError::Exhausted
    }

    /// Counts a get that was given up.
    pub(crate) fn count(&self, why: Why) {
        self.lock().count(why);
    }

    /// Takes the slots that are `wanted`, or joins the line for them.
    // Always, as those that it calls: it is a half of a hand-over, and hands on large values.
    #[inline(always)]
    pub(crate) fn take_or_join(
        &self,
        wanted: Wanted,
        waker: &Waker,
    ) -> Result<Found, GetBufferError> {
        let mut gathered = self.take_without_the_lock(wanted);
        if gathered.len() == wanted.slots && wanted.slots > 0 {
            return Ok(Found::Slots(gathered));
        }
        // Foreign code, so before the lock is taken; and if it is not needed it is dropped after.
        let waker =
            user_code::returns(|| waker.clone(), || self.put_back(mem::take(&mut gathered)));
        let waker = Spare::new(waker);
        let mut shared = self.lock_for(wanted, &mut gathered)?;
        if self.takes_all(&mut shared, wanted, false, &mut gathered) {
            return Ok(Found::Slots(gathered));
        }
        let is_bounded = wanted.rank == Rank::Ordinary;
        if is_bounded && shared.queue.len() >= self.settings.max_waiters {
            // With a queue of none, this is all that says that a buffer is wanted.
            let requested = shared.reclaim.take_for_refused();
            drop(shared);
            self.put_back(gathered);
            if let Some(requested) = requested {
                requested.wake_all();
            }
            return Err(GetBufferError::TooManyWaiters);
        }
        shared.counters.waited += 1;
        let joined = self.stamp_if_measured(&shared);
        let ticket = shared
            .queue
            .join(wanted, gathered, joined, waker.into_inner());
        let requested = shared.reclaim.take();
        if wanted.rank == Rank::HighPriority {
            // It and who has gathered before must not want more than there is, or each would wait for the other.
            let left = shared.properties.buffers - wanted.slots;
            let others = shared.queue.leave_to_others(left);
            drop(shared);
            self.put_back(others);
        } else {
            drop(shared);
        }
        self.wait_began();
        events::wait_began(self.name(), ticket.number().get(), wanted.slots);
        if let Some(requested) = requested {
            requested.wake_all();
        }
        Ok(Found::Place(ticket))
    }

    /// Goes on waiting, and is woken by `waker` from now on; or finds that it was told its outcome at
    /// this moment.
    #[cold]
    pub(crate) fn wait_on(&self, ticket: &mut Ticket, waker: &Waker) -> Option<Outcome> {
        let another = self.lock().queue.waits_with_another(ticket, waker);
        if another {
            // Cloned before the lock is taken, and the other one dropped once it is free.
            let waker = waker.clone();
            let unused = self.lock().queue.wake_by(ticket, waker);
            user_code::quietly(|| drop(unused));
        }
        ticket.take_outcome()
    }

    /// Takes up to as many slots that are home as are `wanted`. A get of one has looked already.
    fn take_without_the_lock(&self, wanted: Wanted) -> SlotList {
        match wanted.slots {
            1 => SlotList::default(),
            slots => self.free_list.take_many(slots),
        }
    }

    /// Takes the lock for a get of what is `wanted`, if that can ever be served. What it has gathered goes
    /// back if it is not its own any more.
    #[inline(always)]
    fn lock_for(
        &self,
        wanted: Wanted,
        gathered: &mut SlotList,
    ) -> Result<LockGuard<'_, Shared>, GetBufferError> {
        let mut shared = self.lock();
        if gathered.len() > 0 && !shared.lets_pass(wanted.rank) {
            // Somebody joined, or the pool was shut, after these were taken.
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

    /// Takes what is home of what is `wanted`, beside what was `gathered` already, and says whether that is
    /// all. If it is not, and what is wanted is not all or nothing, every word is parked then, and no slot
    /// is home but those gathered.
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

    /// Takes what is home, up to as many slots as are `wanted` with those gathered before; of many that
    /// must be all or nothing, only if there are enough, so that others do not find the pool empty for
    /// nothing.
    fn gather(
        &self,
        shared: &mut Shared,
        wanted: Wanted,
        all_or_nothing: bool,
        gathered: &mut SlotList,
    ) {
        let mut may_open = shared.allows_fast_path(self);
        if wanted.slots > 1 {
            let free = shared.parked.park_all_and_count(&self.free_list);
            let free = free + shared.reserved_for(wanted.rank);
            if all_or_nothing && gathered.len() + free < wanted.slots {
                return;
            }
            // In an open word somebody else could be faster.
            may_open = false;
        }
        self.take_one_by_one(shared, wanted, may_open, gathered);
    }

    /// Takes free slots until there are as many as are `wanted`, or none is left.
    #[inline]
    fn take_one_by_one(
        &self,
        shared: &mut Shared,
        wanted: Wanted,
        may_open: bool,
        gathered: &mut SlotList,
    ) {
        while gathered.len() < wanted.slots {
            let slot = match shared.parked.take(&self.free_list, may_open) {
                // With none home every word is parked, as those who take from the reserve must leave them.
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

    /// Leaves the line. The answer is the slots that were handed over already, or the failure that was
    /// told; what was only gathered goes to the next in line.
    pub(crate) fn leave_line(
        &self,
        mut ticket: Ticket,
        why: Why,
    ) -> Result<SlotList, GetBufferError> {
        let mut shared = self.lock();
        let left = shared.queue.leave(&mut ticket);
        let how = match &left {
            Left::Waiting(..) => why.name(),
            Left::WithOutcome(outcome) => outcome.name(),
        };
        let (told, gathered, waker) = match left {
            Left::Waiting(gathered, waker) => (Ok(SlotList::default()), gathered, waker),
            Left::WithOutcome(Outcome::Slots(slots)) => (Ok(slots), SlotList::default(), None),
            Left::WithOutcome(Outcome::Failed(error)) => (Err(error), SlotList::default(), None),
        };
        // One that was told of a failure was neither cancelled nor too late, and one that has its slots
        // beats the deadline.
        let counts = match (&told, why) {
            (Err(_), _) => false,
            (Ok(_), Why::Cancelled) => true,
            (Ok(slots), Why::TimedOut) => slots.len() == 0,
        };
        if counts {
            shared.count(why);
        }
        drop(shared);
        user_code::quietly(|| drop(waker));
        self.put_back(gathered);
        self.wait_ended(&ticket);
        events::wait_ended(self.name(), ticket.number().get(), how);
        ticket.give_back();
        told
    }
}

impl Shared {
    /// Whether a get of this rank has nobody to wait for, in a pool that serves.
    fn lets_pass(&self, rank: Rank) -> bool {
        self.serves().is_ok() && self.queue.lets_pass(rank)
    }

    /// Whether a get of so many samples can ever be served.
    #[inline]
    pub(crate) fn may_want(&self, wanted: Wanted) -> Result<(), GetBufferError> {
        self.serves()?;
        let out_of_reach = match wanted.rank {
            Rank::Ordinary => self.priority_buffers.size(),
            Rank::HighPriority => 0,
        };
        if wanted.slots > self.properties.buffers - out_of_reach {
            return Err(GetBufferError::TooMany);
        }
        Ok(())
    }

    /// How many slots of the reserve a get of this rank may take.
    fn reserved_for(&self, rank: Rank) -> usize {
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
