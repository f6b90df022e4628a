//! The tokens of a slot, which show who owns it, and the token of its one owner.
//!
//! | token        | meaning                                               | becomes                      |
//! |--------------|-------------------------------------------------------|------------------------------|
//! | [`OwnedSlot`] | one owner, which may write (S1)                      | [`SharedSlot`](crate::slot::shared::SharedSlot), or free |
//! | `SharedSlot` | one of `references` readers and parts (S3)            | [`OwnedSlot`] again, by the last of them |
//! | [`SlotList`](crate::slot::list::SlotList) | several owned slots, linked through their headers | owned slots |
//! | [`SlotSet`](crate::slot::set::SlotSet) | several owned slots of one word | free, all in one step, or owned slots |

use crate::{
    slot::{
        block,
        header::{CHARGED, HAS_PROPERTIES, PoolAddress, Slot, WIPE, pool_address_of},
        word::{Put, Word},
    },
    sync::Ordering,
    values::sample_properties::SampleProperties,
};
use std::ptr::NonNull;

/// The one owner of a slot that is checked out.
///
/// It has no `Drop`: the holder returns the slot to the free list with [`put`](OwnedSlot::put), or under the lock.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a slot that is not returned to the pool is lost"]
pub(crate) struct OwnedSlot(pub(super) NonNull<Slot>);

// SAFETY: the holder of the token is the slot's one owner, on any thread (S1).
unsafe impl Send for OwnedSlot {}
// SAFETY: through a shared token the header's atomics may be written, and nothing else: access to the bytes and the
// properties needs the token itself, or a mutable reference to it (S1).
unsafe impl Sync for OwnedSlot {}

impl OwnedSlot {
    /// The token of a slot whose bit was just set to *checked out*.
    ///
    /// # Safety
    ///
    /// The caller set the bit, or was given the slot by its owner, and makes one token of it (S1).
    #[inline]
    pub(crate) unsafe fn assume(slot: NonNull<Slot>) -> Self {
        OwnedSlot(slot)
    }

    /// The slot's address without the token. [`assume`](OwnedSlot::assume) makes a token of it again.
    pub(crate) fn into_address(self) -> NonNull<Slot> {
        self.0
    }

    /// Sets the slot that follows in a slot list.
    pub(crate) fn set_next(&mut self, next: Option<NonNull<Slot>>) {
        let next = next.map_or(std::ptr::null_mut(), NonNull::as_ptr);
        self.slot().start.store(next.cast(), Ordering::Relaxed);
    }

    /// The header.
    #[inline]
    pub(crate) fn slot(&self) -> &Slot {
        // SAFETY: an owned slot keeps its pool, and so its header, alive (S2).
        unsafe { self.0.as_ref() }
    }

    /// The pool that the slot belongs to.
    #[inline]
    pub(crate) fn pool_address(&self) -> PoolAddress {
        // SAFETY: the word is part of the pool, which the slot keeps alive (S2).
        pool_address_of(unsafe { self.word().as_ref() })
    }

    /// The word that the slot has its bit in.
    #[inline]
    pub(crate) fn word(&self) -> NonNull<Word> {
        block::word_of(self.0)
    }

    /// The first byte of the sample: the first one that was written, or the first one to write.
    #[inline]
    pub(crate) fn start(&self) -> *mut u8 {
        let start: *mut u8 = self.slot().start.load(Ordering::Relaxed).cast();
        debug_assert!(
            !start.is_null(),
            "a slot is laid out before its sample is used"
        );
        start
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slot().len()
    }

    #[inline]
    pub(crate) fn spare(&self) -> usize {
        self.slot().spare.load(Ordering::Relaxed)
    }

    /// Sets where the sample's bytes begin, how many were written, and how many more can be written.
    #[inline]
    pub(crate) fn lay_out(&mut self, start: *mut u8, len: usize, spare: usize) {
        self.slot().start.store(start.cast(), Ordering::Relaxed);
        self.set_len(len, spare);
    }

    /// Sets how many bytes were written and how many more can be written.
    #[inline]
    pub(crate) fn set_len(&mut self, len: usize, spare: usize) {
        self.slot().len.store(len, Ordering::Relaxed);
        self.slot().spare.store(spare, Ordering::Relaxed);
    }

    /// Sets how many handles are reported: 1 while the sample is shared, as an owner of `Bytes` is, and 0 otherwise.
    #[inline]
    pub(crate) fn set_references(&mut self, references: usize) {
        self.slot().references.store(references, Ordering::Relaxed);
    }

    /// The first byte of the slot, its prefix included.
    #[inline]
    pub(crate) fn bytes(&self) -> *mut u8 {
        let bytes = self.slot().bytes.load(Ordering::Relaxed);
        debug_assert!(!bytes.is_null(), "a slot is set up before it is taken");
        bytes
    }

    pub(crate) fn index(&self) -> usize {
        self.slot().index()
    }

    #[inline]
    pub(crate) fn bit(&self) -> u32 {
        block::bit_of(self.0)
    }

    /// Whether a release has to reset more than the fields that the next owner sets anyway.
    #[inline]
    pub(crate) fn needs_reset(&self) -> bool {
        self.slot().reset.load(Ordering::Relaxed) != 0
    }

    /// Whether the sample counts against a quota.
    #[inline]
    pub(crate) fn has_account(&self) -> bool {
        self.slot().reset.load(Ordering::Relaxed) & CHARGED != 0
    }

    /// Whether the slot's word now lets several slots be freed in one step.
    #[inline]
    pub(crate) fn may_be_put_with_others(&self) -> bool {
        // SAFETY: the word is part of the pool, which the slot keeps alive (S2).
        unsafe { self.word().as_ref() }.accepts_many()
    }

    /// Whether the pool overwrites released bytes with zeros.
    pub(crate) fn wipes(&self) -> bool {
        self.slot().reset.load(Ordering::Relaxed) & WIPE != 0
    }

    /// Marks the slot as one that was checked out since the commit.
    pub(crate) fn mark_used(&self) {
        self.slot().used.store(true, Ordering::Relaxed);
    }

    /// Increments the generation: the slot is handed to a user, or a user releases it.
    #[inline]
    pub(crate) fn increment_generation(&self) {
        // A load and a store, which cost less than an atomic addition: only the owner writes the generation.
        let generation = &self.slot().generation;
        generation.store(generation.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn properties(&self) -> &SampleProperties {
        self.slot().properties()
    }

    /// The sample's properties, for writing. They are initialised on the first call.
    pub(crate) fn properties_mut(&mut self) -> &mut SampleProperties {
        let slot = self.slot();
        let reset = slot.reset.load(Ordering::Relaxed);
        slot.properties.with_mut(|properties| {
            // SAFETY: `self` is the slot's one owner and borrowed mutably, and the reference lives no
            // longer than that borrow (S1).
            let properties = unsafe { &mut *properties };
            if reset & HAS_PROPERTIES == 0 {
                properties.write(SampleProperties::default());
                slot.reset.store(reset | HAS_PROPERTIES, Ordering::Relaxed);
            }
            // SAFETY: a value was there before, or was written just now.
            unsafe { properties.assume_init_mut() }
        })
    }

    /// Drops the properties, so that the next owner starts without any.
    pub(crate) fn clear_properties(&mut self) {
        self.slot().drop_properties();
    }

    /// Stores the quota account that the sample counts against. The sample has none so far.
    ///
    /// # Safety
    ///
    /// `account` stands for one charge, which [`take_account`](OwnedSlot::take_account) takes back (S5).
    pub(crate) unsafe fn set_account(&mut self, account: NonNull<()>) {
        let slot = self.slot();
        let reset = slot.reset.load(Ordering::Relaxed);
        debug_assert_eq!(reset & CHARGED, 0, "a sample counts against one quota");
        slot.account.store(account.as_ptr(), Ordering::Relaxed);
        slot.reset.store(reset | CHARGED, Ordering::Relaxed);
    }

    /// Takes back what `set_account` stored. A second call returns `None`.
    pub(crate) fn take_account(&mut self) -> Option<NonNull<()>> {
        let slot = self.slot();
        let reset = slot.reset.load(Ordering::Relaxed);
        if reset & CHARGED == 0 {
            return None;
        }
        // The mark is cleared with the reference taken, so that the reference is taken back once (S5).
        slot.reset.store(reset & !CHARGED, Ordering::Relaxed);
        let account = slot.account.load(Ordering::Relaxed);
        slot.account.store(std::ptr::null_mut(), Ordering::Relaxed);
        NonNull::new(account)
    }

    /// Returns the slot to the free list without the lock. On [`Put::NeedsLock`] the caller gets the slot back and must
    /// release it under the lock.
    #[inline]
    pub(crate) fn put(self) -> (Put, Option<OwnedSlot>) {
        // Both are computed before the exchange, after which the slot may have another owner.
        let word = self.word();
        let bit = self.bit();
        // SAFETY: the slot is owned until the exchange inside succeeds, so its pool, which the word
        // is part of, is alive until then; nothing is touched after (S2).
        let put = unsafe { word.as_ref() }.put(bit);
        let kept = matches!(put, Put::NeedsLock).then_some(self);
        (put, kept)
    }
}
