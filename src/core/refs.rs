//! The callback reference: it keeps the engine alive during a call of the callback, and is counted in a word of the
//! free list.
//!
//! A counted handle would do the same, but counting it writes a cache line that all threads share.

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::{
    core::{
        callback::NotifyRelease,
        engine::Engine,
        handle::{self, Pool},
    },
    slot::{header, word::Word},
    sync::{Ordering, user_code},
};
use std::{fmt, mem::ManuallyDrop, ops::Deref, ptr::NonNull};

#[inline]
fn word_at(address: &NonNull<Word>) -> &Word {
    // SAFETY: words live as long as the engine, which the callback reference at this address keeps alive (P1, H1).
    unsafe { address.as_ref() }
}

fn engine_at(address: &NonNull<Word>) -> NonNull<Engine> {
    handle::engine_at(header::pool_address_of(word_at(address)))
}

#[cold]
fn drop_under_the_lock(address: &NonNull<Word>) {
    let mut retired = Vec::new();
    handle::drop_last(handle::memory(engine_at(address)), |engine| {
        engine.drop_callback_ref(word_at(address), &mut retired)
    });
    for callback in retired {
        user_code::quietly(|| drop(callback));
    }
}

/// Keeps the pool alive while a releaser, whose slot is free already, calls the callback.
pub(crate) struct CallbackRef(NonNull<Word>);

impl fmt::Debug for CallbackRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackRef").finish_non_exhaustive()
    }
}

impl CallbackRef {
    /// The callback reference that the caller has just counted in `word`.
    ///
    /// # Safety
    ///
    /// The caller has counted it, and makes only one value of it (H1).
    #[inline]
    pub(super) unsafe fn assume(word: NonNull<Word>) -> Self {
        CallbackRef(word)
    }

    /// The pool, to be passed to the callback. This handle is not counted, because the callback reference keeps the
    /// engine alive.
    pub(crate) fn pool(&self) -> impl Deref<Target = Pool> {
        ManuallyDrop::new(Pool::at(engine_at(&self.0)))
    }

    /// The callback that is set.
    pub(crate) fn callback(&self) -> Option<&dyn NotifyRelease> {
        let engine = engine_at(&self.0);
        // SAFETY: the callback reference keeps the engine alive (H1).
        let engine = unsafe { engine.as_ref() };
        // Pairs with the store of `replace_notify`, which publishes the callback behind the pointer.
        let callback = NonNull::new(engine.callback.load(Ordering::Acquire))?;
        // SAFETY: a replaced callback is kept until every callback reference that existed at that time is dropped, and
        // this reference exists (H1).
        let callback = unsafe { callback.as_ref() };
        Some(&**callback)
    }
}

impl Drop for CallbackRef {
    #[inline]
    fn drop(&mut self) {
        if !word_at(&self.0).drop_callback_ref() {
            drop_under_the_lock(&self.0);
        }
    }
}
