//! The words that were used since the commit, and what the headers of their slots count.
//!
//! A pool of a million slots has some 18,000 words, and reading all their headers takes milliseconds. The headers are
//! atomics and blocks are never freed before the pool, so they can be read without the lock. Only which words were used
//! is known under the lock. A reader that has released the lock checks afterwards that no other commit has begun.

#![forbid(unsafe_code)]

use crate::{
    free_list::{bit_set::BitSet, striped::FreeList},
    slot::{header::Slot, word::absent},
};
use std::borrow::Cow;

/// How many words are read while the lock is held. With all slots of 8 words held, the holders are read in 20 to 50
/// microseconds; the counts of a status take one or two.
const FEW: usize = if cfg!(all(test, any(loom, shuttle))) {
    1
} else {
    8
};

/// What the headers of the slots counted since the commit, added up.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    /// How often a sample was handed to a user.
    pub(crate) acquired: u64,
    /// How often a user released a sample.
    pub(crate) released: u64,
    /// How many slots were checked out at some time.
    pub(crate) used: usize,
    /// How many bytes the samples that users have now contain.
    pub(crate) written: usize,
}

/// The words whose slots were set up since the commit. A word that is not one of them has no slot checked out.
#[derive(Debug)]
pub(crate) struct UsedWords<'a> {
    pub(super) words: Cow<'a, BitSet>,
    /// The number of slots of the configuration, and of those of each word except the last.
    pub(super) slots: usize,
    pub(super) per_word: usize,
    /// Which commit it was.
    pub(super) commit: u64,
}

impl UsedWords<'_> {
    /// Whether they are so few that they may be read while the lock is held.
    pub(crate) fn are_few(&self) -> bool {
        self.words.len() <= FEW
    }

    /// A copy, to be read without the lock.
    pub(crate) fn into_owned(self) -> UsedWords<'static> {
        UsedWords {
            words: Cow::Owned(self.words.into_owned()),
            ..self
        }
    }

    fn members(&self, word: usize) -> usize {
        (self.slots - word * self.per_word).min(self.per_word)
    }

    /// How many slots are checked out. Slots may be taken and freed during the count.
    pub(crate) fn out(&self, list: &FreeList) -> usize {
        let words = self.words.iter().filter_map(|index| {
            let word = list.table.block(index)?;
            Some(word.out(absent(self.members(index))))
        });
        words.sum()
    }

    /// The numbers and the headers of the slots.
    pub(crate) fn slots<'a>(
        &'a self,
        list: &'a FreeList,
    ) -> impl Iterator<Item = (usize, &'a Slot)> {
        self.words.iter().flat_map(move |word| {
            let first = word * self.per_word;
            // No such block: another configuration has begun, and what is read here is not used.
            let block = list.table.block(word);
            let bits = 0..self.members(word);
            bits.filter_map(move |bit| Some((first + bit, block?.slot(bit)?)))
        })
    }

    /// What the headers count, added up.
    pub(crate) fn totals(&self, list: &FreeList) -> Totals {
        let mut totals = Totals::default();
        for (_, slot) in self.slots(list) {
            // It grows by one at each get and at each release, get first. So half of it, rounded up, is the number of
            // gets.
            let generation = slot.generation();
            totals.acquired += generation.div_ceil(2);
            totals.released += generation / 2;
            totals.used += usize::from(slot.was_used());
            totals.written += slot.written();
        }
        totals
    }
}
