//! Several owned slots of one word, as the mask of their bits, so that one exchange frees them all.

use crate::slot::{block, owned::OwnedSlot, word::Word};
use std::ptr::NonNull;

/// A set of owned slots of one word. Like [`OwnedSlot`] it has no `Drop`: the holder returns the slots to the pool.
#[derive(Debug)]
#[must_use = "slots that are not returned to the pool are lost"]
pub(crate) struct SlotSet {
    word: NonNull<Word>,
    bits: u64,
}

impl SlotSet {
    #[inline]
    pub(crate) fn of(slot: OwnedSlot) -> Self {
        SlotSet {
            word: slot.word(),
            bits: 1 << slot.bit(),
        }
    }

    /// Whether the slot is one of the same word, so that the set can take it in.
    #[inline]
    pub(crate) fn accepts(&self, slot: &OwnedSlot) -> bool {
        self.word == slot.word()
    }

    /// Adds a slot that the set [accepts](SlotSet::accepts).
    #[inline]
    pub(crate) fn add(&mut self, slot: OwnedSlot) {
        debug_assert!(self.accepts(&slot), "a slot of another word");
        self.bits |= 1 << slot.bit();
    }

    /// Returns all slots to the free list without the lock, in one step. If the word is parked or a callback is set, the
    /// caller gets the set back, and must release each slot alone.
    #[inline]
    pub(crate) fn put(self) -> Option<SlotSet> {
        // SAFETY: the slots are owned until the exchange inside succeeds, so their pool, which the word is part of, is
        // alive until then; nothing is touched after (S2).
        let put = unsafe { self.word.as_ref() }.put_many(self.bits);
        (!put).then_some(self)
    }

    /// Takes the slot with the lowest bit out of the set.
    pub(crate) fn pop(&mut self) -> Option<OwnedSlot> {
        if self.bits == 0 {
            return None;
        }
        let bit = self.bits.trailing_zeros();
        // Clears the lowest bit, so that each bit becomes one token only (S1).
        self.bits &= self.bits - 1;
        // SAFETY: the set owns the slot of this bit, which keeps its block alive (S2). The address of the word was
        // computed from that of a slot, which may be used to reach all of the block.
        let slot = unsafe { block::slot_of(self.word, bit) };
        // SAFETY: the set owned the slot, and its bit was removed from the set just now (S1).
        Some(unsafe { OwnedSlot::assume(slot) })
    }
}
