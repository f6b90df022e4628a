//! The words of a free list and the slots that their bits stand for, side by side.
//!
//! A bit that this file turns to *out* becomes an [`OwnedSlot`], here and nowhere else. A shelf has
//! room for as many slots as it was made for; a smaller configuration uses the first of them.

use crate::{
    raw::{
        mapping::Mapping, mapping::Zeroed, slot::OwnedSlot, slot::Owner, slot::SetUp, slot::Slot,
    },
    sync::{Ordering, Setting, SettingPtr, SettingU64},
    word::{Take, Word},
};
use crossbeam_utils::CachePadded;
use std::{io, panic::Location, ptr::NonNull};

// SAFETY: a word's zero bytes are a parked word whose slots are all home, and it needs no drop.
unsafe impl Zeroed for CachePadded<Word> {
    #[cfg(all(test, loom))]
    fn zero() -> Self {
        CachePadded::new(Word::zero())
    }
}

/// Who has a slot, and since when; kept only if the pool was told to.
#[derive(Debug)]
pub(crate) struct Record {
    since: SettingU64,
    location: SettingPtr<Location<'static>>,
}

// SAFETY: zero bytes are the number zero and a null pointer, and neither needs a drop.
unsafe impl Zeroed for Record {
    #[cfg(all(test, loom))]
    fn zero() -> Self {
        Record {
            since: SettingU64::new(0),
            location: SettingPtr::default(),
        }
    }
}

impl Record {
    /// Written by the slot's owner before the turn that hands it to a user.
    pub(crate) fn write(&self, since_nanos: u64, location: &'static Location<'static>) {
        self.since.store(since_nanos, Ordering::Relaxed);
        let location = std::ptr::from_ref(location).cast_mut();
        self.location.store(location, Ordering::Release);
    }

    pub(crate) fn read(&self) -> Option<(u64, &'static Location<'static>)> {
        let location = NonNull::new(self.location.load(Ordering::Acquire))?;
        // SAFETY: only `write` stores here, and it stores a reference that lives for ever.
        let location = unsafe { location.as_ref() };
        Some((self.since.load(Ordering::Relaxed), location))
    }
}

/// The words, the slots, and the numbers that a get needs.
#[derive(Debug)]
pub(crate) struct Shelf {
    words: Mapping<CachePadded<Word>>,
    slots: Mapping<Slot>,
    records: Option<Mapping<Record>>,
    /// The number of stripes less one; a power of two less one.
    pub(crate) mask: Setting,
    /// How many words the present configuration uses.
    pub(crate) word_count: Setting,
}

impl Shelf {
    /// A shelf with room for `slots` slots in `words` words.
    pub(crate) fn new(words: usize, slots: usize, records: bool) -> io::Result<Self> {
        Ok(Shelf {
            words: Mapping::new(words)?,
            slots: Mapping::new(slots)?,
            records: records.then(|| Mapping::new(slots)).transpose()?,
            mask: Setting::new(0),
            word_count: Setting::new(0),
        })
    }

    /// Whether `slots` slots in `words` words fit.
    pub(crate) fn has_room(&self, words: usize, slots: usize) -> bool {
        self.words.len() >= words && self.slots.len() >= slots
    }

    /// Word `index`; `None` if a thread that stalled has an index of another configuration.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> Option<&Word> {
        self.words.get(index).map(|word| &**word)
    }

    pub(crate) fn slot(&self, index: usize) -> Option<&Slot> {
        self.slots.get(index)
    }

    pub(crate) fn record(&self, index: usize) -> Option<&Record> {
        self.records.as_ref()?.get(index)
    }

    /// Takes the lowest slot that is home in an open word. `Err(true)` if it met somebody there.
    #[inline]
    pub(crate) fn take(&self, word: &Word) -> Result<OwnedSlot, bool> {
        match word.take() {
            Take::Bit(bit) => Ok(owned(word, bit)),
            Take::Dry => Err(false),
            Take::Contended => Err(true),
        }
    }

    /// Takes up to `wanted` slots that are home in an open word, in one step.
    pub(crate) fn take_many(&self, word: &Word, wanted: usize, mut keep: impl FnMut(OwnedSlot)) {
        let mut taken = word.take_many(wanted);
        while taken != 0 {
            let bit = taken.trailing_zeros();
            taken &= taken - 1;
            keep(owned(word, bit));
        }
    }

    /// Takes the lowest slot that is home in a parked word. Called under the pool's lock.
    pub(crate) fn take_parked(&self, word: &Word, absent: u64) -> Option<OwnedSlot> {
        let bit = word.take_parked(absent)?;
        Some(owned(word, bit))
    }

    /// Sets up the slots of word `index`, before any of them can be taken.
    pub(crate) fn set_up(
        &self,
        index: usize,
        first: usize,
        owner: Owner,
        slots: impl Iterator<Item = SetUp>,
    ) {
        let word = &self.words[index];
        // Derived from the whole mapping, so that all slots of the word are within its provenance.
        let first = self.slots[first..].as_ptr().cast_mut();
        word.set_up(first.cast(), owner.0.as_ptr());
        for set_up in slots {
            self.slots[set_up.index].set_up(word, &set_up);
        }
    }
}

/// The token of the slot whose bit was just turned. The word's `first` is read after the turn, so it
/// is that of the configuration which the slot was taken from.
#[inline]
fn owned(word: &Word, bit: u32) -> OwnedSlot {
    let first: *mut Slot = word.first().cast();
    debug_assert!(!first.is_null(), "a word is set up before it is taken from");
    // SAFETY: a word is set up before one of its bits can be turned, and has a slot for each bit that
    // is not absent (S1).
    let slot = unsafe { first.add(bit as usize) };
    // SAFETY: as above, so it is not null.
    let slot = unsafe { NonNull::new_unchecked(slot) };
    // SAFETY: the caller turned this bit to *out*, and makes no other token of it (S1).
    unsafe { OwnedSlot::assume(slot) }
}
