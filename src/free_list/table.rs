//! The blocks that a pool has its words and slots in, and the numbers that a get needs to find one.
//!
//! A shelf has room for as many slots as the largest configuration so far; a smaller one uses the
//! first of them. When more are wanted a larger set of blocks takes the place of the old one, which
//! stays, because a get may have stalled with one of its words in hand.

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::{
    free_list::published::Published,
    memory::mapping::{Mapping, Zeroed},
    slot::{
        block::Block,
        block_ref::BlockRef,
        header::{Owner, SetUp},
    },
    sync::{AtomicPtr, AtomicUsize, Ordering, Setting, SettingPtr, StatisticU64},
};
use std::{
    io,
    panic::Location,
    ptr::{self, NonNull},
};

/// Who has a slot, and since when; kept only if the pool was told to.
#[derive(Debug)]
pub(crate) struct Record {
    since: StatisticU64,
    location: SettingPtr<Location<'static>>,
}

// SAFETY: zero bytes are the number zero and a null pointer, and neither needs a drop.
unsafe impl Zeroed for Record {
    #[cfg(all(test, loom))]
    fn zero() -> Self {
        Record {
            since: StatisticU64::new(0),
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

/// See the module's documentation. A get reads the first four fields and writes none.
#[derive(Debug)]
pub(crate) struct BlockTable {
    /// The first of the newest blocks.
    first: AtomicPtr<Block>,
    /// How many blocks there are. It grows, and is stored after `first`, so whoever sees it sees an
    /// address with room for as many.
    room: AtomicUsize,
    /// The number of stripes less one; a power of two less one.
    pub(crate) mask: Setting,
    /// How many words the present configuration uses.
    pub(crate) word_count: Setting,
    stock: Published<Stock>,
}

/// One set of blocks, and of records.
#[derive(Debug)]
struct Stock {
    blocks: Mapping<Block>,
    records: Option<Mapping<Record>>,
}

impl BlockTable {
    /// A shelf without room.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(BlockTable {
            first: AtomicPtr::new(ptr::null_mut()),
            room: AtomicUsize::new(0),
            mask: Setting::new(0),
            word_count: Setting::new(0),
            stock: Published::new(Stock {
                blocks: Mapping::new(0)?,
                records: None,
            }),
        })
    }

    /// Makes room for `words` words and, if they are asked for, records of `slots` slots. Called while
    /// the life cycle is busy, so by one thread at a time, and every word is parked. It maps memory, so
    /// the pool's lock is not held.
    pub(crate) fn reserve(&self, words: usize, slots: usize, records: bool) -> io::Result<()> {
        let stock = self.stock.get();
        let recorded = stock.records.as_ref().map_or(0, |records| records.len());
        if stock.blocks.len() >= words && (!records || recorded >= slots) {
            return Ok(());
        }
        let blocks = Mapping::new(words.next_power_of_two().max(stock.blocks.len()))?;
        let records = records
            .then(|| Mapping::new(slots.next_power_of_two()))
            .transpose()?;
        let (first, room) = (blocks.first(), blocks.len());
        self.stock.publish(Stock { blocks, records });
        self.first.store(first.as_ptr(), Ordering::Release);
        self.room.store(room, Ordering::Release);
        Ok(())
    }

    /// Block `index`; `None` if there is none.
    #[inline]
    pub(crate) fn block(&self, index: usize) -> Option<BlockRef<'_>> {
        if index >= self.room.load(Ordering::Acquire) {
            return None;
        }
        let first = self.first.load(Ordering::Acquire);
        debug_assert!(!first.is_null(), "stored before the room was");
        // SAFETY: there is room, so an address was stored before. A test here is one in each get.
        let first = unsafe { NonNull::new_unchecked(first) };
        // SAFETY: there is room for `index`, and the blocks stay as long as the shelf (P1); the address
        // came from `Mapping::first`.
        Some(unsafe { BlockRef::at(first, index) })
    }

    pub(crate) fn record(&self, index: usize) -> Option<&Record> {
        self.stock.get().records.as_ref()?.get(index)
    }

    /// Sets up the word and the slots of block `index`, before any of them can be taken.
    pub(crate) fn set_up(&self, index: usize, owner: Owner, slots: impl Iterator<Item = SetUp>) {
        let Some(block) = self.block(index) else {
            unreachable!("room was made for every word of the configuration");
        };
        block.set_up(owner.0);
        for (bit, set_up) in slots.enumerate() {
            if let Some(slot) = block.slot(bit) {
                slot.set_up(&set_up);
            }
        }
    }
}
