//! The queue slots of a wait queue, and the linked lists of them: those with a waiter, and those without.
//!
//! A queue slot is in one list at a time. So all lists use the same two links, and moving a queue slot from one list to
//! another allocates nothing.
//!
//! The queue slots are in one `Vec`. When one is removed, the last one moves to its index, so the memory of many
//! waiters is freed as they leave. The *index* identifies a queue slot, and changes when it moves. The *number* of its
//! node identifies a waiter, and never changes.

#![forbid(unsafe_code)]

use crate::{
    slot::list::SlotList,
    wait::{
        clock::Stamp,
        node::{NodeRef, OwnedNode},
        request::{Rank, Wanted},
    },
};
use std::{num::NonZeroU32, task::Waker};

/// The number of a waiter. It identifies the waiter among those of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterNumber(NonZeroU32);

/// The index of a queue slot. It stores the index plus one, so that an `Option` of it is not larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueIndex(NonZeroU32);

impl QueueIndex {
    fn at(index: usize) -> Self {
        let next = u32::try_from(index + 1).ok();
        QueueIndex(
            next.and_then(NonZeroU32::new)
                .expect("fewer than u32::MAX waiters are queued"),
        )
    }

    #[inline]
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// The data of one waiter, on a cache line of its own: other threads join and serve its neighbours.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct QueueSlot {
    pub(super) waiter: OwnedNode,
    /// The waker of the future that waits here. `None` if no waiter is queued here.
    pub(super) waker: Option<Waker>,
    /// The slots that the waiter has so far (Q4).
    pub(super) gathered: SlotList,
    ahead: Option<QueueIndex>,
    behind: Option<QueueIndex>,
    /// How many slots it waits for, at most as many as a pool has.
    pub(super) wanted: u32,
    pub(super) rank: Rank,
}

#[cfg(all(target_pointer_width = "64", not(all(test, loom))))]
const _: () = assert!(size_of::<QueueSlot>() == 64);

/// All queue slots of a wait queue. See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct QueueSlots {
    queue_slots: Vec<QueueSlot>,
    /// How many nodes were ever made. It wraps around.
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

    /// The queue slot that has the node of `node_ref`. `None` if it was removed.
    #[inline]
    pub(super) fn of(&self, node_ref: &NodeRef) -> Option<QueueIndex> {
        let index = QueueIndex(NonZeroU32::new(node_ref.queue_slot())?);
        let queue_slot = self.queue_slots.get(index.index())?;
        // If the queue slot was removed, the node has an old index, which another queue slot may have by now.
        queue_slot.waiter.is_of(node_ref).then_some(index)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.queue_slots.len()
    }

    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(super) fn room(&self) -> usize {
        self.queue_slots.capacity()
    }

    /// Adds a queue slot that is in no list yet.
    #[cold]
    pub(super) fn add(&mut self) -> QueueIndex {
        let index = QueueIndex::at(self.queue_slots.len());
        self.made = self.made.wrapping_add(1);
        let number = NonZeroU32::new(self.made).unwrap_or(NonZeroU32::MAX);
        self.queue_slots.push(QueueSlot {
            waiter: OwnedNode::new(number, index.0.get()),
            waker: None,
            gathered: SlotList::default(),
            ahead: None,
            behind: None,
            wanted: 0,
            rank: Rank::Ordinary,
        });
        index
    }

    /// Removes a queue slot that is in no list. Returns its node, and the previous index of the queue slot that has
    /// moved to `index`, if one has: the last one. Its neighbours are linked to the new index here.
    #[cold]
    pub(super) fn remove(&mut self, index: QueueIndex) -> (OwnedNode, Option<QueueIndex>) {
        let removed = self.queue_slots.swap_remove(index.index());
        debug_assert!(removed.waker.is_none() && removed.gathered.len() == 0);
        // `swap_remove` has moved the last one to `index`: its node and its neighbours must know.
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
        // Shrink at a quarter of the capacity, and to a half: so the copy is amortised over many removals.
        if self.queue_slots.len() < self.queue_slots.capacity() / 4 {
            self.queue_slots.shrink_to(2 * self.queue_slots.len());
        }
        (removed.waiter, (last != index).then_some(last))
    }

    /// The number of the waiter of a queue slot.
    pub(super) fn number(&self, index: QueueIndex) -> WaiterNumber {
        WaiterNumber(self.at(index).waiter.number())
    }

    /// Stores the request and the waker of a future in a queue slot that no future uses. Returns the reference to its
    /// node.
    #[inline]
    pub(super) fn take(
        &mut self,
        index: QueueIndex,
        wanted: Wanted,
        gathered: SlotList,
        joined: Option<Stamp>,
        waker: Waker,
    ) -> NodeRef {
        let queue_slot = self.at_mut(index);
        queue_slot.wanted = u32::try_from(wanted.slots).expect("at most u32::MAX slots");
        queue_slot.rank = wanted.rank;
        queue_slot.gathered = gathered;
        queue_slot.waker = Some(waker);
        queue_slot.waiter.node_ref(joined)
    }

    /// When the waiter of a queue slot joined, if its wait is measured.
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

/// A linked list of queue slots, in order.
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

    /// Appends a queue slot that is in no list.
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

    /// Records `now` as the join time of all waiters of the list that have none.
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

    /// Follows a queue slot that has moved from index `from` to `to`, if it is an end of this list.
    #[cold]
    pub(super) fn move_queue_slot(&mut self, from: QueueIndex, to: QueueIndex) {
        for end in [&mut self.front, &mut self.back] {
            if *end == Some(from) {
                *end = Some(to);
            }
        }
    }

    /// Takes a queue slot out of this list.
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
