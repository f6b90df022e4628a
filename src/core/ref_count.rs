//! How many handles a pool has, and how many guests have left, in one number.
//!
//! A guest keeps the pool alive as a handle does, while a release goes the slow way, but it is not one:
//! [`WeakPool::upgrade`](crate::WeakPool::upgrade) must not give a handle to a pool that has none left,
//! only because one of its last samples is coming home at this moment.
//!
//! ReleaseGuards enter under the pool's lock, where they are counted without an atomic operation. They leave
//! without it, so that is counted here. Those who have entered and not left are there; both numbers
//! start anew after 24 bits, which is more than there can be guests at a time.
//!
//! The last of both goes under the pool's lock: only there it can be seen in the same step whether a
//! sample or a claim is left, which would free the pool later.

#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};

const HANDLE_BITS: u32 = 40;
const RELEASE_GUARD: u64 = 1 << HANDLE_BITS;
const HANDLES: u64 = RELEASE_GUARD - 1;
const RELEASE_GUARDS: u32 = (1 << 24) - 1;

/// What somebody has who keeps the pool alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    Handle,
    ReleaseGuard,
}

impl Holding {
    /// The number after one has left.
    fn left(self, seen: u64) -> u64 {
        match self {
            Holding::Handle => seen - 1,
            Holding::ReleaseGuard => seen.wrapping_add(RELEASE_GUARD),
        }
    }
}

/// How many guests have entered; kept under the pool's lock.
#[derive(Debug, Default)]
pub(crate) struct ReleaseGuards(u32);

impl ReleaseGuards {
    pub(crate) fn enter(&mut self) {
        self.0 = (self.0 + 1) & RELEASE_GUARDS;
    }

    pub(crate) fn entered(&self) -> u32 {
        self.0
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

    /// Whether neither a handle nor one of those guests is left who `entered`. Exact under the lock.
    pub(crate) fn none_and_no_release_guards(&self, entered: u32) -> bool {
        self.0.load(Ordering::Acquire) == u64::from(entered) << HANDLE_BITS
    }

    /// Counts a handle beside one that exists.
    #[inline]
    pub(crate) fn count_one_more(&self) {
        abort_if_near_the_end(self.0.fetch_add(1, Ordering::Relaxed));
    }

    /// Counts a handle if one is left.
    pub(crate) fn count_one_more_if_any(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & HANDLES > 0 {
            abort_if_near_the_end(seen);
            match self.exchange(seen, seen + 1, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    pub(crate) fn turn_release_guard_into_handle(&self) {
        self.0.fetch_add(RELEASE_GUARD + 1, Ordering::Relaxed);
    }

    /// Drops one that is not the last. `false` if it may be, and is still held.
    #[inline]
    pub(crate) fn drop_one_of_many(&self, holding: Holding) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while self.leaves_a_handle(seen, holding) {
            match self.exchange(seen, holding.left(seen), Ordering::Release) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Whether a handle is left after this one. ReleaseGuards are no reason to leave without a look: with the
    /// last handle gone the words must be parked.
    #[inline]
    fn leaves_a_handle(&self, seen: u64, holding: Holding) -> bool {
        match holding {
            Holding::Handle => seen & HANDLES > 1,
            Holding::ReleaseGuard => seen & HANDLES > 0,
        }
    }

    /// Drops one under the lock, where it may be the last. Whether no handle is left.
    pub(crate) fn drop_under_the_lock(&self, holding: Holding) -> bool {
        let before = match holding {
            Holding::Handle => self.0.fetch_sub(1, Ordering::AcqRel),
            Holding::ReleaseGuard => self.0.fetch_add(RELEASE_GUARD, Ordering::AcqRel),
        };
        !self.leaves_a_handle(before, holding)
    }

    #[inline]
    fn exchange(&self, seen: u64, new: u64, success: Ordering) -> Result<u64, u64> {
        self.0
            .compare_exchange_weak(seen, new, success, Ordering::Relaxed)
    }
}

/// More handles than memory can hold: some were forgotten, and the count would begin anew.
#[inline]
fn abort_if_near_the_end(handles: u64) {
    if handles & HANDLES > HANDLES / 2 {
        std::process::abort();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::{env, process::Command};

    #[test]
    fn the_last_handle_and_the_last_guest_are_not_dropped_without_a_look() {
        let handles = Handles::one();
        let mut release_guards = ReleaseGuards::default();
        handles.count_one_more();
        release_guards.enter();
        assert!(handles.drop_one_of_many(Holding::Handle));
        assert!(
            !handles.drop_one_of_many(Holding::Handle),
            "the last handle"
        );
        assert!(handles.drop_under_the_lock(Holding::Handle));
        assert!(!handles.any());
        assert!(
            !handles.drop_one_of_many(Holding::ReleaseGuard),
            "no handle is left"
        );
        assert!(handles.drop_under_the_lock(Holding::ReleaseGuard));
        assert!(handles.none_and_no_release_guards(release_guards.entered()));
    }

    #[test]
    fn a_guest_is_no_handle_until_it_becomes_one() {
        let handles = Handles::one();
        let mut release_guards = ReleaseGuards::default();
        release_guards.enter();
        assert!(handles.drop_under_the_lock(Holding::Handle));
        assert!(!handles.none_and_no_release_guards(release_guards.entered()));
        assert!(!handles.count_one_more_if_any());
        handles.turn_release_guard_into_handle();
        assert!(handles.count_one_more_if_any());
        assert!(handles.drop_one_of_many(Holding::Handle));
        assert!(!handles.drop_one_of_many(Holding::Handle));
    }

    #[test]
    fn the_numbers_of_those_who_entered_and_left_start_anew_together() {
        let handles = Handles::one();
        let mut release_guards = ReleaseGuards::default();
        for _ in 0..=RELEASE_GUARDS {
            release_guards.enter();
            assert!(handles.drop_one_of_many(Holding::ReleaseGuard));
        }
        release_guards.enter();
        assert!(handles.drop_under_the_lock(Holding::Handle));
        assert!(!handles.none_and_no_release_guards(release_guards.entered()));
        assert!(handles.drop_under_the_lock(Holding::ReleaseGuard));
        assert!(handles.none_and_no_release_guards(release_guards.entered()));
    }

    /// A count that began anew would free the pool under all who have it. The end of the process is shown
    /// in one of its own.
    #[test]
    fn more_handles_than_half_the_count_end_the_process() {
        const CHILD: &str = "MORE_HANDLES_CHILD";
        const TEST: &str =
            "core::ref_count::tests::more_handles_than_half_the_count_end_the_process";
        const WAYS: [&str; 2] = ["beside one that exists", "if any exists"];
        let handles = Handles(AtomicU64::new(HANDLES / 2));
        handles.count_one_more();
        if let Ok(way) = env::var(CHILD) {
            match way == WAYS[0] {
                true => handles.count_one_more(),
                false => drop(handles.count_one_more_if_any()),
            }
            return;
        }
        for way in WAYS {
            let child = Command::new(env::current_exe().unwrap())
                .args(["--exact", TEST, "--nocapture"])
                .env(CHILD, way)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout);
            assert!(said.contains("running 1 test"), "{said}");
            assert!(!said.contains("test result"), "{way}: it went on: {said}");
            assert!(!child.status.success());
        }
    }
}
