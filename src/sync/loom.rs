//! Loom's set: explores every interleaving of a few threads, and the values that weak orderings allow them to see.

pub(crate) use super::{
    atomics::{AtomicPtr, AtomicU64, AtomicUsize},
    stepped::{Notify, OwnedNotified},
};
pub(super) use loom::sync::atomic;
pub(crate) use loom::sync::{
    Arc, MutexGuard as LockGuard,
    atomic::{
        AtomicPtr as SettingPtr, AtomicU8 as SettingU8, AtomicU32 as SettingU32,
        AtomicUsize as Setting,
    },
};

use std::{sync::atomic::Ordering, time::Duration};

loom::thread_local! {
    pub(crate) static STRIPE: std::cell::Cell<u32> = std::cell::Cell::new(0);
    /// How many gets of this thread saw no free slot; see [`crate::free_list::stripe`].
    pub(crate) static MISSES: std::cell::Cell<u32> = std::cell::Cell::new(0);
}

/// A second atomic beside each atomic.
///
/// Loom can miss interleavings in which a thread loads an atomic just before it writes it. A read-modify-write of the
/// companion before each load and store makes these switch points, which loom orders freely.
#[derive(Debug)]
pub(super) struct Companion(atomic::AtomicUsize);

impl Companion {
    pub(super) fn new() -> Self {
        Companion(atomic::AtomicUsize::new(0))
    }

    pub(super) fn before_load_or_store(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Does nothing: loom orders a read-modify-write freely without a companion.
    pub(super) fn before_exchange(&self) {}
}

/// Does nothing: time changes nothing in a loom test.
pub(crate) fn pause(_time: Duration) {}

/// Loom's mutex.
#[derive(Debug)]
pub(crate) struct Lock<T>(loom::sync::Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Lock(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockGuard<'_, T> {
        self.0
            .lock()
            .expect("no code of this crate panics under a lock")
    }
}

impl<T: Default> Default for Lock<T> {
    fn default() -> Self {
        Lock::new(T::default())
    }
}

/// Loom's condition variable.
#[derive(Debug)]
pub(crate) struct Changed(loom::sync::Condvar);

impl Changed {
    pub(crate) fn new() -> Self {
        Changed(loom::sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: LockGuard<'a, T>) -> LockGuard<'a, T> {
        self.0
            .wait(guard)
            .expect("no code of this crate panics under a lock")
    }

    pub(crate) fn announce(&self) {
        self.0.notify_all();
    }
}

/// An object that loom reports if it is never dropped.
#[derive(Debug)]
pub(crate) struct Tracked(#[allow(dead_code, reason = "its drop is what counts")] Arc<()>);

impl Tracked {
    pub(crate) fn new() -> Self {
        Tracked(Arc::new(()))
    }
}

/// Loom's `UnsafeCell`, which detects accesses that are not ordered.
#[derive(Debug)]
pub(crate) struct Cell<T>(loom::cell::UnsafeCell<T>);

impl<T> Cell<T> {
    pub(crate) fn new(value: T) -> Self {
        Cell(loom::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        self.0.with(f)
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(f)
    }
}

/// A switch point for one object.
#[derive(Debug)]
pub(super) struct Step(loom::sync::atomic::AtomicUsize);

impl Step {
    pub(super) fn new() -> Self {
        Step(loom::sync::atomic::AtomicUsize::new(0))
    }

    pub(super) fn take(&self) {
        // `AcqRel`: each operation synchronizes with the next one on the same object, as the lock and the atomics
        // inside Tokio's `Notify` do, which loom does not see.
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
