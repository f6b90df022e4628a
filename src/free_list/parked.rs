//! What the holder of the pool's lock knows of the free list: which words are open, which parked
//! ones have slots, and how many slots of parked words are out.
//!
//! An open word moves without the lock; the ledger knows only that it is open. To change anything
//! that a get or a release must see (somebody waits, the pool drains, a callback was set), the
//! holder of the lock parks every open word: then each get and each release goes under the lock, and
//! sees it there. Words are opened again one by one, when a get or a release comes to them and
//! nothing is left that must be seen. So each parking is paid for by one opening, and nothing here
//! costs more as the pool grows, but for what is really moved.
//!
//! # Invariants, true whenever the lock is free
//!
//! - **F1** A word is in `open` if and only if its bit says so. `word: tests`, loom `*`
//! - **F2** A parked word is in `stocked` if and only if one of its slots is home.
//!   `tests/it/model`
//! - **F3** `parked_out` and `parked_claims` are what is out and held of all parked words together; so
//!   with every word parked they are those of the pool.
//!   loom `the_last_sample_frees_the_pool_once`
//! - **F4** A word's slots are set up before the word is opened or taken from for the first time
//!   since the commit. `stale_bytes: *`

#![forbid(unsafe_code)]

use super::{bit_set::BitSet, striped::FreeList};
use crate::{
    free_list::{stripe, table::BlockTable},
    memory::slot_memory::Region,
    slot::{
        header::{Owner, SetUp, Slot},
        owned::OwnedSlot,
        word::{SLOTS_PER_WORD, Word, absent},
    },
    sync::Ordering,
};
use std::{io, mem, sync::Arc};

/// What a commit tells the free list.
#[derive(Debug)]
pub(crate) struct CommitPlan {
    pub(crate) slots: usize,
    pub(crate) owner: Owner,
    pub(crate) memory: Arc<Region>,
    pub(crate) wipe: bool,
}

/// How the slots of a configuration are spread over words, and the sets of these words. Made without the lock, because
/// memory is allocated and mapped for it.
#[derive(Debug)]
pub(crate) struct Layout {
    words: usize,
    per_word: usize,
    open: BitSet,
    used: BitSet,
    with_free: BitSet,
}

impl Layout {
    /// Makes room in `list` for so many slots, and the sets. The caller marked the life cycle busy, so nobody else does.
    pub(crate) fn make(list: &FreeList, slots: usize, records: bool) -> io::Result<Self> {
        let words = slots.div_ceil(SLOTS_PER_WORD);
        let words = words.max(slots.min(stripe::count()));
        let per_word = slots.div_ceil(words);
        let words = slots.div_ceil(per_word);
        let set = |set: Result<BitSet, _>| set.map_err(|_refused| io::ErrorKind::OutOfMemory);
        let layout = Layout {
            words,
            per_word,
            open: set(BitSet::with_bound(words))?,
            used: set(BitSet::with_bound(words))?,
            with_free: set(BitSet::full(words))?,
        };
        list.table.reserve(words, slots, records)?;
        Ok(layout)
    }
}

/// What the slots counted since the commit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    /// How often a sample was handed to a user.
    pub(crate) acquired: u64,
    /// How often a user released one.
    pub(crate) released: u64,
    /// How many slots were out at some time.
    pub(crate) used: usize,
    /// How many bytes stand in the samples that users have now.
    pub(crate) written: usize,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct ParkedWords {
    plan: Option<CommitPlan>,
    per_word: usize,
    open: BitSet,
    with_free: BitSet,
    /// The words whose slots were set up since the commit.
    used: BitSet,
    parked_out: usize,
    parked_callback_refs: usize,
    /// Whether words are opened with the flag that tells releases of a callback.
    pub(crate) notify: bool,
    /// Whether words stay parked, because a claim may still use a replaced callback. All of them, not only those
    /// with claims: an open one would get claims of the new callback, and among these the old ones would never be
    /// seen to end.
    pub(crate) hold_callback_refs: bool,
}

impl ParkedWords {
    /// Takes up a configuration whose slots are all free, with the layout that was made for it. Every word is parked at
    /// this time. The sets of the configuration before are left in `layout`, because freeing them can take long.
    pub(crate) fn adopt(&mut self, list: &FreeList, plan: CommitPlan, layout: &mut Layout) {
        let table = &list.table;
        let stripes = 1 << layout.words.min(stripe::count()).ilog2();
        table.mask.store(stripes - 1, Ordering::Relaxed);
        table.word_count.store(layout.words, Ordering::Relaxed);
        for word in (0..stripes).filter_map(|stripe| table.block(stripe)) {
            word.set_cursor(0);
        }
        self.per_word = layout.per_word;
        mem::swap(&mut self.open, &mut layout.open);
        mem::swap(&mut self.used, &mut layout.used);
        mem::swap(&mut self.with_free, &mut layout.with_free);
        self.plan = Some(plan);
        self.publish_reachable(list);
    }

    /// The memory that the slots lie in, of the last commit.
    pub(crate) fn memory(&self) -> Option<&Arc<Region>> {
        self.plan.as_ref().map(|plan| &plan.memory)
    }

    /// Forgets the configuration, whose slots are all home.
    pub(crate) fn abandon(&mut self, list: &FreeList) {
        debug_assert_eq!(self.parked_out, 0);
        self.plan = None;
        self.with_free = BitSet::default();
        self.used = BitSet::default();
        self.open = BitSet::default();
        self.publish_reachable(list);
    }

    fn slots(&self) -> usize {
        self.plan.as_ref().map_or(0, |plan| plan.slots)
    }

    fn members(&self, index: usize) -> usize {
        (self.slots() - index * self.per_word).min(self.per_word)
    }

    fn absent(&self, index: usize) -> u64 {
        absent(self.members(index))
    }

    /// Parks every open word: from now on every get and every release goes under the lock.
    pub(crate) fn park_all(&mut self, list: &FreeList) {
        while let Some(index) = self.open.next(0) {
            self.park(list, index);
        }
        self.publish_reachable(list);
    }

    /// How many slots are out. True only while every word is parked.
    pub(crate) fn parked_out(&self) -> usize {
        debug_assert_eq!(self.open.len(), 0);
        self.parked_out
    }

    /// How many claims are held, in parked words.
    pub(crate) fn parked_callback_refs(&self) -> usize {
        self.parked_callback_refs
    }

    pub(crate) fn all_parked(&self) -> bool {
        self.open.len() == 0
    }

    /// How many slots are out now; those in open words may move while this counts.
    pub(crate) fn out(&self, list: &FreeList) -> usize {
        let open = self.open.iter().filter_map(|index| {
            let word = list.table.block(index)?;
            Some(word.out(self.absent(index)))
        });
        self.parked_out + open.sum::<usize>()
    }

    /// Parks every word, and says how many slots are home. They stay until the lock is free.
    pub(crate) fn park_all_and_count(&mut self, list: &FreeList) -> usize {
        self.park_all(list);
        self.slots() - self.parked_out
    }

    /// Takes a slot that is home: of this thread's own word if that has one, so that busy threads end up
    /// in words of their own, and otherwise the lowest. Words that turn out dry are parked, so
    /// with no answer every word is parked and no slot is home.
    pub(crate) fn take(&mut self, list: &FreeList, may_open: bool) -> Option<OwnedSlot> {
        let table = &list.table;
        let own = stripe::current() & table.mask.load(Ordering::Relaxed);
        while let Some(lowest) = lowest(self.open.next(0), self.with_free.next(0)) {
            let index = match self.with_free.contains(own) || self.open.contains(own) {
                true => own,
                false => lowest,
            };
            let word = table.block(index)?;
            if self.with_free.contains(index) {
                if !may_open || self.hold_callback_refs {
                    return self.take_parked(list, index);
                }
                self.open(list, index);
            }
            match word.take() {
                Ok(slot) => {
                    list.look_here_next(index);
                    return Some(slot);
                }
                // Somebody else moved a slot of the word, so somebody makes progress: look again.
                Err(true) => {}
                Err(false) => self.park(list, index),
            }
            self.publish_reachable(list);
        }
        None
    }

    fn take_parked(&mut self, list: &FreeList, index: usize) -> Option<OwnedSlot> {
        let word = list.table.block(index)?;
        self.set_up(&list.table, index);
        let absent = self.absent(index);
        let slot = word.take_parked(absent)?;
        self.parked_out += 1;
        if word.out(absent) == self.members(index) {
            self.with_free.remove(index);
            self.publish_reachable(list);
        }
        Some(slot)
    }

    /// Puts a slot home, and opens its word if `may_open` says that nothing needs the lock.
    pub(crate) fn put(&mut self, list: &FreeList, slot: OwnedSlot, may_open: bool) {
        let index = slot.index() / self.per_word;
        let bit = slot.bit();
        let Some(word) = list.table.block(index) else {
            unreachable!("a slot's word is on the shelf of its configuration");
        };
        word.put_locked(bit);
        if self.open.contains(index) {
            return;
        }
        self.parked_out -= 1;
        if may_open && !self.hold_callback_refs {
            self.open(list, index);
        } else {
            self.with_free.insert(index);
        }
        self.publish_reachable(list);
    }

    /// Drops a claim of a word that is parked. `false` if it is open, and the claim still held.
    pub(crate) fn drop_callback_ref(&mut self, word: &Word) -> bool {
        if word.is_open() {
            return false;
        }
        word.drop_parked_callback_ref();
        self.parked_callback_refs -= 1;
        true
    }

    fn open(&mut self, list: &FreeList, index: usize) {
        self.set_up(&list.table, index);
        if let Some(word) = list.table.block(index) {
            // Whoever belongs here comes back: the slots that it took elsewhere are higher ones.
            word.set_cursor(0);
            let held = word.open(self.absent(index), self.notify);
            self.parked_out -= held.out;
            self.parked_callback_refs -= held.callback_refs;
            self.open.insert(index);
            self.with_free.remove(index);
        }
    }

    fn park(&mut self, list: &FreeList, index: usize) {
        if let Some(word) = list.table.block(index) {
            let held = word.park(self.absent(index));
            self.parked_out += held.out;
            self.parked_callback_refs += held.callback_refs;
            self.open.remove(index);
            if held.out < self.members(index) {
                self.with_free.insert(index);
            }
        }
    }

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
        table.set_up(index, plan.owner, slots);
        self.used.insert(index);
    }

    /// The numbers of the slots that may have been used since the commit.
    pub(crate) fn used_slots(&self) -> impl Iterator<Item = usize> {
        self.used.iter().flat_map(|index| {
            let first = index * self.per_word;
            first..first + self.members(index)
        })
    }

    /// The header of slot `index`.
    pub(crate) fn slot<'a>(&self, list: &'a FreeList, index: usize) -> Option<&'a Slot> {
        let block = list.table.block(index / self.per_word)?;
        block.slot(index % self.per_word)
    }

    /// What the slots counted since the commit.
    pub(crate) fn totals(&self, list: &FreeList) -> Totals {
        let mut totals = Totals::default();
        let slots = self.used_slots().filter_map(|index| self.slot(list, index));
        for slot in slots {
            let generation = slot.generation();
            totals.acquired += generation.div_ceil(2);
            totals.released += generation / 2;
            totals.used += usize::from(slot.was_used());
            totals.written += slot.written();
        }
        totals
    }

    /// Starts counting anew: every slot is home, and no word may stay set up.
    pub(crate) fn close_books(&mut self) {
        self.used.clear();
    }

    fn publish_reachable(&self, list: &FreeList) {
        let reachable = self.open.len() + self.with_free.len();
        list.reachable.store(reachable, Ordering::Release);
    }
}

fn lowest(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
