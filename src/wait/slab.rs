//! The seats of the line, and the two queues in which they stand: who waits, and which seats were left.
//!
//! A seat is in one queue at a time, so both are linked through the same two numbers, and moving a
//! seat from one to the other allocates nothing.
//!
//! QueueSlots lie side by side. When one is removed, the last one takes its place, so what a crowd needed is freed as it
//! leaves. A seat is told by its *index*, which changes then, and a waiter by the *number* of its node, which stays.

#![forbid(unsafe_code)]

use crate::{
    slot::list::SlotList,
    wait::{
        clock::Stamp,
        node::{OwnedWaiter, Ticket},
        request::{Rank, Wanted},
    },
};
use std::{num::NonZeroU32, task::Waker};

/// Tells the waiters of a line apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterNumber(NonZeroU32);

/// Where a seat is: one more than that, so that no seat at all needs no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueIndex(NonZeroU32);

impl QueueIndex {
    fn at(index: usize) -> Self {
        let next = u32::try_from(index + 1).ok();
        QueueIndex(
            next.and_then(NonZeroU32::new)
                .expect("fewer than u32::MAX wait"),
        )
    }

    #[inline]
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// One waiter's, on a cache line of its own: each is joined and served by other threads than its
/// neighbours.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct QueueSlot {
    pub(super) waiter: OwnedWaiter,
    /// Of the future that waits here; `None` if nobody does.
    pub(super) waker: Option<Waker>,
    pub(super) gathered: SlotList,
    ahead: Option<QueueIndex>,
    behind: Option<QueueIndex>,
    /// How many slots it waits for; no more than a pool has.
    pub(super) wanted: u32,
    pub(super) rank: Rank,
}

#[cfg(all(target_pointer_width = "64", not(all(test, loom))))]
const _: () = assert!(size_of::<QueueSlot>() == 64);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct QueueSlots {
    queue_slots: Vec<QueueSlot>,
    /// How many nodes were ever made, as long as that fits.
    made: u32,
}

impl QueueSlots {
    #[inline]
    pub(super) fn at(&self, index: QueueIndex) -> &QueueSlot {
        &self.queue_slots[index.index()]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, index: QueueIndex) -> &mut QueueSlot {
        &mut self.queue_slots[index.index()]
    }

    /// The seat that has the node of `ticket`; `None` if it was removed.
    #[inline]
    pub(super) fn of(&self, ticket: &Ticket) -> Option<QueueIndex> {
        let index = QueueIndex(NonZeroU32::new(ticket.queue_slot())?);
        let queue_slot = self.queue_slots.get(index.index())?;
        // Of a node without a seat the index is an old one, and another seat may have it by now.
        queue_slot.waiter.is_of(ticket).then_some(index)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.queue_slots.len()
    }

    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(super) fn room(&self) -> usize {
        self.queue_slots.capacity()
    }

    /// Another seat, which is in no queue yet.
    #[cold]
    pub(super) fn add(&mut self) -> QueueIndex {
        let index = QueueIndex::at(self.queue_slots.len());
        self.made = self.made.wrapping_add(1);
        let number = NonZeroU32::new(self.made).unwrap_or(NonZeroU32::MAX);
        self.queue_slots.push(QueueSlot {
            waiter: OwnedWaiter::new(number, index.0.get()),
            waker: None,
            gathered: SlotList::default(),
            ahead: None,
            behind: None,
            wanted: 0,
            rank: Rank::Ordinary,
        });
        index
    }

    /// Takes out a seat that is in no queue. The answer is its node, and which seat has its index now: the one
    /// that was the last, whose neighbours are linked to it here.
    #[cold]
    pub(super) fn remove(&mut self, index: QueueIndex) -> (OwnedWaiter, Option<QueueIndex>) {
        let removed = self.queue_slots.swap_remove(index.index());
        debug_assert!(removed.waker.is_none() && removed.gathered.len() == 0);
        let last = QueueIndex::at(self.queue_slots.len());
        if last != index {
            let queue_slot = self.at(index);
            queue_slot.waiter.set_queue_slot(index.0.get());
            let (ahead, behind) = (queue_slot.ahead, queue_slot.behind);
            if let Some(ahead) = ahead {
                self.at_mut(ahead).behind = Some(index);
            }
            if let Some(behind) = behind {
                self.at_mut(behind).ahead = Some(index);
            }
        }
        // A quarter, so that the next removal that moves all of them is far away.
        if self.queue_slots.len() < self.queue_slots.capacity() / 4 {
            self.queue_slots.shrink_to(2 * self.queue_slots.len());
        }
        (removed.waiter, (last != index).then_some(last))
    }

    /// Tells the seat's waiter apart from the others in line.
    pub(super) fn number(&self, index: QueueIndex) -> WaiterNumber {
        WaiterNumber(self.at(index).waiter.number())
    }

    /// Lets a future wait on the seat, which nobody has.
    #[inline]
    pub(super) fn take(
        &mut self,
        index: QueueIndex,
        wanted: Wanted,
        gathered: SlotList,
        joined: Option<Stamp>,
        waker: Waker,
    ) -> Ticket {
        let queue_slot = self.at_mut(index);
        queue_slot.wanted = u32::try_from(wanted.slots).expect("at most u32::MAX slots");
        queue_slot.rank = wanted.rank;
        queue_slot.gathered = gathered;
        queue_slot.waker = Some(waker);
        queue_slot.waiter.ticket(joined)
    }

    /// When the seat's waiter joined, if its wait is measured.
    #[inline]
    pub(super) fn joined(&self, index: QueueIndex) -> Option<Stamp> {
        self.at(index).waiter.joined()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &QueueSlot> {
        self.queue_slots.iter()
    }

    pub(super) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.queue_slots
            .into_iter()
            .filter_map(|queue_slot| queue_slot.waker)
    }
}

/// Some of the seats, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    front: Option<QueueIndex>,
    back: Option<QueueIndex>,
}

impl Queue {
    #[inline]
    pub(super) fn front(&self) -> Option<QueueIndex> {
        self.front
    }

    /// Adds a seat that is in no queue.
    #[inline]
    pub(super) fn push_back(&mut self, queue_slots: &mut QueueSlots, index: QueueIndex) {
        let ahead = self.back.replace(index);
        match ahead {
            Some(ahead) => queue_slots.at_mut(ahead).behind = Some(index),
            None => self.front = Some(index),
        }
        let queue_slot = queue_slots.at_mut(index);
        queue_slot.ahead = ahead;
        queue_slot.behind = None;
    }

    /// Writes down that those without a time joined at `now`.
    pub(super) fn stamp_all(&self, queue_slots: &QueueSlots, now: Stamp) {
        let mut next = self.front;
        while let Some(index) = next {
            let queue_slot = queue_slots.at(index);
            queue_slot.waiter.joined_no_later_than(now);
            next = queue_slot.behind;
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self, queue_slots: &mut QueueSlots) -> Option<QueueIndex> {
        let front = self.front?;
        self.remove(queue_slots, front);
        Some(front)
    }

    /// The seat that was at `from` is at `to` now, if it is in this queue.
    #[cold]
    pub(super) fn move_queue_slot(&mut self, from: QueueIndex, to: QueueIndex) {
        for end in [&mut self.front, &mut self.back] {
            if *end == Some(from) {
                *end = Some(to);
            }
        }
    }

    /// Takes a seat of this queue out of it.
    #[inline]
    pub(super) fn remove(&mut self, queue_slots: &mut QueueSlots, index: QueueIndex) {
        let queue_slot = queue_slots.at(index);
        let (ahead, behind) = (queue_slot.ahead, queue_slot.behind);
        match ahead {
            Some(ahead) => queue_slots.at_mut(ahead).behind = behind,
            None => self.front = behind,
        }
        match behind {
            Some(behind) => queue_slots.at_mut(behind).ahead = ahead,
            None => self.back = ahead,
        }
    }
}
