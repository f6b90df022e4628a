//! The free list, and how a get takes from it without the lock.
//!
//! The number of a slot gives its word and its bit there. `take` sets the lowest bit that says *free*, and `put` clears
//! it. There are no next pointers, so there is no ABA problem and no tag. Each word has a cache line of its own. A
//! thread starts at stripe 0 and moves on only when it met another thread there. So a single busy thread uses the
//! lowest slots, and threads that are busy at the same time use different cache lines.
//!
//! If the word at which a get starts has no free slot, the get does this:
//!
//! 1. If no word is open and no parked word has free slots, it fails as empty. One load shows that, whatever the number
//!    of slots.
//! 2. It looks at a few words: its own stripe's, and those from the cursor on ([`SWEEP`]).
//! 3. If these are all that can have a free slot and none has one, a try fails ([`Miss::NoneSeen`]).
//! 4. It goes under the lock, where [`WordStates`](crate::free_list::word_states::WordStates) knows which words have
//!    slots.
//!
//! # Orderings
//!
//! | access                 | ordering  | pairs with                       | carries                                           |
//! |------------------------|-----------|----------------------------------|---------------------------------------------------|
//! | loads of `reachable`   | `Acquire` | `WordStates::publish_reachable` | what the lock's holder wrote before it parked the |
//! |                        |           |                                  | last word, such as that gets are not served       |
//!
//! The cursors, the mask and the number of words are `Relaxed`: they only say where to look, and a value that is out of
//! date leads to another block of the table. The slots themselves are ordered by the words, see `slot/word.rs`.

#![forbid(unsafe_code)]

use crate::{
    free_list::{stripe, table::BlockTable},
    slot::{
        block_ref::{BlockRef, NotTaken},
        list::SlotList,
        owned::OwnedSlot,
        word::{self, Availability, Word},
    },
    sync::{AtomicUsize, Ordering},
};
use crossbeam_utils::CachePadded;
use std::io;

/// How many words a get looks at without the lock before it goes under the lock.
const SWEEP: usize = 16;

/// Why a get found no slot without the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// No word has a free slot.
    Empty,
    /// Each word had no free slot when it was read. They were not read at one moment: a slot may have been freed in a
    /// word that was read already.
    NoneSeen,
    /// Some word may have a free slot: look under the lock.
    Unsure,
}

/// The words and slots, and the number of words that may have a free slot.
#[derive(Debug)]
pub(crate) struct FreeList {
    pub(crate) table: BlockTable,
    /// The number of open words and of parked words that have free slots, added together. 0 means that no slot is free.
    /// Written under the lock, when a word is parked or opened, so never in the common get or release.
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

    /// Takes a free slot without the lock.
    #[inline]
    pub(crate) fn take(&self) -> Result<OwnedSlot, Miss> {
        // The fast path: one word, one exchange. Everything else is in functions that are not inlined.
        self.take_at_cursor()
            .or_else(|first| self.take_elsewhere(first))
    }

    /// Takes a free slot of the word at which this thread starts.
    #[inline]
    pub(crate) fn take_at_cursor(&self) -> Result<OwnedSlot, NotTaken> {
        match self.cursor(self.stripe()) {
            Some(word) => word.take(),
            // No such block: the pool was never committed, or the cursor is out of date.
            None => Err(NotTaken::Unavailable),
        }
    }

    /// The stripe of this thread in this pool.
    #[inline]
    fn stripe(&self) -> usize {
        stripe::current() & self.table.mask.load(Ordering::Relaxed)
    }

    /// The word at which the threads of `stripe` start.
    #[inline]
    fn cursor(&self, stripe: usize) -> Option<BlockRef<'_>> {
        let own = self.table.block(stripe)?;
        match own.cursor() {
            0 => Some(own),
            elsewhere => self.table.block(stripe ^ elsewhere),
        }
    }

    /// Goes on after the first word.
    #[cold]
    #[inline(never)]
    fn take_elsewhere(&self, first: NotTaken) -> Result<OwnedSlot, Miss> {
        self.take_after(first)
    }

    /// Goes on after the first word, inlined into functions that are not.
    #[inline]
    pub(crate) fn take_after(&self, first: NotTaken) -> Result<OwnedSlot, Miss> {
        if first == NotTaken::Contended {
            // The thread keeps the new stripe, so the two threads do not meet again at the next get.
            stripe::move_on();
            word::back_off();
        }
        match self.reachable.load(Ordering::Acquire) {
            // No word may have a free slot, so looking at any would be wasted.
            0 => Err(Miss::Empty),
            reachable => self.take_from_another_word(reachable),
        }
    }

    /// Looks at the other words. In a function of its own, so that an empty pool costs no more than the one load above.
    /// `reachable` was loaded before.
    #[inline(never)]
    fn take_from_another_word(&self, reachable: usize) -> Result<OwnedSlot, Miss> {
        let stripe = self.stripe();
        let Some(own) = self.table.block(stripe) else {
            return Err(Miss::Unsure);
        };
        let start = match own.cursor() {
            0 if !own.is_open() => {
                // Under the lock this word is opened, if it has free slots. Taking the lock once costs less than to
                // share a word with other threads from now on.
                return Err(Miss::Unsure);
            }
            elsewhere => stripe ^ elsewhere,
        };
        // The stripe's own word first: its slots are the lowest ones of this thread, and some may be free again. Then
        // from the word on where the last slot was found, because those before it had none.
        let words = self.table.word_count.load(Ordering::Relaxed);
        let mut without_free = 0;
        let (mut index, mut next) = (stripe, start);
        for _ in 0..words.min(SWEEP) {
            // No such block: the number of words is out of date after a reconfiguration. A word that the present
            // configuration does not use is parked.
            let Some(word) = self.table.block(index) else {
                break;
            };
            // A contended word is passed over like an empty one: the next one may have no other thread.
            match word.availability() {
                Availability::Parked => {}
                Availability::NoneFree => without_free += 1,
                Availability::SomeFree => {
                    if let Ok(slot) = word.take() {
                        // The next get of this stripe starts here.
                        own.set_cursor(index ^ stripe);
                        return Ok(slot);
                    }
                }
            }
            if next == stripe {
                next += 1;
            }
            if next >= words {
                // Word 0 comes after the last one, and was the first one if it is the stripe's own.
                next = usize::from(stripe == 0);
            }
            index = next;
            next += 1;
        }
        // Loaded again, because the last word may have been parked since.
        Err(match self.reachable.load(Ordering::Acquire) {
            0 => Miss::Empty,
            // Every word that can have a free slot was open and had none when this thread came to it. The number must be
            // right before the sweep and after it. Otherwise a word that was counted and then parked could stand for one
            // that was parked all the time and has free slots.
            after if after == without_free && reachable == without_free => Miss::NoneSeen,
            // Only a look under the lock is exact.
            _ => Miss::Unsure,
        })
    }

    /// Takes `wanted` slots without the lock, several in one step, if the words that it looks at have as many free
    /// slots. It may get fewer, if other threads take some at the same time.
    // `never`: if it is inlined into the poll of a get, its own loop is not, and a get of 32 costs 25 instructions more.
    #[inline(never)]
    pub(crate) fn take_many(&self, wanted: usize) -> SlotList {
        // Counted before anything is taken: otherwise other gets would find the pool empty because of a request that
        // cannot be served.
        let mut free = 0;
        for word in self.words_to_look_at() {
            free += Word::free(&word);
            if free >= wanted {
                return self.take_up_to(wanted);
            }
        }
        SlotList::default()
    }

    /// Takes up to `wanted` slots without the lock, from the words that a get looks at.
    pub(crate) fn take_up_to(&self, wanted: usize) -> SlotList {
        let mut taken = SlotList::default();
        for word in self.words_to_look_at() {
            let missing = wanted - taken.len();
            if missing == 0 {
                break;
            }
            word.take_many(missing, |slot| {
                // The slot may be in a slot list for a long time before its generation is incremented.
                slot.mark_used();
                taken.push(slot);
            });
        }
        taken
    }

    /// Whether no slot can be taken, because no word may have a free one.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.reachable.load(Ordering::Acquire) == 0
    }

    /// The word at which this thread starts, and the others that a get looks at without the lock. Each word comes once.
    fn words_to_look_at(&self) -> impl Iterator<Item = BlockRef<'_>> {
        let stripe = self.stripe();
        let first = self.cursor(stripe);
        let others = self.sweep(stripe).map(|(_, word)| word);
        let others = others.filter(move |word| !first.is_some_and(|first| first.is(*word)));
        first.into_iter().chain(others)
    }

    /// Makes word `index` the one at which this thread's stripe starts from now on.
    pub(super) fn look_here_next(&self, index: usize) {
        let stripe = self.stripe();
        if let Some(word) = self.table.block(stripe) {
            word.set_cursor(index ^ stripe);
        }
    }

    /// The first [`SWEEP`] words from `stripe` on, with their numbers. After the last word comes word 0.
    fn sweep(&self, stripe: usize) -> impl Iterator<Item = (usize, BlockRef<'_>)> {
        // It may be out of date after a reconfiguration. The blocks are there all the same, and a word that the present
        // configuration does not use is parked.
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

    /// A new pool has one open word. A thread that met another thread there must not return to it only because the word
    /// of its own stripe was never opened.
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

    /// The slots that were freed behind the thread are the lowest ones, and their memory is in the cache.
    #[test]
    fn a_sweep_begins_with_the_own_word() {
        let pool = pool(64);
        let take = |count| -> Vec<_> {
            let samples = (0..count).map(|_| pool.try_get_buffer().unwrap());
            samples.collect()
        };
        // Opens all words, so that the releases below change no cursor.
        drop(take(64));
        let mut held = take(40);
        let word_of = |index| index / 64_usize.div_ceil(stripe::count().min(64 / 4));
        let at_the_cursor = held.iter().map(|sample| word_of(sample.index())).max();
        held.retain(|sample| sample.index() >= 4);
        let next = take(28);
        let indices: Vec<_> = next.iter().map(|sample| sample.index()).collect();
        let low = indices.iter().position(|&index| index < 4).unwrap();
        let before = indices[..low].iter().map(|&index| word_of(index));
        assert!(
            before.into_iter().all(|word| Some(word) == at_the_cursor),
            "{indices:?}"
        );
    }

    /// A get under the lock whose stripe has an open word must not be directed to another thread's word: all later gets
    /// of the stripe would start there too.
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

    /// After a burst the low slots are free again, and their memory is in the cache.
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

    /// Other gets would find the pool empty for a moment, and the high water mark would count the slots.
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
