//! The bytes of a slot, as one owner writes them and many readers read them.
//!
//! What can be read is `start .. start + len`, and that is what the present owner wrote, or zeroes
//! (S4). The spare bytes behind and the headroom before it may hold what an earlier owner left, so
//! both can only be written.

use crate::{
    slot::{owned::OwnedSlot, shared::SharedSlot},
    sync::{Ordering, Setting},
    values::error::BufferOverflow,
};
use std::{
    io,
    marker::PhantomData,
    mem::{ManuallyDrop, MaybeUninit},
    ptr::{self, NonNull},
};

/// The sizes of a slot's parts, in bytes. Set while every slot is home.
#[derive(Debug, Default)]
pub(crate) struct Geometry {
    prefix: Setting,
    size: Setting,
}

impl Geometry {
    pub(crate) fn set(&self, prefix: usize, size: usize) {
        self.prefix.store(prefix, Ordering::Relaxed);
        self.size.store(size, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn prefix(&self) -> usize {
        self.prefix.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }
}

/// Overwrites every byte of a slot with zero. Prefix and size are those of its pool, as for
/// [`fresh`](OwnedBytes::fresh).
pub(crate) fn wipe(slot: &mut OwnedSlot, prefix: usize, size: usize) {
    let length = prefix + size;
    // SAFETY: prefix and size are the slot's whole length, and the caller has its one owner (M2, S1).
    unsafe { slot.bytes().write_bytes(0, length) };
}

/// A slot's bytes in the hands of its one owner. One word: where they begin, how many were written and
/// how many more can be stands in the slot's header, so that moving a sample moves a pointer.
#[derive(Debug)]
pub(crate) struct OwnedBytes<R: Release> {
    slot: OwnedSlot,
    _release: PhantomData<fn() -> R>,
}

/// What becomes of a slot whose owner drops it. The slot itself does not know its pool.
pub(crate) trait Release {
    fn release(slot: OwnedSlot);
}

impl<R: Release> Drop for OwnedBytes<R> {
    #[inline]
    fn drop(&mut self) {
        // The token in the bytes is never used again, so this is the only one (S1).
        R::release(OwnedSlot(self.slot.0));
    }
}

impl<R: Release> OwnedBytes<R> {
    #[inline]
    fn new(slot: OwnedSlot) -> Self {
        OwnedBytes {
            slot,
            _release: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn fresh(mut slot: OwnedSlot, prefix: usize, size: usize) -> Self {
        // SAFETY: the prefix is the first part of the slot's bytes (M2).
        let start = unsafe { slot.bytes().add(prefix) };
        slot.lay_out(start, 0, size);
        OwnedBytes::new(slot)
    }

    #[inline]
    pub(crate) fn slot(&self) -> &OwnedSlot {
        &self.slot
    }

    #[inline]
    pub(crate) fn slot_mut(&mut self) -> &mut OwnedSlot {
        &mut self.slot
    }

    /// The slot, which is not released now.
    #[inline]
    pub(crate) fn into_slot(self) -> OwnedSlot {
        // The token in the bytes is never used again, so this is the only one (S1).
        OwnedSlot(ManuallyDrop::new(self).slot.0)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slot().len()
    }

    #[inline]
    pub(crate) fn spare(&self) -> usize {
        self.slot().spare()
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        let slot = self.slot();
        // SAFETY: `len` bytes from `start` are the slot's and were written (S4); the owner is
        // borrowed, so nobody writes them meanwhile (S1).
        unsafe { std::slice::from_raw_parts(slot.start(), slot.len()) }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        let slot = self.slot();
        // SAFETY: as above, and the owner is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(slot.start(), slot.len()) }
    }

    #[inline]
    fn end(&self) -> *mut u8 {
        let slot = self.slot();
        // SAFETY: `start + len` lies within the slot, or one past it (S4).
        unsafe { slot.start().add(slot.len()) }
    }

    /// The bytes that can be written behind the last one; they cannot be read.
    #[inline]
    pub(crate) fn spare_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let end: *mut MaybeUninit<u8> = self.end().cast();
        // SAFETY: `spare` bytes behind the last one are the slot's (S4), its owner is borrowed
        // mutably (S1), and `MaybeUninit` promises nothing about what they hold.
        unsafe { std::slice::from_raw_parts_mut(end, self.spare()) }
    }

    /// Counts `count` spare bytes as written.
    ///
    /// # Safety
    ///
    /// The present owner wrote the first `count` spare bytes (S4).
    #[inline]
    pub(crate) unsafe fn advance(&mut self, count: usize) {
        let slot = self.slot_mut();
        let (len, spare) = (slot.len(), slot.spare());
        debug_assert!(count <= spare);
        slot.set_len(len + count, spare - count);
    }

    /// Writes as much of `from` as there is room for, and says how much that was.
    #[inline]
    pub(crate) fn append(&mut self, from: &[u8]) -> usize {
        let count = from.len().min(self.spare());
        let end = self.end();
        // SAFETY: `count` bytes behind the last one are the slot's (S4) and its owner's alone (S1),
        // so `from` does not overlap them.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), end, count) };
        // SAFETY: they were written just now.
        unsafe { self.advance(count) };
        count
    }

    /// Zeroes the spare bytes, lets `fill` write there, and counts as many as it says. If it fails or panics, they
    /// stay spare.
    pub(crate) fn append_from(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let (start, spare) = (self.end(), self.spare());
        // SAFETY: `spare` bytes behind the last one are the slot's, and its owner is borrowed mutably (S1, S4).
        unsafe { start.write_bytes(0, spare) };
        // SAFETY: as above, and they were initialised just now.
        let shown = unsafe { std::slice::from_raw_parts_mut(start, spare) };
        let count = fill(shown)?;
        // It is safe code, which may say anything.
        if count > spare {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the reader says that it read more than there was room for",
            ));
        }
        // SAFETY: all spare bytes were zeroed, or written by `fill`.
        unsafe { self.advance(count) };
        Ok(count)
    }

    /// Sets the length; bytes that this uncovers are zeroed.
    pub(crate) fn set_len(&mut self, len: usize) -> Result<(), BufferOverflow> {
        let capacity = self.len() + self.spare();
        if len > capacity {
            return Err(BufferOverflow {
                requested: len,
                capacity,
            });
        }
        if let Some(more) = len.checked_sub(self.len()) {
            let end = self.end();
            // SAFETY: `more <= spare` bytes behind the last one are the slot's, and its owner is
            // borrowed mutably (S1, S4).
            unsafe { end.write_bytes(0, more) };
        }
        // SAFETY: what was uncovered was zeroed.
        unsafe { self.set_len_unchecked(len) };
        Ok(())
    }

    /// Sets the length without touching the bytes.
    ///
    /// # Safety
    ///
    /// `len <= self.len() + self.spare()`, and the present owner wrote the first `len` bytes (S4).
    pub(crate) unsafe fn set_len_unchecked(&mut self, len: usize) {
        let capacity = self.len() + self.spare();
        debug_assert!(len <= capacity);
        self.slot_mut().set_len(len, capacity - len);
    }

    /// Empties the sample and restores its headroom.
    pub(crate) fn clear(&mut self, geometry: impl FnOnce(&OwnedSlot) -> &Geometry) {
        let slot = self.slot_mut();
        let geometry = geometry(slot);
        let (prefix, spare) = (geometry.prefix(), geometry.size());
        // SAFETY: the prefix is the first part of the slot's bytes (M2).
        let start = unsafe { slot.bytes().add(prefix) };
        slot.lay_out(start, 0, spare);
    }

    /// Moves the bytes to where those of a fresh sample begin, so that all other room is behind them.
    ///
    /// # Panics
    ///
    /// If there are more than fit there.
    #[cfg(feature = "stream")]
    pub(crate) fn move_to_front(&mut self, geometry: impl FnOnce(&OwnedSlot) -> &Geometry) {
        let slot = self.slot_mut();
        let geometry = geometry(slot);
        let (prefix, size) = (geometry.prefix(), geometry.size());
        let (from, len) = (slot.start(), slot.len());
        assert!(len <= size, "{len} bytes, some prepended, in {size}");
        // SAFETY: the prefix is the first part of the slot's bytes (M2).
        let start = unsafe { slot.bytes().add(prefix) };
        // SAFETY: `len` bytes from both are the slot's, because `len <= size` (S4), and its owner's alone (S1).
        unsafe { ptr::copy(from, start, len) };
        slot.lay_out(start, len, size - len);
    }

    /// How many bytes of the slot lie before the first one.
    pub(crate) fn headroom(&self) -> usize {
        let slot = self.slot();
        slot.start().addr() - slot.bytes().addr()
    }

    /// Writes `from` before the first byte.
    pub(crate) fn prepend(&mut self, from: &[u8]) -> Result<(), BufferOverflow> {
        let headroom = self.headroom();
        if from.len() > headroom {
            return Err(BufferOverflow {
                requested: from.len(),
                capacity: headroom,
            });
        }
        let slot = self.slot_mut();
        // SAFETY: `from.len() <= headroom` bytes before the first one are the slot's (S4).
        let start = unsafe { slot.start().sub(from.len()) };
        // SAFETY: and they are its owner's alone (S1), so `from` does not overlap them.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), start, from.len()) };
        slot.lay_out(start, slot.len() + from.len(), slot.spare());
        Ok(())
    }
}

/// Some of a slot's bytes in the hands of one of its readers.
#[derive(Debug)]
pub(crate) struct SharedBytes {
    slot: Option<SharedSlot>,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: shared handles only read (S3).
unsafe impl Send for SharedBytes {}
// SAFETY: as above.
unsafe impl Sync for SharedBytes {}

impl SharedBytes {
    /// Shares the bytes that the slot's owner wrote.
    #[inline]
    pub(crate) fn freeze(slot: OwnedSlot) -> Self {
        // SAFETY: the slot is laid out, at an address that is not null (S4). A test here is one in each `freeze`.
        let start = unsafe { NonNull::new_unchecked(slot.start()) };
        let len = slot.len();
        SharedBytes {
            slot: Some(SharedSlot::share(slot)),
            start,
            len,
        }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &SharedSlot {
        self.slot
            .as_ref()
            .expect("moved out by drop and try_into_owned only")
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the bytes were written before they were shared (S4), and nobody writes them while
        // a shared handle is left (S3).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// Another handle, to `len` of these bytes from `from` on.
    ///
    /// # Panics
    ///
    /// If they are not all within these bytes.
    #[inline]
    pub(crate) fn part(&self, from: usize, len: usize) -> SharedBytes {
        let within = from.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(within, "bytes {from}..+{len} of a sample of {}", self.len);
        SharedBytes {
            slot: Some(self.slot().duplicate()),
            // SAFETY: `from <= len`, so the start stays within the slot, or one past it (S4).
            start: unsafe { self.start.add(from) },
            len,
        }
    }

    /// Lets go of the first `count` bytes.
    ///
    /// # Panics
    ///
    /// If there are not as many.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        assert!(
            count <= self.len,
            "cannot advance {count} of {} bytes",
            self.len
        );
        // SAFETY: `count <= len`, so the start stays within the slot, or one past it (S4).
        self.start = unsafe { self.start.add(count) };
        self.len -= count;
    }

    /// Lets go of all but the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Drops this handle, and gives the slot to the caller if it was the last one.
    #[inline]
    pub(crate) fn take_last(&mut self) -> Option<OwnedSlot> {
        self.len = 0;
        self.slot.take()?.last()
    }

    /// Becomes the owner if this is the only handle. What lies before these bytes becomes headroom,
    /// what lies behind them spare.
    pub(crate) fn try_into_owned<R: Release>(
        &mut self,
        geometry: impl FnOnce(&OwnedSlot) -> &Geometry,
    ) -> Option<OwnedBytes<R>> {
        match self.slot.take()?.into_owned() {
            Ok(mut slot) => {
                let before = self.start.addr().get() - slot.bytes().addr();
                let geometry = geometry(&slot);
                let spare = geometry.prefix() + geometry.size() - before - self.len;
                slot.lay_out(self.start.as_ptr(), self.len, spare);
                Some(OwnedBytes::new(slot))
            }
            Err(slot) => {
                self.slot = Some(slot);
                None
            }
        }
    }
}
