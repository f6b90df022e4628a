//! A word of the free list and its slots, in one block, so that each is found from the other's address.
//!
//! A block lies at a multiple of its own size. So a release finds its word by clearing the low bits of
//! the slot's address, and a get finds its slot by counting from the word, and neither has to load an
//! address first. That counts: a processor lets no load overtake an atomic read-modify-write, so each
//! load that must be waited for before the next exchange is added to it.

use crate::{
    memory::mapping::Zeroed,
    slot::{
        header::Slot,
        word::{SLOTS_PER_WORD, Word},
    },
};
use std::{
    mem::{align_of, offset_of, size_of},
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
    pub(super) word: Word,
    pub(super) slots: [Slot; SLOTS_PER_WORD],
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
