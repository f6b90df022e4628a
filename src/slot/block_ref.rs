//! A reference to a block, and the slots that are taken from it.
//!
//! A bit that this file turns to *out* becomes an [`OwnedSlot`], here and nowhere else.

use crate::slot::{
    block::Block,
    header::Slot,
    owned::OwnedSlot,
    word::{SLOTS_PER_WORD, Take, Word},
};
use std::{marker::PhantomData, mem::offset_of, ops::Deref, ptr::NonNull};

/// A block of a shelf; what it is asked first is what its word is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockRef<'a> {
    block: NonNull<Block>,
    _shelf: PhantomData<&'a Block>,
}

impl Deref for BlockRef<'_> {
    type Target = Word;

    #[inline]
    fn deref(&self) -> &Word {
        // SAFETY: the block stays as long as the shelf that lends it (P1).
        &unsafe { self.block.as_ref() }.word
    }
}

impl<'a> BlockRef<'a> {
    /// Block `index` of those that begin at `first`.
    ///
    /// # Safety
    ///
    /// There are more than `index`, they stay for `'a`, and `first` may reach all of each of them.
    #[inline]
    pub(crate) unsafe fn at(first: NonNull<Block>, index: usize) -> Self {
        BlockRef {
            // SAFETY: the caller says that the block is there.
            block: unsafe { first.add(index) },
            _shelf: PhantomData,
        }
    }

    /// Whether both are the same block.
    pub(crate) fn is(self, other: BlockRef<'_>) -> bool {
        self.block == other.block
    }

    /// The slot of `bit`.
    pub(crate) fn slot(self, bit: usize) -> Option<&'a Slot> {
        // SAFETY: the block stays as long as the shelf that lends it (P1), and is only shared.
        unsafe { self.block.as_ref() }.slots.get(bit)
    }

    /// Takes the lowest slot that is home, if the word is open. `Err(true)` if it met somebody there.
    #[inline]
    pub(crate) fn take(self) -> Result<OwnedSlot, bool> {
        match Word::take(&self) {
            Take::Bit(bit) => Ok(self.owned(bit)),
            Take::Empty => Err(false),
            Take::Contended => Err(true),
        }
    }

    /// Takes up to `wanted` slots that are home, in one step, if the word is open.
    pub(crate) fn take_many(self, wanted: usize, mut keep: impl FnMut(OwnedSlot)) {
        let mut taken = Word::take_many(&self, wanted);
        while taken != 0 {
            let bit = taken.trailing_zeros();
            taken &= taken - 1;
            keep(self.owned(bit));
        }
    }

    /// Takes the lowest slot that is home in a parked word. Called under the pool's lock.
    pub(crate) fn take_parked(self, absent: u64) -> Option<OwnedSlot> {
        let bit = Word::take_parked(&self, absent)?;
        Some(self.owned(bit))
    }

    /// The token of the slot whose bit was just turned.
    #[inline]
    fn owned(self, bit: u32) -> OwnedSlot {
        debug_assert!((bit as usize) < SLOTS_PER_WORD);
        // SAFETY: a word turns the bits of slots only, and those lie in its block (S1).
        let slot = unsafe { self.slots().add(bit as usize) };
        // SAFETY: the caller turned this bit to *out*, and makes no other token of it (S1).
        unsafe { OwnedSlot::assume(slot) }
    }

    #[inline]
    fn slots(self) -> NonNull<Slot> {
        // SAFETY: the slots begin there, within the block.
        unsafe { self.block.cast::<u8>().add(offset_of!(Block, slots)) }.cast()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        memory::mapping::Mapping,
        slot::block::{bit_of, word_of},
    };

    #[test]
    fn each_slot_of_each_block_finds_its_word_and_its_bit() {
        let blocks = Mapping::<Block>::new(3).expect("24 KiB");
        let first = NonNull::from(&*blocks).cast::<Block>();
        for index in 0..3 {
            // SAFETY: there are three, and they stay until the end of the test.
            let block = unsafe { BlockRef::at(first, index) };
            for bit in 0..SLOTS_PER_WORD as u32 {
                let slot = NonNull::from(block.slot(bit as usize).expect("a slot for each bit"));
                assert_eq!(word_of(slot), NonNull::from(&*block), "bit {bit}");
                assert_eq!(bit_of(slot), bit);
                assert_eq!(block.owned(bit).into_address(), slot);
            }
        }
    }
}
