//! What keeps the engine alive during a call of the callback: a claim, counted in a word of the free list.
//!
//! A counted handle would do the same, at the price of a line that all threads write.

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
    // SAFETY: words stay as long as the engine does, which the claim of this address keeps alive (P1, H1).
    unsafe { address.as_ref() }
}

fn engine_at(address: &NonNull<Word>) -> NonNull<Engine> {
    handle::engine_at(header::owner_of(word_at(address)))
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

/// Keeps the pool alive while a releaser whose slot is home calls the callback.
pub(crate) struct CallbackRef(NonNull<Word>);

impl fmt::Debug for CallbackRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackRef").finish_non_exhaustive()
    }
}

impl CallbackRef {
    /// The claim that the caller just took in `word`.
    ///
    /// # Safety
    ///
    /// It did, and makes one value of it (H1).
    #[inline]
    pub(super) unsafe fn assume(word: NonNull<Word>) -> Self {
        CallbackRef(word)
    }

    /// The pool, for the callback. It is not counted: the claim stands for it.
    pub(crate) fn pool(&self) -> impl Deref<Target = Pool> {
        ManuallyDrop::new(Pool::at(engine_at(&self.0)))
    }

    /// The callback that is set.
    pub(crate) fn callback(&self) -> Option<&dyn NotifyRelease> {
        let engine = engine_at(&self.0);
        // SAFETY: the claim keeps the engine alive (H1).
        let engine = unsafe { engine.as_ref() };
        let callback = NonNull::new(engine.callback.load(Ordering::Acquire))?;
        // SAFETY: a callback that is replaced is kept until every claim that was held at that time
        // is dropped, and this claim is held (H1).
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
