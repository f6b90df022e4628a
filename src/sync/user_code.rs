//! Calls to user code: wakers, callbacks, and their drops.
//!
//! User code must not run under a lock, and a panic in it must not skip the steps that the pool still has to do. So the
//! pool calls wakers and callbacks, and drops users' values, through the functions of this file.

#![forbid(unsafe_code)]

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

/// Runs `user_code` and catches its panic. Returns `true` if it panicked.
pub(crate) fn panics(user_code: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(user_code)) else {
        return false;
    };
    // The payload is a user's value too, so its drop can panic again. The payload of that panic is leaked, not dropped.
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    if let Err(another) = dropped {
        mem::forget(another);
    }
    true
}

/// Runs `user_code` and catches its panic.
pub(crate) fn quietly(user_code: impl FnOnce()) {
    let _panicked = panics(user_code);
}

/// Runs `user_code`. If it panics, runs `first` and then continues the panic.
pub(crate) fn or_first<T>(user_code: impl FnOnce() -> T, first: impl FnOnce()) -> T {
    match catch_unwind(AssertUnwindSafe(user_code)) {
        Ok(value) => value,
        Err(payload) => {
            first();
            resume_unwind(payload)
        }
    }
}

/// Runs `user_code` while the caller holds `held`, which a panic must not lose. If it panics, calls `first` with
/// `held`, and then the panic continues. Without a panic it costs nothing: it uses a drop, not `catch_unwind`.
#[inline]
pub(crate) fn holding<T, R>(
    held: T,
    user_code: impl FnOnce() -> R,
    first: impl FnOnce(T),
) -> (T, R) {
    let mut unwinding = Unwinding(Some((held, first)));
    let result = user_code();
    let Some((held, _)) = unwinding.0.take() else {
        unreachable!("the held value is taken once, here or by the drop");
    };
    (held, result)
}

/// The value that a panic must not lose, and the function that gets it. Only a panic drops this with a value in it.
struct Unwinding<T, F: FnOnce(T)>(Option<(T, F)>);

impl<T, F: FnOnce(T)> Drop for Unwinding<T, F> {
    #[inline]
    fn drop(&mut self) {
        if let Some((held, first)) = self.0.take() {
            first(held);
        }
    }
}

/// A user's value. If it is not taken out, its drop runs through [`quietly`].
#[derive(Debug)]
pub(crate) struct Spare<T>(Option<T>);

impl<T> Spare<T> {
    pub(crate) fn new(value: T) -> Self {
        Spare(Some(value))
    }

    #[inline]
    pub(crate) fn into_inner(mut self) -> T {
        let Some(value) = self.0.take() else {
            unreachable!("the value is taken once: `into_inner` consumes the spare");
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
    fn a_panic_is_caught_and_reported() {
        assert!(panics(|| panic!("user code")));
        assert!(!panics(|| ()));
    }

    #[test]
    fn a_value_that_is_held_while_user_code_panics_is_not_lost() {
        let mut kept = None;
        assert!(panics(|| {
            let (_held, ()) = holding(7, || panic!("user code"), |held| kept = Some(held));
        }));
        assert_eq!(kept, Some(7));
        let held = holding(7, || 8, |_held| panic!("nothing went wrong"));
        assert_eq!(held, (7, 8));
    }

    #[test]
    fn a_panic_in_the_drop_of_a_panic_payload_is_caught_too() {
        assert!(panics(|| std::panic::panic_any(Bomb)));
    }
}
