//! The tokens that say who owns a slot, and the token of its one owner.
//!
//! | token        | says                                                  | becomes                      |
//! |--------------|-------------------------------------------------------|------------------------------|
//! | [`OwnedSlot`] | one owner, who may write (S1)                        | [`SharedSlot`](crate::slot::shared::SharedSlot), or home |
//! | `SharedSlot` | one of `references` readers (S3)                    | [`OwnedSlot`] again, by the last |
//! | [`SlotList`](crate::slot::list::SlotList) | several owned slots, linked through their headers | owned slots        |

use crate::{
    slot::{
        block,
        header::{CHARGED, DESCRIBED, Owner, Slot, WIPE, owner_of},
        word::{Put, Word},
    },
    sync::Ordering,
    values::sample_properties::SampleProperties,
};
use std::ptr::NonNull;

/// The one owner of a slot that is out.
///
/// It has no `Drop`: it goes home by [`put`](OwnedSlot::put), or under the lock.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a slot that is not put home is lost"]
pub(crate) struct OwnedSlot(pub(super) NonNull<Slot>);

// SAFETY: whoever has the token is the slot's one owner, on any thread (S1).
unsafe impl Send for OwnedSlot {}
// SAFETY: through a shared token the header's atomics may be written, and nothing else: the bytes and the
// properties want the token itself, or a mutable reference to it (S1).
unsafe impl Sync for OwnedSlot {}

impl OwnedSlot {
    /// The token of a slot whose bit was just turned to *out*.
    ///
    /// # Safety
    ///
    /// The caller turned the bit, or was given the slot by its owner, and makes one token of it (S1).
    #[inline]
    pub(crate) unsafe fn assume(slot: NonNull<Slot>) -> Self {
        OwnedSlot(slot)
    }

    /// The slot without its token, to be turned back by [`assume`](OwnedSlot::assume).
    pub(crate) fn into_address(self) -> NonNull<Slot> {
        self.0
    }

    /// Says which slot follows in a chain.
    pub(crate) fn set_next(&mut self, next: Option<NonNull<Slot>>) {
        let next = next.map_or(std::ptr::null_mut(), NonNull::as_ptr);
        self.slot().start.store(next.cast(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn slot(&self) -> &Slot {
        // SAFETY: an owned slot keeps its pool, and so its header, alive (S2).
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn owner(&self) -> Owner {
        // SAFETY: the word is part of the pool, which the slot keeps alive (S2).
        owner_of(unsafe { self.word().as_ref() })
    }

    #[inline]
    pub(crate) fn word(&self) -> NonNull<Word> {
        block::word_of(self.0)
    }

    /// The first byte that was written, or will be.
    #[inline]
    pub(crate) fn start(&self) -> *mut u8 {
        let start: *mut u8 = self.slot().start.load(Ordering::Relaxed).cast();
        debug_assert!(
            !start.is_null(),
            "a slot is laid out before it is a sample's"
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

    /// Says where the sample's bytes begin, how many were written, and how many more can be.
    #[inline]
    pub(crate) fn lay_out(&mut self, start: *mut u8, len: usize, spare: usize) {
        self.slot().start.store(start.cast(), Ordering::Relaxed);
        self.set_len(len, spare);
    }

    #[inline]
    pub(crate) fn set_len(&mut self, len: usize, spare: usize) {
        self.slot().len.store(len, Ordering::Relaxed);
        self.slot().spare.store(spare, Ordering::Relaxed);
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

    /// Whether a release has more to reset than what the next owner lays out anyway.
    #[inline]
    pub(crate) fn needs_reset(&self) -> bool {
        self.slot().reset.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn wipes(&self) -> bool {
        self.slot().reset.load(Ordering::Relaxed) & WIPE != 0
    }

    /// Counts the slot among those that were out since the commit.
    pub(crate) fn mark_used(&self) {
        self.slot().used.store(true, Ordering::Relaxed);
    }

    /// Counts a turn: the slot was handed to a user, or is being released by one.
    #[inline]
    pub(crate) fn turn(&self) {
        let generation = &self.slot().generation;
        generation.store(generation.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn properties(&self) -> &SampleProperties {
        self.slot().description()
    }

    pub(crate) fn properties_mut(&mut self) -> &mut SampleProperties {
        let slot = self.slot();
        let reset = slot.reset.load(Ordering::Relaxed);
        slot.properties.with_mut(|properties| {
            // SAFETY: the slot's one owner, borrowed mutably, is here, and the reference lives no
            // longer than that borrow (S1).
            let properties = unsafe { &mut *properties };
            if reset & DESCRIBED == 0 {
                properties.write(SampleProperties::default());
                slot.reset.store(reset | DESCRIBED, Ordering::Relaxed);
            }
            // SAFETY: a value was there, or was written just now.
            unsafe { properties.assume_init_mut() }
        })
    }

    /// Forgets the properties, so that the next owner starts without.
    pub(crate) fn clear_properties(&mut self) {
        self.slot().drop_description();
    }

    /// Writes down who pays for the sample. Nobody does so far.
    ///
    /// # Safety
    ///
    /// `payer` stands for a reference that [`take_payer`](OwnedSlot::take_payer) takes back (S5).
    pub(crate) unsafe fn set_payer(&mut self, payer: NonNull<()>) {
        let slot = self.slot();
        let reset = slot.reset.load(Ordering::Relaxed);
        debug_assert_eq!(reset & CHARGED, 0, "a sample is charged once");
        slot.payer.store(payer.as_ptr(), Ordering::Relaxed);
        slot.reset.store(reset | CHARGED, Ordering::Relaxed);
    }

    /// What `set_payer` wrote down, once.
    pub(crate) fn take_payer(&mut self) -> Option<NonNull<()>> {
        let slot = self.slot();
        let reset = slot.reset.load(Ordering::Relaxed);
        if reset & CHARGED == 0 {
            return None;
        }
        slot.reset.store(reset & !CHARGED, Ordering::Relaxed);
        let payer = slot.payer.load(Ordering::Relaxed);
        slot.payer.store(std::ptr::null_mut(), Ordering::Relaxed);
        NonNull::new(payer)
    }

    /// Puts the slot home without the lock. It comes back if its word is parked.
    #[inline]
    pub(crate) fn put(self) -> (Put, Option<OwnedSlot>) {
        let word = self.word();
        let bit = self.bit();
        // SAFETY: the slot is owned until the exchange inside succeeds, so its pool, which the word
        // is part of, is alive until then; nothing is touched after (S2).
        let put = unsafe { word.as_ref() }.put(bit);
        let kept = matches!(put, Put::Refused).then_some(self);
        (put, kept)
    }
}
