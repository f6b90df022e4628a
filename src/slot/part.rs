//! Parts: ranges of one slot's bytes, each with an owner of its own that writes it.
//!
//! ```text
//! slot       │ headroom │ written            │ spare               │   one sample, exclusive
//!            ├──────────┼────────┬───────────┼─────────────────────┤
//! parts      │ no owner │ part   │ part      │ part, empty         │   references = 3
//!            ├──────────┼────────┼───────────┼─────────┬───────────┤
//!            │ no owner │ shared │ part      │ shared  │ part      │   after two of them were frozen
//! ```
//!
//! A part is the range `start .. start + len + spare`. It was split off a range that had one owner, and its owner can
//! read and write the first `len` bytes, and write the `spare` bytes behind them. Parts and shared handles count in the
//! same `references` of the header. So the last handle of either kind is the slot's owner again, and resets, counts and
//! releases once.
//!
//! # What the header says meanwhile
//!
//! | field        | while a sample is exclusive or frozen | while it is in parts                                |
//! |--------------|---------------------------------------|-----------------------------------------------------|
//! | `start`      | its first byte                        | null: there is no one range                         |
//! | `len`        | how many bytes were written           | the same, and what was written to each frozen part  |
//! | `spare`      | how many bytes are spare              | the address behind the last byte that `len` counted when the sample became a part |
//! | `properties` | written by the owner                  | only read                                           |
//!
//! A part that is written does not touch the header, because its line is shared with the owners of the other parts. What
//! it wrote is added to `len` when it is frozen. What it wrote and dropped is not counted: it can no longer be read.
//!
//! # Orderings
//!
//! None of its own. Handles are counted by [`SharedSlot`], whose decrements release the writes of a part as they
//! release the reads of a shared handle. `len` is only reported.

use crate::{
    slot::{
        bytes::{Geometry, OwnedBytes, Release, SharedBytes, fill_zeroed},
        owned::OwnedSlot,
        shared::SharedSlot,
    },
    values::error::BufferOverflow,
};
use std::{
    io,
    marker::PhantomData,
    mem::{ManuallyDrop, MaybeUninit},
    ptr::{self, NonNull},
};

/// A range of a slot's bytes, held by its one owner. It is four words: the header cannot have the numbers of each part.
#[derive(Debug)]
pub(crate) struct PartBytes<R: Release> {
    slot: SharedSlot,
    start: NonNull<u8>,
    len: usize,
    spare: usize,
    _release: PhantomData<fn() -> R>,
}

// SAFETY: the part's owner is the only one that reads or writes its range, on any thread (S3).
unsafe impl<R: Release> Send for PartBytes<R> {}
// SAFETY: through a shared reference the bytes are only read (S3).
unsafe impl<R: Release> Sync for PartBytes<R> {}

impl<R: Release> Drop for PartBytes<R> {
    #[inline]
    fn drop(&mut self) {
        // The token in `self` is never used again, so this handle is counted down once (S3).
        if let Some(slot) = self.slot.take_over().last() {
            R::release(slot);
        }
    }
}

impl<R: Release> PartBytes<R> {
    /// The only part of a slot that had one owner: its written and spare bytes, and not its headroom.
    #[inline]
    pub(crate) fn of(mut slot: OwnedSlot) -> Self {
        let (start, len, spare) = (slot.start(), slot.len(), slot.spare());
        let start = NonNull::new(start).expect("a sample is laid out");
        // From here on the header says nothing of a range: see the table above.
        slot.lay_out(ptr::null_mut(), len, start.addr().get() + len);
        PartBytes::new(SharedSlot::share(slot), start, len, spare)
    }

    #[inline]
    fn new(slot: SharedSlot, start: NonNull<u8>, len: usize, spare: usize) -> Self {
        PartBytes {
            slot,
            start,
            len,
            spare,
            _release: PhantomData,
        }
    }

    /// Another part of the same slot. The caller takes its range from this one.
    #[inline]
    fn beside(&self, start: NonNull<u8>, len: usize, spare: usize) -> Self {
        PartBytes::new(self.slot.duplicate(), start, len, spare)
    }

    /// The part's handle of the slot, without dropping it.
    #[inline]
    fn into_slot(self) -> SharedSlot {
        // The token in `self` is never used again, so this is the only one (S3).
        ManuallyDrop::new(self).slot.take_over()
    }

    #[inline]
    pub(crate) fn slot(&self) -> &SharedSlot {
        &self.slot
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn spare(&self) -> usize {
        self.spare
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` bytes from `start` are the slot's and were written (S4); no other handle reaches them, and this
        // one is borrowed, so nothing writes them during the borrow (S3).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above, and this part is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// One past the last byte that was written.
    #[inline]
    fn end(&self) -> NonNull<u8> {
        // SAFETY: `start + len` lies within the slot, or one past it (S4).
        unsafe { self.start.add(self.len) }
    }

    /// The spare bytes after the last one. They can be written but not read.
    #[inline]
    pub(crate) fn spare_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let end: *mut MaybeUninit<u8> = self.end().as_ptr().cast();
        // SAFETY: `spare` bytes after the last one are the slot's (S4) and this part's alone (S3), which is borrowed
        // mutably, and `MaybeUninit` promises nothing about their values.
        unsafe { std::slice::from_raw_parts_mut(end, self.spare) }
    }

    /// Counts `count` spare bytes as written.
    ///
    /// # Safety
    ///
    /// The present owner wrote the first `count` spare bytes (S4).
    #[inline]
    pub(crate) unsafe fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.spare);
        self.len += count;
        self.spare -= count;
    }

    /// Appends as many bytes of `from` as there are spare bytes, and returns how many that were.
    #[inline]
    pub(crate) fn append(&mut self, from: &[u8]) -> usize {
        let count = from.len().min(self.spare);
        // SAFETY: `count` bytes after the last one are the slot's (S4) and this part's alone (S3), so `from` does not
        // overlap them.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), self.end().as_ptr(), count) };
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
        let capacity = self.len + self.spare;
        if len > capacity {
            return Err(BufferOverflow {
                requested: len,
                capacity,
            });
        }
        if let Some(more) = len.checked_sub(self.len) {
            // The bytes that become readable may hold data of an earlier owner.
            self.spare_mut()[..more].fill(MaybeUninit::new(0));
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
        let capacity = self.len + self.spare;
        debug_assert!(len <= capacity);
        self.spare = capacity - len;
        self.len = len;
    }

    /// Splits off the bytes before `at`, and keeps the rest.
    ///
    /// # Panics
    ///
    /// If `at` is more than the number of written bytes: what is spare cannot lie before what was written.
    #[inline]
    pub(crate) fn split_to(&mut self, at: usize) -> Self {
        assert!(
            at <= self.len,
            "cannot split at {at} of {} written bytes",
            self.len
        );
        let first = self.beside(self.start, at, 0);
        // SAFETY: `at <= len`, so this is within the slot, or one past it (S4).
        self.start = unsafe { self.start.add(at) };
        self.len -= at;
        first
    }

    /// Drops the written bytes before `at`, as a dropped [`split_to`](PartBytes::split_to) does, without a second handle.
    ///
    /// # Panics
    ///
    /// If `at` is more than the number of written bytes.
    #[cfg(feature = "stream")]
    #[inline]
    pub(crate) fn drop_front(&mut self, at: usize) {
        assert!(
            at <= self.len,
            "cannot drop {at} of {} written bytes",
            self.len
        );
        // SAFETY: `at <= len`, so this is within the slot, or one past it (S4).
        self.start = unsafe { self.start.add(at) };
        self.len -= at;
    }

    /// Splits off what begins at `at`, written or spare, and keeps the bytes before it.
    ///
    /// # Panics
    ///
    /// If `at` is beyond the end of the part.
    #[inline]
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let capacity = self.len + self.spare;
        assert!(
            at <= capacity,
            "cannot split at {at}: the part has {capacity} bytes, with its spare ones"
        );
        // SAFETY: `at <= len + spare`, so this is within the slot, or one past it (S4).
        let start = unsafe { self.start.add(at) };
        let len = self.len.saturating_sub(at);
        // Of the spare bytes, those before `at` stay here.
        let kept = at.saturating_sub(self.len);
        let rest = self.beside(start, len, self.spare - kept);
        self.len -= len;
        self.spare = kept;
        rest
    }

    /// Appends the range of `next` to this one, if it begins where this one ends and no spare byte would come to lie
    /// between written ones. Otherwise returns `next` unchanged.
    pub(crate) fn try_join(&mut self, next: Self) -> Result<(), Self> {
        // The end of one slot is the start of the next one, so adjacent addresses alone do not make one range (S3).
        let of_one_slot = self.slot.is_same(&next.slot);
        let end = self.start.addr().get() + self.len + self.spare;
        let touch = end == next.start.addr().get();
        // Spare bytes may hold data of an earlier owner, and would become readable (S4).
        let has_gap = self.spare > 0 && next.len > 0;
        if !(of_one_slot && touch) || has_gap {
            return Err(next);
        }
        self.len += next.len;
        self.spare += next.spare;
        let last = next.into_slot().last();
        debug_assert!(last.is_none(), "this part is a handle of the slot too");
        Ok(())
    }

    /// Makes the written bytes shared. The spare ones have no owner until the last handle of the slot is dropped.
    #[inline]
    pub(crate) fn freeze(self) -> SharedBytes {
        let (start, len) = (self.start, self.len);
        self.slot.count_written(start.addr().get(), len);
        SharedBytes::of(self.into_slot(), start, len)
    }

    /// The slot's owner, with this part's bytes, if this is the only handle of the slot, of any kind. The slot's bytes
    /// before these become headroom, and the bytes after them become spare.
    pub(crate) fn try_into_owned(
        self,
        geometry: impl FnOnce(&OwnedSlot) -> &Geometry,
    ) -> Result<OwnedBytes<R>, Self> {
        let (start, len, spare) = (self.start, self.len, self.spare);
        match self.into_slot().into_owned() {
            Ok(slot) => Ok(OwnedBytes::lay_out(slot, start, len, geometry)),
            Err(slot) => Err(PartBytes::new(slot, start, len, spare)),
        }
    }
}
