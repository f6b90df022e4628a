//! One slot: its header, and the tokens that say who owns it.
//!
//! The header lies beside the sample's bytes, not inside them, so the bytes stay aligned and can be
//! handed to a device. It has two cache lines: what a get and a release touch, and the properties.
//!
//! | token        | says                                                  | becomes                      |
//! |--------------|-------------------------------------------------------|------------------------------|
//! | [`OwnedSlot`] | one owner, who may write (S1)                        | [`SharedSlot`], or home      |
//! | [`SharedSlot`] | one of `references` readers (S3)                    | [`OwnedSlot`] again, by the last |
//! | [`Chain`](super::chain::Chain) | several owned slots, linked through their headers | owned slots        |

use crate::{
    quota::Account,
    raw::{block, mapping::Zeroed, shared_slot::SharedSlot},
    sample_properties::{EMPTY, SampleProperties},
    sync::{
        AtomicUsize, Cell, Ordering, Setting, SettingPtr, SettingU8, SettingU32, StatisticBool,
        StatisticU64,
    },
    word::{Put, Word},
};
use std::{fmt, mem::MaybeUninit, ptr::NonNull, sync::Arc};

/// The pool wipes what it gives back.
const WIPE: u8 = 1;
/// `properties` holds a value.
const DESCRIBED: u8 = 2;
/// `account` holds a reference.
const CHARGED: u8 = 4;

/// The header of a slot. All-zero bytes are a slot that was never used.
#[repr(C, align(128))]
pub(crate) struct Slot {
    // Set up under the pool's lock before the slot can be taken for the first time, then only read.
    bytes: SettingPtr<u8>,
    index: SettingU32,
    /// What a release has to do: [`WIPE`], [`DESCRIBED`] and [`CHARGED`]. Written by the owner only.
    reset: SettingU8,
    /// Whether the slot was out since the commit, also for a waiter that never took it.
    used: StatisticBool,
    /// One more for each time the slot is handed to a user and for each time it is released, so it
    /// is odd while a user has it. Written by the owner only, read by the status.
    turns: StatisticU64,
    pub(super) references: AtomicUsize,
    /// Of a user's sample, its first byte; of a slot in a [`Chain`](super::chain::Chain), the next one. Written by the owner
    /// only, like the two below.
    start: SettingPtr<()>,
    /// How many bytes of the sample were written.
    len: Setting,
    /// How many more can be written behind them.
    spare: Setting,
    /// Which quota's account the sample is charged to, as `Arc::into_raw` gave it. Written by the owner
    /// only; others compare the address, and do not follow it.
    account: SettingPtr<Account>,
    properties: Cell<MaybeUninit<SampleProperties>>,
}

#[cfg(not(all(test, loom)))]
const _: () = assert!(size_of::<Slot>() == 128);

// SAFETY: null pointers, zero numbers, `false` and an uninitialised property block are what zero
// bytes make of these fields; what `properties` may own is dropped at each release (S1).
unsafe impl Zeroed for Slot {
    #[cfg(all(test, loom))]
    fn zero() -> Self {
        Slot {
            bytes: SettingPtr::default(),
            index: SettingU32::new(0),
            reset: SettingU8::new(0),
            used: StatisticBool::new(false),
            turns: StatisticU64::new(0),
            references: AtomicUsize::new(0),
            start: SettingPtr::default(),
            len: Setting::new(0),
            spare: Setting::new(0),
            account: SettingPtr::default(),
            properties: Cell::new(MaybeUninit::uninit()),
        }
    }
}

// SAFETY: the fields are atomics, but for `properties`, which only the slot's owner writes and only
// its shared handles read (S1, S3).
unsafe impl Sync for Slot {}
// SAFETY: as above; nothing in a slot is bound to a thread.
unsafe impl Send for Slot {}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("index", &self.index.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// The pool that a slot belongs to: an address, followed only while the slot or a claim is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner(pub(crate) *mut ());

// SAFETY: an address; what it points to is shared between threads anyway.
unsafe impl Send for Owner {}
// SAFETY: as above.
unsafe impl Sync for Owner {}

/// The pool that a word belongs to, one of whose slots was taken.
#[inline]
pub(crate) fn owner_of(word: &Word) -> Owner {
    let owner = word.owner();
    debug_assert!(!owner.is_null(), "a word is set up before it is taken from");
    Owner(owner)
}

/// What a slot is told when its word is opened for the first time since the commit.
#[derive(Debug)]
pub(crate) struct SetUp {
    pub(crate) bytes: NonNull<u8>,
    pub(crate) index: usize,
    pub(crate) wipe: bool,
}

impl Slot {
    pub(super) fn index(&self) -> usize {
        self.index.load(Ordering::Relaxed) as usize
    }

    /// Sets the slot up. Called under the pool's lock, before the slot can be taken.
    pub(crate) fn set_up(&self, with: &SetUp) {
        let index = u32::try_from(with.index).expect("at most u32::MAX slots");
        self.bytes.store(with.bytes.as_ptr(), Ordering::Relaxed);
        self.index.store(index, Ordering::Relaxed);
        self.reset
            .store(if with.wipe { WIPE } else { 0 }, Ordering::Relaxed);
        self.used.store(false, Ordering::Relaxed);
        self.turns.store(0, Ordering::Relaxed);
        self.references.store(0, Ordering::Relaxed);
    }

    /// How often the slot was handed to a user and released since the commit, together.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Whether the slot was out since the commit.
    pub(crate) fn was_used(&self) -> bool {
        self.turns() > 0 || self.used.load(Ordering::Relaxed)
    }

    /// How many shared handles there are: 0 while the slot is not shared.
    pub(crate) fn references(&self) -> usize {
        self.references.load(Ordering::Relaxed)
    }

    /// How many bytes of the sample were written. It stands still once the sample is shared.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// How many bytes stand in the sample that a user has; none if no user has it, whose length is that
    /// of the last one.
    pub(crate) fn written(&self) -> usize {
        match self.turns() % 2 {
            1 => self.len(),
            _ => 0,
        }
    }

    /// The next slot of the chain that this one is in.
    pub(crate) fn next(&self) -> Option<NonNull<Slot>> {
        NonNull::new(self.start.load(Ordering::Relaxed).cast())
    }

    /// Which account the sample is charged to, if any: an address, which may be that of one that is gone.
    pub(crate) fn charged_to(&self) -> *const Account {
        self.account.load(Ordering::Relaxed)
    }

    fn drop_description(&self) {
        let reset = self.reset.load(Ordering::Relaxed);
        if reset & DESCRIBED != 0 {
            self.reset.store(reset & !DESCRIBED, Ordering::Relaxed);
            self.properties.with_mut(|properties| {
                // SAFETY: the caller owns the slot, so nobody else refers to its properties (S1).
                let properties = unsafe { &mut *properties };
                // SAFETY: the mark said that a value is there, and it is dropped once.
                unsafe { properties.assume_init_drop() };
            });
        }
    }

    pub(super) fn description(&self) -> &SampleProperties {
        if self.reset.load(Ordering::Relaxed) & DESCRIBED == 0 {
            return &EMPTY;
        }
        self.properties.with(|properties| {
            // SAFETY: the caller owns the slot or shares it, so nobody writes the properties, and the
            // reference lives no longer than that handle does (S1, S3).
            let properties = unsafe { &*properties };
            // SAFETY: the mark said that a value is there.
            unsafe { properties.assume_init_ref() }
        })
    }
}

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
        let turns = &self.slot().turns;
        turns.store(turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
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

    /// Charges the sample, which is not charged, to `account`.
    pub(crate) fn charge_to(&mut self, account: Arc<Account>) {
        let slot = self.slot();
        let reset = slot.reset.load(Ordering::Relaxed);
        debug_assert_eq!(reset & CHARGED, 0, "a sample is charged once");
        slot.account
            .store(Arc::into_raw(account).cast_mut(), Ordering::Relaxed);
        slot.reset.store(reset | CHARGED, Ordering::Relaxed);
    }

    /// The account that the sample was charged to, once.
    pub(crate) fn take_account(&mut self) -> Option<Arc<Account>> {
        let slot = self.slot();
        let reset = slot.reset.load(Ordering::Relaxed);
        if reset & CHARGED == 0 {
            return None;
        }
        slot.reset.store(reset & !CHARGED, Ordering::Relaxed);
        let account = slot.account.load(Ordering::Relaxed).cast_const();
        slot.account.store(std::ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the mark said that `charge_to` left a reference there, and it is taken once (S5).
        Some(unsafe { Arc::from_raw(account) })
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

    /// The first of the shared handles.
    #[inline]
    pub(crate) fn share(self) -> SharedSlot {
        let slot = self.slot();
        slot.references.store(1, Ordering::Relaxed);
        SharedSlot::first(self.0)
    }
}
