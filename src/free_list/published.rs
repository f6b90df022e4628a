//! A value that is read without a lock and rarely replaced, and whose earlier versions are kept.
//!
//! A thread may be preempted between reading a version and using it. To know when no thread uses an earlier version,
//! every get would have to write a shared cache line. So earlier versions are kept until the [`Published`] is dropped.
//!
//! # Orderings
//!
//! | access                 | ordering  | pairs with    | carries                                   |
//! |------------------------|-----------|---------------|-------------------------------------------|
//! | `publish` of `current` | `Release` | `get`         | the version, which was set before         |
//! | `get` of `current`     | `Acquire` | `publish`     | the same                                  |

#![forbid(unsafe_code)]

use crate::sync::{AtomicUsize, Ordering, SetOnce};
use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
};

/// The largest number of versions. Each has at least twice the blocks or twice the records of the one before it, and a
/// pool has fewer than `2^32` of either.
const MAX_VERSIONS: usize = 64;

/// The current version of a `T`, and all earlier ones.
pub(crate) struct Published<T> {
    versions: [SetOnce<Box<T>>; MAX_VERSIONS],
    /// The number of the current version.
    current: AtomicUsize,
}

// A version is set completely or not at all, so a panic leaves no half-written version. Later writes inside a version
// go to atomics, and to cells that only their owners write.
impl<T> UnwindSafe for Published<T> {}
impl<T> RefUnwindSafe for Published<T> {}

impl<T> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").finish_non_exhaustive()
    }
}

impl<T> Published<T> {
    /// Makes `value` the first version.
    pub(crate) fn new(value: T) -> Self {
        let published = Published {
            versions: [const { SetOnce::new() }; MAX_VERSIONS],
            current: AtomicUsize::new(0),
        };
        published.set(0, value);
        published
    }

    /// The current version.
    pub(crate) fn get(&self) -> &T {
        let current = self.current.load(Ordering::Acquire);
        self.versions[current]
            .get()
            .expect("a version is set before it becomes current")
    }

    /// Makes `value` the current version. Called while the life cycle is marked busy, so by one thread at a time.
    pub(crate) fn publish(&self, value: T) {
        // A load and a store, not one atomic step: no other thread writes `current`.
        let next = self.current.load(Ordering::Relaxed) + 1;
        self.set(next, value);
        // After the version is set, so that each reader of this number finds it.
        self.current.store(next, Ordering::Release);
    }

    fn set(&self, version: usize, value: T) {
        if self.versions[version].set(Box::new(value)).is_err() {
            unreachable!("one thread at a time publishes a version");
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// A get that was preempted still has a reference to the version that was current when it began.
    #[test]
    fn earlier_versions_stay_where_they_are() {
        let published = Published::new(0);
        let versions: Vec<&usize> = (1..MAX_VERSIONS)
            .map(|version| {
                let earlier = published.get();
                published.publish(version);
                earlier
            })
            .collect();
        assert!(versions.iter().copied().copied().eq(0..MAX_VERSIONS - 1));
        assert_eq!(*published.get(), MAX_VERSIONS - 1);
    }
}
