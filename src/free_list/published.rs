//! A value that is read without a lock and replaced now and then, and whose old versions stay.
//!
//! A get may stall between looking at a version and using it. There is no way to know, short of a
//! line that every get writes, so old versions are kept until the owner goes.
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

/// As many versions as there can be: each has twice the blocks or twice the records of the one before it, and a pool
/// has fewer than `2^32` of both.
const MOST: usize = 64;

/// The current version of a `T`, and all earlier ones.
pub(crate) struct Published<T> {
    versions: [SetOnce<Box<T>>; MOST],
    /// Which one is current.
    current: AtomicUsize,
}

// A version is set whole or not at all, so no panic leaves half of one behind; what is written in it are atomics, and
// cells that their owners write.
impl<T> UnwindSafe for Published<T> {}
impl<T> RefUnwindSafe for Published<T> {}

impl<T> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").finish_non_exhaustive()
    }
}

impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        let published = Published {
            versions: [const { SetOnce::new() }; MOST],
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
            .expect("a version is set before it is current")
    }

    /// Makes `value` the current version. Called while the life cycle is busy, so by one thread at a time.
    pub(crate) fn publish(&self, value: T) {
        let next = self.current.load(Ordering::Relaxed) + 1;
        self.set(next, value);
        self.current.store(next, Ordering::Release);
    }

    fn set(&self, version: usize, value: T) {
        if self.versions[version].set(Box::new(value)).is_err() {
            unreachable!("one thread at a time publishes");
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// A get that stalled has a reference to the version that was current when it began.
    #[test]
    fn earlier_versions_stay_where_they_are() {
        let published = Published::new(0);
        let versions: Vec<&usize> = (1..MOST)
            .map(|version| {
                let earlier = published.get();
                published.publish(version);
                earlier
            })
            .collect();
        assert!(versions.iter().copied().copied().eq(0..MOST - 1));
        assert_eq!(*published.get(), MOST - 1);
    }
}
