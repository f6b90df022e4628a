//! The locks of std.

pub(crate) use std::sync::{MutexGuard as LockGuard, OnceLock as Once};

use super::pause;
use std::{
    sync::{Condvar, Mutex, PoisonError, TryLockError},
    time::Duration,
};

/// How often a thread that finds the lock held pauses and tries again, before it may sleep.
const TRIES: u32 = 3;

/// The first pause. Each one is twice as long as the one before it.
///
/// In this time the thread that has the lock often takes it many more times, while the cache lines of what the lock
/// protects are in its processor. If the other thread tries again at once, the lines move between the processors at
/// each operation, and each transfer costs more than all the rest. The figures are in `docs/design/waiting.md`.
const FIRST_PAUSE: Duration = Duration::from_micros(8);

/// A mutex that does not poison.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Lock(Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> LockGuard<'_, T> {
        match self.try_lock() {
            Some(guard) => guard,
            None => self.lock_after_a_pause(),
        }
    }

    /// Another thread has the lock.
    #[cold]
    #[inline(never)]
    fn lock_after_a_pause(&self) -> LockGuard<'_, T> {
        let mut time = FIRST_PAUSE;
        for _ in 0..TRIES {
            pause(time);
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            time *= 2;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::mpsc,
        thread,
        time::Instant,
    };

    #[test]
    fn a_lock_that_is_held_for_longer_than_all_pauses_is_taken_after_it() {
        let lock = Lock::new(0);
        let (waits, waiting) = mpsc::channel();
        thread::scope(|scope| {
            let mut held = lock.lock();
            let waiter = scope.spawn(|| {
                waits.send(()).expect("the receiver is there");
                *lock.lock()
            });
            waiting.recv().expect("the sender is there");
            thread::sleep(Duration::from_millis(20));
            *held = 1;
            drop(held);
            assert_eq!(waiter.join().expect("no panic"), 1);
        });
    }

    #[test]
    fn a_lock_whose_holder_panicked_can_be_taken() {
        let lock = Lock::new(0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _held = lock.lock();
            panic!("under the lock");
        }));
        assert!(result.is_err());
        assert_eq!(*lock.lock(), 0);
        assert_eq!(*lock.lock_after_a_pause(), 0);
    }

    #[test]
    fn a_pause_is_as_long_as_asked() {
        let begun = Instant::now();
        pause(Duration::from_millis(2));
        assert!(begun.elapsed() >= Duration::from_millis(2));
    }
}
