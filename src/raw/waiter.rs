//! A waiter's node: the `Notify` that wakes it, and the place where it is told its outcome.
//!
//! A node has two halves. The line and whoever serves it use the `Notify` and the outcome, through a
//! [`WaiterRef`]; the future that waits uses the listening half, through its [`Ticket`]. Nodes are
//! recycled, so waiting allocates nothing once the pool has had as many waiters before.
//!
//! The outcome is stored under the pool's lock and read by the future without it. The wake-up comes
//! after the lock is free, so it may come late: the future may have seen its outcome and gone, and the
//! node may wait for somebody else by then. That is a spurious wake-up, and a ticket that is woken
//! without an outcome listens again.

use crate::{
    error::GetBufferError,
    foreign,
    raw::{chain::Chain, slot::Slot},
    sync::{AtomicPtr, Cell, Notified, Notify, Ordering, SettingPtr},
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    ptr::{self, NonNull},
    task::{Context, Poll},
};
use tokio::time::Sleep;

/// A timer that is kept with the node, so that a timed wait allocates once.
pub(crate) type Timer = Pin<Box<Option<Sleep>>>;

/// See the module's documentation. The listening half stands first: it is dropped before the
/// `Notify` that it borrows.
struct Waiter {
    listening: Cell<Option<Notified<'static>>>,
    timer: Cell<Option<Timer>>,
    notify: Notify,
    /// Null while waiting, one of the two failures, or the first slot of the chain handed over.
    outcome: AtomicPtr<Slot>,
    /// The next node given back.
    next: SettingPtr<Waiter>,
    /// The seat in the line that this node belongs to.
    seat: usize,
}

/// What a waiter is told.
#[derive(Debug)]
pub(crate) enum Outcome {
    Slots(Chain),
    Failed(GetBufferError),
}

fn not_committed() -> *mut Slot {
    ptr::without_provenance_mut(1)
}

fn flushing() -> *mut Slot {
    ptr::without_provenance_mut(2)
}

/// The owner of a node; the line has one for each seat.
pub(crate) struct OwnedWaiter(NonNull<Waiter>);

// SAFETY: the shared half is atomics and a `Notify`; the other half has its own rule (W2).
unsafe impl Send for OwnedWaiter {}
// SAFETY: as above.
unsafe impl Sync for OwnedWaiter {}

impl fmt::Debug for OwnedWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedWaiter").finish()
    }
}

impl OwnedWaiter {
    pub(crate) fn new(seat: usize) -> Self {
        let waiter = Box::new(Waiter {
            listening: Cell::new(None),
            timer: Cell::new(None),
            notify: Notify::new(),
            outcome: AtomicPtr::new(ptr::null_mut()),
            next: SettingPtr::default(),
            seat,
        });
        OwnedWaiter(NonNull::from(Box::leak(waiter)))
    }

    pub(crate) fn share(&self) -> WaiterRef {
        WaiterRef(self.0)
    }
}

impl Drop for OwnedWaiter {
    fn drop(&mut self) {
        // SAFETY: the node came from a `Box`, and goes with the pool: no future holds a ticket that
        // it will use again, and nobody is about to wake it (W1).
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// The shared half of a node.
#[derive(Clone, Copy)]
pub(crate) struct WaiterRef(NonNull<Waiter>);

// SAFETY: the shared half is atomics and a `Notify`.
unsafe impl Send for WaiterRef {}
// SAFETY: as above.
unsafe impl Sync for WaiterRef {}

impl fmt::Debug for WaiterRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WaiterRef")
            .field(&self.waiter().seat)
            .finish()
    }
}

impl WaiterRef {
    fn waiter(&self) -> &Waiter {
        // SAFETY: a node lives as long as the pool does, which the caller keeps alive (W1).
        unsafe { self.0.as_ref() }
    }

    /// A ticket for the future that has just joined with this node.
    pub(crate) fn ticket(self) -> Ticket {
        self.waiter()
            .outcome
            .store(ptr::null_mut(), Ordering::Relaxed);
        Ticket(self.0)
    }

    /// Tells the waiter its outcome. Called under the lock, once for each ticket.
    pub(crate) fn tell(self, outcome: Outcome) {
        let told = match outcome {
            Outcome::Slots(chain) => chain
                .into_first()
                .map_or_else(ptr::null_mut, NonNull::as_ptr),
            Outcome::Failed(GetBufferError::Flushing) => flushing(),
            Outcome::Failed(_) => not_committed(),
        };
        self.waiter().outcome.store(told, Ordering::Release);
    }

    /// Wakes whoever waits with this node. Runs foreign code, so never under the lock.
    pub(crate) fn wake(self) {
        self.waiter().notify.notify_one();
    }
}

/// The future's half of a node, from joining the line to giving the node back.
pub(crate) struct Ticket(NonNull<Waiter>);

// SAFETY: the listening half is reached through `&mut Ticket` only, from whatever thread (W2).
unsafe impl Send for Ticket {}
// SAFETY: through a shared ticket nothing but the seat's number is read.
unsafe impl Sync for Ticket {}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.seat()).finish()
    }
}

impl Ticket {
    fn waiter(&self) -> &Waiter {
        // SAFETY: a node lives as long as the pool does, which the future keeps alive (W1).
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn seat(&self) -> usize {
        self.waiter().seat
    }

    /// Waits for the outcome.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            if self.poll_listening(cx).is_pending() {
                return Poll::Pending;
            }
            // Woken: by the outcome, or late by that of an earlier waiter with this node.
            if let Some(outcome) = self.take_outcome() {
                return Poll::Ready(outcome);
            }
        }
    }

    fn poll_listening(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let notify: *const Notify = &self.waiter().notify;
        self.waiter().listening.with_mut(|listening| {
            // SAFETY: this is the one ticket, borrowed mutably (W2).
            let listening = unsafe { &mut *listening };
            // SAFETY: the node does not move, and what listens in it is dropped in place.
            let mut listening = unsafe { Pin::new_unchecked(listening) };
            if let Some(notified) = listening.as_mut().as_pin_mut() {
                if notified.enable() {
                    listening.set(None);
                    return Poll::Ready(());
                }
            }
            // Polled again without being woken, perhaps with another waker. `Notified` would clone it
            // under the lock of its `Notify`, where it must not call back in; a new one clones it before.
            foreign::quietly(|| listening.set(None));
            // SAFETY: the node outlives what listens in it: `give_back` or the order of the node's
            // fields drops that first (W1, W2).
            let notify: &'static Notify = unsafe { &*notify };
            listening.set(Some(notify.notified()));
            let Some(notified) = listening.as_mut().as_pin_mut() else {
                unreachable!("filled just now");
            };
            let woken = notified.poll(cx);
            if woken.is_ready() {
                listening.set(None);
            }
            woken
        })
    }

    /// Moves the outcome out, if there is one.
    pub(crate) fn take_outcome(&mut self) -> Option<Outcome> {
        let told = self.waiter().outcome.load(Ordering::Acquire);
        if told.is_null() {
            return None;
        }
        self.waiter()
            .outcome
            .store(ptr::null_mut(), Ordering::Relaxed);
        Some(if told == not_committed() {
            Outcome::Failed(GetBufferError::NotCommitted)
        } else if told == flushing() {
            Outcome::Failed(GetBufferError::Flushing)
        } else {
            let first = NonNull::new(told)?;
            // SAFETY: neither null nor a failure, so it is a chain that `tell` stored, and the
            // outcome was emptied above (W3).
            Outcome::Slots(unsafe { Chain::from_first(first) })
        })
    }

    /// The timer kept with the node.
    pub(crate) fn timer(&mut self) -> &mut Option<Timer> {
        // SAFETY: this is the one ticket, borrowed mutably for as long as the timer is (W2).
        self.waiter().timer.with_mut(|timer| unsafe { &mut *timer })
    }

    /// Empties the listening half, which drops the future's waker, and gives the node back.
    pub(crate) fn give_back(self, to: &Returned) {
        // Wakers are foreign, and one that panics when it is dropped must not take the node with it.
        foreign::quietly(|| {
            self.waiter().timer.with_mut(|timer| {
                // SAFETY: this is the one ticket (W2).
                if let Some(timer) = unsafe { &mut *timer } {
                    timer.set(None);
                }
            });
        });
        foreign::quietly(|| {
            self.waiter().listening.with_mut(|listening| {
                // SAFETY: as above; what listens is dropped in place.
                let listening = unsafe { &mut *listening };
                *listening = None;
            });
        });
        to.push(self.0);
    }
}

/// The nodes that futures gave back without taking the lock; whoever joins next takes them all.
pub(crate) struct Returned(AtomicPtr<Waiter>);

impl fmt::Debug for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Returned").finish_non_exhaustive()
    }
}

impl Returned {
    pub(crate) fn new() -> Self {
        Returned(AtomicPtr::new(ptr::null_mut()))
    }

    fn push(&self, waiter: NonNull<Waiter>) {
        // SAFETY: the node lives as long as the pool does, which the future keeps alive (W1).
        let node = unsafe { waiter.as_ref() };
        let mut first = self.0.load(Ordering::Relaxed);
        loop {
            node.next.store(first, Ordering::Relaxed);
            let pushed = self.0.compare_exchange_weak(
                first,
                waiter.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            );
            match pushed {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// Takes every node; called under the lock. Nodes are taken all at once, so there is no ABA.
    pub(crate) fn take(&self, mut each: impl FnMut(usize)) {
        let mut next = self.0.swap(ptr::null_mut(), Ordering::Acquire);
        while let Some(node) = NonNull::new(next) {
            // SAFETY: a node lives as long as the pool does, whose lock the caller holds (W1).
            let node = unsafe { node.as_ref() };
            next = node.next.load(Ordering::Relaxed);
            each(node.seat);
        }
    }
}
