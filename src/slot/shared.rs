//! A slot that several read: how many they are, and who of them is its owner again.

use crate::{
    slot::{
        block,
        header::{Owner, Slot, owner_of},
        owned::OwnedSlot,
    },
    sync::Ordering,
    values::sample_properties::SampleProperties,
};
use std::{process, ptr::NonNull};

/// One of the readers of a slot.
#[derive(Debug)]
#[must_use = "a reference that is not dropped with `last` keeps the slot out"]
pub(crate) struct SharedSlot(NonNull<Slot>);

// SAFETY: shared handles only read the slot, and count themselves atomically (S3).
unsafe impl Send for SharedSlot {}
// SAFETY: as above.
unsafe impl Sync for SharedSlot {}

impl SharedSlot {
    /// The first of the shared handles.
    #[inline]
    pub(crate) fn share(slot: OwnedSlot) -> Self {
        slot.slot().references.store(1, Ordering::Relaxed);
        SharedSlot(slot.0)
    }

    #[inline]
    fn slot(&self) -> &Slot {
        // SAFETY: a shared slot is out, which keeps its pool, and so its header, alive (S2).
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn owner(&self) -> Owner {
        // SAFETY: the word is part of the pool, which the slot keeps alive (S2).
        owner_of(unsafe { block::word_of(self.0).as_ref() })
    }

    pub(crate) fn properties(&self) -> &SampleProperties {
        self.slot().description()
    }

    pub(crate) fn index(&self) -> usize {
        self.slot().index()
    }

    #[inline]
    pub(crate) fn duplicate(&self) -> SharedSlot {
        // Like `Arc`: a new reference is made from one that exists, so nothing has to be ordered.
        let before = self.slot().references.fetch_add(1, Ordering::Relaxed);
        if before > usize::MAX / 2 {
            // More handles than memory can hold: some were forgotten, and the count is near its end.
            process::abort();
        }
        SharedSlot(self.0)
    }

    /// Whether this is the only handle, and so nobody can make another.
    #[inline]
    fn is_only(&self) -> bool {
        self.slot().references.load(Ordering::Acquire) == 1
    }

    /// Drops this handle; the last one is the slot's owner again.
    #[inline]
    pub(crate) fn last(self) -> Option<OwnedSlot> {
        if self.is_only() || self.was_last() {
            self.slot().references.store(0, Ordering::Relaxed);
            return Some(OwnedSlot(self.0));
        }
        None
    }

    #[inline]
    fn was_last(&self) -> bool {
        let references = &self.slot().references;
        if references.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        // Pairs with the `Release` of all the others: their reads come before what the owner writes.
        let _none = references.load(Ordering::Acquire);
        true
    }

    /// Becomes the owner if this is the only handle.
    pub(crate) fn into_owned(self) -> Result<OwnedSlot, SharedSlot> {
        if self.is_only() {
            self.slot().references.store(0, Ordering::Relaxed);
            return Ok(OwnedSlot(self.0));
        }
        Err(self)
    }
}
