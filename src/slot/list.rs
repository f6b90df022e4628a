//! Several owned slots, linked through their headers, so that a list of any length needs no allocation.

use crate::slot::{header::Slot, owned::OwnedSlot};
use std::ptr::NonNull;

/// A list of owned slots, the one that was pushed last first. Like [`OwnedSlot`] it has no `Drop`: the holder returns
/// the slots to the pool.
#[derive(Debug, Default)]
#[must_use = "slots that are not returned to the pool are lost"]
pub(crate) struct SlotList {
    first: Option<NonNull<Slot>>,
    len: usize,
}

// SAFETY: a slot list owns its slots (S1).
unsafe impl Send for SlotList {}
// SAFETY: nothing of a slot can be reached through a shared slot list.
unsafe impl Sync for SlotList {}

impl SlotList {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn push(&mut self, mut slot: OwnedSlot) {
        slot.set_next(self.first);
        self.first = Some(slot.into_address());
        self.len += 1;
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<OwnedSlot> {
        let first = self.first?;
        // SAFETY: the list owns its first slot until the assignment to `first` below (S1).
        let slot = unsafe { OwnedSlot::assume(first) };
        self.first = slot.slot().next();
        self.len -= 1;
        Some(slot)
    }

    /// The slot of a list that has one.
    #[inline]
    pub(crate) fn into_only(mut self) -> OwnedSlot {
        let Some(slot) = self.pop() else {
            unreachable!("the list has one slot");
        };
        slot
    }

    /// The list as one pointer, for an outcome. [`SlotList::from_first`] makes a list of it again.
    #[inline]
    pub(crate) fn into_first(self) -> Option<NonNull<Slot>> {
        self.first
    }

    /// The list that begins at `first`. It counts the slots again, because the pointer does not carry their number.
    ///
    /// # Safety
    ///
    /// `first` came from [`SlotList::into_first`] and is made a list once (W3).
    #[inline]
    pub(crate) unsafe fn from_first(first: NonNull<Slot>) -> Self {
        let mut len = 0;
        let mut slot = Some(first);
        while let Some(at) = slot {
            len += 1;
            // SAFETY: the list owns each of its slots, which keeps their headers alive (S1, S2).
            let at = unsafe { at.as_ref() };
            slot = at.next();
        }
        SlotList {
            first: Some(first),
            len,
        }
    }
}
