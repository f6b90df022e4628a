//! One word of the free list: which of its slots are out, and what a thread without the lock may do.
//!
//! ```text
//!  bit 63   62       61 .. 56   55 ........................................ 0
//!     OPEN  NOTIFY   claims     slots: 1 = out (or not there), 0 = home
//! ```
//!
//! The flags stand in the same word as the slots, so that one compare-exchange moves a slot *and*
//! learns what else there is to do. Nothing is read after it: once its slot is home, a releaser owns
//! nothing, and the pool may be gone.
//!
//! | `OPEN` | `NOTIFY` | get, without the lock           | release, without the lock                     |
//! |--------|----------|---------------------------------|-----------------------------------------------|
//! | 1      | 0        | takes the lowest slot that is home | puts its slot, and is done                 |
//! | 1      | 1        | the same                        | puts its slot and takes a claim, in one step  |
//! | 0      | –        | refused: go under the lock      | refused: keeps its slot, goes under the lock  |
//!
//! A word that is not open is *parked*: it belongs to whoever holds the pool's lock, and its slots
//! are counted there. Zero is a parked word whose slots are all home, so a fresh mapping is a free list
//! with every slot in it.
//!
//! A claim keeps the pool alive while a releaser, whose slot is home, calls the callback, without a
//! write to a line that all threads share. Where there are too many, the lock and a counted handle take
//! their place.
//!
//! # Orderings
//!
//! | access                   | ordering  | pairs with                | carries                          |
//! |--------------------------|-----------|---------------------------|----------------------------------|
//! | [`Word::put`]            | `AcqRel`  | [`Word::take`], `park`    | the slot's header and bytes, reset |
//! | [`Word::take`]           | `Acquire` | [`Word::put`], `open`     | the same, and the slot's set-up  |
//! | [`Word::open`]           | `Release` | `take`, the claim in `put` | the slots' set-up, the owner, the callback |
//! | [`Word::park`]           | `AcqRel`  | `put`, [`Word::drop_claim`] | the end of a call of the callback |

#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering, Setting, SettingPtr};

/// How many slots one word has at most.
#[cfg(not(all(test, loom)))]
pub(crate) const SLOTS_PER_WORD: usize = SLOT_BITS as usize;

/// A model needs few, and each of them slows it down.
#[cfg(all(test, loom))]
pub(crate) const SLOTS_PER_WORD: usize = 4;

const SLOT_BITS: u32 = 56;
const SLOTS: u64 = (1 << SLOT_BITS) - 1;
const CALLBACK_REF: u64 = 1 << SLOT_BITS;
const CALLBACK_REFS: u64 = 63 * CALLBACK_REF;
const NOTIFY: u64 = 1 << 62;
const OPEN: u64 = 1 << 63;

/// The claims of a word that has none left.
#[cfg(not(all(test, loom)))]
const CALLBACK_REF_LIMIT: u64 = CALLBACK_REFS;

/// A model cannot have 63 calls in flight.
#[cfg(all(test, loom))]
const CALLBACK_REF_LIMIT: u64 = 2 * CALLBACK_REF;

/// A word, and beside it on the same cache line what else a get may have to know.
#[derive(Debug)]
pub(crate) struct Word {
    bits: AtomicU64,
    /// The pool that the word belongs to: an address that this file does not follow.
    owner: SettingPtr<()>,
    /// Of the word that stands for a stripe: where that stripe's threads look first, exclusive-or
    /// this word's own number, so that zero is the word itself.
    cursor: Setting,
}

/// What came of looking for a slot in an open word.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// The slot of this bit was home and now is out.
    Bit(u32),
    /// The word is parked, or none of its slots is home.
    Empty,
    /// Somebody else wrote the word at the same moment.
    Contended,
}

/// What came of putting a slot home without the lock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is home. The caller owns nothing any more.
    Free,
    /// It is home, and the caller holds a claim: there is a callback to call.
    CallbackDue,
    /// The word is parked: the slot is still the caller's, who goes under the lock.
    Refused,
}

/// What a word held when it was parked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) out: usize,
    pub(crate) callback_refs: usize,
}

impl Parked {
    fn of(bits: u64, absent: u64) -> Self {
        Parked {
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
            owner: SettingPtr::default(),
            cursor: Setting::new(0),
        }
    }

    /// The pool that the word belongs to.
    #[inline]
    pub(crate) fn owner(&self) -> *mut () {
        self.owner.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn cursor(&self) -> usize {
        self.cursor.load(Ordering::Relaxed)
    }

    pub(crate) fn set_cursor(&self, cursor: usize) {
        self.cursor.store(cursor, Ordering::Relaxed);
    }

    /// Takes the lowest slot that is home.
    #[inline]
    pub(crate) fn take(&self) -> Take {
        let seen = self.bits.load(Ordering::Relaxed);
        let Some(bit) = lowest_free(seen) else {
            return Take::Empty;
        };
        match self.exchange(seen, lowest_taken(seen), Ordering::Acquire) {
            Ok(_) => Take::Bit(bit),
            Err(_) => contended(),
        }
    }

    /// Takes up to `wanted` slots in one step; the answer has their bits set.
    pub(crate) fn take_many(&self, wanted: usize) -> u64 {
        let mut seen = self.bits.load(Ordering::Relaxed);
        loop {
            if seen & OPEN == 0 {
                return 0;
            }
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
            match self.exchange(seen, seen | taken, Ordering::Acquire) {
                Ok(_) => return taken,
                Err(now) => seen = now,
            }
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.bits.load(Ordering::Relaxed) & OPEN != 0
    }

    /// How many slots can be taken without the lock.
    pub(crate) fn free(&self) -> usize {
        let seen = self.bits.load(Ordering::Relaxed);
        match seen & OPEN {
            0 => 0,
            _ => (!seen & SLOTS).count_ones() as usize,
        }
    }

    /// Puts the slot of `bit` home if the word is open.
    #[inline]
    pub(crate) fn put(&self, bit: u32) -> Put {
        let mut seen = self.bits.load(Ordering::Relaxed);
        loop {
            if seen & (OPEN | NOTIFY) != OPEN {
                return self.put_with_callback_ref(bit, seen);
            }
            match self.exchange(seen, seen & !(1 << bit), Ordering::AcqRel) {
                Ok(_) => return Put::Free,
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    fn put_with_callback_ref(&self, bit: u32, mut seen: u64) -> Put {
        loop {
            if seen & OPEN == 0 || seen & CALLBACK_REFS == CALLBACK_REF_LIMIT {
                return Put::Refused;
            }
            let (callback_ref, done) = match seen & NOTIFY {
                0 => (0, Put::Free),
                _ => (CALLBACK_REF, Put::CallbackDue),
            };
            match self.exchange(seen, (seen & !(1 << bit)) + callback_ref, Ordering::AcqRel) {
                Ok(_) => return done,
                Err(now) => seen = now,
            }
        }
    }

    /// Drops a claim if the word is open; otherwise it is dropped under the lock.
    #[inline]
    pub(crate) fn drop_callback_ref(&self) -> bool {
        let mut seen = self.bits.load(Ordering::Relaxed);
        while seen & OPEN != 0 {
            match self.exchange(seen, seen - CALLBACK_REF, Ordering::Release) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    #[inline]
    fn exchange(&self, seen: u64, new: u64, success: Ordering) -> Result<u64, u64> {
        self.bits
            .compare_exchange(seen, new, success, Ordering::Relaxed)
    }
}

/// What only the holder of the pool's lock may do.
impl Word {
    /// Parks an open word, so that from now on its slots move under the lock only.
    pub(crate) fn park(&self, absent: u64) -> Parked {
        let held = self
            .bits
            .fetch_and(!(OPEN | NOTIFY | absent), Ordering::AcqRel);
        Parked::of(held, absent)
    }

    /// Opens a parked word. The bits in `absent` stand for no slot.
    pub(crate) fn open(&self, absent: u64, notify: bool) -> Parked {
        let held = self.bits.load(Ordering::Relaxed);
        let flags = if notify { OPEN | NOTIFY } else { OPEN };
        self.bits.store(held | absent | flags, Ordering::Release);
        Parked::of(held, 0)
    }

    /// Says which pool the word belongs to, before any slot of the word can be taken.
    pub(crate) fn set_up(&self, owner: *mut ()) {
        self.owner.store(owner, Ordering::Relaxed);
    }

    /// Takes the lowest slot that is home in a parked word.
    pub(crate) fn take_parked(&self, absent: u64) -> Option<u32> {
        let held = self.bits.load(Ordering::Relaxed);
        let bit = (!held & SLOTS & !absent).trailing_zeros();
        if bit >= SLOT_BITS {
            return None;
        }
        self.bits.store(held | 1 << bit, Ordering::Relaxed);
        Some(bit)
    }

    /// Puts a slot home, whether the word is parked or open.
    pub(crate) fn put_locked(&self, bit: u32) {
        self.bits.fetch_and(!(1 << bit), Ordering::AcqRel);
    }

    /// Drops a claim of a parked word.
    pub(crate) fn drop_parked_callback_ref(&self) {
        self.bits.fetch_sub(CALLBACK_REF, Ordering::AcqRel);
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn has_callback_refs(&self) -> bool {
        self.bits.load(Ordering::Relaxed) & CALLBACK_REFS != 0
    }

    /// How many of the word's slots are out; `absent` bits do not count.
    pub(crate) fn out(&self, absent: u64) -> usize {
        (self.bits.load(Ordering::Relaxed) & SLOTS & !absent).count_ones() as usize
    }
}

/// The bits of a word that has only `members` slots which stand for none.
pub(crate) fn absent(members: usize) -> u64 {
    SLOTS & (u64::MAX << members)
}

/// Out of line, so that a hit is a branch, whose outcome the processor guesses, and not a conditional
/// move, which would have to wait for the exchange.
#[cold]
#[inline(never)]
fn contended() -> Take {
    Take::Contended
}

/// The lowest slot that is home in an open word.
#[inline]
fn lowest_free(bits: u64) -> Option<u32> {
    let bit = bits.trailing_ones();
    (bits & OPEN != 0 && bit < SLOT_BITS).then_some(bit)
}

/// The same word with the lowest slot taken that is home. Adding one turns the lowest zero into a one,
/// and that without its number, for which the exchange would have to wait.
#[inline]
fn lowest_taken(bits: u64) -> u64 {
    bits | (bits + 1)
}

#[cfg(all(test, not(loom)))]
mod tests;
