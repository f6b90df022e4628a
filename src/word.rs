//! One word of the free list: which of its slots are out, and what a thread without the lock may do.
//!
//! ```text
//!  bit 63   62       61 ........ 52   51 ................................ 0
//!     OPEN  NOTIFY   claims           slots: 1 = out (or not there), 0 = home
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
//! are counted there. A claim keeps the pool alive while a releaser calls the callback. Zero is a
//! parked word whose slots are all home, so a fresh mapping is a free list with every slot in it.
//!
//! # Orderings
//!
//! | access                   | ordering  | pairs with                | carries                          |
//! |--------------------------|-----------|---------------------------|----------------------------------|
//! | [`Word::put`]            | `AcqRel`  | [`Word::take`], `park`    | the slot's header and bytes, reset |
//! | [`Word::take`]           | `Acquire` | [`Word::put`], `open`     | the same, and the slot's set-up  |
//! | [`Word::open`]           | `Release` | `take`, the claim in `put` | the slots' set-up, the callback |
//! | [`Word::park`]           | `AcqRel`  | `put`, [`Word::unclaim`]  | the end of a call of the callback |

#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering, Setting, SettingPtr};

/// How many slots one word has room for; the rest are flags and claims.
pub(crate) const SLOTS_PER_WORD: usize = 52;

const SLOTS: u64 = (1 << SLOTS_PER_WORD) - 1;
const CLAIM: u64 = 1 << SLOTS_PER_WORD;
const CLAIMS: u64 = ((1 << 10) - 1) * CLAIM;
const NOTIFY: u64 = 1 << 62;
const OPEN: u64 = 1 << 63;

/// A word, and beside it on the same cache line what a get reads next.
#[derive(Debug)]
pub(crate) struct Word {
    bits: AtomicU64,
    /// The slot that bit 0 stands for, and the pool that it belongs to: addresses that this file does
    /// not follow.
    first: SettingPtr<()>,
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
    Dry,
    /// Somebody else wrote the word at the same moment.
    Contended,
}

/// What came of putting a slot home without the lock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is home. The caller owns nothing any more.
    Home,
    /// It is home, and the caller holds a claim: there is a callback to call.
    Claimed,
    /// The word is parked: the slot is still the caller's, who goes under the lock.
    Refused,
}

/// What a word held when it was parked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) out: usize,
    pub(crate) claims: usize,
}

impl Word {
    #[cfg(any(test, loom))]
    pub(crate) fn zero() -> Self {
        Word {
            bits: AtomicU64::new(0),
            first: SettingPtr::default(),
            owner: SettingPtr::default(),
            cursor: Setting::new(0),
        }
    }

    /// The slot that bit 0 stands for.
    #[inline]
    pub(crate) fn first(&self) -> *mut () {
        self.first.load(Ordering::Relaxed)
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
        let Some(bit) = lowest_home(seen) else {
            return Take::Dry;
        };
        match self.exchange(seen, seen | 1 << bit, Ordering::Acquire) {
            Ok(_) => Take::Bit(bit),
            Err(_) => Take::Contended,
        }
    }

    /// Takes up to `wanted` slots in one step; the answer has their bits set.
    pub(crate) fn take_many(&self, wanted: usize) -> u64 {
        let mut seen = self.bits.load(Ordering::Relaxed);
        loop {
            if seen & OPEN == 0 {
                return 0;
            }
            let mut home = !seen & SLOTS;
            let mut taken = 0;
            for _ in 0..wanted.min(home.count_ones() as usize) {
                let lowest = home & home.wrapping_neg();
                taken |= lowest;
                home ^= lowest;
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
    pub(crate) fn home(&self) -> usize {
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
                return self.put_with_claim(bit, seen);
            }
            match self.exchange(seen, seen & !(1 << bit), Ordering::AcqRel) {
                Ok(_) => return Put::Home,
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    fn put_with_claim(&self, bit: u32, mut seen: u64) -> Put {
        loop {
            if seen & OPEN == 0 || seen & CLAIMS == CLAIMS {
                return Put::Refused;
            }
            let (claim, done) = match seen & NOTIFY {
                0 => (0, Put::Home),
                _ => (CLAIM, Put::Claimed),
            };
            match self.exchange(seen, (seen & !(1 << bit)) + claim, Ordering::AcqRel) {
                Ok(_) => return done,
                Err(now) => seen = now,
            }
        }
    }

    /// Drops a claim if the word is open; otherwise it is dropped under the lock.
    #[inline]
    pub(crate) fn unclaim(&self) -> bool {
        let mut seen = self.bits.load(Ordering::Relaxed);
        while seen & OPEN != 0 {
            match self.exchange(seen, seen - CLAIM, Ordering::Release) {
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
        Parked {
            out: (held & SLOTS & !absent).count_ones() as usize,
            claims: claims(held),
        }
    }

    /// Opens a parked word. The bits in `absent` stand for no slot.
    pub(crate) fn open(&self, absent: u64, notify: bool) -> Parked {
        let held = self.bits.load(Ordering::Relaxed);
        let flags = if notify { OPEN | NOTIFY } else { OPEN };
        self.bits.store(held | absent | flags, Ordering::Release);
        Parked {
            out: (held & SLOTS).count_ones() as usize,
            claims: claims(held),
        }
    }

    /// Says which slot bit 0 stands for and which pool the word belongs to, before any slot of the
    /// word can be taken.
    pub(crate) fn set_up(&self, first: *mut (), owner: *mut ()) {
        self.first.store(first, Ordering::Relaxed);
        self.owner.store(owner, Ordering::Relaxed);
    }

    /// Takes the lowest slot that is home in a parked word.
    pub(crate) fn take_parked(&self, absent: u64) -> Option<u32> {
        let held = self.bits.load(Ordering::Relaxed);
        let bit = (!held & SLOTS & !absent).trailing_zeros();
        if bit as usize >= SLOTS_PER_WORD {
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
    pub(crate) fn unclaim_parked(&self) {
        self.bits.fetch_sub(CLAIM, Ordering::AcqRel);
    }

    pub(crate) fn has_claims(&self) -> bool {
        self.bits.load(Ordering::Relaxed) & CLAIMS != 0
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

fn claims(bits: u64) -> usize {
    ((bits & CLAIMS) / CLAIM) as usize
}

/// The lowest slot that is home in an open word.
#[inline]
fn lowest_home(bits: u64) -> Option<u32> {
    let bit = (!bits).trailing_zeros();
    (bits & OPEN != 0 && (bit as usize) < SLOTS_PER_WORD).then_some(bit)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn open_word(members: usize, notify: bool) -> Word {
        let word = Word::zero();
        word.open(absent(members), notify);
        word
    }

    #[test]
    fn a_parked_word_gives_and_accepts_nothing() {
        let word = Word::zero();
        assert_eq!(word.take(), Take::Dry);
        assert_eq!(word.take_many(3), 0);
        assert_eq!(word.put(0), Put::Refused);
        assert!(!word.unclaim());
    }

    #[test]
    fn an_open_word_gives_its_lowest_slot_first_and_absent_slots_never() {
        let word = open_word(3, false);
        assert_eq!(word.take(), Take::Bit(0));
        assert_eq!(word.take(), Take::Bit(1));
        assert_eq!(word.put(0), Put::Home);
        assert_eq!(word.take(), Take::Bit(0));
        assert_eq!(word.take(), Take::Bit(2));
        assert_eq!(word.take(), Take::Dry);
    }

    #[test]
    fn a_full_word_gives_all_52_slots() {
        let word = open_word(SLOTS_PER_WORD, true);
        for bit in 0..SLOTS_PER_WORD as u32 {
            assert_eq!(word.take(), Take::Bit(bit));
        }
        assert_eq!(word.take(), Take::Dry);
        assert_eq!(word.out(absent(SLOTS_PER_WORD)), SLOTS_PER_WORD);
    }

    #[test]
    fn many_slots_are_taken_in_one_step_lowest_first() {
        let word = open_word(5, false);
        assert_eq!(word.take(), Take::Bit(0));
        assert_eq!(word.take_many(3), 0b0_1110);
        assert_eq!(word.take_many(3), 0b1_0000);
        assert_eq!(word.take_many(3), 0);
    }

    #[test]
    fn a_release_takes_a_claim_only_while_there_is_a_callback() {
        let word = open_word(2, true);
        assert_eq!(word.take(), Take::Bit(0));
        assert_eq!(word.put(0), Put::Claimed);
        assert!(word.has_claims());
        assert_eq!(word.park(absent(2)), Parked { out: 0, claims: 1 });
        assert!(
            !word.unclaim(),
            "a parked word's claims drop under the lock"
        );
        word.unclaim_parked();
        word.open(absent(2), false);
        assert_eq!(word.take(), Take::Bit(0));
        assert_eq!(word.put(0), Put::Home);
        assert!(!word.has_claims());
    }

    #[test]
    fn claims_never_spill_into_the_flags() {
        let word = open_word(1, true);
        for _ in 0..1023 {
            assert_eq!(word.take(), Take::Bit(0));
            assert_eq!(word.put(0), Put::Claimed);
        }
        assert_eq!(word.take(), Take::Bit(0));
        assert_eq!(word.put(0), Put::Refused);
        assert_eq!(
            word.park(absent(1)),
            Parked {
                out: 1,
                claims: 1023
            }
        );
    }

    #[test]
    fn parking_counts_what_is_out_and_forgets_nothing() {
        let word = open_word(4, false);
        assert_eq!(word.take_many(2), 0b11);
        assert_eq!(word.park(absent(4)), Parked { out: 2, claims: 0 });
        word.put_locked(0);
        assert_eq!(word.take_parked(absent(4)), Some(0));
        assert_eq!(word.take_parked(absent(4)), Some(2));
        assert_eq!(word.take_parked(absent(4)), Some(3));
        assert_eq!(word.take_parked(absent(4)), None);
        assert_eq!(word.open(absent(4), false), Parked { out: 4, claims: 0 });
    }
}
