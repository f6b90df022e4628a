//! How many handles a pool has, and how many releases are its guests, in one number.
//!
//! A guest keeps the pool alive as a handle does, while a release goes the slow way, but it is not one:
//! [`WeakPool::upgrade`](crate::WeakPool::upgrade) must not give a handle to a pool that has none left,
//! only because one of its last samples is coming home at this moment.
//!
//! The last of both goes under the pool's lock: only there it can be seen in the same step whether a
//! sample or a claim is left, which would free the pool later.

#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};

const GUEST: u64 = 1 << 40;
const HANDLES: u64 = GUEST - 1;

/// What somebody has who keeps the pool alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    Handle,
    Guest,
}

impl Holding {
    fn unit(self) -> u64 {
        match self {
            Holding::Handle => 1,
            Holding::Guest => GUEST,
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Handles(AtomicU64);

impl Handles {
    /// One handle, for whoever makes the pool.
    pub(crate) fn one() -> Self {
        Handles(AtomicU64::new(1))
    }

    /// Whether a handle is left.
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) & HANDLES > 0
    }

    /// Whether neither a handle nor a guest is left. Exact under the lock.
    pub(crate) fn none_and_no_guests(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    /// Counts a handle beside one that exists.
    pub(crate) fn count_one_more(&self) {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        if before & HANDLES > HANDLES / 2 {
            // More handles than memory can hold: some were forgotten, and the count is near its end.
            std::process::abort();
        }
    }

    /// Counts a handle if one is left.
    pub(crate) fn count_one_more_if_any(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & HANDLES > 0 {
            match self.exchange(seen, seen + 1, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    pub(crate) fn count_guest(&self) {
        self.0.fetch_add(GUEST, Ordering::Relaxed);
    }

    pub(crate) fn turn_guest_into_handle(&self) {
        self.0.fetch_sub(GUEST - 1, Ordering::Relaxed);
    }

    /// Drops one that is not the last. `false` if it may be, and is still held.
    #[inline]
    pub(crate) fn drop_one_of_many(&self, holding: Holding) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while self.leaves_a_handle(seen, holding) {
            match self.exchange(seen, seen - holding.unit(), Ordering::Release) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Whether a handle is left after this one. Guests are no reason to leave without a look: with the
    /// last handle gone the words must be parked.
    fn leaves_a_handle(&self, seen: u64, holding: Holding) -> bool {
        match holding {
            Holding::Handle => seen & HANDLES > 1,
            Holding::Guest => seen & HANDLES > 0,
        }
    }

    /// Drops one under the lock, where it may be the last. Whether no handle is left.
    pub(crate) fn drop_under_the_lock(&self, holding: Holding) -> bool {
        let before = self.0.fetch_sub(holding.unit(), Ordering::AcqRel);
        !self.leaves_a_handle(before, holding)
    }

    fn exchange(&self, seen: u64, new: u64, success: Ordering) -> Result<u64, u64> {
        self.0
            .compare_exchange_weak(seen, new, success, Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_handle_and_the_last_guest_are_not_dropped_without_a_look() {
        let handles = Handles::one();
        handles.count_one_more();
        handles.count_guest();
        assert!(handles.drop_one_of_many(Holding::Handle));
        assert!(
            !handles.drop_one_of_many(Holding::Handle),
            "the last handle"
        );
        assert!(handles.drop_under_the_lock(Holding::Handle));
        assert!(!handles.any());
        assert!(
            !handles.drop_one_of_many(Holding::Guest),
            "no handle is left"
        );
        assert!(handles.drop_under_the_lock(Holding::Guest));
        assert!(handles.none_and_no_guests());
    }

    #[test]
    fn a_guest_is_no_handle_until_it_becomes_one() {
        let handles = Handles::one();
        handles.count_guest();
        assert!(handles.drop_under_the_lock(Holding::Handle));
        assert!(!handles.count_one_more_if_any());
        handles.turn_guest_into_handle();
        assert!(handles.count_one_more_if_any());
        assert!(handles.drop_one_of_many(Holding::Handle));
        assert!(!handles.drop_one_of_many(Holding::Handle));
    }
}
