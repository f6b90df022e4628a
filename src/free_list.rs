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
//! 3. otherwise go under the lock, where the [`Ledger`] knows which words have slots.

#![forbid(unsafe_code)]

mod bit_set;
mod ledger;

pub(crate) use ledger::{Ledger, Plan, Tally};

use crate::{
    raw::{chain::Chain, published::Published, shelf::Shelf, slot::OwnedSlot},
    stripe,
    sync::{AtomicUsize, Ordering},
    word::Word,
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
    shelf: Published<Shelf>,
    /// Open words and stocked ones together. Written under the lock, when a word is parked or
    /// opened, so never in the common get or release.
    reachable: CachePadded<AtomicUsize>,
}

impl FreeList {
    /// A free list with no slots.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(FreeList {
            shelf: Published::new(Shelf::new(1, 0, false)?),
            reachable: CachePadded::new(AtomicUsize::new(0)),
        })
    }

    #[inline]
    pub(crate) fn shelf(&self) -> &Shelf {
        self.shelf.get()
    }

    /// Takes a slot that is home, without the lock.
    #[inline]
    pub(crate) fn take(&self) -> Result<OwnedSlot, Miss> {
        let shelf = self.shelf();
        let stripe = stripe::current() & shelf.mask.load(Ordering::Relaxed);
        let Some(word) = cursor(shelf, stripe) else {
            return Err(Miss::Unsure);
        };
        match shelf.take(word) {
            Ok(slot) => Ok(slot),
            Err(contended) => self.take_elsewhere(shelf, contended),
        }
    }

    #[cold]
    fn take_elsewhere(&self, shelf: &Shelf, contended: bool) -> Result<OwnedSlot, Miss> {
        if contended {
            stripe::move_on();
        } else if self.reachable.load(Ordering::Acquire) == 0 {
            return Err(Miss::Empty);
        }
        let stripe = stripe::current() & shelf.mask.load(Ordering::Relaxed);
        if let Some(own) = shelf.word(stripe).filter(|own| own.cursor() == 0) {
            if !own.is_open() {
                // The ledger opens it, if it has slots: better once under the lock than at a word that
                // other threads are busy with.
                return Err(Miss::Unsure);
            }
        }
        if let Some(slot) = cursor(shelf, stripe).and_then(|word| shelf.take(word).ok()) {
            return Ok(slot);
        }
        for (index, word) in sweep(shelf, stripe) {
            if let Ok(slot) = shelf.take(word) {
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
    pub(crate) fn take_many(&self, wanted: usize) -> Chain {
        let shelf = self.shelf();
        let stripe = stripe::current() & shelf.mask.load(Ordering::Relaxed);
        let first = cursor(shelf, stripe);
        let words = || {
            let others = sweep(shelf, stripe).map(|(_, word)| word);
            let others =
                others.filter(|word| !first.is_some_and(|first| std::ptr::eq(first, *word)));
            first.into_iter().chain(others)
        };
        let mut taken = Chain::default();
        if words().map(Word::home).sum::<usize>() < wanted {
            return taken;
        }
        for word in words() {
            let missing = wanted - taken.len();
            if missing == 0 {
                break;
            }
            shelf.take_many(word, missing, |slot| {
                // It may wait in a chain for a long time before it has its first turn.
                slot.mark_used();
                taken.push(slot);
            });
        }
        taken
    }

    /// Lets this thread's stripe start at word `index` from now on.
    fn look_here_next(&self, index: usize) {
        let shelf = self.shelf();
        let stripe = stripe::current() & shelf.mask.load(Ordering::Relaxed);
        if let Some(word) = shelf.word(stripe) {
            word.set_cursor(index ^ stripe);
        }
    }
}

/// The word where the threads of `stripe` look first.
#[inline]
fn cursor(shelf: &Shelf, stripe: usize) -> Option<&Word> {
    let own = shelf.word(stripe)?;
    match own.cursor() {
        0 => Some(own),
        elsewhere => shelf.word(stripe ^ elsewhere),
    }
}

/// The first words from `stripe` on, wrapping round.
fn sweep(shelf: &Shelf, stripe: usize) -> impl Iterator<Item = (usize, &Word)> {
    let words = shelf.word_count.load(Ordering::Relaxed);
    (0..words.min(SWEEP)).filter_map(move |step| {
        let index = (stripe + step) % words;
        Some((index, shelf.word(index)?))
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Pool;

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
