//! The header of a slot, which lies beside the sample's bytes and not inside them, so that the bytes stay aligned and can
//! be handed to a device. It has two cache lines: what a get and a release touch, and the properties.

use crate::{
    memory::mapping::Zeroed,
    slot::word::Word,
    sync::{
        AtomicUsize, Cell, Ordering, Setting, SettingPtr, SettingU8, SettingU32, StatisticBool,
        StatisticU64,
    },
    values::sample_properties::{EMPTY, SampleProperties},
};
use std::{fmt, mem::MaybeUninit, ptr::NonNull};

/// The pool wipes what it gives back.
pub(super) const WIPE: u8 = 1;
/// `properties` holds a value.
pub(super) const DESCRIBED: u8 = 2;
/// `payer` holds a reference.
pub(super) const CHARGED: u8 = 4;

/// The header of a slot. All-zero bytes are a slot that was never used.
#[repr(C, align(128))]
pub(crate) struct Slot {
    // Set up under the pool's lock before the slot can be taken for the first time, then only read.
    pub(super) bytes: SettingPtr<u8>,
    index: SettingU32,
    /// What a release has to do: [`WIPE`], [`DESCRIBED`] and [`CHARGED`]. Written by the owner only.
    pub(super) reset: SettingU8,
    /// Whether the slot was out since the commit, also for a waiter that never took it.
    pub(super) used: StatisticBool,
    /// One more for each time the slot is handed to a user and for each time it is released, so it
    /// is odd while a user has it. Written by the owner only, read by the status.
    pub(super) generation: StatisticU64,
    pub(super) references: AtomicUsize,
    /// Of a user's sample, its first byte; of a slot in a [`SlotList`](crate::slot::list::SlotList), the next one. Written by the owner
    /// only, like the two below.
    pub(super) start: SettingPtr<()>,
    /// How many bytes of the sample were written.
    pub(super) len: Setting,
    /// How many more can be written behind them.
    pub(super) spare: Setting,
    /// Who pays for the sample: an address, which only [`payer`](crate::wait::payer) follows. Written by the owner only;
    /// others compare it.
    pub(super) payer: SettingPtr<()>,
    pub(super) properties: Cell<MaybeUninit<SampleProperties>>,
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
            generation: StatisticU64::new(0),
            references: AtomicUsize::new(0),
            start: SettingPtr::default(),
            len: Setting::new(0),
            spare: Setting::new(0),
            payer: SettingPtr::default(),
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
        self.generation.store(0, Ordering::Relaxed);
        self.references.store(0, Ordering::Relaxed);
    }

    /// How often the slot was handed to a user and released since the commit, together.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Whether the slot was out since the commit.
    pub(crate) fn was_used(&self) -> bool {
        self.generation() > 0 || self.used.load(Ordering::Relaxed)
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
        match self.generation() % 2 {
            1 => self.len(),
            _ => 0,
        }
    }

    /// The next slot of the chain that this one is in.
    pub(crate) fn next(&self) -> Option<NonNull<Slot>> {
        NonNull::new(self.start.load(Ordering::Relaxed).cast())
    }

    /// Who pays for the sample, if anyone does: an address, and what was there may be gone.
    pub(crate) fn payer(&self) -> *const () {
        self.payer.load(Ordering::Relaxed)
    }

    pub(super) fn drop_description(&self) {
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
