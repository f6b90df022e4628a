//! A waiter's node: where its outcome is stored, and its timer.
//!
//! The wait queue owns the nodes, one for each queue slot, and recycles them. So waiting allocates nothing once the
//! queue has had as many waiters at a time before. A future that is queued has a [`NodeRef`] to its node.
//!
//! If the queue has more nodes than it keeps, it *abandons* the surplus as waiters leave: the node belongs to its future
//! from then on, which frees it when it gives it back. So no later event is needed to free it.
//!
//! The outcome is stored under the lock of the queue, and the future reads it without the lock. The waker is in the
//! queue slot, under the lock. Storing the outcome and taking out the waker happen in the same hold of the lock. So a
//! wake-up cannot be lost, and cannot wake a later future that uses the node.
//!
//! | outcome                 | the node's future               | its owner  | left by                                                |
//! |-------------------------|---------------------------------|------------|--------------------------------------------------------|
//! | [`given_back`]          | none                            | the queue  | [`OwnedNode::node_ref`], under the lock                |
//! | null                    | waits, or has taken its outcome | the queue  | `set_outcome` and `abandon`, under the lock; [`NodeRef::give_back`] |
//! | any other               | has not taken its outcome       | the queue  | [`NodeRef::take_outcome`]                              |
//! | any other + `ABANDONED` | has not taken its outcome       | the future | [`NodeRef::take_outcome`]                              |
//! | `ABANDONED` alone       | has taken it, or needs none     | the future | [`NodeRef::give_back`], which frees the node           |
//!
//! # Invariants
//!
//! **W1**, **W2** and **W3**, in [`slot`](crate::slot), with their tests.
//!
//! # Orderings
//!
//! | access                                   | ordering  | pairs with                            | carries                                          |
//! |------------------------------------------|-----------|---------------------------------------|--------------------------------------------------|
//! | `outcome`: `set_outcome`, `set_outcome_and_abandon` | `Release` | `take_outcome`                        | the slots, their links and bytes; the join stamp |
//! | `outcome`: `take_outcome`                | `Acquire` | `set_outcome`, `set_outcome_and_abandon`            | the same                                         |
//! | `outcome`: `give_back`                   | `Release` | `is_given_back`                       | the empty outcome and the stopped timer          |
//! | `outcome`: `is_given_back`               | `Acquire` | `give_back`                           | the same                                         |
//! | `location`: `set_location`               | `Release` | `location`                            | the source line, which is `'static`              |
//! | `location`: `location`                   | `Acquire` | `set_location`                        | the same                                         |
//! | all others                               | `Relaxed` | the lock, or the same future          | nothing                                          |

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

/// See the module's documentation. Other threads serve its neighbours, so no two nodes share a cache line.
#[repr(align(128))]
struct Node {
    /// Null while the future waits, [`given_back`] while no future uses the node, one of the two errors, [`no_slots`],
    /// or the first slot of the list that was handed off.
    outcome: AtomicPtr<Slot>,
    /// When its future joined, as the bits of a [`Stamp`], if its wait is measured. Written under the lock, and read by
    /// the future without it: the acquire of the outcome makes a stamp visible that was written before.
    joined: StatisticU64,
    /// The number of the node in its queue. It never changes.
    number: NonZeroU32,
    /// The index of its queue slot. Written and read only under the lock of the queue.
    queue_slot: SettingU32,
    timer: Cell<Option<Timer>>,
    _freed_once: Tracked,
    /// The source line that made the get, if holders are tracked. Null until it is recorded.
    location: SettingPtr<Location<'static>>,
}

/// The result of a wait.
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

/// A list without slots: the get waited for room in a quota.
fn no_slots() -> *mut Slot {
    ptr::without_provenance_mut(4)
}

/// Bit of an outcome: the node belongs to its future. Slots are aligned, so no slot's address has this bit.
const ABANDONED: usize = 8;

const _: () = assert!(align_of::<Slot>() > ABANDONED);

/// The owner of a node. The queue has one for each queue slot. A node that was abandoned is owned by its future.
pub(crate) struct OwnedNode(NonNull<Node>);

// SAFETY: the shared fields are atomics or never change. Only the future that has the `NodeRef` touches the timer (W2).
unsafe impl Send for OwnedNode {}
// SAFETY: as above.
unsafe impl Sync for OwnedNode {}

impl fmt::Debug for OwnedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedNode").finish()
    }
}

impl OwnedNode {
    /// A node whose queue slot is `queue_slot`.
    pub(crate) fn new(number: NonZeroU32, queue_slot: u32) -> Self {
        let node = Box::new(Node {
            outcome: AtomicPtr::new(given_back()),
            joined: StatisticU64::new(0),
            number,
            queue_slot: SettingU32::new(queue_slot),
            timer: Cell::new(None),
            _freed_once: Tracked::new(),
            location: SettingPtr::default(),
        });
        OwnedNode(NonNull::from(Box::leak(node)))
    }

    fn node(&self) -> &Node {
        // SAFETY: the node is freed when its owner is dropped, and `self` is its owner (W1).
        unsafe { self.0.as_ref() }
    }

    /// The number of the node in its queue.
    pub(crate) fn number(&self) -> NonZeroU32 {
        self.node().number
    }

    /// Whether it is the node of `node_ref`.
    pub(crate) fn is_of(&self, node_ref: &NodeRef) -> bool {
        self.0 == node_ref.0
    }

    /// Stores the index of its queue slot, which has moved. Called under the lock.
    pub(crate) fn set_queue_slot(&self, queue_slot: u32) {
        self.node().queue_slot.store(queue_slot, Ordering::Relaxed);
    }

    /// Whether no future uses the node. Pairs with the store in [`NodeRef::give_back`].
    pub(crate) fn is_given_back(&self) -> bool {
        self.node().outcome.load(Ordering::Acquire) == given_back()
    }

    /// The reference for a future that starts to wait. Called under the lock, for a node that was given back.
    pub(crate) fn node_ref(&self, joined: Option<Stamp>) -> NodeRef {
        let node = self.node();
        let joined = Stamp::to_bits(joined);
        node.joined.store(joined, Ordering::Relaxed);
        node.outcome.store(ptr::null_mut(), Ordering::Relaxed);
        // Still that of the previous future.
        node.location.store(ptr::null_mut(), Ordering::Relaxed);
        NodeRef(self.0)
    }

    /// Whether the future was handed slots and has not taken them yet. It may take them at the same time.
    pub(crate) fn has_slots(&self) -> bool {
        let outcome = self.node().outcome.load(Ordering::Relaxed);
        !outcome.is_null()
            && [not_committed(), flushing(), given_back(), no_slots()]
                .iter()
                .all(|&other| outcome != other)
    }

    /// The source line that made the get.
    pub(crate) fn location(&self) -> Option<&'static Location<'static>> {
        let location = NonNull::new(self.node().location.load(Ordering::Acquire))?;
        // SAFETY: a pointer that is not null was stored by `set_location`, from a `'static` reference.
        Some(unsafe { location.as_ref() })
    }

    /// When the future joined, if its wait is measured. Called under the lock.
    pub(crate) fn joined(&self) -> Option<Stamp> {
        Stamp::from_bits(self.node().joined.load(Ordering::Relaxed))
    }

    /// Records `now` as the join time of a future that has none. Called under the lock.
    pub(crate) fn joined_no_later_than(&self, now: Stamp) {
        let joined = Stamp::to_bits(Some(self.joined().unwrap_or(now)));
        self.node().joined.store(joined, Ordering::Relaxed);
    }

    /// Stores the outcome of the future's wait. Called under the lock, once for each [`NodeRef`].
    pub(crate) fn set_outcome(&self, outcome: Outcome) {
        let address = outcome.into_pointer();
        self.node().outcome.store(address, Ordering::Release);
    }

    /// As [`set_outcome`](Self::set_outcome), and the node belongs to its future from now on.
    pub(crate) fn set_outcome_and_abandon(self, outcome: Outcome) {
        // One store for both: as soon as the future sees its outcome, it gives the node back, and it must know by then
        // that it owns the node.
        let address = outcome
            .into_pointer()
            .map_addr(|address| address | ABANDONED);
        let this = ManuallyDrop::new(self);
        this.node().outcome.store(address, Ordering::Release);
    }

    /// The node belongs to its future from now on. Called under the lock, by that future, which leaves without an
    /// outcome.
    pub(crate) fn abandon(self) {
        let this = ManuallyDrop::new(self);
        let abandoned = ptr::without_provenance_mut(ABANDONED);
        this.node().outcome.store(abandoned, Ordering::Relaxed);
    }
}

impl Drop for OwnedNode {
    fn drop(&mut self) {
        // SAFETY: the node was made by `Box::leak`, and is dropped once: with its queue, or by the future to which it
        // was abandoned. No `NodeRef` to it is used again (W1).
        let node = unsafe { Box::from_raw(self.0.as_ptr()) };
        // The timer of a future that was forgotten has a waker, which is user code: its drop may panic.
        user_code::quietly(|| drop(node));
    }
}

/// Stops a timer, whose allocation stays with its node. The timer has a waker, which is user code: if its drop panics,
/// the node must still be given back.
#[cold]
fn stop(timer: &mut Timer) {
    user_code::quietly(|| timer.set(None));
}

/// The reference of a future to its node. A node has one at a time, and only its future may use it.
pub(crate) struct NodeRef(NonNull<Node>);

// SAFETY: the timer is reached through `&mut NodeRef` only, by one thread at a time (W2).
unsafe impl Send for NodeRef {}
// SAFETY: a shared reference to it reaches only the number, which never changes, and atomics.
unsafe impl Sync for NodeRef {}

impl fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NodeRef").field(&self.number()).finish()
    }
}

impl NodeRef {
    fn node(&self) -> &Node {
        // SAFETY: a node lives as long as its queue, which the future keeps alive, or until the future gives it back
        // (W1).
        unsafe { self.0.as_ref() }
    }

    /// The number of the node in its queue.
    pub(crate) fn number(&self) -> NonZeroU32 {
        self.node().number
    }

    /// The index of its queue slot, or the last one if that was removed. Called under the lock.
    pub(crate) fn queue_slot(&self) -> u32 {
        self.node().queue_slot.load(Ordering::Relaxed)
    }

    /// Records the source line that made the get.
    pub(crate) fn set_location(&self, location: &'static Location<'static>) {
        let location = ptr::from_ref(location).cast_mut();
        self.node().location.store(location, Ordering::Release);
    }

    /// When the future joined, if its wait is measured.
    #[inline]
    pub(crate) fn joined(&self) -> Option<Stamp> {
        Stamp::from_bits(self.node().joined.load(Ordering::Relaxed))
    }

    /// Takes the outcome, if there is one. `Some` once for each [`NodeRef`].
    pub(crate) fn take_outcome(&mut self) -> Option<Outcome> {
        let found = self.node().outcome.load(Ordering::Acquire);
        // The outcome is removed, the owner stays the same.
        let emptied = ptr::without_provenance_mut(found.addr() & ABANDONED);
        let found = found.map_addr(|found| found & !ABANDONED);
        if found.is_null() {
            return None;
        }
        self.node().outcome.store(emptied, Ordering::Relaxed);
        Some(if found == not_committed() {
            Outcome::Failed(GetBufferError::NotCommitted)
        } else if found == flushing() {
            Outcome::Failed(GetBufferError::Flushing)
        } else if found == no_slots() {
            Outcome::Slots(SlotList::default())
        } else {
            let first = NonNull::new(found)?;
            // SAFETY: neither null, an error nor empty, so it is a list that `set_outcome` or `set_outcome_and_abandon`
            // stored, and the store above removed it from the node (W3).
            Outcome::Slots(unsafe { SlotList::from_first(first) })
        })
    }

    /// The timer kept with the node.
    pub(crate) fn timer(&mut self) -> &mut Option<Timer> {
        // SAFETY: there is one `NodeRef` to the node, and it is borrowed mutably for as long as the timer is (W2).
        self.node().timer.with_mut(|timer| unsafe { &mut *timer })
    }

    /// Gives the node back, or frees it if it was abandoned. The future must not be queued any more, and its outcome
    /// must have been taken.
    #[inline]
    pub(crate) fn give_back(mut self) {
        if let Some(timer) = self.timer() {
            stop(timer);
        }
        // Relaxed is enough: this future stored `ABANDONED` itself, or saw it when it took its outcome.
        if self.node().outcome.load(Ordering::Relaxed).addr() == ABANDONED {
            return drop(OwnedNode(self.0));
        }
        // Pairs with `is_given_back`: the next future of the node finds no outcome and a stopped timer.
        self.node().outcome.store(given_back(), Ordering::Release);
    }
}
