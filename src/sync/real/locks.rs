//! The locks of std.

pub(crate) use std::sync::{MutexGuard as LockGuard, OnceLock as Once};

use std::sync::{Condvar, Mutex, PoisonError};

/// A mutex that does not poison.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Lock(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A condition variable: wakes the threads that wait for a change under a [`Lock`].
#[derive(Debug, Default)]
pub(crate) struct Changed(Condvar);

impl Changed {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wait<'a, T>(&self, guard: LockGuard<'a, T>) -> LockGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn announce(&self) {
        self.0.notify_all();
    }
}
