//! The block table: the blocks that have a pool's words and slots, and the numbers that a get needs to find one.
//!
//! The table has blocks for the largest configuration so far. A smaller configuration uses the first of them. For a
//! larger one, a new set of blocks replaces the old set. The old set stays allocated until the table is dropped (P1),
//! because a get may have been preempted while it used one of the old words.
//!
//! # Orderings
//!
//! | access                        | ordering  | pairs with               | carries                                             |
//! |-------------------------------|-----------|--------------------------|-----------------------------------------------------|
//! | stores of `first` and `len`   | `Release` | their loads in `block`   | the mapped blocks; with `len` also `first`          |
//! | load of `len`, then `first`   | `Acquire` | these stores             | the same                                            |
//! | `location` in `HolderRecord::write` | `Release` | `HolderRecord::read` | `since`, which is written before                    |
//! | `since` in `HolderRecord::write`    | `Release` | `HolderRecord::read` | the generation as the writer found it: who reads the generation after the record sees that it has changed |
//! | `location` in `HolderRecord::read`  | `Acquire` | `HolderRecord::write` | the same                                            |

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::{
    free_list::published::Published,
    memory::mapping::{Mapping, Zeroed},
    slot::{block::Block, block_ref::BlockRef},
    sync::{AtomicPtr, AtomicUsize, Ordering, Setting, SettingPtr, StatisticU64},
};
use std::{
    io,
    panic::Location,
    ptr::{self, NonNull},
};

/// Where and when a slot was handed to a user. Kept only if the pool was built to track holders.
#[derive(Debug)]
pub(crate) struct HolderRecord {
    /// Nanoseconds since the pool was made.
    since: StatisticU64,
    /// The caller of the get.
    location: SettingPtr<Location<'static>>,
}

// SAFETY: zero bytes are the number zero and a null pointer, and neither needs a drop.
unsafe impl Zeroed for HolderRecord {
    #[cfg(all(test, loom))]
    fn zero() -> Self {
        HolderRecord {
            since: StatisticU64::new(0),
            location: SettingPtr::default(),
        }
    }
}

impl HolderRecord {
    /// Writes the record. Called by the slot's owner before it increments the generation and hands the slot to a user.
    pub(crate) fn write(&self, since_nanos: u64, location: &'static Location<'static>) {
        self.since.store(since_nanos, Ordering::Release);
        let location = std::ptr::from_ref(location).cast_mut();
        // After `since`, so that a reader of this location reads no earlier time.
        self.location.store(location, Ordering::Release);
    }

    /// Reads the record; `None` if the slot was never handed to a user.
    pub(crate) fn read(&self) -> Option<(u64, &'static Location<'static>)> {
        let location = NonNull::new(self.location.load(Ordering::Acquire))?;
        // SAFETY: only `write` stores here, and it stores a `'static` reference.
        let location = unsafe { location.as_ref() };
        Some((self.since.load(Ordering::Acquire), location))
    }
}

/// The blocks of a pool, and the numbers that a get needs to find one. A get reads the first four fields and writes
/// none.
#[derive(Debug)]
pub(crate) struct BlockTable {
    /// The first block of the newest set.
    first: AtomicPtr<Block>,
    /// How many blocks that set has. It only grows, and is stored after `first`. So a thread that sees this number also
    /// sees the address of at least as many blocks.
    len: AtomicUsize,
    /// The number of stripes minus one. The number of stripes is a power of two, so this is a mask.
    pub(crate) mask: Setting,
    /// How many words the present configuration uses.
    pub(crate) word_count: Setting,
    /// All sets. They are never freed before the table (P1).
    sets: Published<BlockSet>,
}

/// One allocation of blocks, and of records if the pool tracks holders.
#[derive(Debug)]
struct BlockSet {
    blocks: Mapping<Block>,
    records: Option<Mapping<HolderRecord>>,
}

impl BlockTable {
    /// A table without blocks.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(BlockTable {
            first: AtomicPtr::new(ptr::null_mut()),
            len: AtomicUsize::new(0),
            mask: Setting::new(0),
            word_count: Setting::new(0),
            sets: Published::new(BlockSet {
                blocks: Mapping::new(0)?,
                records: None,
            }),
        })
    }

    /// Makes sure that there are blocks for `words` words and, if `records` is set, records for `slots` slots. Called
    /// while the life cycle is marked busy, so by one thread at a time, and while every word is parked. It maps memory,
    /// so the pool's lock is not held.
    pub(crate) fn grow(&self, words: usize, slots: usize, records: bool) -> io::Result<()> {
        let newest = self.sets.get();
        let recorded = newest.records.as_ref().map_or(0, |records| records.len());
        if newest.blocks.len() >= words && (!records || recorded >= slots) {
            return Ok(());
        }
        let blocks = Mapping::new(words.next_power_of_two().max(newest.blocks.len()))?;
        let records = records
            .then(|| Mapping::new(slots.next_power_of_two()))
            .transpose()?;
        let (first, len) = (blocks.first(), blocks.len());
        // The old set stays in `sets`: a get may have been preempted with one of its words.
        self.sets.publish(BlockSet { blocks, records });
        // The address before the number: a get that sees the new number with the old address would read past its end.
        self.first.store(first.as_ptr(), Ordering::Release);
        self.len.store(len, Ordering::Release);
        Ok(())
    }

    /// Block `index`; `None` if the table has no such block.
    #[inline]
    pub(crate) fn block(&self, index: usize) -> Option<BlockRef<'_>> {
        // The number before the address, in the reverse order of the stores in `grow`.
        if index >= self.len.load(Ordering::Acquire) {
            return None;
        }
        let first = self.first.load(Ordering::Acquire);
        debug_assert!(
            !first.is_null(),
            "the address is stored before the number of blocks"
        );
        // SAFETY: there are blocks, so an address was stored before. A check would cost a branch in each get.
        let first = unsafe { NonNull::new_unchecked(first) };
        // SAFETY: there are more than `index` blocks, and they stay as long as the table (P1); the address
        // came from `Mapping::first`.
        Some(unsafe { BlockRef::at(first, index) })
    }

    /// The record of slot `index`; `None` if the pool does not track holders.
    pub(crate) fn record(&self, index: usize) -> Option<&HolderRecord> {
        self.sets.get().records.as_ref()?.get(index)
    }
}
