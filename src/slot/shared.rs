//! A slot that is shared by several readers and parts: the count of its handles, and how the last one becomes the owner
//! again.
//!
//! # Orderings
//!
//! | access                            | ordering  | pairs with             | carries                                                  |
//! |-----------------------------------|-----------|------------------------|----------------------------------------------------------|
//! | decrement of `references`         | `Release` | the two loads below    | the accesses of the handle that is dropped               |
//! | load in `is_only`                 | `Acquire` | the decrements         | the same, to the only handle, which may write then       |
//! | load after the last decrement     | `Acquire` | the decrements         | the same, to the last handle, which may write then       |
//! | `fetch_add` on `len`              | `Relaxed` | none                   | nothing; it precedes the same handle's decrement         |
//!
//! All other accesses of `references` are `Relaxed`: they are made by the slot's owner, or by a handle that makes
//! another one of itself.

use crate::{
    slot::{
        block,
        header::{PoolAddress, Slot, pool_address_of},
        owned::OwnedSlot,
    },
    sync::Ordering,
    values::sample_properties::SampleProperties,
};
use std::{process, ptr::NonNull};

/// One of the shared handles of a slot.
#[derive(Debug)]
#[must_use = "a handle that is not dropped with `last` keeps the slot checked out"]
pub(crate) struct SharedSlot(NonNull<Slot>);

// SAFETY: through this handle the slot is only read, the handles count themselves atomically, and `len` is added to
// atomically; what a part writes is its own (S3).
unsafe impl Send for SharedSlot {}
// SAFETY: as above.
unsafe impl Sync for SharedSlot {}

impl SharedSlot {
    /// Makes the first shared handle of an owned slot.
    #[inline]
    pub(crate) fn share(slot: OwnedSlot) -> Self {
        // `Relaxed`: the other handles are made from this one, so what passes them to other threads orders this store
        // too.
        slot.slot().references.store(1, Ordering::Relaxed);
        SharedSlot(slot.0)
    }

    #[inline]
    fn slot(&self) -> &Slot {
        // SAFETY: a shared slot is checked out, which keeps its pool, and so its header, alive (S2).
        unsafe { self.0.as_ref() }
    }

    /// The pool that the slot belongs to.
    pub(crate) fn pool_address(&self) -> PoolAddress {
        // SAFETY: the word is part of the pool, which the slot keeps alive (S2).
        pool_address_of(unsafe { block::word_of(self.0).as_ref() })
    }

    pub(crate) fn properties(&self) -> &SampleProperties {
        self.slot().properties()
    }

    pub(crate) fn index(&self) -> usize {
        self.slot().index()
    }

    /// Makes another shared handle.
    #[inline]
    pub(crate) fn duplicate(&self) -> SharedSlot {
        // `Relaxed`, as in `Arc::clone`: a new handle is made from one that exists, so nothing has to be ordered.
        let before = self.slot().references.fetch_add(1, Ordering::Relaxed);
        if before > usize::MAX / 2 {
            // More handles than memory can hold: some were passed to `mem::forget`, and the count may overflow soon.
            process::abort();
        }
        SharedSlot(self.0)
    }

    /// The same handle, for the one who drops or keeps it in place of `self`, which must not be used again (S3).
    #[inline]
    pub(super) fn take_over(&mut self) -> SharedSlot {
        SharedSlot(self.0)
    }

    /// Whether both are handles of one slot.
    #[inline]
    pub(super) fn is_same(&self, other: &SharedSlot) -> bool {
        self.0 == other.0
    }

    /// Adds to the sample's length what is frozen and was not counted before: a slot in parts.
    ///
    /// The frozen bytes are the `len` ones from the address `start`. What was written before the sample became a part
    /// is counted already: it ends at the address in `spare`.
    #[inline]
    pub(super) fn count_written(&self, start: usize, len: usize) {
        let slot = self.slot();
        let counted_to = slot.spare.load(Ordering::Relaxed).max(start);
        if let Some(new @ 1..) = (start + len).checked_sub(counted_to) {
            slot.len.fetch_add(new, Ordering::Relaxed);
        }
    }

    /// Whether this is the only handle. If so, and only while the caller has exclusive access to it, no other handle can
    /// be made, because handles are made from handles.
    #[inline]
    pub(crate) fn is_only(&self) -> bool {
        self.slot().references.load(Ordering::Acquire) == 1
    }

    /// Drops this handle. If it was the last one, returns the slot's owner.
    #[inline]
    pub(crate) fn last(self) -> Option<OwnedSlot> {
        // The load comes first, because it costs less than the decrement, and a handle that is the only one needs no
        // decrement.
        if self.is_only() || self.was_last() {
            self.slot().references.store(0, Ordering::Relaxed);
            return Some(OwnedSlot(self.0));
        }
        None
    }

    /// Decrements the count. `true` if this was the last handle.
    #[inline]
    fn was_last(&self) -> bool {
        let references = &self.slot().references;
        // `Release`: the accesses of this handle come before the last handle's `Acquire`. After this line the slot may
        // have another owner, so only the last handle goes on.
        if references.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        // Pairs with the `Release` of each other handle: their accesses come before the writes of the next owner (S3).
        let _none = references.load(Ordering::Acquire);
        true
    }

    /// The slot's owner if this is the only handle, and this handle unchanged otherwise.
    pub(crate) fn into_owned(self) -> Result<OwnedSlot, SharedSlot> {
        if self.is_only() {
            self.slot().references.store(0, Ordering::Relaxed);
            return Ok(OwnedSlot(self.0));
        }
        Err(self)
    }
}
