//! The free list: which slots are home. Lock-free and striped in the common case.
//!
//! A slot's number is its bit in one of the words. `take` turns the lowest bit that says *home*,
//! `put` turns it back: no next pointers, no ABA, no tags. Words lie on cache lines of their own; a
//! thread starts at stripe 0 and moves on only when it really met somebody, so a single busy thread
//! keeps to the lowest slots, and busy threads end up on lines of their own.
//!
//! This file is what happens without the lock. What a get does when its word is dry:
//!
//! 1. if neither an open nor a stocked word is left, there is nothing: one load says so, however
//!    many slots the pool has;
//! 2. look at a few words from its stripe's own on ([`SWEEP`]);
//! 3. otherwise go under the lock, where the [`ParkedWords`](crate::free_list::parked::ParkedWords) knows which words have slots.

#![forbid(unsafe_code)]

use crate::{
    free_list::{stripe, table::BlockTable},
    slot::{block_ref::BlockRef, list::SlotList, owned::OwnedSlot, word::Word},
    sync::{AtomicUsize, Ordering},
};
use crossbeam_utils::CachePadded;
use std::io;

/// How many words a get looks at without the lock before it asks the ledger.
const SWEEP: usize = 16;

/// Why there was no slot without the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// No word has a slot.
    Empty,
    /// Some word may have one: look under the lock.
    Unsure,
}

/// The words and slots, and how many words there are that may have a slot.
#[derive(Debug)]
pub(crate) struct FreeList {
    pub(crate) table: BlockTable,
    /// Open words and stocked ones together. Written under the lock, when a word is parked or
    /// opened, so never in the common get or release.
    pub(super) reachable: CachePadded<AtomicUsize>,
}

impl FreeList {
    /// A free list with no slots.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(FreeList {
            table: BlockTable::new()?,
            reachable: CachePadded::new(AtomicUsize::new(0)),
        })
    }

    /// Takes a slot that is home, without the lock.
    #[inline]
    pub(crate) fn take(&self) -> Result<OwnedSlot, Miss> {
        match self.cursor(self.stripe()) {
            Some(word) => word
                .take()
                .or_else(|contended| self.take_elsewhere(contended)),
            None => Err(Miss::Unsure),
        }
    }

    /// The stripe of this thread.
    #[inline]
    fn stripe(&self) -> usize {
        stripe::current() & self.table.mask.load(Ordering::Relaxed)
    }

    /// The word where the threads of `stripe` look first.
    #[inline]
    fn cursor(&self, stripe: usize) -> Option<BlockRef<'_>> {
        let own = self.table.block(stripe)?;
        match own.cursor() {
            0 => Some(own),
            elsewhere => self.table.block(stripe ^ elsewhere),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_elsewhere(&self, contended: bool) -> Result<OwnedSlot, Miss> {
        if contended {
            stripe::move_on();
        } else if self.reachable.load(Ordering::Acquire) == 0 {
            return Err(Miss::Empty);
        }
        self.take_from_another_word()
    }

    /// On its own, so that a miss is as short as its one load.
    #[inline(never)]
    fn take_from_another_word(&self) -> Result<OwnedSlot, Miss> {
        let stripe = self.stripe();
        if let Some(own) = self.table.block(stripe).filter(|own| own.cursor() == 0) {
            if !own.is_open() {
                // The ledger opens it, if it has slots: better once under the lock than at a word that
                // other threads are busy with.
                return Err(Miss::Unsure);
            }
        }
        if let Some(slot) = self.cursor(stripe).and_then(|word| word.take().ok()) {
            return Ok(slot);
        }
        for (index, word) in self.sweep(stripe) {
            if let Ok(slot) = word.take() {
                self.look_here_next(index);
                return Ok(slot);
            }
        }
        Err(match self.reachable.load(Ordering::Acquire) {
            0 => Miss::Empty,
            _ => Miss::Unsure,
        })
    }

    /// Takes `wanted` slots without the lock, many in one step, if the words that it looks at have as
    /// many. It may get fewer, if somebody else was faster.
    pub(crate) fn take_many(&self, wanted: usize) -> SlotList {
        let words = self.words_to_look_at();
        if words.map(|word| Word::free(&word)).sum::<usize>() < wanted {
            return SlotList::default();
        }
        self.take_up_to(wanted)
    }

    /// Takes up to `wanted` slots without the lock, of the words that it looks at.
    pub(crate) fn take_up_to(&self, wanted: usize) -> SlotList {
        let mut taken = SlotList::default();
        for word in self.words_to_look_at() {
            let missing = wanted - taken.len();
            if missing == 0 {
                break;
            }
            word.take_many(missing, |slot| {
                // It may wait in a chain for a long time before it has its first turn.
                slot.mark_used();
                taken.push(slot);
            });
        }
        taken
    }

    /// Whether no slot can be taken, because no word may have one.
    pub(crate) fn is_empty(&self) -> bool {
        self.reachable.load(Ordering::Acquire) == 0
    }

    /// The word where this thread looks first, and the others that a get looks at without the lock.
    fn words_to_look_at(&self) -> impl Iterator<Item = BlockRef<'_>> {
        let stripe = self.stripe();
        let first = self.cursor(stripe);
        let others = self.sweep(stripe).map(|(_, word)| word);
        let others = others.filter(move |word| !first.is_some_and(|first| first.is(*word)));
        first.into_iter().chain(others)
    }

    /// Lets this thread's stripe start at word `index` from now on.
    pub(super) fn look_here_next(&self, index: usize) {
        let stripe = self.stripe();
        if let Some(word) = self.table.block(stripe) {
            word.set_cursor(index ^ stripe);
        }
    }

    /// The first words from `stripe` on, wrapping round.
    fn sweep(&self, stripe: usize) -> impl Iterator<Item = (usize, BlockRef<'_>)> {
        let words = self.table.word_count.load(Ordering::Relaxed);
        (0..words.min(SWEEP)).filter_map(move |step| {
            let index = (stripe + step) % words;
            Some((index, self.table.block(index)?))
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Pool, wait::request::Rank};

    fn pool(buffers: usize) -> Pool {
        Pool::builder().buffers(buffers).size(64).build().unwrap()
    }

    /// A fresh pool has one open word. A thread that met another one there must not come back to it only
    /// because its own word was never opened.
    #[test]
    fn a_thread_that_moved_on_gets_slots_of_a_word_of_its_own() {
        let pool = pool(64);
        let first = pool.try_get_buffer().unwrap();
        let other = pool.clone();
        let second = std::thread::spawn(move || {
            stripe::move_on();
            let (one, two) = (other.try_get_buffer(), other.try_get_buffer());
            [one, two].map(|sample| sample.unwrap().index())
        });
        let per_word = 64 / stripe::count();
        let own = second.join().unwrap().map(|index| index / per_word);
        assert_eq!(first.index() / per_word, 0);
        assert!(own.iter().all(|&word| word > 0), "words {own:?}");
    }

    /// One that goes under the lock from an open word of its own must not be sent to another thread's: all
    /// that follow it would go there too.
    #[test]
    fn a_get_under_the_lock_keeps_to_its_own_word() {
        let pool = pool(64);
        let first = pool.try_get_buffer().unwrap();
        let other = pool.clone();
        let second = std::thread::spawn(move || {
            stripe::move_on();
            let lock_free = other.try_get_buffer().unwrap().index();
            let slot = other.engine().try_take_one(Rank::Ordinary).unwrap();
            let under_the_lock = slot.index();
            let mut unwanted = SlotList::default();
            unwanted.push(slot);
            other.engine().put_back(unwanted);
            let after = other.try_get_buffer().unwrap().index();
            [lock_free, under_the_lock, after]
        });
        let per_word = 64 / stripe::count();
        let own = second.join().unwrap().map(|index| index / per_word);
        assert_eq!(first.index() / per_word, 0);
        assert_eq!(own, [1, 1, 1]);
    }

    /// After a burst the low slots are home again, and theirs is the memory that is warm.
    #[test]
    fn after_a_burst_the_lowest_slots_are_used_again() {
        let pool = pool(2000);
        let burst = pool.try_get_buffers(1500).unwrap();
        let also_one_by_one: Vec<_> = (0..400).map(|_| pool.try_get_buffer().unwrap()).collect();
        drop((burst, also_one_by_one));
        let again: Vec<_> = (0..10).map(|_| pool.try_get_buffer().unwrap()).collect();
        let highest = again.iter().map(|sample| sample.index()).max().unwrap();
        assert!(highest < 64, "slot {highest} of 2000");
    }

    /// Others would find the pool empty for a moment, and the high water mark would count it.
    #[test]
    fn a_request_that_cannot_be_served_takes_nothing() {
        let pool = pool(100);
        let held = pool.try_get_buffer().unwrap();
        pool.try_get_buffers(101).unwrap_err();
        pool.try_get_buffers(100).unwrap_err();
        assert_eq!(pool.status().high_water, 1);
        drop(held);
        let all: Vec<_> = pool.try_get_buffers(100).unwrap();
        assert!(
            all.iter().map(|sample| sample.index()).eq(0..100),
            "lowest first"
        );
    }
}
