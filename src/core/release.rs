//! The one path home, in the order that is promised.
//!
//! 1. The sample is reset: properties cleared, bytes wiped if asked, its quota given back what it was
//!    charged.
//! 2. Its slot is home, or
//! 3. in the hands of the first in line; 2 and 3 are one step, seen from outside.
//! 4. If the pool drains and this was the last one out, the decommit completes.
//! 5. `released()` futures are told.
//! 6. The callback runs, if it is still set: a waker of step 3, a listener of step 5, a subscriber that is told of
//!    step 4, or another thread may have removed or replaced it since step 2. So looking it up is the last step
//!    before the call.
//! 7. If no handle and no sample is left, the pool is freed.
//!
//! In the common case all of it is one compare-exchange, after which nothing of the pool is touched:
//! another thread may free it at that moment. With a callback set and nothing else to do, the same
//! compare-exchange takes a claim, which keeps the pool alive through step 6. In all other cases the
//! word is parked, and the releaser *keeps* its slot, which keeps the pool alive, until it has the
//! lock and a counted handle.

#![forbid(unsafe_code)]

use crate::{
    core::{
        callback::NotifyRelease,
        engine::{Callback, Engine},
        handle::{self, Pool, PutOutcome, ReleaseGuard},
        refs::CallbackRef,
    },
    slot::{
        bytes::{self, Release},
        list::SlotList,
        owned::OwnedSlot,
    },
    sync::{Ordering, events, user_code},
    wait::payer,
};

/// Releases a slot that a user had.
#[inline]
pub(crate) fn release(mut slot: OwnedSlot) {
    if slot.needs_reset() {
        reset(&mut slot);
    }
    slot.turn();
    match handle::put_free(slot) {
        PutOutcome::Done => {}
        PutOutcome::CallbackDue(callback_ref) => call_with(&callback_ref),
        PutOutcome::Kept(slot) => release_under_the_lock(slot),
    }
}

/// What a sample's slot is dropped by.
#[derive(Debug)]
pub(crate) struct ToPool;

impl Release for ToPool {
    #[inline]
    fn release(slot: OwnedSlot) {
        release(slot);
    }
}

#[inline(never)]
fn reset(slot: &mut OwnedSlot) {
    slot.clear_properties();
    if slot.wipes() {
        let geometry = handle::geometry_of(slot);
        let (prefix, size) = (geometry.prefix(), geometry.size());
        bytes::wipe(slot, prefix, size);
    }
    // Last, because it may run wakers, and whoever is woken can have another sample at once.
    if let Some(account) = payer::take(slot) {
        account.give_back(1);
    }
}

/// The slot is free, and no user code has run since: the claim's look is the last step before the call.
#[inline(never)]
fn call_with(callback_ref: &CallbackRef) {
    if let Some(callback) = callback_ref.callback() {
        call(callback, &callback_ref.pool());
    }
}

fn call(callback: &dyn NotifyRelease, pool: &Pool) {
    if user_code::panics(|| callback.notify_release(pool)) {
        pool.engine()
            .callback_panics
            .fetch_add(1, Ordering::Relaxed);
        events::callback_panicked(pool.engine().name());
    }
}

#[cold]
fn release_under_the_lock(slot: OwnedSlot) {
    let (mut woken, mut drained, mut listeners, mut callback) = (None, false, None, None);
    let release_guard = ReleaseGuard::enter(slot, |engine, shared, slot| {
        listeners = shared.released.take();
        callback = shared.callback.clone();
        woken = shared.settle(engine, slot);
        drained = shared.claim_drain();
    });
    if let Some(waker) = woken {
        user_code::quietly(|| waker.wake());
    }
    if drained {
        release_guard.engine().end_drain();
    }
    if let Some(listeners) = listeners {
        listeners.tell_all();
    }
    if callback.is_none() && !release_guard.engine().has_callback() {
        return;
    }
    call_last(release_guard, callback);
}

/// Calls the callback that is set now, where `callback` was set a moment ago.
#[inline(never)]
fn call_last(release_guard: ReleaseGuard, callback: Option<Callback>) {
    let (callback, replaced) = release_guard.engine().look_up_again(callback);
    let Some(callback) = callback else {
        // Before the guest leaves: the drop of what was replaced may use the pool.
        user_code::quietly(|| drop(replaced));
        return;
    };
    let pool = release_guard.into_handle();
    call(&**callback, &pool);
    user_code::quietly(|| drop(callback));
    user_code::quietly(|| drop(replaced));
}

impl Engine {
    /// Puts slots home that were never a user's, or gives them to the next in line: no callback.
    /// The caller holds a handle, or borrows one.
    pub(crate) fn put_back(&self, mut slots: SlotList) {
        // One hold of the lock for each slot, so that nobody has to be remembered until it is free.
        while let Some(slot) = slots.pop() {
            let mut shared = self.lock();
            let woken = shared.settle(self, slot);
            let drained = shared.claim_drain();
            drop(shared);
            if let Some(waker) = woken {
                user_code::quietly(|| waker.wake());
            }
            if drained {
                self.end_drain();
            }
        }
    }
}
