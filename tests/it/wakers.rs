//! Wakers that run a test's code when they are cloned, woken or dropped.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    unsafe_code,
    reason = "only a table of functions of its own tells a waker that it is cloned"
)]

use std::{
    sync::Arc,
    task::{RawWaker, RawWakerVTable, Waker},
};

/// What is done to a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Clone,
    Wake,
    Drop,
}

type Hook = dyn Fn(Moment) + Send + Sync;

struct Hooked(Box<Hook>);

/// A waker that calls `hook` each time that it, or a clone of it, is cloned, woken or dropped.
///
/// A waker that is woken by value counts as woken and not as dropped.
pub(crate) fn hooked(hook: impl Fn(Moment) + Send + Sync + 'static) -> Waker {
    let hooked = Arc::into_raw(Arc::new(Hooked(Box::new(hook))));
    // SAFETY: the pointer came from `Arc::into_raw`, which is what the table's functions expect, and
    // they may be called on any thread, since the hook is `Send + Sync`.
    unsafe { Waker::from_raw(RawWaker::new(hooked.cast(), &TABLE)) }
}

/// A waker that calls `hook` at only one kind of moment.
pub(crate) fn hooked_at(moment: Moment, hook: impl Fn() + Send + Sync + 'static) -> Waker {
    hooked(move |now| {
        if now == moment {
            hook();
        }
    })
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// The hook, kept alive by the waker for as long as the answer is used.
///
/// # Safety
///
/// `data` is that of a waker made by [`hooked`] which the caller has.
unsafe fn borrow<'a>(data: *const ()) -> &'a Hooked {
    // SAFETY: the waker holds a reference on the `Arc` that the pointer came from.
    unsafe { &*data.cast::<Hooked>() }
}

/// Takes back the reference that a waker held.
///
/// # Safety
///
/// As for [`borrow`], and the waker is not used again.
unsafe fn take(data: *const ()) -> Arc<Hooked> {
    // SAFETY: the pointer came from `Arc::into_raw`, and the waker's reference is given up.
    unsafe { Arc::from_raw(data.cast::<Hooked>()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called with the data of a waker that its owner has.
    let hooked = unsafe { borrow(data) };
    (hooked.0)(Moment::Clone);
    // SAFETY: the pointer came from `Arc::into_raw`, and the waker that is cloned holds a reference.
    unsafe { Arc::increment_strong_count(data.cast::<Hooked>()) };
    RawWaker::new(data, &TABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: called with the data of a waker that is used up by this.
    let hooked = unsafe { take(data) };
    (hooked.0)(Moment::Wake);
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called with the data of a waker that its owner has.
    let hooked = unsafe { borrow(data) };
    (hooked.0)(Moment::Wake);
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: called with the data of a waker that is used up by this.
    let hooked = unsafe { take(data) };
    (hooked.0)(Moment::Drop);
}
