//! Calls into code that is not ours: wakers, callbacks, and their drops.
//!
//! None of it may run under a lock, and none of its panics may skip what we have still to do. So
//! everything foreign that the pool runs on its own account goes through here.

#![forbid(unsafe_code)]

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

/// Runs `foreign` and swallows its panic. Says whether there was one.
pub(crate) fn panics(foreign: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(foreign)) else {
        return false;
    };
    // The payload is foreign as well, and its drop may panic in turn.
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    if let Err(another) = dropped {
        mem::forget(another);
    }
    true
}

/// Runs `foreign` and swallows its panic.
pub(crate) fn quietly(foreign: impl FnOnce()) {
    let _panicked = panics(foreign);
}

/// Runs `foreign`, and if it panics `first` before the panic goes on.
pub(crate) fn returns<T>(foreign: impl FnOnce() -> T, first: impl FnOnce()) -> T {
    match catch_unwind(AssertUnwindSafe(foreign)) {
        Ok(value) => value,
        Err(payload) => {
            first();
            resume_unwind(payload)
        }
    }
}

/// A foreign value that is dropped quietly unless it is taken out.
#[derive(Debug)]
pub(crate) struct Spare<T>(Option<T>);

impl<T> Spare<T> {
    pub(crate) fn new(value: T) -> Self {
        Spare(Some(value))
    }

    #[inline]
    pub(crate) fn into_inner(mut self) -> T {
        let Some(value) = self.0.take() else {
            unreachable!("it is taken once, with the whole");
        };
        value
    }
}

impl<T> Drop for Spare<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            quietly(|| drop(value));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any("dropped");
        }
    }

    #[test]
    fn a_panic_is_swallowed_and_told() {
        assert!(panics(|| panic!("foreign")));
        assert!(!panics(|| ()));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_swallowed_too() {
        assert!(panics(|| std::panic::panic_any(Bomb)));
    }
}
