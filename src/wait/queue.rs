//! The wait queue: which gets wait for slots, and the order in which they are served.
//!
//! A release that finds a waiter hands its slot to the head of the queue directly. The head gathers slots until it has
//! as many as it wants, so a large request is not starved by small ones behind it. When a get joins, every word of the
//! free list is parked: by this get, or by a waiter before it. So later releases take the lock and find it.
//!
//! | state      | queued  | owns slots               | left by                                                       |
//! |------------|---------|--------------------------|---------------------------------------------------------------|
//! | waiting    | yes     | those that it gathered   | hand-off of the last slot it wants, decommit, flush: has its outcome; drop |
//! | has its outcome | no | all that it wants, or none | poll: done; drop: the slots go to the next waiter           |
//!
//! Gets of a quota of high priority have a queue of their own, which is served before the other. Otherwise both are the
//! same. Each [quota](crate::Quota) has a wait queue too, in which its gets wait for room instead of slots.
//!
//! Queue slots are recycled. The queue keeps a bounded number of unused ones, which is more than most pools ever need. One
//! that becomes unused beyond that is removed, and its node then belongs to the future that waited there.
//! Therefore a burst of waiters leaves no memory behind, and a wait allocates only if the queue is longer than it ever was,
//! or has more waiters than it keeps queue slots.
//!
//! # Invariants, true whenever the lock is free
//!
//! - **Q1** No slot that a queued waiter may have is free. loom `no_slot_is_free_while_a_waiter_is_queued`
//! - **Q2** free + outstanding = committed; gathered and handed slots count as outstanding. `tests/it/model`
//! - **Q3** No user code runs under the lock: outcomes are stored under it, and wakers are taken out under it and woken
//!   and dropped after. `reentrancy: *`
//! - **Q4** Of the queued waiters, only a head has gathered slots: the head of the queue, or the head of the ordinary queue if a get of high priority joined
//!   after it had gathered some. `many: *`, `quotas: *`
//! - **Q5** At most `kept` queue slots have no queued waiter. `gone: *`, `wait::queue::tests`
//!
//! # Why not a `Notify`, or a `Semaphore`
//!
//! One `Notify` for all waiters stores one permit, so two releases between a waiter's check and its registration wake
//! one waiter only. Later requests overtake, and a woken task that finds no slot joins at the tail again. A `Notify`
//! for each waiter has none of these defects, but each poll and each wake-up takes its lock, which is a quarter of the
//! cost of a hand-off. Here the waker is in the queue slot, which the pool's lock guards already. A
//! `Semaphore` takes its lock on every release, also without a waiter, and cannot hand off a particular slot. Here the
//! waiter owns the slot before it is woken.
//!
//! # Why a mutex
//!
//! A waiter must be able to leave from the middle of the queue when its future is dropped, and a release must see the
//! queue and hand off its slot in one step. Without a waiter no release takes the mutex.

#![forbid(unsafe_code)]

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

use crate::{
    slot::{list::SlotList, owned::OwnedSlot},
    values::{error::GetBufferError, undelivered::Undelivered},
    wait::{
        clock::Stamp,
        node::{NodeRef, Outcome, OwnedNode},
        request::{Rank, Wanted},
        slab::{Queue, QueueIndex, QueueSlots, WaiterNumber},
    },
};
use std::{mem, task::Waker};

/// The waiters, first in, first out. See the module's documentation.
// `repr(C)` keeps the fields in this order: those that each release under the lock reads come first. In the pool's
// shared state, which is `repr(C)` too, they follow the other fields that it reads, so it touches few cache lines.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct WaitQueue {
    /// How many waiters are queued, in both queues.
    len: usize,
    waiting: Queue,
    /// Served before those in `waiting`.
    high_priority: Queue,
    /// The queue slots without a queued waiter, in the order in which they were left. A future that has not taken its
    /// outcome yet may still use the node of such a queue slot.
    without_waiter: Queue,
    /// How many queue slots without a waiter are kept.
    kept: usize,
    queue_slots: QueueSlots,
}

/// How many queue slots are checked for reuse before a new one is made. Bounds the time under the lock.
const LOOK_AT: usize = 8;

/// How many queue slots without a waiter the queue of a pool keeps: 1.5 MiB, and less than 1.5 MiB more if all were
/// used for timed waits. One in loom and shuttle tests, which have few waiters.
pub(crate) const KEPT_BY_A_POOL: usize = if cfg!(all(test, any(loom, shuttle))) {
    1
} else {
    8192
};

/// How many the queue of a quota keeps. A pool can have many quotas, and few of them have many waiters.
pub(crate) const KEPT_BY_A_QUOTA: usize = KEPT_BY_A_POOL.div_ceil(8);

/// The result of [`WaitQueue::offer`].
#[derive(Debug)]
pub(crate) enum Offer {
    /// No waiter is queued.
    NoWaiter(OwnedSlot),
    /// The head of the queue has the slot, and wants more.
    Gathered,
    /// The head has all that it wants. The caller wakes it once the lock is free.
    Served(Waker),
}

/// The result of [`WaitQueue::leave`]: what the waiter had.
#[derive(Debug)]
pub(crate) enum LeaveResult {
    /// It was queued: the slots that it had gathered, and its waker.
    WasQueued(SlotList, Option<Waker>),
    /// It had its outcome already.
    HadOutcome(Outcome),
}

impl WaitQueue {
    /// An empty queue, which keeps up to `kept` queue slots without a waiter.
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

    /// Whether a get of this rank may take a slot now: no waiter is queued that it may not overtake.
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

    /// When the longest waiter joined, if its wait is measured.
    pub(crate) fn oldest(&self) -> Option<Stamp> {
        self.longest().map(|(joined, _)| joined)
    }

    /// When the longest waiter joined, if its wait is measured, and its number. The number tells waiters apart that
    /// have the same stamp, as those have that are [measured from](Self::measure_from) the same moment.
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

    /// The slots that gets own and no user has yet: those that were handed to a future that was not polled since, and
    /// gathered ones. Only of gets whose source line was recorded.
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

    /// Records `now` as the join time of all queued waiters that have none.
    pub(crate) fn measure_from(&mut self, now: Stamp) {
        self.high_priority.stamp_all(&self.queue_slots, now);
        self.waiting.stamp_all(&self.queue_slots, now);
    }

    /// Joins at the tail of the queue, with the slots that were gathered already.
    // `always`, although it has several callers: a call is a twentieth of the cost of a hand-off.
    #[inline(always)]
    pub(crate) fn join(
        &mut self,
        wanted: Wanted,
        gathered: SlotList,
        joined: Option<Stamp>,
        waker: Waker,
    ) -> NodeRef {
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

    /// A queue slot whose last future has given its node back, or else a new one.
    #[inline]
    fn vacant_queue_slot(&mut self) -> QueueIndex {
        match self.pop_given_back() {
            Some(index) => index,
            None => self.queue_slots.add(),
        }
    }

    /// Takes a queue slot whose last future has given its node back, if one of the first [`LOOK_AT`] is such a one. The
    /// oldest is checked first, because it was most likely given back by now.
    // `always`: with `inline` alone it depends on code elsewhere in the crate whether each get that queues makes a call,
    // which costs 12 instructions.
    #[inline(always)]
    fn pop_given_back(&mut self) -> Option<QueueIndex> {
        for _ in 0..LOOK_AT {
            let index = self.without_waiter.pop_front(&mut self.queue_slots)?;
            // A future that has not taken its outcome yet still uses the node: reuse would lose that outcome.
            if self.queue_slots.at(index).waiter.is_given_back() {
                return Some(index);
            }
            // To the tail: a future that was forgotten never gives its node back, and must not be checked each time.
            self.without_waiter.push_back(&mut self.queue_slots, index);
        }
        None
    }

    /// Hands `slot` to the head of the queue.
    #[inline]
    pub(crate) fn offer(&mut self, slot: OwnedSlot) -> Offer {
        let Some(front) = self.front() else {
            return Offer::NoWaiter(slot);
        };
        let queue_slot = self.queue_slots.at_mut(front);
        queue_slot.gathered.push(slot);
        // A head that wants more keeps the slot and stays at the head: otherwise small requests would starve it.
        if queue_slot.gathered.len() < queue_slot.wanted as usize {
            return Offer::Gathered;
        }
        match self.resolve(front, Outcome::Slots) {
            Some(waker) => Offer::Served(waker),
            None => unreachable!("a queued waiter has a waker"),
        }
    }

    /// Takes back what the head of the ordinary queue has gathered beyond `most` slots. For a get of high priority that
    /// joins: what the head has and what this get wants must fit in the pool together, or each would wait for the other for
    /// ever.
    #[cold]
    #[inline(never)]
    pub(crate) fn give_up_gathered(&mut self, most: usize) -> SlotList {
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

    /// Takes the head out of the queue without a slot, if it wants no more than `room`. For the queue of a quota.
    /// Returns how much it wants, and its waker. Its outcome is an empty [`Outcome::Slots`], which means in the queue of a
    /// quota: admitted.
    pub(crate) fn admit(&mut self, room: usize) -> Option<(usize, Waker)> {
        let front = self.front()?;
        let wanted = self.queue_slots.at(front).wanted as usize;
        // Waiters behind the head are not looked at, even if their wants would fit: they must not overtake.
        if wanted > room {
            return None;
        }
        let waker = self.resolve(front, Outcome::Slots)?;
        Some((wanted, waker))
    }

    #[inline]
    fn front(&self) -> Option<QueueIndex> {
        self.high_priority.front().or(self.waiting.front())
    }

    /// Takes a waiter out of the queue, and stores the outcome that `outcome` makes of the slots that it gathered.
    /// Returns its waker, which the caller wakes once the lock is free.
    // `always`: this is half of a hand-off, and it returns large values.
    #[inline(always)]
    fn resolve(
        &mut self,
        index: QueueIndex,
        outcome: impl FnOnce(SlotList) -> Outcome,
    ) -> Option<Waker> {
        // The waker is taken out in the same hold of the lock in which the outcome is stored: no wake-up is lost, and a
        // later future that uses the node is not woken by it.
        let (gathered, waker) = self.unlink(index);
        let outcome = outcome(gathered);
        if self.keeps_one_more() {
            self.without_waiter.push_back(&mut self.queue_slots, index);
            self.queue_slots.at(index).waiter.set_outcome(outcome);
        } else {
            self.set_outcome_beyond_kept(index, outcome);
        }
        waker
    }

    /// Stores the outcome of a waiter that was taken out of the queue, and removes a queue slot: if possible one that
    /// no future uses. As long as the waiter with the outcome has its queue slot, a report can show its source line.
    #[cold]
    fn set_outcome_beyond_kept(&mut self, index: QueueIndex, outcome: Outcome) {
        let Some(vacant) = self.pop_given_back() else {
            return self.remove(index).set_outcome_and_abandon(outcome);
        };
        // Before the other one is removed: the removal moves a queue slot, and that one must be in a queue.
        self.without_waiter.push_back(&mut self.queue_slots, index);
        self.queue_slots.at(index).waiter.set_outcome(outcome);
        drop(self.remove(vacant));
    }

    /// Whether a queue slot that was just left is kept (Q5).
    #[inline]
    fn keeps_one_more(&self) -> bool {
        self.queue_slots.len() - self.len <= self.kept
    }

    /// Removes a queue slot that is in no queue. Returns its node.
    #[cold]
    fn remove(&mut self, index: QueueIndex) -> OwnedNode {
        let (node, moved) = self.queue_slots.remove(index);
        // The last queue slot has moved to `index`. It may be an end of one of the queues, which must follow it.
        if let Some(from) = moved {
            for queue in [
                &mut self.waiting,
                &mut self.high_priority,
                &mut self.without_waiter,
            ] {
                queue.move_queue_slot(from, index);
            }
        }
        node
    }

    /// Takes a waiter out of its queue. Returns the slots that it gathered, and its waker.
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

    /// Whether the waiter of `node_ref` is queued with a waker that does not wake the task of `waker`.
    pub(crate) fn needs_waker(&self, node_ref: &NodeRef, waker: &Waker) -> bool {
        let Some(index) = self.queue_slots.of(node_ref) else {
            return false;
        };
        let known = self.queue_slots.at(index).waker.as_ref();
        known.is_some_and(|known| !known.will_wake(waker))
    }

    /// Replaces the waker of the waiter of `node_ref`. Returns the waker that the caller drops once the lock is free:
    /// the previous one, or `waker` itself if the waiter is no longer queued.
    pub(crate) fn replace_waker(&mut self, node_ref: &NodeRef, waker: Waker) -> Waker {
        let index = self.queue_slots.of(node_ref);
        match index.and_then(|index| self.queue_slots.at_mut(index).waker.as_mut()) {
            Some(known) => mem::replace(known, waker),
            None => waker,
        }
    }

    /// The wakers of the waiters that are still queued when the pool is freed.
    pub(crate) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.queue_slots.into_wakers()
    }

    /// Takes the waiter of `node_ref` out of the queue, if it is still queued.
    pub(crate) fn leave(&mut self, node_ref: &mut NodeRef) -> LeaveResult {
        // A waiter that has its outcome has no waker any more, and its queue slot may have been removed.
        let waiting = self.queue_slots.of(node_ref);
        let waiting = waiting.filter(|&index| self.queue_slots.at(index).waker.is_some());
        let Some(index) = waiting else {
            let Some(outcome) = node_ref.take_outcome() else {
                unreachable!("a waiter that is no longer queued has an outcome");
            };
            return LeaveResult::HadOutcome(outcome);
        };
        let (gathered, waker) = self.unlink(index);
        if self.keeps_one_more() {
            self.without_waiter.push_back(&mut self.queue_slots, index);
        } else {
            self.remove(index).abandon();
        }
        LeaveResult::WasQueued(gathered, waker)
    }

    /// Fails all queued waiters with `error`. Returns their wakers, which the caller wakes once the lock is free, and
    /// the slots that incomplete requests had gathered.
    pub(crate) fn fail_all(&mut self, error: GetBufferError) -> (Vec<Waker>, SlotList) {
        let mut failed = Vec::with_capacity(self.len);
        let mut orphans = SlotList::default();
        while let Some(front) = self.front() {
            failed.extend(self.resolve(front, |mut gathered| {
                while let Some(slot) = gathered.pop() {
                    orphans.push(slot);
                }
                Outcome::Failed(error)
            }));
        }
        (failed, orphans)
    }
}
