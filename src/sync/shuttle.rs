//! Shuttle's set: random schedules, for tests that are too large for loom.
//!
//! Shuttle runs all threads of a test on one, and can switch to another at each operation of its own types. So an
//! atomic here is the real one after a switch point, and mapped zeroed memory keeps its layout. Shuttle does not
//! explore orderings; loom does.

pub(crate) use super::{
    atomics::{AtomicPtr, AtomicU64, AtomicUsize},
    stepped::{Notify, OwnedNotified},
};
pub(crate) use shuttle::sync::MutexGuard as LockGuard;
pub(super) use std::sync::atomic;
pub(crate) use std::sync::{Arc, OnceLock as Once};

use std::{cell::UnsafeCell, sync::atomic::Ordering, time::Duration};

shuttle::thread_local! {
    pub(crate) static STRIPE: std::cell::Cell<u32> = std::cell::Cell::new(0);
    /// How many gets of this thread saw no free slot; see [`crate::free_list::stripe`].
    pub(crate) static MISSES: std::cell::Cell<u32> = std::cell::Cell::new(0);
}

/// A switch point: shuttle can continue with another thread here.
fn switch() {
    shuttle::sync::atomic::AtomicBool::new(false).load(Ordering::SeqCst);
}

/// The switch points of an atomic. It has no state.
#[derive(Debug)]
pub(super) struct Companion;

impl Companion {
    pub(super) fn new() -> Self {
        Companion
    }

    pub(super) fn before_load_or_store(&self) {
        switch();
    }

    pub(super) fn before_exchange(&self) {
        switch();
    }
}

/// Does nothing: time changes nothing in a shuttle test.
pub(crate) fn pause(_time: Duration) {}

/// Shuttle's mutex.
#[derive(Debug)]
pub(crate) struct Lock<T>(shuttle::sync::Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Lock(shuttle::sync::Mutex::new(value))
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

/// Shuttle's condition variable.
#[derive(Debug)]
pub(crate) struct Changed(shuttle::sync::Condvar);

impl Changed {
    pub(crate) fn new() -> Self {
        Changed(shuttle::sync::Condvar::new())
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

/// Does nothing: only loom detects objects that are never dropped.
#[derive(Debug)]
pub(crate) struct Tracked;

impl Tracked {
    pub(crate) fn new() -> Self {
        Tracked
    }
}

/// An `UnsafeCell` with a switch point before each access.
#[derive(Debug)]
pub(crate) struct Cell<T>(UnsafeCell<T>);

impl<T> Cell<T> {
    pub(crate) fn new(value: T) -> Self {
        Cell(UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        switch();
        f(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        switch();
        f(self.0.get())
    }
}

/// A switch point for [`Notify`].
#[derive(Debug)]
pub(super) struct Step;

impl Step {
    pub(super) fn new() -> Self {
        Step
    }

    pub(super) fn take(&self) {
        switch();
    }
}
