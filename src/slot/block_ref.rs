//! A reference to a block, and the tokens of the slots that are taken from it.
//!
//! When an operation of this file sets a bit to *checked out*, the slot becomes an [`OwnedSlot`] here and nowhere else.

use crate::slot::{
    block::Block,
    header::{PoolAddress, SetUp, Slot},
    owned::OwnedSlot,
    word::{SLOTS_PER_WORD, Take, Word},
};
use std::{marker::PhantomData, mem::offset_of, ops::Deref, ptr::NonNull};

/// A block of a block table. It dereferences to its word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockRef<'a> {
    block: NonNull<Block>,
    _table: PhantomData<&'a Block>,
}

/// Why a word gave no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// Another thread changed the word at the same time. It may still have free slots.
    Contended,
    /// The word is parked, or it had no free slot.
    Unavailable,
}

impl Deref for BlockRef<'_> {
    type Target = Word;

    #[inline]
    fn deref(&self) -> &Word {
        // SAFETY: the block stays as long as the block table that lends it (P1).
        &unsafe { self.block.as_ref() }.word
    }
}

impl<'a> BlockRef<'a> {
    /// Block `index` of the array that begins at `first`.
    ///
    /// # Safety
    ///
    /// The array has more than `index` blocks, they stay for `'a`, and `first` may be used to reach all of each block.
    #[inline]
    pub(crate) unsafe fn at(first: NonNull<Block>, index: usize) -> Self {
        BlockRef {
            // SAFETY: the caller promises that the array has this block.
            block: unsafe { first.add(index) },
            _table: PhantomData,
        }
    }

    /// Whether both refer to the same block.
    pub(crate) fn is(self, other: BlockRef<'_>) -> bool {
        self.block == other.block
    }

    /// The header of the slot that has `bit`; `None` if a word has no such bit.
    pub(crate) fn slot(self, bit: usize) -> Option<&'a Slot> {
        // SAFETY: the block stays as long as the block table that lends it (P1), and is only shared.
        unsafe { self.block.as_ref() }.slots.get(bit)
    }

    /// Sets up the word and its slots. Called under the pool's lock, before any of the slots can be taken.
    pub(crate) fn set_up(self, pool: PoolAddress, slots: impl Iterator<Item = SetUp>) {
        self.set_pool_address(pool.0);
        for (bit, set_up) in slots.enumerate() {
            if let Some(slot) = self.slot(bit) {
                slot.set_up(&set_up);
            }
        }
    }

    /// Takes the lowest free slot, if the word is open.
    #[inline]
    pub(crate) fn take(self) -> Result<OwnedSlot, NotTaken> {
        match Word::take(&self) {
            Take::Bit(bit) => Ok(self.owned(bit)),
            Take::Empty => Err(NotTaken::Unavailable),
            Take::Contended => Err(NotTaken::Contended),
        }
    }

    /// Takes up to `wanted` free slots in one step, if the word is open. Calls `keep` with each, lowest first.
    pub(crate) fn take_many(self, wanted: usize, mut keep: impl FnMut(OwnedSlot)) {
        let mut taken = Word::take_many(&self, wanted);
        while taken != 0 {
            let bit = taken.trailing_zeros();
            // Clears the lowest bit, so that each bit becomes one token only (S1).
            taken &= taken - 1;
            keep(self.owned(bit));
        }
    }

    /// Takes the lowest free slot of a parked word. Called under the pool's lock.
    pub(crate) fn take_parked(self, absent: u64) -> Option<OwnedSlot> {
        let bit = Word::take_parked(&self, absent)?;
        Some(self.owned(bit))
    }

    /// The token of the slot whose bit the caller just set.
    #[inline]
    fn owned(self, bit: u32) -> OwnedSlot {
        debug_assert!((bit as usize) < SLOTS_PER_WORD);
        // SAFETY: a word sets the bits of slots only, and those lie in its block (S1).
        let slot = unsafe { self.slots().add(bit as usize) };
        // SAFETY: the caller set this bit to *checked out*, and makes no other token of it (S1).
        unsafe { OwnedSlot::assume(slot) }
    }

    /// The address of the first slot. It is computed from the block's, so that it may be used to reach all slots.
    #[inline]
    fn slots(self) -> NonNull<Slot> {
        // SAFETY: the slots begin at this offset, within the block.
        unsafe { self.block.cast::<u8>().add(offset_of!(Block, slots)) }.cast()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        memory::mapping::Mapping,
        slot::{
            block::{bit_of, word_of},
            set::SlotSet,
        },
    };

    #[test]
    fn each_slot_of_each_block_finds_its_word_and_its_bit() {
        let blocks = Mapping::<Block>::new(3).expect("24 KiB");
        let first = NonNull::from(&*blocks).cast::<Block>();
        for index in 0..3 {
            // SAFETY: the mapping has three blocks, and they stay until the end of the test.
            let block = unsafe { BlockRef::at(first, index) };
            for bit in 0..SLOTS_PER_WORD as u32 {
                let slot = NonNull::from(block.slot(bit as usize).expect("a slot for each bit"));
                assert_eq!(word_of(slot), NonNull::from(&*block), "bit {bit}");
                assert_eq!(bit_of(slot), bit);
                assert_eq!(block.owned(bit).into_address(), slot);
            }
        }
    }

    #[test]
    fn a_slot_set_has_the_slots_of_one_word_lowest_first() {
        let blocks = Mapping::<Block>::new(2).expect("16 KiB");
        let first = NonNull::from(&*blocks).cast::<Block>();
        // SAFETY: the mapping has two blocks, and they stay until the end of the test.
        let [block, other] = [0, 1].map(|index| unsafe { BlockRef::at(first, index) });
        let last = SLOTS_PER_WORD as u32 - 1;
        let mut set = SlotSet::of(block.owned(last));
        let of_another_word = other.owned(1);
        assert!(!set.accepts(&of_another_word));
        for bit in [0, 7] {
            let slot = block.owned(bit);
            assert!(set.accepts(&slot));
            set.add(slot);
        }
        // The word is parked, because it was never opened.
        let mut kept = set.put().expect("a parked word");
        for bit in [0, 7, last] {
            assert_eq!(kept.pop(), Some(block.owned(bit)));
        }
        assert_eq!(kept.pop(), None);
    }
}
