//! Several owned slots, linked through their headers, so that gathering many allocates nothing.

use crate::slot::{header::Slot, owned::OwnedSlot};
use std::ptr::NonNull;

/// See the module's documentation. Like a slot's token it has no `Drop`: the slots are put back.
#[derive(Debug, Default)]
#[must_use = "slots that are not put back are lost"]
pub(crate) struct SlotList {
    first: Option<NonNull<Slot>>,
    len: usize,
}

// SAFETY: a chain owns its slots (S1).
unsafe impl Send for SlotList {}
// SAFETY: through a shared chain nothing can be reached.
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
        // SAFETY: the chain owns its first slot, and stops to in the next step (S1).
        let slot = unsafe { OwnedSlot::assume(first) };
        self.first = slot.slot().next();
        self.len -= 1;
        Some(slot)
    }

    /// The slot of a chain of one.
    #[inline]
    pub(crate) fn into_only(mut self) -> OwnedSlot {
        let Some(slot) = self.pop() else {
            unreachable!("one slot was wanted");
        };
        slot
    }

    /// The chain as one pointer, for an outcome; [`SlotList::from_first`] is the way back.
    #[inline]
    pub(crate) fn into_first(self) -> Option<NonNull<Slot>> {
        self.first
    }

    /// The chain that begins at `first`.
    ///
    /// # Safety
    ///
    /// `first` came from [`SlotList::into_first`] and is turned back into a chain once (W3).
    #[inline]
    pub(crate) unsafe fn from_first(first: NonNull<Slot>) -> Self {
        let mut len = 0;
        let mut slot = Some(first);
        while let Some(at) = slot {
            len += 1;
            // SAFETY: the chain owns each of its slots, which keeps their headers alive (S1, S2).
            let at = unsafe { at.as_ref() };
            slot = at.next();
        }
        SlotList {
            first: Some(first),
            len,
        }
    }
}
