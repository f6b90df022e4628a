//! The path of a release, in the promised order of its steps (guarantee 7).
//!
//! 1. The sample is reset: its properties are cleared, its bytes are overwritten if the pool wipes, and it no longer
//!    counts against its quota.
//! 2. Its slot is free, or becomes a priority buffer again, or
//! 3. it is handed off to the waiter at the head of the queue. Whichever of 2 and 3 happens is one step for other threads.
//! 4. If the pool drains and this was the last outstanding sample, the decommit completes.
//! 5. `released()` futures are notified.
//! 6. The callback that is set now is called. A waker of step 3, a `tracing` subscriber in step 4, a listener of
//!    step 5, or another thread may have set, removed or replaced it since step 2. So the lookup is the last step
//!    before the call.
//! 7. If no handle and no sample is left, the pool is freed: [`ReleaseGuard`] is dropped last, and `Engine::claim_end`
//!    decides.
//!
//! In the common case step 2 is one compare-exchange, and steps 3 to 7 have nothing to do: the word is open, so no get
//! waits, no drain runs, no `released()` future exists, and a handle is left. After the exchange nothing of the pool is
//! touched, because another thread may free the pool at that moment. If a callback is set and there is nothing else to do, the same
//! compare-exchange takes a callback reference, which keeps the pool alive through step 6. Otherwise the put needs the
//! lock, because the word is parked or has no callback reference left, and the releaser *keeps* its slot. The slot
//! keeps the pool alive until the releaser has the lock and has counted a release guard.

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
        set::SlotSet,
    },
    sync::{Ordering, events, user_code},
    wait::charge,
};

/// Releases a slot that a user had.
#[inline]
pub(crate) fn release(mut slot: OwnedSlot) {
    end_use(&mut slot);
    put(slot);
}

/// Releases slots that users had, of any pools. What user code can see is the same as if each were released alone, in
/// this order.
///
/// Neighbours of one word are freed by one exchange, while that is all there is to do for each of them. A slot that needs
/// more, because its word is parked, a callback is set, or its sample counts against a quota, is released alone, and
/// after all slots before it: its release may run user code, which must see those free.
pub(crate) fn release_all(mut slots: impl Iterator<Item = OwnedSlot>) {
    let mut unfreed: Option<SlotSet> = None;
    let mut next = slots.next();
    while let Some(slot) = next {
        unfreed = add_or_release(unfreed, slot);
        next = match &mut unfreed {
            Some(set) => add_neighbours(set, &mut slots),
            None => slots.next(),
        };
    }
    put_set(unfreed);
}

/// Adds slots of the same word that need no reset. Returns the first other slot.
///
/// It calls nothing that is not inlined, so the compiler keeps the position of `slots` in a register. In memory it would
/// make a step wait for the one before it.
#[inline]
fn add_neighbours(
    set: &mut SlotSet,
    slots: &mut impl Iterator<Item = OwnedSlot>,
) -> Option<OwnedSlot> {
    for slot in slots {
        if !set.accepts(&slot) || slot.needs_reset() {
            return Some(slot);
        }
        slot.increment_generation();
        set.add(slot);
    }
    None
}

/// Releases the next slot, or adds it to those that are not freed yet. Returns these.
#[inline(never)]
fn add_or_release(unfreed: Option<SlotSet>, mut slot: OwnedSlot) -> Option<SlotSet> {
    match unfreed {
        Some(mut set) if set.accepts(&slot) && !slot.has_account() => {
            end_use(&mut slot);
            set.add(slot);
            Some(set)
        }
        unfreed => {
            // First, because the release of this slot may run user code.
            put_set(unfreed);
            if slot.has_account() || !slot.may_be_put_with_others() {
                release(slot);
                return None;
            }
            end_use(&mut slot);
            Some(SlotSet::of(slot))
        }
    }
}

/// Frees slots that no user has any more.
#[inline]
fn put_set(slots: Option<SlotSet>) {
    // Nothing of the pool may be touched after the exchange that freed them, so a set that was put is gone.
    if let Some(slots) = slots.and_then(SlotSet::put) {
        put_one_by_one(slots);
    }
}

/// Another thread parked the word, or set a callback, after the first slot of the set was added.
#[cold]
#[inline(never)]
fn put_one_by_one(mut slots: SlotSet) {
    while let Some(slot) = slots.pop() {
        put(slot);
    }
}

/// Step 1, and the end of the user's ownership.
#[inline]
fn end_use(slot: &mut OwnedSlot) {
    if slot.needs_reset() {
        reset(slot);
    }
    // Before the put: after it the slot belongs to another thread, and the generation must say that no user has it.
    slot.increment_generation();
}

/// Steps 2 to 7.
#[inline]
fn put(slot: OwnedSlot) {
    match handle::put_free(slot) {
        PutOutcome::Done => {}
        PutOutcome::CallbackDue(callback_ref) => call_with(&callback_ref),
        PutOutcome::Kept(slot) => release_under_the_lock(slot),
    }
}

/// How a sample that is dropped releases its slot: to its pool.
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
    // Last, because it may run wakers, and a task that is woken can take another sample at once.
    drop(charge::take(slot));
}

/// Calls the callback for a slot that is free. No user code has run since the put, so the lookup in the callback
/// reference is the last step before the call.
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
        // In one hold of the lock with `hand_off_or_put`: a `released()` future that was made before the slot is free
        // must be notified of this release.
        listeners = shared.released.take();
        callback = shared.callback.clone();
        woken = shared.hand_off_or_put(engine, slot);
        drained = shared.claim_drain();
    });
    // The lock is free: from here on user code runs. The guard keeps the pool alive. A waiter was woken or a drain
    // ended, never both: a draining pool has no waiters.
    if let Some(waker) = woken {
        user_code::quietly(|| waker.wake());
    }
    if drained {
        release_guard.engine().end_drain();
    }
    if let Some(listeners) = listeners {
        listeners.notify_all();
    }
    // Looked at again, because a waker or listener above may have set a callback.
    if callback.is_none() && !release_guard.engine().has_callback() {
        return;
    }
    call_last(release_guard, callback);
}

/// Calls the callback that is set now. `callback` was set when this release held the lock.
#[inline(never)]
fn call_last(release_guard: ReleaseGuard, callback: Option<Callback>) {
    let (callback, replaced) = release_guard.engine().look_up_again(callback);
    let Some(callback) = callback else {
        // Dropped before the release guard is: this drop is user code, and may use the pool.
        user_code::quietly(|| drop(replaced));
        return;
    };
    // The callback is given a pool that it may clone, so the guard becomes a handle.
    let pool = release_guard.into_handle();
    call(&**callback, &pool);
    user_code::quietly(|| drop(callback));
    user_code::quietly(|| drop(replaced));
}

impl Engine {
    /// Puts slots that were not a user's, or hands them off to the next waiters. The callback is not called.
    ///
    /// The caller has a handle, or borrows one.
    pub(crate) fn put_back(&self, mut slots: SlotList) {
        // The lock is taken once for each slot, so that no list of wakers must be kept until it is released.
        while let Some(slot) = slots.pop() {
            let mut shared = self.lock();
            let woken = shared.hand_off_or_put(self, slot);
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
