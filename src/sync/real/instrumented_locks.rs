//! The locks for a run under ThreadSanitizer.
//!
//! It knows a lock by the atomics inside it, if they were compiled for it, and std's were not: whoever
//! had to wait for std's lock would seem to have taken it without an order. These are compiled with
//! everything else.

pub(crate) use parking_lot::MutexGuard as LockGuard;

use parking_lot::{Condvar, Mutex};

/// As the one that users get.
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

/// As the one that users get.
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

/// Keeps its value for ever, as the static that it is used for does.
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
