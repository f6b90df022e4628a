//! The locks for a run under ThreadSanitizer.
//!
//! ThreadSanitizer sees a lock through the atomics inside it, if those were compiled with its instrumentation. Std's
//! locks were not: a thread that waited for one would seem to take it without synchronization. These locks are compiled
//! with the rest of the program.

pub(crate) use parking_lot::MutexGuard as LockGuard;

use parking_lot::{Condvar, Mutex};

/// The same interface as the `Lock` of `locks.rs`.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Lock(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockGuard<'_, T> {
        self.0.lock()
    }
}

/// The same interface as the `Changed` of `locks.rs`.
#[derive(Debug, Default)]
pub(crate) struct Changed(Condvar);

impl Changed {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wait<'a, T>(&self, mut guard: LockGuard<'a, T>) -> LockGuard<'a, T> {
        self.0.wait(&mut guard);
        guard
    }

    pub(crate) fn announce(&self) {
        self.0.notify_all();
    }
}

/// Leaks its value. It is used only for statics, which are never dropped either.
#[derive(Debug)]
pub(crate) struct Once<T: 'static>(Mutex<Option<&'static T>>);

impl<T> Once<T> {
    pub(crate) const fn new() -> Self {
        Once(Mutex::new(None))
    }

    pub(crate) fn get_or_init(&self, f: impl FnOnce() -> T) -> &'static T {
        let mut value = self.0.lock();
        value.get_or_insert_with(|| Box::leak(Box::new(f())))
    }
}
