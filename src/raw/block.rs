//! A word of the free list and its slots, in one block, so that each is found from the other's address.
//!
//! A block lies at a multiple of its own size. So a release finds its word by clearing the low bits of
//! the slot's address, and a get finds its slot by counting from the word, and neither has to load an
//! address first. That counts: a processor lets no load overtake an atomic read-modify-write, so each
//! load that must be waited for before the next exchange is added to it.
//!
//! A bit that this file turns to *out* becomes an [`OwnedSlot`], here and nowhere else.

use crate::{
    raw::{mapping::Zeroed, slot::OwnedSlot, slot::Slot},
    word::{SLOTS_PER_WORD, Take, Word},
};
use std::{
    marker::PhantomData,
    mem::{align_of, offset_of, size_of},
    ops::Deref,
    ptr::NonNull,
};

/// See the module's documentation. The size is the alignment: 8 KiB, of which a page is touched for
/// the first thirty slots and another one for the rest.
#[derive(Debug)]
#[repr(C)]
#[cfg_attr(not(all(test, loom)), repr(align(8192)))]
#[cfg_attr(all(test, loom), repr(align(4096)))]
pub(crate) struct Block {
    /// On a cache line of its own, because slots begin at one.
    word: Word,
    slots: [Slot; SLOTS_PER_WORD],
}

const _: () = assert!(size_of::<Block>() == align_of::<Block>());

// SAFETY: a word's zero bytes are a parked word whose slots are all home, those of a slot are a slot
// that was not set up, and neither needs a drop.
unsafe impl Zeroed for Block {
    #[cfg(all(test, loom))]
    fn zero() -> Self {
        Block {
            word: Word::zero(),
            slots: std::array::from_fn(|_| Slot::zero()),
        }
    }
}

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

    /// The word's address, through which the whole block can be reached.
    #[inline]
    pub(crate) fn address(self) -> NonNull<Word> {
        self.block.cast()
    }

    /// The block of a word.
    ///
    /// # Safety
    ///
    /// The word's address came from [`address`](BlockRef::address), and the block stays for `'a`.
    #[inline]
    pub(crate) unsafe fn of(word: NonNull<Word>) -> Self {
        BlockRef {
            block: word.cast(),
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
            Take::Dry => Err(false),
            Take::Contended => Err(true),
        }
    }

    /// Takes the lowest slot that is home and gives up a lease of the word, in one step.
    #[inline]
    pub(crate) fn take_for_lease(self) -> Result<OwnedSlot, bool> {
        match Word::take_for_lease(&self) {
            Take::Bit(bit) => Ok(self.owned(bit)),
            Take::Dry => Err(false),
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

/// The word of a slot.
#[inline]
pub(crate) fn word_of(slot: NonNull<Slot>) -> NonNull<Word> {
    let word = slot.as_ptr().map_addr(block_address).cast();
    // SAFETY: a slot lies in a block, which does not begin at address zero.
    unsafe { NonNull::new_unchecked(word) }
}

/// Which bit of its word a slot has.
#[inline]
pub(crate) fn bit_of(slot: NonNull<Slot>) -> u32 {
    let address = slot.addr().get();
    let offset = address - block_address(address) - offset_of!(Block, slots);
    (offset / size_of::<Slot>()) as u32
}

fn block_address(address: usize) -> usize {
    address & !(align_of::<Block>() - 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::raw::mapping::Mapping;

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
