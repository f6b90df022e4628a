//! What keeps the engine alive and is counted in a word of the free list: claims and leases.
//!
//! A counted handle would do the same, at the price of a line that all threads write.

use crate::{
    engine::Engine,
    foreign,
    notify::NotifyRelease,
    raw::{
        block::BlockRef,
        handle::{self, Pool},
        header,
        slot::OwnedSlot,
    },
    sync::Ordering,
    word::{Tie, Word},
};
use std::{
    fmt,
    mem::{self, ManuallyDrop},
    ops::Deref,
    ptr::NonNull,
};

#[inline]
fn word_at(address: &NonNull<Word>) -> &Word {
    // SAFETY: words stay as long as the engine does, which the tie of this address keeps alive (P1, H1).
    unsafe { address.as_ref() }
}

fn engine_at(address: &NonNull<Word>) -> NonNull<Engine> {
    handle::engine_at(header::owner_of(word_at(address)))
}

#[inline]
fn untie(address: &NonNull<Word>, tie: Tie) {
    if !word_at(address).untie(tie) {
        untie_under_the_lock(address, tie);
    }
}

#[cold]
fn untie_under_the_lock(address: &NonNull<Word>, tie: Tie) {
    let mut retired = Vec::new();
    handle::drop_last(handle::memory(engine_at(address)), |engine| {
        engine.drop_tie(word_at(address), tie, &mut retired)
    });
    for callback in retired {
        foreign::quietly(|| drop(callback));
    }
}

/// Keeps the pool alive while a releaser whose slot is home calls the callback.
pub(crate) struct Claim(NonNull<Word>);

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}

impl Claim {
    /// The claim that the caller just took in `word`.
    ///
    /// # Safety
    ///
    /// It did, and makes one value of it (H1).
    #[inline]
    pub(super) unsafe fn assume(word: NonNull<Word>) -> Self {
        Claim(word)
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

impl Drop for Claim {
    #[inline]
    fn drop(&mut self) {
        untie(&self.0, Tie::Claim);
    }
}

/// Keeps the pool alive for a future that owns what it needs of it and was not polled yet.
pub(crate) struct Lease(NonNull<Word>);

// SAFETY: a lease is a counted pointer to the engine, which is `Send + Sync` (H1).
unsafe impl Send for Lease {}
// SAFETY: as above; a shared lease gives nothing away.
unsafe impl Sync for Lease {}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

impl Lease {
    /// A lease in the word where this thread looks first, if that is open and has one left.
    #[inline]
    pub(crate) fn of(pool: &Pool) -> Option<Self> {
        let block = pool.engine().free_list.lease()?;
        Some(Lease(block.address()))
    }

    pub(crate) fn engine(&self) -> &Engine {
        let engine = engine_at(&self.0);
        // SAFETY: the lease keeps the engine alive (H1), and the reference is bound to it.
        unsafe { engine.as_ref() }
    }

    /// Takes a slot of the lease's word, which keeps the pool alive from then on.
    #[inline]
    pub(crate) fn take(self) -> Result<OwnedSlot, Lease> {
        // SAFETY: `of` has the address from a block, which stays as long as the engine does (P1, H1).
        let block = unsafe { BlockRef::of(self.0) };
        match block.take_for_lease() {
            Ok(slot) => {
                // The exchange has given it up.
                mem::forget(self);
                Ok(slot)
            }
            Err(_) => Err(self),
        }
    }

    /// A counted handle in place of the lease.
    pub(crate) fn into_handle(self) -> Pool {
        let engine = engine_at(&self.0);
        self.engine().handles.count_one_more();
        Pool::at(engine)
    }
}

impl Drop for Lease {
    #[inline]
    fn drop(&mut self) {
        untie(&self.0, Tie::Lease);
    }
}
