//! How a slot finds its word: both are in one block, so that the address of each gives the address of the other.
//!
//! A block lies at a multiple of its own size. A release finds its word by clearing the low bits of the slot's address.
//! A get finds its slot at a fixed offset from the word. Neither has to load a pointer first. This matters, because a
//! processor executes no load before an earlier atomic read-modify-write has finished: the time of each load that the
//! next exchange depends on is added to the time of the exchange.

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

/// A word and the headers of its slots. The size is the alignment: 8 KiB. The first page has the word and the first 31
/// slots, and the second page has the rest. So a pool that uses few slots touches one page.
#[derive(Debug)]
#[repr(C)]
#[cfg_attr(not(all(test, loom)), repr(align(8192)))]
#[cfg_attr(all(test, loom), repr(align(4096)))]
pub(crate) struct Block {
    /// The first field, as `slot_of` requires. It has a cache line of its own, because the alignment of `Slot` makes the slots begin on another one.
    pub(super) word: Word,
    pub(super) slots: [Slot; SLOTS_PER_WORD],
}

const _: () = assert!(size_of::<Block>() == align_of::<Block>());

// SAFETY: a word's zero bytes are a parked word whose slots are all free, those of a slot are a slot
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

/// The slot that has `bit` in a word.
///
/// # Safety
///
/// The word lies in a block that stays alive, `word` may be used to reach all of that block, and it has a slot of this
/// bit.
#[inline]
pub(super) unsafe fn slot_of(word: NonNull<Word>, bit: u32) -> NonNull<Slot> {
    let offset = offset_of!(Block, slots) + bit as usize * size_of::<Slot>();
    // SAFETY: the word is the first field of its block, and the slot lies in the same block.
    unsafe { word.cast::<u8>().add(offset) }.cast()
}

/// The bit that a slot has in its word.
#[inline]
pub(crate) fn bit_of(slot: NonNull<Slot>) -> u32 {
    let address = slot.addr().get();
    let offset = address - block_address(address) - offset_of!(Block, slots);
    (offset / size_of::<Slot>()) as u32
}

/// The address of the block that `address` lies in.
fn block_address(address: usize) -> usize {
    address & !(align_of::<Block>() - 1)
}
