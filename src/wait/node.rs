//! A waiter's node: the place where it is told its outcome, and its timer.
//!
//! The line owns the nodes, one for each seat, and recycles them, so waiting allocates nothing once the
//! pool has had as many waiters before. A future in line has a [`Ticket`] to its node.
//!
//! After a crowd the line has more nodes than it keeps. It *abandons* the surplus while waiters leave: the node
//! belongs to the ticket from then on, which frees it when it is given back. So no later event is needed to free it.
//!
//! The outcome is stored under the pool's lock and read by the future without it. Its waker lies in the
//! seat, under the lock: whoever tells the outcome takes the waker out in the same hold of the lock, so
//! a wake-up cannot be lost, and cannot reach whoever has the node next.
//!
//! | outcome                | the node's future                | its owner  | left by                              |
//! |------------------------|----------------------------------|------------|--------------------------------------|
//! | [`given_back`]         | none                             | the line   | [`OwnedWaiter::ticket`], under the lock |
//! | null                   | waits, or has its outcome        | the line   | `tell` and `abandon`, under the lock; [`Ticket::give_back`] |
//! | anything else          | has not looked at its outcome    | the line   | [`Ticket::take_outcome`]             |
//! | that, with `ABANDONED` | has not looked at its outcome    | the ticket | [`Ticket::take_outcome`]             |
//! | `ABANDONED` alone      | has its outcome, or needs none   | the ticket | [`Ticket::give_back`], which frees it |

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::{
    slot::{header::Slot, list::SlotList},
    sync::{AtomicPtr, Cell, Ordering, SettingPtr, SettingU32, StatisticU64, Tracked, user_code},
    values::error::GetBufferError,
    wait::clock::Stamp,
};
use std::{
    fmt,
    mem::ManuallyDrop,
    num::NonZeroU32,
    panic::Location,
    pin::Pin,
    ptr::{self, NonNull},
};
use tokio::time::Sleep;

/// A timer that is kept with the node, so that a timed wait allocates it once.
pub(crate) type Timer = Pin<Box<Option<Sleep>>>;

/// See the module's documentation. Neighbours are served by other threads, so no line is shared.
#[repr(align(128))]
struct Waiter {
    /// Null while waiting, [`given_back`] while nobody does, one of the two failures, [`no_slots`], or the
    /// first slot of the chain handed over.
    outcome: AtomicPtr<Slot>,
    /// When its future joined, as the bits of a [`Stamp`], if its wait is measured. Written under the lock and read by
    /// the future without it, which has learnt of a stamp that it must see with its outcome.
    joined: StatisticU64,
    /// Tells it apart from the other nodes of its line; it never changes.
    number: NonZeroU32,
    /// Where its seat is in the line. Written and read under the line's lock only.
    queue_slot: SettingU32,
    timer: Cell<Option<Timer>>,
    _freed_once: Tracked,
    /// The line of the program that made the get, if holders are tracked; null until it was written down.
    location: SettingPtr<Location<'static>>,
}

/// What a waiter is told.
#[derive(Debug)]
pub(crate) enum Outcome {
    Slots(SlotList),
    Failed(GetBufferError),
}

impl Outcome {
    fn into_pointer(self) -> *mut Slot {
        match self {
            Outcome::Slots(slot_list) => slot_list
                .into_first()
                .map_or_else(no_slots, NonNull::as_ptr),
            Outcome::Failed(GetBufferError::Flushing) => flushing(),
            Outcome::Failed(_) => not_committed(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Outcome::Slots(_) => "served",
            Outcome::Failed(_) => "failed",
        }
    }
}

fn not_committed() -> *mut Slot {
    ptr::without_provenance_mut(1)
}

fn flushing() -> *mut Slot {
    ptr::without_provenance_mut(2)
}

fn given_back() -> *mut Slot {
    ptr::without_provenance_mut(3)
}

/// A chain without slots: it waited for something else.
fn no_slots() -> *mut Slot {
    ptr::without_provenance_mut(4)
}

/// Set in an outcome: the node belongs to the ticket. Slots are aligned, so no slot's address has this bit.
const ABANDONED: usize = 8;

const _: () = assert!(align_of::<Slot>() > ABANDONED);

/// The owner of a node; the line has one for each seat, a ticket the one that was abandoned to it.
pub(crate) struct OwnedWaiter(NonNull<Waiter>);

// SAFETY: the shared half is an atomic; the other half has its own rule (W2).
unsafe impl Send for OwnedWaiter {}
// SAFETY: as above.
unsafe impl Sync for OwnedWaiter {}

impl fmt::Debug for OwnedWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedWaiter").finish()
    }
}

impl OwnedWaiter {
    /// A node whose seat is at `seat`.
    pub(crate) fn new(number: NonZeroU32, queue_slot: u32) -> Self {
        let waiter = Box::new(Waiter {
            outcome: AtomicPtr::new(given_back()),
            joined: StatisticU64::new(0),
            number,
            queue_slot: SettingU32::new(queue_slot),
            timer: Cell::new(None),
            _freed_once: Tracked::new(),
            location: SettingPtr::default(),
        });
        OwnedWaiter(NonNull::from(Box::leak(waiter)))
    }

    fn waiter(&self) -> &Waiter {
        // SAFETY: the node goes when its owner does.
        unsafe { self.0.as_ref() }
    }

    /// Tells the node apart from the others of its line.
    pub(crate) fn number(&self) -> NonZeroU32 {
        self.waiter().number
    }

    /// Whether it is the node of `ticket`.
    pub(crate) fn is_of(&self, ticket: &Ticket) -> bool {
        self.0 == ticket.0
    }

    /// Remembers where its seat is now. Called under the lock.
    pub(crate) fn set_queue_slot(&self, queue_slot: u32) {
        self.waiter()
            .queue_slot
            .store(queue_slot, Ordering::Relaxed);
    }

    /// Whether no future has the node. Pairs with the store of [`Ticket::give_back`].
    pub(crate) fn is_given_back(&self) -> bool {
        self.waiter().outcome.load(Ordering::Acquire) == given_back()
    }

    /// The ticket of a future that starts to wait. Called under the lock, for a node that was given back.
    pub(crate) fn ticket(&self, joined: Option<Stamp>) -> Ticket {
        let waiter = self.waiter();
        let joined = Stamp::to_bits(joined);
        waiter.joined.store(joined, Ordering::Relaxed);
        waiter.outcome.store(ptr::null_mut(), Ordering::Relaxed);
        // Of whoever had the node before.
        waiter.location.store(ptr::null_mut(), Ordering::Relaxed);
        Ticket(self.0)
    }

    /// Whether the future was handed slots and has not looked yet. It may look at this moment.
    pub(crate) fn has_slots(&self) -> bool {
        let told = self.waiter().outcome.load(Ordering::Relaxed);
        !told.is_null()
            && [not_committed(), flushing(), given_back(), no_slots()]
                .iter()
                .all(|&other| told != other)
    }

    /// The line of the program that made the get.
    pub(crate) fn location(&self) -> Option<&'static Location<'static>> {
        let location = NonNull::new(self.waiter().location.load(Ordering::Acquire))?;
        // SAFETY: only `set_location` stores here, and it stores a reference that lives for ever.
        Some(unsafe { location.as_ref() })
    }

    /// When the future joined, if its wait is measured. Called under the lock.
    pub(crate) fn joined(&self) -> Option<Stamp> {
        Stamp::from_bits(self.waiter().joined.load(Ordering::Relaxed))
    }

    /// Takes a future that joined without a time for having joined at `now`. Called under the lock.
    pub(crate) fn joined_no_later_than(&self, now: Stamp) {
        let joined = Stamp::to_bits(Some(self.joined().unwrap_or(now)));
        self.waiter().joined.store(joined, Ordering::Relaxed);
    }

    /// Tells the future what came of its wait. Called under the lock, once for each ticket.
    pub(crate) fn tell(&self, outcome: Outcome) {
        let told = outcome.into_pointer();
        self.waiter().outcome.store(told, Ordering::Release);
    }

    /// The same, and the node belongs to the ticket from now on. In one store: as soon as the future sees its
    /// outcome it gives the node back, and has to know by then who frees it.
    pub(crate) fn tell_and_abandon(self, outcome: Outcome) {
        let told = outcome.into_pointer().map_addr(|told| told | ABANDONED);
        let node = ManuallyDrop::new(self);
        node.waiter().outcome.store(told, Ordering::Release);
    }

    /// The node belongs to the ticket from now on. Called under the lock, by the future that has the ticket: it
    /// leaves without an outcome.
    pub(crate) fn abandon(self) {
        let node = ManuallyDrop::new(self);
        let abandoned = ptr::without_provenance_mut(ABANDONED);
        node.waiter().outcome.store(abandoned, Ordering::Relaxed);
    }
}

impl Drop for OwnedWaiter {
    fn drop(&mut self) {
        // SAFETY: the node came from a `Box`, and is dropped once: with its line, or by the ticket that it was
        // abandoned to. No future holds a ticket that it will use again (W1).
        let node = unsafe { Box::from_raw(self.0.as_ptr()) };
        // The timer of a future that was forgotten has a waker, which is foreign.
        user_code::quietly(|| drop(node));
    }
}

/// Stops a timer, which stays with its node. It has a waker, which is foreign, and one that panics when
/// it is dropped must not take the node with it.
#[cold]
fn stop(timer: &mut Timer) {
    user_code::quietly(|| timer.set(None));
}

/// The right of one future to wait at a node.
pub(crate) struct Ticket(NonNull<Waiter>);

// SAFETY: the timer is reached through `&mut Ticket` only, from whatever thread (W2).
unsafe impl Send for Ticket {}
// SAFETY: through a shared ticket nothing but the number and the seat is read.
unsafe impl Sync for Ticket {}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.number()).finish()
    }
}

impl Ticket {
    fn waiter(&self) -> &Waiter {
        // SAFETY: a node lives as long as its line, which the future keeps alive, or until this ticket is given
        // back (W1).
        unsafe { self.0.as_ref() }
    }

    /// Tells the node apart from the others of its line.
    pub(crate) fn number(&self) -> NonZeroU32 {
        self.waiter().number
    }

    /// Where its seat is, or was when it had one. Called under the lock.
    pub(crate) fn queue_slot(&self) -> u32 {
        self.waiter().queue_slot.load(Ordering::Relaxed)
    }

    /// Writes down which line of the program made the get.
    pub(crate) fn set_location(&self, location: &'static Location<'static>) {
        let location = ptr::from_ref(location).cast_mut();
        self.waiter().location.store(location, Ordering::Release);
    }

    /// When the future joined, if its wait is measured.
    #[inline]
    pub(crate) fn joined(&self) -> Option<Stamp> {
        Stamp::from_bits(self.waiter().joined.load(Ordering::Relaxed))
    }

    /// What the future was told, once.
    pub(crate) fn take_outcome(&mut self) -> Option<Outcome> {
        let told = self.waiter().outcome.load(Ordering::Acquire);
        // Without an outcome, and with the same owner.
        let emptied = ptr::without_provenance_mut(told.addr() & ABANDONED);
        let told = told.map_addr(|told| told & !ABANDONED);
        if told.is_null() {
            return None;
        }
        self.waiter().outcome.store(emptied, Ordering::Relaxed);
        Some(if told == not_committed() {
            Outcome::Failed(GetBufferError::NotCommitted)
        } else if told == flushing() {
            Outcome::Failed(GetBufferError::Flushing)
        } else if told == no_slots() {
            Outcome::Slots(SlotList::default())
        } else {
            let first = NonNull::new(told)?;
            // SAFETY: neither null, a failure nor empty, so it is a chain that `tell` stored, and
            // the outcome was emptied above (W3).
            Outcome::Slots(unsafe { SlotList::from_first(first) })
        })
    }

    /// The timer kept with the node.
    pub(crate) fn timer(&mut self) -> &mut Option<Timer> {
        // SAFETY: this is the one ticket, borrowed mutably for as long as the timer is (W2).
        self.waiter().timer.with_mut(|timer| unsafe { &mut *timer })
    }

    /// Gives the node back, or frees it if it was abandoned. It must not be in line any more, and its outcome
    /// was taken.
    #[inline]
    pub(crate) fn give_back(mut self) {
        if let Some(timer) = self.timer() {
            stop(timer);
        }
        // This future stored it, or saw it when it took its outcome.
        if self.waiter().outcome.load(Ordering::Relaxed).addr() == ABANDONED {
            return drop(OwnedWaiter(self.0));
        }
        // Pairs with `is_given_back`: whoever gets the node next finds it empty.
        self.waiter().outcome.store(given_back(), Ordering::Release);
    }
}
