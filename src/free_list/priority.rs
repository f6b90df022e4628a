//! The reserve: slots that are kept for quotas of high priority.
//!
//! It is kept under the pool's lock, and out of the free list: to the words its slots are out, so a get
//! that may not have them does not find them, and pays nothing for that. Any slot will do. One that is
//! taken from it is replaced by the next that comes home.
//!
//! # Invariants, true whenever the lock is free
//!
//! - **R1** While the reserve is short no slot is home, so every word is parked and each release comes under
//!   the lock: it is taken from only when nothing is home, and what comes home goes to it first. Nobody
//!   opens a word of which no slot is home. `reserve: *`, loom
//!   `the_reserve_is_filled_up_before_anyone_else_is_served`
//! - **R2** It has slots only while the pool is committed. `reserve: *`

#![forbid(unsafe_code)]

use crate::slot::{list::SlotList, owned::OwnedSlot};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct PriorityBuffers {
    /// How many slots it should have: none while the pool is not committed.
    size: usize,
    kept: SlotList,
}

impl PriorityBuffers {
    /// How many of `buffers` a reserve of `wanted` keeps: one is left for those who may not take from it.
    pub(crate) fn of(wanted: usize, buffers: usize) -> usize {
        wanted.min(buffers.saturating_sub(1))
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.kept.len() < self.size
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Starts to keep `size` slots.
    pub(crate) fn open(&mut self, size: usize) {
        self.size = size;
    }

    /// Keeps nothing any more. The answer is the slots that it has.
    pub(crate) fn close(&mut self) -> SlotList {
        self.size = 0;
        std::mem::take(&mut self.kept)
    }

    pub(crate) fn keep(&mut self, slot: OwnedSlot) {
        self.kept.push(slot);
    }

    pub(crate) fn take(&mut self) -> Option<OwnedSlot> {
        self.kept.pop()
    }
}
