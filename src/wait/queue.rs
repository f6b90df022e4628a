//! The line: who waits for samples, and in what order they are served.
//!
//! | state   | in line | owns slots          | left by                                                  |
//! |---------|---------|---------------------|----------------------------------------------------------|
//! | waiting | yes     | what it gathered    | the last slot it wants: told; decommit, flush: told; drop |
//! | told    | no      | all it wanted, or none | poll: done; drop: the slots go to the next in line    |
//!
//! A release that goes under the lock gives its slot to the front of the line directly. The front is
//! filled until it has what it wants, so a large request is not starved by small ones behind it.
//! Whoever joins parked every word of the free list first, in the same hold of the lock.
//!
//! Those of a quota of high priority stand in a queue of their own, which is served before the other; all
//! else is the same for both. A [quota](crate::Quota) has a line of its own too, in which its gets
//! wait for room instead of slots.
//!
//! A crowd's seats are freed as it leaves: of those that no waiter has, the line keeps a bounded number, which is more
//! than most pools ever need. A seat that is left beyond that is removed, and its node belongs to the future that
//! waited there. So a wait allocates only when the line is longer than it was, or has more waiters than it keeps.
//!
//! # Invariants, true whenever the lock is free
//!
//! - **L1** No slot is home while anyone waits. loom `no_slot_is_home_while_anyone_waits`
//! - **L2** Home + outstanding = committed; slots that were gathered or handed over are outstanding.
//!   `tests/it/model`
//! - **L3** No foreign code runs under the lock: waiters are told under it, woken and dropped after.
//!   `reentrancy: *`
//! - **L4** Only the front gathers, and a front that a privileged one came before: every other seat in
//!   line has no slot. `many: *`, `quotas: *`
//! - **L5** No more than `kept` seats have no waiter in line. `gone: *`, `line: tests`
//!
//! # Why not a `Notify`, or a `Semaphore`
//!
//! One `Notify` for all remembers one permit, so two releases between a waiter's look and its registration
//! wake one waiter; newcomers overtake, and a woken loser joins at the end again. A `Notify` for each
//! has none of this, and costs a lock of its own at each poll and each wake-up, a quarter of a
//! hand-over, to guard a waker that can lie in the seat, under the lock that is held anyway. A
//! `Semaphore` takes its lock on every release even when nobody waits, and cannot hand over a particular
//! slot. Here the slot is in the waiter's hands before it is woken.
//!
//! # Why a mutex
//!
//! A waiter must be able to leave from the middle when its future is dropped, and a release must see
//! the line and move its slot in one step. Without a waiter nobody takes it.

#![forbid(unsafe_code)]

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

use crate::wait::slab::WaiterNumber;
use crate::wait::slab::{Queue, QueueIndex, QueueSlots};
use crate::{
    slot::{list::SlotList, owned::OwnedSlot},
    values::{error::GetBufferError, undelivered::Undelivered},
    wait::{
        clock::Stamp,
        node::{Outcome, OwnedWaiter, Ticket},
        request::{Rank, Wanted},
    },
};
use std::{mem, task::Waker};

/// The waiters, first come first served.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct WaitQueue {
    len: usize,
    waiting: Queue,
    /// Served before those who are `waiting`.
    high_priority: Queue,
    /// The seats that nobody waits on, in the order in which they were left. A future that was told its
    /// outcome may still have the node of such a seat.
    left: Queue,
    /// How many of them are kept.
    kept: usize,
    queue_slots: QueueSlots,
}

/// How many seats are looked at before a new one is made.
const LOOK_AT: usize = 8;

/// How many seats without a waiter the pool's line keeps: 1.5 MiB, and less than that again if all were used for timed
/// waits. One in a model, which has few waiters.
pub(crate) const KEPT_BY_A_POOL: usize = if cfg!(all(test, any(loom, shuttle))) {
    1
} else {
    8192
};

/// How many a quota's line keeps. Quotas are many, and not all have crowds.
pub(crate) const KEPT_BY_A_QUOTA: usize = KEPT_BY_A_POOL.div_ceil(8);

/// What came of offering a slot to the front.
#[derive(Debug)]
pub(crate) enum Offer {
    /// Nobody is in line.
    Refused(OwnedSlot),
    /// The front has it, and wants more.
    Gathered,
    /// The front has all it wanted, and is to be woken once the lock is free.
    Served(Waker),
}

/// What somebody leaves behind who gives up waiting.
#[derive(Debug)]
pub(crate) enum Left {
    /// It was in line, with what it had gathered.
    Waiting(SlotList, Option<Waker>),
    /// It had been told already.
    WithOutcome(Outcome),
}

impl WaitQueue {
    /// A line without a seat, which keeps so many that are left.
    pub(crate) fn new(kept: usize) -> Self {
        WaitQueue {
            kept,
            ..WaitQueue::default()
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody is in line whom a get of this rank may not overtake.
    #[inline]
    pub(crate) fn lets_pass(&self, rank: Rank) -> bool {
        match rank {
            Rank::Ordinary => self.is_empty(),
            Rank::HighPriority => !self.has_high_priority(),
        }
    }

    #[inline]
    pub(crate) fn has_high_priority(&self) -> bool {
        self.high_priority.front().is_some()
    }

    /// When the first of those in line joined, if that was written down. Nobody has waited for longer.
    pub(crate) fn oldest(&self) -> Option<Stamp> {
        self.longest().map(|(joined, _)| joined)
    }

    /// When who has waited for longest joined, if that was written down, and where it sits: who began to be timed
    /// together is told apart by that.
    pub(crate) fn longest(&self) -> Option<(Stamp, WaiterNumber)> {
        let fronts = [self.high_priority.front(), self.waiting.front()].into_iter();
        let joined = fronts.flatten().filter_map(|front| {
            Some((
                self.queue_slots.joined(front)?,
                self.queue_slots.number(front),
            ))
        });
        joined.min_by_key(|&(joined, _)| joined)
    }

    /// What gets have that no user has yet: slots that were handed to a future which has not looked, and gathered ones.
    /// Only of gets whose lines were written down.
    pub(crate) fn undelivered(&self) -> impl Iterator<Item = Undelivered> {
        self.queue_slots.iter().filter_map(|queue_slot| {
            let gathered = queue_slot.gathered.len();
            let handed = if queue_slot.waiter.has_slots() {
                queue_slot.wanted as usize
            } else {
                0
            };
            if handed + gathered == 0 {
                return None;
            }
            Some(Undelivered {
                location: queue_slot.waiter.location()?,
                handed,
                gathered,
            })
        })
    }

    /// Takes those who joined without a time for having joined now.
    pub(crate) fn measure_from(&mut self, now: Stamp) {
        self.high_priority.stamp_all(&self.queue_slots, now);
        self.waiting.stamp_all(&self.queue_slots, now);
    }

    /// Joins the back of the line, with what was gathered already.
    // Always, though quotas join lines too: a call is a twentieth of a hand-over.
    #[inline(always)]
    pub(crate) fn join(
        &mut self,
        wanted: Wanted,
        gathered: SlotList,
        joined: Option<Stamp>,
        waker: Waker,
    ) -> Ticket {
        let number = self.vacant_queue_slot();
        self.len += 1;
        let queue = match wanted.rank {
            Rank::Ordinary => &mut self.waiting,
            Rank::HighPriority => &mut self.high_priority,
        };
        queue.push_back(&mut self.queue_slots, number);
        self.queue_slots
            .take(number, wanted, gathered, joined, waker)
    }

    /// A seat whose last waiter has gone. Those who left first are likely to be gone by now; some may
    /// never go, so each look moves the seat to the end.
    #[inline]
    fn vacant_queue_slot(&mut self) -> QueueIndex {
        match self.pop_given_back() {
            Some(index) => index,
            None => self.queue_slots.add(),
        }
    }

    /// Takes a seat whose last waiter has gone out of those that were left, if a few looks find one.
    #[inline]
    fn pop_given_back(&mut self) -> Option<QueueIndex> {
        for _ in 0..LOOK_AT {
            let index = self.left.pop_front(&mut self.queue_slots)?;
            if self.queue_slots.at(index).waiter.is_given_back() {
                return Some(index);
            }
            self.left.push_back(&mut self.queue_slots, index);
        }
        None
    }

    /// Gives `slot` to the front of the line.
    #[inline]
    pub(crate) fn offer(&mut self, slot: OwnedSlot) -> Offer {
        let Some(front) = self.front() else {
            return Offer::Refused(slot);
        };
        let queue_slot = self.queue_slots.at_mut(front);
        queue_slot.gathered.push(slot);
        if queue_slot.gathered.len() < queue_slot.wanted as usize {
            return Offer::Gathered;
        }
        match self.vacate(front, Outcome::Slots) {
            Some(waker) => Offer::Served(waker),
            None => unreachable!("who waits has a waker"),
        }
    }

    /// Takes from the front of those who are not privileged what it has gathered beyond `most`.
    #[cold]
    #[inline(never)]
    pub(crate) fn leave_to_others(&mut self, most: usize) -> SlotList {
        let mut others = SlotList::default();
        if let Some(front) = self.waiting.front() {
            let gathered = &mut self.queue_slots.at_mut(front).gathered;
            while gathered.len() > most {
                let Some(slot) = gathered.pop() else { break };
                others.push(slot);
            }
        }
        others
    }

    /// Lets the front go on without a slot, if it wants no more than there is `room` for. The answer is how
    /// much it takes, and its waker.
    pub(crate) fn admit(&mut self, room: usize) -> Option<(usize, Waker)> {
        let front = self.front()?;
        let wanted = self.queue_slots.at(front).wanted as usize;
        if wanted > room {
            return None;
        }
        let waker = self.vacate(front, Outcome::Slots)?;
        Some((wanted, waker))
    }

    #[inline]
    fn front(&self) -> Option<QueueIndex> {
        self.high_priority.front().or(self.waiting.front())
    }

    /// Takes a waiter out of the line, and tells its waiter what `outcome` makes of what it gathered. The
    /// answer is its waker.
    #[inline]
    fn vacate(
        &mut self,
        index: QueueIndex,
        outcome: impl FnOnce(SlotList) -> Outcome,
    ) -> Option<Waker> {
        let (gathered, waker) = self.unlink(index);
        let outcome = outcome(gathered);
        if self.keeps_one_more() {
            self.left.push_back(&mut self.queue_slots, index);
            self.queue_slots.at(index).waiter.tell(outcome);
        } else {
            self.tell_beyond_kept(index, outcome);
        }
        waker
    }

    /// Tells a waiter that was taken out of the line, and removes a seat. Rather one that no future has: of the waiter that
    /// is told, a report can name the line as long as it has its seat.
    #[cold]
    fn tell_beyond_kept(&mut self, index: QueueIndex, outcome: Outcome) {
        let Some(vacant) = self.pop_given_back() else {
            return self.remove(index).tell_and_abandon(outcome);
        };
        // Before the other is removed: a seat that moves then must be in a queue.
        self.left.push_back(&mut self.queue_slots, index);
        self.queue_slots.at(index).waiter.tell(outcome);
        drop(self.remove(vacant));
    }

    /// Whether a seat that was just left is kept.
    #[inline]
    fn keeps_one_more(&self) -> bool {
        self.queue_slots.len() - self.len <= self.kept
    }

    /// Takes out a seat that is in no queue. The answer is its node.
    #[cold]
    fn remove(&mut self, index: QueueIndex) -> OwnedWaiter {
        let (node, moved) = self.queue_slots.remove(index);
        if let Some(from) = moved {
            for queue in [&mut self.waiting, &mut self.high_priority, &mut self.left] {
                queue.move_queue_slot(from, index);
            }
        }
        node
    }

    #[inline]
    fn unlink(&mut self, index: QueueIndex) -> (SlotList, Option<Waker>) {
        let queue = match self.queue_slots.at(index).rank {
            Rank::Ordinary => &mut self.waiting,
            Rank::HighPriority => &mut self.high_priority,
        };
        queue.remove(&mut self.queue_slots, index);
        self.len -= 1;
        let queue_slot = self.queue_slots.at_mut(index);
        (mem::take(&mut queue_slot.gathered), queue_slot.waker.take())
    }

    /// Whether the waiter of `ticket` is in line with another waker than `waker`.
    pub(crate) fn waits_with_another(&self, ticket: &Ticket, waker: &Waker) -> bool {
        let Some(index) = self.queue_slots.of(ticket) else {
            return false;
        };
        let known = self.queue_slots.at(index).waker.as_ref();
        known.is_some_and(|known| !known.will_wake(waker))
    }

    /// Lets the waiter of `ticket` be woken by `waker` from now on. What comes back is to be dropped once
    /// the lock is free: the waker of before, or this one if the waiter is not in line any more.
    pub(crate) fn wake_by(&mut self, ticket: &Ticket, waker: Waker) -> Waker {
        let index = self.queue_slots.of(ticket);
        match index.and_then(|index| self.queue_slots.at_mut(index).waker.as_mut()) {
            Some(known) => mem::replace(known, waker),
            None => waker,
        }
    }

    /// The wakers of those who were in line when their pool went.
    pub(crate) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.queue_slots.into_wakers()
    }

    /// Gives up waiting.
    pub(crate) fn leave(&mut self, ticket: &mut Ticket) -> Left {
        // One that was told has no waker any more, and perhaps no seat.
        let waiting = self.queue_slots.of(ticket);
        let waiting = waiting.filter(|&index| self.queue_slots.at(index).waker.is_some());
        let Some(index) = waiting else {
            let Some(outcome) = ticket.take_outcome() else {
                unreachable!("who is not waiting any more was told why");
            };
            return Left::WithOutcome(outcome);
        };
        let (gathered, waker) = self.unlink(index);
        if self.keeps_one_more() {
            self.left.push_back(&mut self.queue_slots, index);
        } else {
            self.remove(index).abandon();
        }
        Left::Waiting(gathered, waker)
    }

    /// Tells everybody in line that it failed. The answer is who is to be woken once the lock is
    /// free, and the slots that unfinished requests had gathered.
    pub(crate) fn fail_all(&mut self, error: GetBufferError) -> (Vec<Waker>, SlotList) {
        let mut failed = Vec::with_capacity(self.len);
        let mut orphans = SlotList::default();
        while let Some(front) = self.front() {
            failed.extend(self.vacate(front, |mut gathered| {
                while let Some(slot) = gathered.pop() {
                    orphans.push(slot);
                }
                Outcome::Failed(error)
            }));
        }
        (failed, orphans)
    }
}
