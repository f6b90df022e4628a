//! The number of handles of a pool, and the number of release guards that were dropped, in one atomic number.
//!
//! A release guard keeps the pool alive during a release on the slow path. It is not a handle:
//! [`WeakPool::upgrade`](crate::WeakPool::upgrade) must give no handle to a pool that has none left, even if one of its
//! last samples is being released at this moment.
//!
//! Release guards are made under the pool's lock, so the number of those made needs no atomic operation. They are
//! dropped without the lock, so the number of those dropped is counted here. The difference is the number that exist.
//! Both numbers wrap after 24 bits, which is more than there can be release guards at a time.
//!
//! The last handle and the last release guard are dropped under the pool's lock. Only there one step can check that no
//! sample and no callback reference is left, either of which would free the pool later.
//!
//! # Orderings
//!
//! | access                       | ordering  | pairs with              | carries                                    |
//! |------------------------------|-----------|-------------------------|--------------------------------------------|
//! | `drop_one_of_many`           | `Release` | the rows below          | what was done through the dropped handle   |
//! | `drop_under_the_lock`        | `AcqRel`  | each drop before it     | the same, to the thread that frees the pool |
//! | `none_and_no_release_guards` | `Acquire` | each drop before it     | the same, to the thread that frees the pool |
//!
//! A count that grows is `Relaxed`, also in `count_one_more_if_any`: a new handle reads the state of the pool under the
//! lock or through the words, and the engine itself stays because the caller has a handle or a weak handle.

#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};

const HANDLE_BITS: u32 = 40;
const RELEASE_GUARD: u64 = 1 << HANDLE_BITS;
const HANDLES: u64 = RELEASE_GUARD - 1;
const RELEASE_GUARDS: u32 = (1 << 24) - 1;

/// The kind of a counted reference that keeps the pool alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    Handle,
    ReleaseGuard,
}

impl Holding {
    /// The number after one of this kind was dropped.
    fn after_drop(self, seen: u64) -> u64 {
        match self {
            Holding::Handle => seen - 1,
            Holding::ReleaseGuard => seen.wrapping_add(RELEASE_GUARD),
        }
    }
}

/// How many release guards were made; kept under the pool's lock.
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

/// The count of handles, and of release guards that were dropped; see the module's documentation.
#[derive(Debug)]
pub(crate) struct Handles(AtomicU64);

impl Handles {
    /// One handle, for the thread that makes the pool.
    pub(crate) fn one() -> Self {
        Handles(AtomicU64::new(1))
    }

    /// Whether a handle is left.
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) & HANDLES > 0
    }

    /// Whether no handle is left, and none of the release guards that were made (`entered`). Exact under the lock.
    pub(crate) fn none_and_no_release_guards(&self, entered: u32) -> bool {
        self.0.load(Ordering::Acquire) == u64::from(entered) << HANDLE_BITS
    }

    /// Counts a handle that is cloned from another one.
    #[inline]
    pub(crate) fn count_one_more(&self) {
        abort_if_near_the_end(self.0.fetch_add(1, Ordering::Relaxed));
    }

    /// Counts a handle if one is left. Returns whether it did.
    pub(crate) fn count_one_more_if_any(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & HANDLES > 0 {
            abort_if_near_the_end(seen);
            match self.exchange(seen, seen + 1, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    pub(crate) fn turn_release_guard_into_handle(&self) {
        self.0.fetch_add(RELEASE_GUARD + 1, Ordering::Relaxed);
    }

    /// Drops one that is not the last. Returns `false` if it may be the last; it is then still counted.
    #[inline]
    pub(crate) fn drop_one_of_many(&self, holding: Holding) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while self.leaves_a_handle(seen, holding) {
            match self.exchange(seen, holding.after_drop(seen), Ordering::Release) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Whether a handle is left after this one is dropped. If only release guards are left the drop needs the lock,
    /// because the words must be parked when the last handle is dropped.
    #[inline]
    fn leaves_a_handle(&self, seen: u64, holding: Holding) -> bool {
        match holding {
            Holding::Handle => seen & HANDLES > 1,
            Holding::ReleaseGuard => seen & HANDLES > 0,
        }
    }

    /// Drops one under the lock, where it may be the last. Returns whether no handle is left.
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

/// Aborts if there are more handles than memory can hold: some were forgotten, and the count would wrap.
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
    fn the_last_handle_and_the_last_release_guard_are_dropped_under_the_lock() {
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
    fn a_release_guard_is_no_handle_until_it_becomes_one() {
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
    fn the_numbers_of_release_guards_made_and_dropped_wrap_together() {
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

    /// A count that wraps would free the pool while handles exist. The abort is tested in a process of its own.
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
