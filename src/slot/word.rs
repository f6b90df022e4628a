//! One word of the free list: which of its slots are checked out, and the operations that need no lock.
//!
//! ```text
//!  bit 63   62       61 .. 56        55 ........................................ 0
//!     OPEN  NOTIFY   callback refs   slots: 1 = checked out, 0 = free
//! ```
//!
//! A bit that has no slot is 1 while the word is open and 0 while it is parked.
//!
//! The flags are in the same word as the slots. So one compare-exchange takes or frees a slot *and* sees what else the
//! caller has to do. A release reads nothing after the exchange: once its slot is free it owns nothing, and another
//! thread may free the pool.
//!
//! | `OPEN` | `NOTIFY` | get, without the lock         | release, without the lock                                      |
//! |--------|----------|-------------------------------|----------------------------------------------------------------|
//! | 1      | 0        | takes the lowest free slot    | frees its slot; nothing is left to do                          |
//! | 1      | 1        | the same                      | frees its slot and takes a callback reference, in one step     |
//! | 0      | –        | fails: goes under the lock    | fails: keeps its slot and goes under the lock                  |
//!
//! A word that is not open is *parked*: only the holder of the pool's lock changes it, and
//! `free_list::word_states::WordStates` counts its slots. Zero is a parked word whose slots are all
//! free, so freshly mapped memory is a free list that has every slot.
//!
//! A callback reference keeps the pool alive while a releaser, whose slot is free by then, calls the callback. It needs
//! no write to a cache line that all threads share. A word counts at most 63 of them. Beyond that, a release takes the
//! lock and a release guard instead.
//!
//! # Orderings
//!
//! | access                    | ordering  | pairs with                                     | carries                                    |
//! |---------------------------|-----------|------------------------------------------------|--------------------------------------------|
//! | [`Word::put`]             | `Release` | [`Word::take`], [`Word::park`]                 | the slot's header and bytes, reset         |
//! | `put` that takes a callback reference | `AcqRel` | the same, and [`Word::open`]        | the same, and the callback                 |
//! | [`Word::take`]            | `Acquire` | [`Word::put`], [`Word::open`]                  | the same, and the slot's set-up            |
//! | [`Word::open`]            | `Release` | `take`, and `put` when it takes a callback reference | the slots' set-up, the pool's address, the callback |
//! | [`Word::park`]            | `AcqRel`  | `put`, [`Word::drop_callback_ref`]             | the end of a call of the callback          |
//!
//! [`Word::take_many`] is ordered as `take` is, and [`Word::put_many`] and [`Word::put_locked`] as `put` is.
//! [`Word::drop_callback_ref`] is the `Release` that pairs with `park`; [`Word::drop_parked_callback_ref`] does the same
//! under the lock, as `AcqRel`.
//! Successive exchanges of one word are one release sequence: a `take` that reads the word after other gets and
//! releases changed it still sees everything that an earlier `put` or `open` published.

#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering, Setting, SettingPtr, pause};
use std::time::Duration;

/// The largest number of slots of one word.
#[cfg(not(all(test, loom)))]
pub(crate) const SLOTS_PER_WORD: usize = SLOT_BITS as usize;

/// A loom test needs few slots, and each one multiplies the executions to explore.
#[cfg(all(test, loom))]
pub(crate) const SLOTS_PER_WORD: usize = 4;

const SLOT_BITS: u32 = 56;
const SLOTS: u64 = (1 << SLOT_BITS) - 1;
const CALLBACK_REF: u64 = 1 << SLOT_BITS;
const CALLBACK_REFS: u64 = 63 * CALLBACK_REF;
const NOTIFY: u64 = 1 << 62;
const OPEN: u64 = 1 << 63;

/// The value of the callback reference count at which a word accepts no more callback references.
#[cfg(not(all(test, loom)))]
const CALLBACK_REF_LIMIT: u64 = CALLBACK_REFS;

/// A loom test cannot have 63 calls in flight, so the limit is lower there.
#[cfg(all(test, loom))]
const CALLBACK_REF_LIMIT: u64 = 2 * CALLBACK_REF;

/// How long a thread pauses. Two threads that take all slots of two words and release them need 40 ns for each slot with half
/// of this, 27 to 30 with this, and 24 with twice as much.
const PAUSE: Duration = Duration::from_micros(2);

/// A word of the free list, and the other values that a get may need, on the same cache line.
#[derive(Debug)]
pub(crate) struct Word {
    bits: AtomicU64,
    /// The address of the pool that the word belongs to. This file does not dereference it.
    pool: SettingPtr<()>,
    /// Used only in a word whose number is also the number of a stripe. It is the number of the word at which the
    /// threads of that stripe start, XORed with this word's number. Zero means this word itself.
    cursor: Setting,
}

/// The result of [`Word::take`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// The slot of this bit was free. It is checked out now.
    Bit(u32),
    /// The word is parked, or none of its slots is free.
    Empty,
    /// Another thread changed the word between the load and the exchange.
    Contended,
}

/// The result of [`Word::availability`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// The word is parked. Whether it has a free slot is known under the lock.
    Parked,
    /// The word is open and no slot is free.
    NoneFree,
    /// The word is open and a slot is free.
    SomeFree,
}

/// The result of [`Word::put`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// The slot is free. The caller owns nothing any more, so the pool may be freed at any moment.
    Free,
    /// The slot is free, and the caller holds a callback reference: it must call the callback.
    CallbackDue,
    /// The word is parked, or it has no callback reference left. The caller still owns the slot and must release it
    /// under the pool's lock.
    NeedsLock,
}

/// What a word counted when it was parked or opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WordCounts {
    /// How many of its slots were checked out.
    pub(crate) out: usize,
    /// How many callback references were held.
    pub(crate) callback_refs: usize,
}

impl WordCounts {
    fn of(bits: u64, absent: u64) -> Self {
        WordCounts {
            out: (bits & SLOTS & !absent).count_ones() as usize,
            callback_refs: ((bits & CALLBACK_REFS) / CALLBACK_REF) as usize,
        }
    }
}

impl Word {
    #[cfg(any(test, loom))]
    pub(crate) fn zero() -> Self {
        Word {
            bits: AtomicU64::new(0),
            pool: SettingPtr::default(),
            cursor: Setting::new(0),
        }
    }

    /// The address of the pool that the word belongs to.
    #[inline]
    pub(crate) fn pool_address(&self) -> *mut () {
        self.pool.load(Ordering::Relaxed)
    }

    /// The number of the word at which the threads of this word's stripe start, XORed with this word's number.
    #[inline]
    pub(crate) fn cursor(&self) -> usize {
        self.cursor.load(Ordering::Relaxed)
    }

    pub(crate) fn set_cursor(&self, cursor: usize) {
        self.cursor.store(cursor, Ordering::Relaxed);
    }

    /// Takes the lowest free slot, if the word is open.
    #[inline]
    pub(crate) fn take(&self) -> Take {
        // `Relaxed`, because this value is only a guess: the exchange below fails unless the word still has it.
        let seen = self.bits.load(Ordering::Relaxed);
        // A parked word counts as empty here: only the holder of the lock may change it.
        let Some(bit) = lowest_free(seen) else {
            return Take::Empty;
        };
        // One exchange checks that the word is still open and that the slot is still free, and takes the slot. So a
        // slot has one owner (S1), and no slot leaves a word that is parked by then. `Acquire` pairs with the
        // `Release` of the `put` that freed the slot: the new owner sees the slot reset.
        match self.exchange(seen, lowest_taken(seen), Ordering::Acquire) {
            Ok(_) => Take::Bit(bit),
            // No retry here: a failure means that another thread is active in this word, and a get without the lock
            // moves on to another word.
            Err(_) => contended(),
        }
    }

    /// Takes up to `wanted` slots, lowest first and in one step, if the word is open. Returns a mask with their bits
    /// set.
    pub(crate) fn take_many(&self, wanted: usize) -> u64 {
        let mut seen = self.bits.load(Ordering::Relaxed);
        loop {
            // Checked again after each failed exchange: the word may have been parked since.
            if seen & OPEN == 0 {
                return 0;
            }
            // The absent bits of an open word are set, so every zero is a slot.
            let mut free = !seen & SLOTS;
            let mut taken = 0;
            for _ in 0..wanted.min(free.count_ones() as usize) {
                let lowest = free & free.wrapping_neg();
                taken |= lowest;
                free ^= lowest;
            }
            if taken == 0 {
                return 0;
            }
            // All or none of `taken`: a slot that another thread took since `seen` makes the exchange fail. `Acquire`
            // pairs with the `put` of each of these slots.
            match self.exchange(seen, seen | taken, Ordering::Acquire) {
                Ok(_) => return taken,
                Err(now) => seen = now,
            }
        }
    }

    /// Whether the word is open. Without the pool's lock the answer may be out of date at once.
    pub(crate) fn is_open(&self) -> bool {
        self.bits.load(Ordering::Relaxed) & OPEN != 0
    }

    /// What a get without the pool's lock finds here now.
    pub(crate) fn availability(&self) -> Availability {
        let seen = self.bits.load(Ordering::Relaxed);
        match seen & OPEN {
            0 => Availability::Parked,
            _ if !seen & SLOTS == 0 => Availability::NoneFree,
            _ => Availability::SomeFree,
        }
    }

    /// How many slots can be taken without the pool's lock: the free slots of an open word, and 0 for a parked one.
    pub(crate) fn free(&self) -> usize {
        let seen = self.bits.load(Ordering::Relaxed);
        match seen & OPEN {
            0 => 0,
            _ => (!seen & SLOTS).count_ones() as usize,
        }
    }

    /// Frees the slot of `bit`, if the word is open.
    #[inline]
    pub(crate) fn put(&self, bit: u32) -> Put {
        let seen = self.bits.load(Ordering::Relaxed);
        // One test for the common case: the word is open and no callback is set.
        if !accepts_many(seen) {
            let done = self.try_put(bit, seen);
            return done.unwrap_or_else(|| self.put_after_a_pause(bit));
        }
        // The exchange fails if the word is parked by then or a callback is set by then, so a release cannot miss
        // either. `Release` publishes the reset slot to its next owner. No `Acquire`: after it this thread reads nothing
        // of the pool.
        match self.exchange(seen, seen & !(1 << bit), Ordering::Release) {
            // Touch nothing of the pool from here on: the slot was what kept it alive (S2).
            Ok(_) => Put::Free,
            Err(_) => self.put_after_a_pause(bit),
        }
    }

    /// Whether [`put_many`](Word::put_many) would free slots now: the word is open, and no callback is set.
    #[inline]
    pub(crate) fn accepts_many(&self) -> bool {
        accepts_many(self.bits.load(Ordering::Relaxed))
    }

    /// Frees all slots of `mask` in one step, if the word is open and no callback is set. Otherwise returns `false`, and
    /// the caller still owns them all.
    pub(crate) fn put_many(&self, mask: u64) -> bool {
        let mut seen = self.bits.load(Ordering::Relaxed);
        // Checked again after each failed exchange, as in `put`: each of the slots may now be due to a waiter, or owe a
        // call of the callback.
        while accepts_many(seen) {
            // All or none of them. `Release` publishes each of the reset slots to its next owner.
            match self.exchange(seen, seen & !mask, Ordering::Release) {
                // Touch nothing of the pool from here on: the slots were what kept it alive (S2).
                Ok(_) => return true,
                Err(_) => {
                    back_off();
                    seen = self.bits.load(Ordering::Relaxed);
                }
            }
        }
        false
    }

    /// One attempt of [`put`](Word::put), for every state of the word, with `seen` as the guess. `None` if another thread
    /// has changed the word.
    #[inline]
    fn try_put(&self, bit: u32, seen: u64) -> Option<Put> {
        // In a parked word the slot is counted under the lock, so it must be freed there. With the count at its limit,
        // one more reference would carry into `NOTIFY`.
        if seen & OPEN == 0 || seen & CALLBACK_REFS == CALLBACK_REF_LIMIT {
            return Some(Put::NeedsLock);
        }
        // Decided anew for each `seen`: the callback may have been removed since the last load, and a reference that is
        // never dropped would keep the pool alive for ever.
        let (callback_ref, done) = match seen & NOTIFY {
            0 => (0, Put::Free),
            _ => (CALLBACK_REF, Put::CallbackDue),
        };
        // The slot is freed and the reference is taken in one step. Between two steps neither would keep the pool alive.
        // `Acquire` pairs with `open`: the callback pointer that was set before the word was opened is seen.
        let new = (seen & !(1 << bit)) + callback_ref;
        self.exchange(seen, new, Ordering::AcqRel).ok()?;
        Some(done)
    }

    /// [`put`](Word::put) after another thread changed the word at the same time. The fast path ends with this call, so
    /// it saves no registers for it.
    #[cold]
    #[inline(never)]
    fn put_after_a_pause(&self, bit: u32) -> Put {
        loop {
            back_off();
            if let Some(done) = self.try_put(bit, self.bits.load(Ordering::Relaxed)) {
                return done;
            }
        }
    }

    /// Drops a callback reference if the word is open, and returns `true`. Otherwise the caller still holds it and must
    /// drop it under the pool's lock.
    #[inline]
    pub(crate) fn drop_callback_ref(&self) -> bool {
        let dropped = self.try_drop_callback_ref();
        dropped.unwrap_or_else(|| self.drop_callback_ref_after_a_pause())
    }

    /// One attempt of [`drop_callback_ref`](Word::drop_callback_ref). `None` if another thread has changed the word.
    #[inline]
    fn try_drop_callback_ref(&self) -> Option<bool> {
        let seen = self.bits.load(Ordering::Relaxed);
        if seen & OPEN == 0 {
            return Some(false);
        }
        // `Release` pairs with `park`: the call of the callback ends before the lock's holder drops the callback.
        let dropped = self.exchange(seen, seen - CALLBACK_REF, Ordering::Release);
        dropped.is_ok().then_some(true)
    }

    #[cold]
    #[inline(never)]
    fn drop_callback_ref_after_a_pause(&self) -> bool {
        loop {
            back_off();
            if let Some(dropped) = self.try_drop_callback_ref() {
                return dropped;
            }
        }
    }

    /// A compare-exchange. `Relaxed` on failure, because the value is only the next guess.
    #[inline]
    fn exchange(&self, seen: u64, new: u64, success: Ordering) -> Result<u64, u64> {
        self.bits
            .compare_exchange(seen, new, success, Ordering::Relaxed)
    }
}

/// Operations that only the holder of the pool's lock may call.
impl Word {
    /// Parks an open word: from now on its slots are taken and freed under the lock only. Parking a parked word changes
    /// nothing.
    pub(crate) fn park(&self, absent: u64) -> WordCounts {
        // One atomic step, because gets and releases run at the same time: each of them either comes before it, and is
        // counted in `held`, or finds the word parked. `Acquire` pairs with each `put` and `drop_callback_ref` before
        // it. The absent bits are cleared, because the set bits of a parked word are slots only.
        let held = self
            .bits
            .fetch_and(!(OPEN | NOTIFY | absent), Ordering::AcqRel);
        WordCounts::of(held, absent)
    }

    /// Opens a parked word. `absent` is the mask of the bits that have no slot. With `notify`, each release takes a
    /// callback reference.
    pub(crate) fn open(&self, absent: u64, notify: bool) -> WordCounts {
        // A load and a store, not one atomic step: while `OPEN` is clear only the lock's holder writes the word.
        let held = self.bits.load(Ordering::Relaxed);
        let flags = if notify { OPEN | NOTIFY } else { OPEN };
        // The absent bits look checked out, so `take` needs no count of slots. `Release` publishes what the lock's
        // holder wrote or saw: the slots' set-up, the pool's address, the callback, and every slot that was freed while the word
        // was parked.
        self.bits.store(held | absent | flags, Ordering::Release);
        WordCounts::of(held, 0)
    }

    /// Sets the pool that the word belongs to. Called before any slot of the word can be taken.
    pub(crate) fn set_pool_address(&self, pool: *mut ()) {
        self.pool.store(pool, Ordering::Relaxed);
    }

    /// Takes the lowest free slot of a parked word.
    pub(crate) fn take_parked(&self, absent: u64) -> Option<u32> {
        let held = self.bits.load(Ordering::Relaxed);
        // The absent bits of a parked word are clear, so they must be masked out here.
        let bit = (!held & SLOTS & !absent).trailing_zeros();
        if bit >= SLOT_BITS {
            return None;
        }
        // A plain store: while `OPEN` is clear only the lock's holder writes the word. `Relaxed`, because an earlier
        // `put` of the slot came before `park`, which is an `Acquire`, or was made under the lock.
        self.bits.store(held | 1 << bit, Ordering::Relaxed);
        Some(bit)
    }

    /// Frees a slot, whether the word is parked or open.
    pub(crate) fn put_locked(&self, bit: u32) {
        // One atomic step, because an open word changes without the lock. `Release` publishes the reset slot to a `take`.
        // No `Acquire`: what the lock's holder needs of other threads came through the lock, or through `park`.
        self.bits.fetch_and(!(1 << bit), Ordering::Release);
    }

    /// Drops a callback reference of a parked word.
    pub(crate) fn drop_parked_callback_ref(&self) {
        self.bits.fetch_sub(CALLBACK_REF, Ordering::AcqRel);
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn has_callback_refs(&self) -> bool {
        self.bits.load(Ordering::Relaxed) & CALLBACK_REFS != 0
    }

    /// How many of the word's slots are checked out. The bits of `absent` do not count.
    pub(crate) fn out(&self, absent: u64) -> usize {
        (self.bits.load(Ordering::Relaxed) & SLOTS & !absent).count_ones() as usize
    }
}

/// Mask of the bits beyond the last of `members` slots.
pub(crate) fn absent(members: usize) -> u64 {
    SLOTS & (u64::MAX << members)
}

/// Lets the thread that changed the word do several operations on it while the cache line is in its processor.
///
/// Two threads that retry at once take the line from each other at each operation, and each transfer costs more than
/// all the rest. The pause comes only after an exchange that failed, and never under the lock.
pub(crate) fn back_off() {
    pause(PAUSE);
}

/// [`Take::Contended`], in a cold function that is not inlined. So the fast path is a branch, which the processor
/// predicts. The compiler would otherwise make it a conditional move, which has to wait for the exchange.
#[cold]
#[inline(never)]
fn contended() -> Take {
    Take::Contended
}

/// Whether a release has nothing to do but to free its slot: the word is open, and no callback is set.
#[inline]
fn accepts_many(bits: u64) -> bool {
    bits & (OPEN | NOTIFY) == OPEN
}

/// The bit of the lowest free slot; `None` if the word is parked or no slot is free.
#[inline]
fn lowest_free(bits: u64) -> Option<u32> {
    let bit = bits.trailing_ones();
    (bits & OPEN != 0 && bit < SLOT_BITS).then_some(bit)
}

/// The same word with its lowest free slot taken. Adding one sets the lowest zero bit. It does not need the number of
/// that bit, so the exchange does not wait for that number.
#[inline]
fn lowest_taken(bits: u64) -> u64 {
    bits | (bits + 1)
}

#[cfg(all(test, not(loom)))]
mod tests;
