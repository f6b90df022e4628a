//! The real set, which all builds except loom and shuttle tests use.

pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicPtr, AtomicU64, AtomicUsize},
};
pub(crate) use tokio::sync::{Notify, futures::OwnedNotified};

use std::{
    cell::UnsafeCell,
    hint,
    time::{Duration, Instant},
};

#[cfg(not(sanitize_thread))]
mod locks;
#[cfg(sanitize_thread)]
#[path = "real/instrumented_locks.rs"]
mod locks;
pub(crate) use locks::{Changed, Lock, LockGuard, Once};

thread_local! {
    /// The stripe number of this thread; see [`crate::free_list::stripe`].
    pub(crate) static STRIPE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    /// How many gets of this thread saw no free slot; see [`crate::free_list::stripe`].
    pub(crate) static MISSES: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Does nothing. In a loom test it detects an object that is never dropped.
#[derive(Debug)]
pub(crate) struct Tracked;

impl Tracked {
    #[inline]
    pub(crate) fn new() -> Self {
        Tracked
    }
}

/// Passes the time, and touches no memory that another thread writes. A number of spin hints would not do: one takes from
/// 10 to 50 ns, depending on the processor.
#[cold]
pub(crate) fn pause(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        for _ in 0..8 {
            hint::spin_loop();
        }
    }
}

/// An `UnsafeCell` with the interface of loom's.
#[derive(Debug)]
pub(crate) struct Cell<T>(UnsafeCell<T>);

impl<T> Cell<T> {
    pub(crate) fn new(value: T) -> Self {
        Cell(UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
