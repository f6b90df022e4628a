//! The priority buffers: slots that are kept for quotas of high priority.
//!
//! They are kept under the pool's lock and outside the free list. The words count them as checked out, so a get of
//! ordinary rank does not find them, and the check costs it nothing. They are a number of slots, not particular ones: a
//! slot that is taken is replaced by the next one that is released.
//!
//! # Invariants, true whenever the lock is free
//!
//! - **R1** While fewer slots are kept than there should be, no slot is free, so every word is parked and each release
//!   goes under the lock. A kept slot is taken only when no slot is free, a released slot is kept before it goes to a
//!   request of ordinary rank, and a word that has no free slot is never opened. `priority_buffers: *`, loom
//!   `priority_buffers_are_filled_up_before_others_are_served`
//! - **R2** Slots are kept only while the pool is committed. `priority_buffers: *`

#![forbid(unsafe_code)]

use crate::slot::{list::SlotList, owned::OwnedSlot};

/// The slots that are kept for quotas of high priority. See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct PriorityBuffers {
    /// How many slots it should have: 0 while the pool is not committed.
    size: usize,
    /// The slots that it has.
    kept: SlotList,
}

impl PriorityBuffers {
    /// How many slots are kept if `wanted` are configured and the pool has `buffers`. At least one is left for requests
    /// of ordinary rank.
    pub(crate) fn of(wanted: usize, buffers: usize) -> usize {
        wanted.min(buffers.saturating_sub(1))
    }

    /// How many slots are kept now.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether fewer slots are kept than there should be.
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.kept.len() < self.size
    }

    /// How many slots should be kept.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Starts to keep `size` slots. The caller adds them with [`keep`](PriorityBuffers::keep).
    pub(crate) fn start_keeping(&mut self, size: usize) {
        self.size = size;
    }

    /// Stops keeping slots, and returns those that were kept.
    pub(crate) fn stop_keeping(&mut self) -> SlotList {
        self.size = 0;
        std::mem::take(&mut self.kept)
    }

    /// Adds a slot.
    pub(crate) fn keep(&mut self, slot: OwnedSlot) {
        self.kept.push(slot);
    }

    /// Removes a slot for a request of high priority. The set is short afterwards, until the next release.
    pub(crate) fn take(&mut self) -> Option<OwnedSlot> {
        self.kept.pop()
    }
}
