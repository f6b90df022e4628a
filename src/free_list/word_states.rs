//! The parts of the free list that the pool's lock protects: which words are open, which parked words have free slots,
//! and how many slots of parked words are checked out.
//!
//! Slots of an open word are taken and freed without the lock, so only the fact that the word is open is kept here.
//! Some changes must be seen by every get and every release: a task waits, the pool drains, a callback was set. To make
//! such a change, the holder of the lock parks every open word. Then each get and each release goes under the lock and
//! sees the change there. Words are opened again one at a time, when a get or a release comes to them and nothing is
//! left that has to be seen. So each parking of a word is paid for by one opening, and no operation here costs more in
//! a larger pool, except for the words that it really parks.
//!
//! | word                      | `OPEN` bit | in `open_words` | in `with_free` | its slots are taken and freed |
//! |---------------------------|------------|-----------------|----------------|-------------------------------|
//! | open                      | 1          | yes             | no             | without the lock              |
//! | parked, has free slots    | 0          | no              | yes            | under the lock                |
//! | parked, has no free slot  | 0          | no              | no             | under the lock                |
//!
//! # Invariants, true whenever the lock is free
//!
//! - **F1** A word is in `open_words` if and only if its bit says so. `word: tests`, loom `*`
//! - **F2** A parked word is in `with_free` if and only if one of its slots is free. `tests/it/model`
//! - **F3** `parked_out` is the number of checked-out slots of all parked words together, and `parked_callback_refs`
//!   that of their callback references. So while every word is parked they are those of the pool. loom
//!   `the_last_sample_frees_the_pool_once`
//! - **F4** A word's slots are set up before the word is opened or taken from for the first time since the commit.
//!   `stale_bytes: *`
//!
//! # Orderings
//!
//! | access                             | ordering  | pairs with                            | carries                                |
//! |------------------------------------|-----------|---------------------------------------|----------------------------------------|
//! | `publish_reachable` of `reachable` | `Release` | its loads in `striped.rs`             | what the lock's holder wrote before    |
//!
//! All else is ordered by the lock, or by the words (`slot/word.rs`).

#![forbid(unsafe_code)]

use super::{bit_set::BitSet, striped::FreeList};
use crate::{
    free_list::{stripe, table::BlockTable, used::UsedWords},
    memory::slot_memory::Region,
    slot::{
        block_ref::{BlockRef, NotTaken},
        header::{PoolAddress, SetUp},
        owned::OwnedSlot,
        word::{SLOTS_PER_WORD, Word, absent},
    },
    sync::Ordering,
};
use std::{borrow::Cow, io, mem, sync::Arc};

/// The least number of slots of a word, unless the pool has fewer.
#[cfg(not(all(test, any(loom, shuttle))))]
const MIN_PER_WORD: usize = 4;

/// With one, a loom test or a shuttle test of two slots has two words.
#[cfg(all(test, any(loom, shuttle)))]
const MIN_PER_WORD: usize = 1;

/// What the free list needs to know of a commit.
#[derive(Debug)]
pub(crate) struct CommitPlan {
    /// The number of slots.
    pub(crate) slots: usize,
    /// The pool's address, which each word gets.
    pub(crate) pool: PoolAddress,
    /// The memory of the slots.
    pub(crate) memory: Arc<Region>,
    /// Whether released bytes are overwritten with zeros.
    pub(crate) wipe: bool,
}

/// How the slots of a configuration are spread over words, and the sets for these words. Made without the lock, because
/// it allocates and maps memory.
#[derive(Debug)]
pub(crate) struct Layout {
    words: usize,
    per_word: usize,
    open_words: BitSet,
    used: BitSet,
    with_free: BitSet,
}

impl Layout {
    /// Makes sure that `list` has blocks for `slots` slots, and allocates the sets. The caller marked the life cycle
    /// busy, so no other thread does this at the same time.
    pub(crate) fn make(list: &FreeList, slots: usize, records: bool) -> io::Result<Self> {
        let words = slots.div_ceil(SLOTS_PER_WORD);
        // One word for each stripe, so that busy threads find words of their own; but no word of very few slots. Where
        // many processors are idle, a thread would sweep over as many words and then need the lock.
        let words = words.max((slots / MIN_PER_WORD).clamp(1, stripe::count()));
        // Spread evenly, and counted again, because rounding up may leave the last words without slots.
        let per_word = slots.div_ceil(words);
        let words = slots.div_ceil(per_word);
        let set = |set: Result<BitSet, _>| set.map_err(|_refused| io::ErrorKind::OutOfMemory);
        let layout = Layout {
            words,
            per_word,
            open_words: set(BitSet::with_bound(words))?,
            used: set(BitSet::with_bound(words))?,
            with_free: set(BitSet::full(words))?,
        };
        list.table.grow(words, slots, records)?;
        Ok(layout)
    }
}

/// Which words are open, and what the parked words count. See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct WordStates {
    /// The plan of the last commit; `None` before the first one, and after the properties changed.
    plan: Option<CommitPlan>,
    /// The slots of each word, except the last, which may have fewer.
    per_word: usize,
    /// The words that are open (F1).
    open_words: BitSet,
    /// The parked words that have free slots (F2).
    with_free: BitSet,
    /// The words whose slots were set up since the commit.
    used: BitSet,
    /// How many slots of parked words are checked out (F3).
    parked_out: usize,
    /// How many callback references of parked words are held (F3).
    parked_callback_refs: usize,
    /// Goes up when the slots begin to count from 0 again.
    epoch: u64,
    /// Whether words are opened with `NOTIFY`, so that each release takes a callback reference.
    pub(crate) notify: bool,
    /// Whether words stay parked because a callback reference may still use a replaced callback. All words stay parked,
    /// not only those with callback references. An open word would get references for the new callback, and then it
    /// would not be visible when the old references have ended.
    pub(crate) must_stay_parked: bool,
}

impl WordStates {
    /// Starts to use a configuration whose slots are all free, with the layout that was made for it. Every word is
    /// parked at this time. The sets of the earlier configuration are left in `layout`, because freeing them can take
    /// long and the lock is held here.
    pub(crate) fn adopt(&mut self, list: &FreeList, plan: CommitPlan, layout: &mut Layout) {
        let table = &list.table;
        // A power of two that is not more than the number of words, so that each stripe has a word.
        let stripes = 1 << layout.words.min(stripe::count()).ilog2();
        table.mask.store(stripes - 1, Ordering::Relaxed);
        table.word_count.store(layout.words, Ordering::Relaxed);
        for word in (0..stripes).map(|stripe| block(table, stripe)) {
            // A cursor of the earlier configuration may lead to a word that this one does not have.
            word.set_cursor(0);
        }
        self.per_word = layout.per_word;
        mem::swap(&mut self.open_words, &mut layout.open_words);
        mem::swap(&mut self.used, &mut layout.used);
        mem::swap(&mut self.with_free, &mut layout.with_free);
        self.plan = Some(plan);
        self.epoch += 1;
        self.publish_reachable(list);
    }

    /// The memory of the slots, as of the last commit.
    pub(crate) fn memory(&self) -> Option<&Arc<Region>> {
        self.plan.as_ref().map(|plan| &plan.memory)
    }

    /// Drops the configuration. All its slots are free.
    pub(crate) fn abandon(&mut self, list: &FreeList) {
        debug_assert_eq!(self.parked_out, 0);
        self.plan = None;
        self.with_free = BitSet::default();
        self.used = BitSet::default();
        self.open_words = BitSet::default();
        self.publish_reachable(list);
    }

    /// The number of slots of the configuration.
    fn slots(&self) -> usize {
        self.plan.as_ref().map_or(0, |plan| plan.slots)
    }

    /// The number of slots of word `index`.
    fn members(&self, index: usize) -> usize {
        (self.slots() - index * self.per_word).min(self.per_word)
    }

    /// Mask of the bits of word `index` that have no slot.
    fn absent(&self, index: usize) -> u64 {
        absent(self.members(index))
    }

    /// Parks every open word: from now on every get and every release goes under the lock.
    pub(crate) fn park_all(&mut self, list: &FreeList) {
        while let Some(index) = self.open_words.next(0) {
            self.park_word(list, index);
        }
        self.publish_reachable(list);
    }

    /// How many slots are checked out. Exact, because the caller has every word parked.
    pub(crate) fn parked_out(&self) -> usize {
        debug_assert_eq!(self.open_words.len(), 0);
        self.parked_out
    }

    /// How many callback references of parked words are held.
    pub(crate) fn parked_callback_refs(&self) -> usize {
        self.parked_callback_refs
    }

    /// Whether every word is parked.
    pub(crate) fn all_parked(&self) -> bool {
        self.open_words.len() == 0
    }

    /// Parks every word, and returns how many slots are free. The number does not change while the caller holds the
    /// lock, unless it takes or frees slots itself.
    pub(crate) fn park_all_and_count(&mut self, list: &FreeList) -> usize {
        self.park_all(list);
        self.slots() - self.parked_out
    }

    /// Takes a free slot: from the word of this thread's stripe if it may have one, so that busy threads use different
    /// words, and otherwise from the lowest word. With `may_open`, a parked word is opened first.
    ///
    /// Each word that is found to have no free slot is parked. So `None` means that every word is parked and no slot is
    /// free, and this stays true while the caller holds the lock: it can queue a waiter that no release passes by.
    pub(crate) fn take(&mut self, list: &FreeList, may_open: bool) -> Option<OwnedSlot> {
        let table = &list.table;
        let own = stripe::current() & table.mask.load(Ordering::Relaxed);
        // Ends when no word is open and no parked word has free slots: then no slot is free (F1, F2).
        while let Some(lowest) = min_some(self.open_words.next(0), self.with_free.next(0)) {
            // The stripe's own word also if it is not the lowest: a get that was directed to another thread's word
            // would leave the cursor there for all later gets of the stripe.
            let index = match self.with_free.contains(own) || self.open_words.contains(own) {
                true => own,
                false => lowest,
            };
            let word = block(table, index);
            if self.with_free.contains(index) {
                // The word is parked, so no other thread takes its free slot first, and this cannot fail.
                if !may_open || self.must_stay_parked {
                    return self.take_parked(list, index);
                }
                // This moves the word from `with_free` to `open_words`, so `reachable` stays the same.
                self.open_word(list, index);
            }
            // The word is open: other threads take and free its slots at the same time, also while the lock is held.
            match word.take() {
                Ok(slot) => {
                    // The next get of this stripe finds the word without the lock.
                    list.look_here_next(index);
                    return Some(slot);
                }
                // Another thread changed the word at the same time, so that thread made progress: look again. The word
                // is not parked, because it may still have free slots.
                Err(NotTaken::Contended) => {}
                // The word had no free slot when it was read. Park it, so that the next release to it comes under the
                // lock and sees a waiter. A release that came between the read and the parking is counted by `park`,
                // which puts the word into `with_free`, and this loop finds it there.
                Err(NotTaken::Unavailable) => self.park_word(list, index),
            }
            // After each parking, so that gets without the lock fail with one load once no word is left.
            self.publish_reachable(list);
        }
        None
    }

    /// Takes the lowest free slot of a parked word. The slot's word stays parked.
    fn take_parked(&mut self, list: &FreeList, index: usize) -> Option<OwnedSlot> {
        let word = block(&list.table, index);
        // Before the first slot is taken (F4).
        self.set_up(&list.table, index);
        let absent = self.absent(index);
        let slot = word.take_parked(absent)?;
        self.parked_out += 1;
        // The last free slot of the word was taken (F2).
        if word.out(absent) == self.members(index) {
            self.with_free.remove(index);
            self.publish_reachable(list);
        }
        Some(slot)
    }

    /// Frees a slot. Opens its word if `may_open`, which says that no get and no release has to go under the lock.
    pub(crate) fn put(&mut self, list: &FreeList, slot: OwnedSlot, may_open: bool) {
        let index = slot.index() / self.per_word;
        block(&list.table, index).put_locked(slot.bit());
        // The slots of an open word are not counted here (F3).
        if self.open_words.contains(index) {
            return;
        }
        self.parked_out -= 1;
        if may_open && !self.must_stay_parked {
            self.open_word(list, index);
        } else {
            self.with_free.insert(index);
        }
        self.publish_reachable(list);
    }

    /// Drops a callback reference of a parked word. `false` if the word is open: then the reference is still held, and
    /// the caller drops it without the lock.
    pub(crate) fn drop_callback_ref(&mut self, word: &Word) -> bool {
        // Words are opened and parked under the lock only, so the answer stays true here.
        if word.is_open() {
            return false;
        }
        word.drop_parked_callback_ref();
        self.parked_callback_refs -= 1;
        true
    }

    /// Opens a parked word.
    fn open_word(&mut self, list: &FreeList, index: usize) {
        // Before any slot can be taken without the lock (F4). `Word::open` publishes it.
        self.set_up(&list.table, index);
        let word = block(&list.table, index);
        // The threads of this word's stripe start here again: the slots that they took elsewhere are higher ones.
        word.set_cursor(0);
        let held = word.open(self.absent(index), self.notify);
        // From now on the word counts these itself (F3).
        self.parked_out -= held.out;
        self.parked_callback_refs -= held.callback_refs;
        self.open_words.insert(index);
        self.with_free.remove(index);
    }

    /// Parks an open word.
    fn park_word(&mut self, list: &FreeList, index: usize) {
        // `held` is the count of exactly the moment of the parking. A count that is read before or after it would miss a
        // release in between.
        let held = block(&list.table, index).park(self.absent(index));
        self.parked_out += held.out;
        self.parked_callback_refs += held.callback_refs;
        self.open_words.remove(index);
        if held.out < self.members(index) {
            self.with_free.insert(index);
        }
    }

    /// Sets up the slots of a word, if it is used for the first time since the commit. So a commit of many slots
    /// touches only the headers of those that are used.
    fn set_up(&mut self, table: &BlockTable, index: usize) {
        let Some(plan) = &self.plan else { return };
        if self.used.contains(index) {
            return;
        }
        let first = index * self.per_word;
        let slots = (0..self.members(index)).map(|bit| SetUp {
            bytes: plan.memory.slot(first + bit),
            index: first + bit,
            wipe: plan.wipe,
        });
        block(table, index).set_up(plan.pool, slots);
        self.used.insert(index);
    }

    /// The words whose slots were set up since the commit.
    pub(crate) fn used(&self) -> UsedWords<'_> {
        UsedWords {
            words: Cow::Borrowed(&self.used),
            slots: self.slots(),
            per_word: self.per_word,
            commit: self.epoch,
        }
    }

    /// Whether no other commit has begun since `used` was read: then it is still right, or a part of what is.
    pub(crate) fn is_of_this_commit(&self, used: &UsedWords<'_>) -> bool {
        self.epoch == used.commit
    }

    /// Makes the [`totals`](UsedWords::totals) start from 0. Every slot is free. No word counts as set up any more, so
    /// the next use of each word resets the counts of its slots.
    pub(crate) fn reset_totals(&mut self) {
        self.used.clear();
        self.epoch += 1;
    }

    /// Publishes the number of words that may have a free slot.
    fn publish_reachable(&self, list: &FreeList) {
        let reachable = self.open_words.len() + self.with_free.len();
        list.reachable.store(reachable, Ordering::Release);
    }
}

/// The block of word `index` of the present configuration. Under the lock it is there: a commit makes the blocks before
/// it adopts the configuration, and none is removed. Without the lock, a number may be out of date, so
/// [`BlockTable::block`] returns an `Option`.
#[inline]
fn block(table: &BlockTable, index: usize) -> BlockRef<'_> {
    let Some(block) = table.block(index) else {
        unreachable!("every word of the configuration has a block");
    };
    block
}

/// The lower of two numbers, or the one that is there.
fn min_some(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
