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

/// Runs `foreign` while something is `held` that its panic must not lose: `first` is given it before the panic
/// goes on. Costs nothing if there is none.
#[inline]
pub(crate) fn holding<T, R>(held: T, foreign: impl FnOnce() -> R, first: impl FnOnce(T)) -> (T, R) {
    let mut unwinding = Unwinding(Some((held, first)));
    let result = foreign();
    let Some((held, _)) = unwinding.0.take() else {
        unreachable!("it is taken once, here or by the drop");
    };
    (held, result)
}

/// Dropped with something in it by a panic alone.
struct Unwinding<T, F: FnOnce(T)>(Option<(T, F)>);

impl<T, F: FnOnce(T)> Drop for Unwinding<T, F> {
    #[inline]
    fn drop(&mut self) {
        if let Some((held, first)) = self.0.take() {
            first(held);
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
    fn what_is_held_while_foreign_code_panics_is_not_lost() {
        let mut kept = None;
        assert!(panics(|| {
            let (_held, ()) = holding(7, || panic!("foreign"), |held| kept = Some(held));
        }));
        assert_eq!(kept, Some(7));
        let held = holding(7, || 8, |_held| panic!("nothing went wrong"));
        assert_eq!(held, (7, 8));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_swallowed_too() {
        assert!(panics(|| std::panic::panic_any(Bomb)));
    }
}
