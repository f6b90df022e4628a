//! The bytes of a slot, which one owner writes and many readers read.
//!
//! The readable bytes are `start .. start + len`: the present owner wrote them, or they are zeros (S4). The headroom
//! before them and the spare bytes after them may hold data of an earlier owner, so both can be written but not read.

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

/// The sizes of a slot's parts, in bytes. Set while every slot is free.
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

/// Overwrites every byte of a slot with zero. `prefix` and `size` are those of its pool, as for
/// [`fresh`](OwnedBytes::fresh).
pub(crate) fn wipe(slot: &mut OwnedSlot, prefix: usize, size: usize) {
    let length = prefix + size;
    // SAFETY: prefix and size are the slot's whole length, and the caller has its one owner (M2, S1).
    unsafe { slot.bytes().write_bytes(0, length) };
}

/// The bytes of a slot, held by its one owner. It is one pointer: the slot's header has where the bytes begin, how many
/// were written and how many more can be written. So moving a sample moves one pointer.
#[derive(Debug)]
pub(crate) struct OwnedBytes<R: Release> {
    slot: OwnedSlot,
    _release: PhantomData<fn() -> R>,
}

/// What happens to a slot when its owner drops it. A type parameter, because this layer knows nothing of pools.
pub(crate) trait Release {
    /// Returns the slot to its pool.
    fn release(slot: OwnedSlot);
}

impl<R: Release> Drop for OwnedBytes<R> {
    #[inline]
    fn drop(&mut self) {
        // The token in `self` is never used again, so this is the only one (S1).
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

    /// An empty sample of a slot that was just taken. `prefix` and `size` are those of the slot's pool.
    #[inline]
    pub(crate) fn fresh(mut slot: OwnedSlot, prefix: usize, size: usize) -> Self {
        // SAFETY: the prefix is the first part of the slot's bytes (M2).
        let start = unsafe { slot.bytes().add(prefix) };
        slot.lay_out(start, 0, size);
        OwnedBytes::new(slot)
    }

    /// The sample of a slot that was shared, with the `len` written bytes from `start`. The bytes before them become
    /// headroom, and the bytes after them become spare.
    pub(super) fn lay_out(
        mut slot: OwnedSlot,
        start: NonNull<u8>,
        len: usize,
        geometry: impl FnOnce(&OwnedSlot) -> &Geometry,
    ) -> Self {
        let before = start.addr().get() - slot.bytes().addr();
        let geometry = geometry(&slot);
        let spare = geometry.prefix() + geometry.size() - before - len;
        slot.lay_out(start.as_ptr(), len, spare);
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

    /// The slot, without releasing it.
    #[inline]
    pub(crate) fn into_slot(self) -> OwnedSlot {
        // The token in `self` is never used again, so this is the only one (S1).
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
        // borrowed, so nothing writes them during the borrow (S1).
        unsafe { std::slice::from_raw_parts(slot.start(), slot.len()) }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        let slot = self.slot();
        // SAFETY: as above, and the owner is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(slot.start(), slot.len()) }
    }

    /// One past the last byte that was written.
    #[inline]
    fn end(&self) -> *mut u8 {
        let slot = self.slot();
        // SAFETY: `start + len` lies within the slot, or one past it (S4).
        unsafe { slot.start().add(slot.len()) }
    }

    /// The spare bytes after the last one. They can be written but not read.
    #[inline]
    pub(crate) fn spare_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let end: *mut MaybeUninit<u8> = self.end().cast();
        // SAFETY: `spare` bytes after the last one are the slot's (S4), its owner is borrowed
        // mutably (S1), and `MaybeUninit` promises nothing about their values.
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

    /// Appends as many bytes of `from` as there are spare bytes, and returns how many that were.
    #[inline]
    pub(crate) fn append(&mut self, from: &[u8]) -> usize {
        let count = from.len().min(self.spare());
        let end = self.end();
        // SAFETY: `count` bytes after the last one are the slot's (S4) and its owner's alone (S1),
        // so `from` does not overlap them.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), end, count) };
        // SAFETY: the first `count` spare bytes were written just now.
        unsafe { self.advance(count) };
        count
    }

    /// Zeroes the spare bytes, lets `fill` write there, and appends as many bytes as `fill` returns. If `fill` fails or
    /// panics, nothing is appended.
    ///
    /// # Errors
    ///
    /// The error of `fill`, or `InvalidData` if `fill` returns more than there are spare bytes.
    pub(crate) fn append_from(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let count = fill_zeroed(self.spare_mut(), fill)?;
        // SAFETY: all spare bytes were zeroed, or written by `fill`.
        unsafe { self.advance(count) };
        Ok(count)
    }

    /// Sets the length. Bytes that this makes readable are zeroed.
    pub(crate) fn set_len(&mut self, len: usize) -> Result<(), BufferOverflow> {
        let capacity = self.len() + self.spare();
        if len > capacity {
            return Err(BufferOverflow {
                requested: len,
                capacity,
            });
        }
        if let Some(more) = len.checked_sub(self.len()) {
            // The bytes that become readable may hold data of an earlier owner.
            let end = self.end();
            // SAFETY: `more <= spare` bytes after the last one are the slot's, and its owner is
            // borrowed mutably (S1, S4).
            unsafe { end.write_bytes(0, more) };
        }
        // SAFETY: the bytes that become readable were zeroed.
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

    /// Moves the bytes to where the bytes of a fresh sample begin, so that all spare bytes come after them.
    ///
    /// # Panics
    ///
    /// If the sample has more bytes than the pool's buffer size, which is possible if some were prepended.
    #[cfg(feature = "stream")]
    pub(crate) fn move_to_front(&mut self, geometry: impl FnOnce(&OwnedSlot) -> &Geometry) {
        let slot = self.slot_mut();
        let geometry = geometry(slot);
        let (prefix, size) = (geometry.prefix(), geometry.size());
        let (from, len) = (slot.start(), slot.len());
        assert!(
            len <= size,
            "cannot move {len} bytes into a buffer of {size}"
        );
        // SAFETY: the prefix is the first part of the slot's bytes (M2).
        let start = unsafe { slot.bytes().add(prefix) };
        // SAFETY: `len` bytes from both are the slot's, because `len <= size` (S4), and its owner's alone (S1).
        unsafe { ptr::copy(from, start, len) };
        slot.lay_out(start, len, size - len);
    }

    /// How many bytes of the slot lie before the sample's first byte.
    pub(crate) fn headroom(&self) -> usize {
        let slot = self.slot();
        slot.start().addr() - slot.bytes().addr()
    }

    /// Writes `from` before the sample's first byte.
    pub(crate) fn prepend(&mut self, from: &[u8]) -> Result<(), BufferOverflow> {
        let headroom = self.headroom();
        if from.len() > headroom {
            return Err(BufferOverflow {
                requested: from.len(),
                capacity: headroom,
            });
        }
        let slot = self.slot_mut();
        // SAFETY: `from.len() <= headroom` bytes before the first byte are the slot's (S4).
        let start = unsafe { slot.start().sub(from.len()) };
        // SAFETY: these bytes are the slot's, as above, and its owner's alone (S1), so `from` does not overlap them.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), start, from.len()) };
        slot.lay_out(start, slot.len() + from.len(), slot.spare());
        Ok(())
    }
}

/// Zeroes the spare bytes of an owner, lets `fill` write there, and returns how many bytes `fill` says it has written,
/// which is at most as many as there are.
///
/// # Errors
///
/// The error of `fill`, or `InvalidData` if `fill` returns more than there are spare bytes.
pub(super) fn fill_zeroed(
    spare: &mut [MaybeUninit<u8>],
    fill: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    spare.fill(MaybeUninit::new(0));
    let shown = ptr::from_mut(spare) as *mut [u8];
    // SAFETY: the spare bytes are borrowed mutably from their owner (S1, S3), and all were initialised just now.
    let shown = unsafe { &mut *shown };
    let spare = shown.len();
    let count = fill(shown)?;
    // `fill` is safe code of the user, which may return any number.
    if count > spare {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the reader reported {count} bytes, more than the {spare} spare bytes"),
        ));
    }
    Ok(count)
}

/// A range of a slot's bytes, held by one of its shared handles.
#[derive(Debug)]
pub(crate) struct SharedBytes {
    /// `None` only after the slot was taken out by `take_last` or `try_into_owned`.
    slot: Option<SharedSlot>,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: shared handles only read the bytes (S3).
unsafe impl Send for SharedBytes {}
// SAFETY: as above.
unsafe impl Sync for SharedBytes {}

impl SharedBytes {
    /// Shares the bytes that the slot's owner wrote.
    #[inline]
    pub(crate) fn freeze(slot: OwnedSlot) -> Self {
        // SAFETY: the slot is laid out, at an address that is not null (S4). A check would cost a branch in each
        // `freeze`.
        let start = unsafe { NonNull::new_unchecked(slot.start()) };
        let len = slot.len();
        SharedBytes::of(SharedSlot::share(slot), start, len)
    }

    /// The `len` bytes from `start`, which were written, and which no handle of the slot writes any more (S3, S4).
    #[inline]
    pub(super) fn of(slot: SharedSlot, start: NonNull<u8>, len: usize) -> Self {
        SharedBytes {
            slot: Some(slot),
            start,
            len,
        }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &SharedSlot {
        self.slot
            .as_ref()
            .expect("the slot is taken out only by take_last and try_into_owned")
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the bytes were written before they were shared (S4), and nothing writes them while
        // a shared handle is left (S3).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// Another handle, to the `len` bytes of these that begin at offset `from`.
    ///
    /// # Panics
    ///
    /// If `from + len` is more than the number of these bytes.
    #[inline]
    pub(crate) fn part(&self, from: usize, len: usize) -> SharedBytes {
        let within = from.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(
            within,
            "{len} bytes from offset {from} are out of range for {} bytes",
            self.len
        );
        SharedBytes {
            slot: Some(self.slot().duplicate()),
            // SAFETY: `from <= self.len`, so the start stays within the slot, or one past it (S4).
            start: unsafe { self.start.add(from) },
            len,
        }
    }

    /// Removes the first `count` bytes from this handle.
    ///
    /// # Panics
    ///
    /// If `count` is more than the number of bytes.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        assert!(
            count <= self.len,
            "cannot advance by {count}: only {} bytes are left",
            self.len
        );
        // SAFETY: `count <= len`, so the start stays within the slot, or one past it (S4).
        self.start = unsafe { self.start.add(count) };
        self.len -= count;
    }

    /// Keeps only the first `len` bytes in this handle. Does nothing if it has no more.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Appends the bytes of `next`, if it is of the same slot and begins where these end. `next` is no handle then any
    /// more. Otherwise returns `false` and changes nothing.
    pub(crate) fn try_unsplit(&mut self, next: &mut SharedBytes) -> bool {
        // SAFETY: `len` bytes from `start` lie within the slot (S4).
        let end = unsafe { self.start.add(self.len) };
        // The end of one slot is the start of the next one, so adjacent addresses alone do not make one range (S3).
        if !self.slot().is_same(next.slot()) || end != next.start {
            return false;
        }
        self.len += next.len;
        let last = next.take_last();
        debug_assert!(last.is_none(), "these bytes are a handle of the slot too");
        true
    }

    /// Drops this handle, and returns the slot if it was the last one.
    #[inline]
    pub(crate) fn take_last(&mut self) -> Option<OwnedSlot> {
        self.len = 0;
        self.slot.take()?.last()
    }

    /// The owner of the slot, if this is the only handle. The slot's bytes before these become headroom, and the bytes
    /// after them become spare. If there are other handles, returns `None` and changes nothing.
    pub(crate) fn try_into_owned<R: Release>(
        &mut self,
        geometry: impl FnOnce(&OwnedSlot) -> &Geometry,
    ) -> Option<OwnedBytes<R>> {
        match self.slot.take()?.into_owned() {
            Ok(slot) => Some(OwnedBytes::lay_out(slot, self.start, self.len, geometry)),
            Err(slot) => {
                self.slot = Some(slot);
                None
            }
        }
    }
}
