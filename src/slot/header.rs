//! The header of a slot.
//!
//! A header lies beside the sample's bytes and not inside them, so that the bytes stay aligned and can be passed to a
//! device. It has two cache lines: the fields that a get and a release touch, and the properties.
//!
//! All accesses here are `Relaxed`. Only the owner of a slot writes its header (but for `len`, to which parts add, and
//! which is only reported), and ownership is passed on with an ordering: by the word (see `word.rs`), by the count of shared handles (see `shared.rs`), or under the pool's lock.
//! The status reads some fields of slots that it does not own; those are statistics, and may be out of date.

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

/// Flag of `reset`: the pool overwrites the bytes of a released sample with zeros.
pub(super) const WIPE: u8 = 1;
/// Flag of `reset`: `properties` holds a value.
pub(super) const HAS_PROPERTIES: u8 = 2;
/// Flag of `reset`: the sample counts against a quota, and `account` holds a reference to the quota account.
pub(super) const CHARGED: u8 = 4;

/// The header of a slot. All-zero bytes are the header of a slot that was never used.
#[repr(C, align(128))]
pub(crate) struct Slot {
    // `bytes` and `index` are set up under the pool's lock before the slot can be taken for the first time since the
    // commit. After that they are only read.
    pub(super) bytes: SettingPtr<u8>,
    index: SettingU32,
    /// What a release has to reset: [`WIPE`], [`HAS_PROPERTIES`] and [`CHARGED`]. Written by the owner only.
    pub(super) reset: SettingU8,
    /// Whether the slot was checked out since the commit, also for a waiter that never took it.
    pub(super) used: StatisticBool,
    /// Grows by one each time that the slot is handed to a user and each time that a user releases it. So it is odd
    /// while a user has the slot. Written by the owner only, and read by the pool's status.
    pub(super) generation: StatisticU64,
    /// How many shared handles and parts there are: 0 while the slot is not shared.
    pub(super) references: AtomicUsize,
    /// In a user's sample, the address of its first byte, or null if it is in parts. In a slot of a
    /// [`SlotList`](crate::slot::list::SlotList), the address of the next slot. Written by the owner only, like the two
    /// fields below, but for a sample in parts: see `part.rs`.
    pub(super) start: SettingPtr<()>,
    /// How many bytes of the sample were written.
    pub(super) len: Setting,
    /// How many more bytes can be written after them. If the sample is in parts, an address: see the table in `part.rs`.
    pub(super) spare: Setting,
    /// The quota account that the sample counts against: an address, which only [`charge`](crate::wait::charge)
    /// dereferences. Written by the owner only; others only compare it.
    pub(super) account: SettingPtr<()>,
    /// Initialised only while `reset` has [`HAS_PROPERTIES`].
    pub(super) properties: Cell<MaybeUninit<SampleProperties>>,
}

#[cfg(not(all(test, loom)))]
const _: () = assert!(size_of::<Slot>() == 128);

// SAFETY: zero bytes are null pointers, zero numbers, `false` and an uninitialised property block in
// these fields; what `properties` may own is dropped at each release (S1).
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
            account: SettingPtr::default(),
            properties: Cell::new(MaybeUninit::uninit()),
        }
    }
}

// SAFETY: the fields are atomics, except `properties`, which only the slot's owner writes and only
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

/// The pool that a slot belongs to: an address, dereferenced only while the slot or a callback reference is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolAddress(pub(crate) *mut ());

// SAFETY: an address; what it points to is shared between threads anyway.
unsafe impl Send for PoolAddress {}
// SAFETY: as above.
unsafe impl Sync for PoolAddress {}

/// The pool that a word belongs to. One of the word's slots was taken, so the word was set up.
#[inline]
pub(crate) fn pool_address_of(word: &Word) -> PoolAddress {
    let pool = word.pool_address();
    debug_assert!(
        !pool.is_null(),
        "a word is set up before a slot is taken from it"
    );
    PoolAddress(pool)
}

/// The values that a slot gets when its word is used for the first time since the commit.
#[derive(Debug)]
pub(crate) struct SetUp {
    /// The first byte of the slot, its prefix included.
    pub(crate) bytes: NonNull<u8>,
    /// The slot's number in the pool.
    pub(crate) index: usize,
    /// Whether released bytes are overwritten with zeros.
    pub(crate) wipe: bool,
}

impl Slot {
    pub(super) fn index(&self) -> usize {
        self.index.load(Ordering::Relaxed) as usize
    }

    /// Sets the slot up. Called under the pool's lock, before the slot can be taken.
    // `Relaxed` throughout: `Word::open` publishes these values, or the lock does.
    pub(crate) fn set_up(&self, with: &SetUp) {
        let index = u32::try_from(with.index).expect("a slot index fits in u32");
        self.bytes.store(with.bytes.as_ptr(), Ordering::Relaxed);
        self.index.store(index, Ordering::Relaxed);
        self.reset
            .store(if with.wipe { WIPE } else { 0 }, Ordering::Relaxed);
        self.used.store(false, Ordering::Relaxed);
        self.generation.store(0, Ordering::Relaxed);
        self.references.store(0, Ordering::Relaxed);
    }

    /// How often the slot was handed to a user and how often a user released it since the commit, added together.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Whether the slot was checked out since the commit.
    pub(crate) fn was_used(&self) -> bool {
        self.generation() > 0 || self.used.load(Ordering::Relaxed)
    }

    /// How many shared handles and parts there are: 0 while the slot is not shared.
    pub(crate) fn references(&self) -> usize {
        self.references.load(Ordering::Relaxed)
    }

    /// How many bytes of the sample were written. Once the sample is shared it does not change, unless it is in parts:
    /// then it grows by what each part wrote when it is frozen.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// How many bytes a user's sample has; 0 while no user has the slot, because `len` is still that of the last user
    /// then.
    pub(crate) fn written(&self) -> usize {
        match self.generation() % 2 {
            1 => self.len(),
            _ => 0,
        }
    }

    /// The next slot of the slot list that this one is in.
    pub(crate) fn next(&self) -> Option<NonNull<Slot>> {
        NonNull::new(self.start.load(Ordering::Relaxed).cast())
    }

    /// The address of the quota account that the sample counts against, or null. The account may be freed already.
    pub(crate) fn account(&self) -> *const () {
        self.account.load(Ordering::Relaxed)
    }

    /// Drops the properties, if there are any. The caller owns the slot.
    pub(super) fn drop_properties(&self) {
        let reset = self.reset.load(Ordering::Relaxed);
        if reset & HAS_PROPERTIES != 0 {
            // Cleared before the drop: a drop that panics must not be followed by a second one.
            self.reset.store(reset & !HAS_PROPERTIES, Ordering::Relaxed);
            self.properties.with_mut(|properties| {
                // SAFETY: the caller owns the slot, so nothing else refers to its properties (S1).
                let properties = unsafe { &mut *properties };
                // SAFETY: `HAS_PROPERTIES` was set, so a value is there, and it is dropped once.
                unsafe { properties.assume_init_drop() };
            });
        }
    }

    /// The sample's properties; the empty ones if none were set. The caller owns the slot or shares it.
    pub(super) fn properties(&self) -> &SampleProperties {
        if self.reset.load(Ordering::Relaxed) & HAS_PROPERTIES == 0 {
            return &EMPTY;
        }
        self.properties.with(|properties| {
            // SAFETY: the caller owns the slot or shares it, so nothing writes the properties, and the
            // reference lives no longer than that handle does (S1, S3).
            let properties = unsafe { &*properties };
            // SAFETY: `HAS_PROPERTIES` is set, so a value is there.
            unsafe { properties.assume_init_ref() }
        })
    }
}
