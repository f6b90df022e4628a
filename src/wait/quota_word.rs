//! The word of a quota's account: how many samples are in use, and two flags.
//!
//! | bits      | meaning                                                                                   |
//! |-----------|-------------------------------------------------------------------------------------------|
//! | bit 0     | a waiter is queued (A1): room is reserved and returned under the account's lock           |
//! | bit 1     | the last handle to the quota was dropped, so no room is reserved any more                 |
//! | the rest  | the room in use: one for each sample that is not yet released, and one for each that a get has reserved and not yet received |
//!
//! Each sample in use keeps the account alive (A4), so the count is a reference count as well. Who subtracts has no
//! reference afterwards, and touches nothing of the account, unless the result says that it was the last.
//!
//! # Orderings
//!
//! | access                          | ordering  | pairs with           | carries                                            |
//! |---------------------------------|-----------|----------------------|----------------------------------------------------|
//! | subtraction                     | `Release` | the two below        | the accesses of the charge that is dropped         |
//! | mark of the last handle         | `AcqRel`  | the subtractions     | the same, to the handle, which may free the account |
//! | load after the last subtraction | `Acquire` | the subtractions and the mark | the same, to the charge that frees the account |
//!
//! All other accesses are `Relaxed`: the count is a number; the slots that it counts are published by the free list, and
//! the waiters by the account's lock.

#![forbid(unsafe_code)]

use crate::sync::{AtomicUsize, Ordering};

/// The mark: a waiter is queued.
const HAS_WAITER: usize = 1;
/// The mark: the last handle to the quota was dropped.
const WITHOUT_HANDLES: usize = 2;
/// One sample in use. The bits below it are the marks.
const ONE: usize = 4;

/// The largest limit that the word can count to.
pub(super) const MAX_LIMIT: usize = usize::MAX / ONE;

/// See the module's documentation. It is the atomic alone, and its padding is around it: a subtraction has a reference to
/// it while another thread may free the account, which Rust's aliasing rules allow for the bytes of an atomic only.
pub(super) struct QuotaWord(AtomicUsize);

/// The result of a subtraction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subtracted {
    /// Nothing is left to do. The account may be gone.
    Done,
    /// Nothing refers to the account any more. The caller frees it.
    Last,
    /// Nothing was subtracted, because a waiter is queued: the lock is needed.
    NeedsLock,
}

impl QuotaWord {
    pub(super) fn new() -> Self {
        QuotaWord(AtomicUsize::new(0))
    }

    /// How many samples are in use.
    pub(super) fn in_use(&self) -> usize {
        self.0.load(Ordering::Relaxed) / ONE
    }

    /// Adds up to `count`, as far as `limit` allows, if no waiter is queued. Returns how many.
    pub(super) fn try_add_up_to(&self, limit: usize, count: usize) -> usize {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            // With the mark set, a waiter comes first.
            let room = match seen & HAS_WAITER {
                0 => room(limit, seen).min(count),
                _ => 0,
            };
            if room == 0 {
                return 0;
            }
            match self.exchange(seen, seen + room * ONE) {
                Ok(_) => return room,
                Err(now) => seen = now,
            }
        }
    }

    /// Adds `count`, if `limit` allows and no waiter is queued.
    #[inline]
    pub(super) fn try_add(&self, limit: usize, count: usize) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & HAS_WAITER == 0 && count <= room(limit, seen) {
            match self.exchange(seen, seen + count * ONE) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Adds `count` and returns `true`, or sets the mark that a waiter is queued, if it `may_wait`. Called under the
    /// account's lock.
    pub(super) fn add_or_mark(&self, limit: usize, count: usize, may_wait: bool) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let has_room = count <= room(limit, seen);
            let new = match (has_room, may_wait) {
                (true, _) => seen + count * ONE,
                (false, true) => seen | HAS_WAITER,
                (false, false) => return false,
            };
            // One exchange checks for room and sets the mark: a return between the two would not take the lock, and the
            // waiter would miss it.
            match self.exchange(seen, new) {
                Ok(_) => return has_room,
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    fn exchange(&self, seen: usize, new: usize) -> Result<usize, usize> {
        self.0
            .compare_exchange_weak(seen, new, Ordering::Relaxed, Ordering::Relaxed)
    }

    /// Subtracts `count`, if no waiter is queued.
    #[inline]
    pub(super) fn try_subtract(&self, count: usize) -> Subtracted {
        let mut seen = self.0.load(Ordering::Relaxed);
        // Without the mark there is no waiter to admit, so the lock is not needed.
        while seen & HAS_WAITER == 0 {
            let new = seen - count * ONE;
            match self
                .0
                .compare_exchange_weak(seen, new, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) if new == WITHOUT_HANDLES => return self.last(),
                Ok(_) => return Subtracted::Done,
                Err(now) => seen = now,
            }
        }
        Subtracted::NeedsLock
    }

    /// Subtracts `count`. Called under the account's lock.
    pub(super) fn subtract(&self, count: usize) -> Subtracted {
        let before = self.0.fetch_sub(count * ONE, Ordering::Release);
        match before - count * ONE {
            WITHOUT_HANDLES => self.last(),
            _ => Subtracted::Done,
        }
    }

    #[cold]
    fn last(&self) -> Subtracted {
        // Pairs with the `Release` of each other charge: their accesses come before the account is freed.
        let _none = self.0.load(Ordering::Acquire);
        Subtracted::Last
    }

    /// Sets the mark that the last handle was dropped. Returns whether no sample is in use.
    pub(super) fn end_handles(&self) -> bool {
        self.0.fetch_or(WITHOUT_HANDLES, Ordering::AcqRel) / ONE == 0
    }

    /// How many more samples `limit` allows.
    pub(super) fn room(&self, limit: usize) -> usize {
        room(limit, self.0.load(Ordering::Relaxed))
    }

    /// Adds `count` for a waiter that is admitted. Called under the account's lock.
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count * ONE, Ordering::Relaxed);
    }

    /// Clears the mark that a waiter is queued. Called under the account's lock.
    pub(super) fn clear_mark(&self) {
        self.0.fetch_and(!HAS_WAITER, Ordering::Relaxed);
    }
}

/// How many more samples `limit` allows, if the word is `seen`.
fn room(limit: usize, seen: usize) -> usize {
    limit - seen / ONE
}
