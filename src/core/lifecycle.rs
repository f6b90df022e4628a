//! The life cycle of a pool: which state each call leads to, and what it does.
//!
//! ```text
//!                set_properties            commit                decommit
//!  Unconfigured ───────────────► Configured ─────► Committed ───────────────► Draining
//!                                 ▲   ▲  │ set_properties ▲                      │  │
//!                                 │   └──┘                └──── commit ──────────┘  │
//!                                 └───────── the last sample is released ───────────┘
//! ```
//!
//! A drain ends when the last sample is released, and the pool ends when nothing keeps it alive any more. A thread that
//! may have released or dropped the last one claims the end under the lock: [`Shared::claim_drain`],
//! [`Shared::claim_end`].
//!
//! Mapping the memory of the samples and returning it to the system can take long, so neither happens under the lock.
//! The state is marked busy, and other calls that would change it wait. No user code runs while it is busy.

#![forbid(unsafe_code)]

use crate::{
    core::{
        engine::{Callback, Engine, Shared},
        ref_count::Holding,
    },
    free_list::{
        priority::PriorityBuffers,
        used::Totals,
        word_states::{CommitPlan, Layout},
    },
    memory::slot_memory::{GivenBack, Region, Relock},
    slot::{header::PoolAddress, word::Word},
    sync::{LockGuard, events, user_code},
    values::{
        error::{CommitError, GetBufferError, SetPropertiesError},
        properties::{self, Properties},
        status::State,
    },
    wait::{event::Listener, queue::WaitQueue},
};
use std::{io, mem, sync::Arc, task::Waker};

/// Memory that the system refused to take back, and why.
struct MemoryKept {
    bytes: usize,
    reason: io::Error,
}

impl Engine {
    fn lock_when_not_busy(&self) -> LockGuard<'_, Shared> {
        let mut shared = self.lock();
        while shared.busy {
            shared = self.not_busy.wait(shared);
        }
        shared
    }

    pub(crate) fn set_properties(
        &self,
        requested: Properties,
    ) -> Result<Properties, SetPropertiesError> {
        properties::check_align(requested)?;
        let mut shared = self.lock();
        loop {
            match shared.state {
                State::Committed => return Err(SetPropertiesError::AlreadyCommitted),
                State::Draining => return Err(SetPropertiesError::BuffersOutstanding),
                // Only a commit is waited for: a draining pool failed above, also while it is busy.
                _ if shared.busy => shared = self.not_busy.wait(shared),
                _ => break,
            }
        }
        let actual = properties::round(requested)?;
        shared.properties = actual;
        shared.state = State::Configured;
        let memory = shared.words.memory().cloned();
        shared.words.abandon(&self.free_list);
        // The next commit makes a new mapping, which is locked only if the process still asks for that.
        shared.relock = None;
        shared.memory_kept = 0;
        drop(shared);
        // Unmapping can take long, so it happens here, without the lock.
        drop(memory);
        Ok(actual)
    }

    pub(crate) fn commit(&self, pool: PoolAddress) -> Result<(), CommitError> {
        let mut shared = self.lock_when_not_busy();
        match shared.state {
            State::Committed => return Ok(()),
            State::Draining => {
                self.start_serving(&mut shared);
                drop(shared);
                events::drain_cancelled(self.name());
                return Ok(());
            }
            _ => {}
        }
        let wanted = shared.properties;
        if wanted.buffers == 0 || wanted.size == 0 || wanted.align == 0 {
            return Err(CommitError::SizeNotSet);
        }
        let kept = shared.words.memory().cloned();
        let is_new = kept.is_none();
        let relock = shared.relock;
        shared.busy = true;
        drop(shared);
        let mapped = self.map(wanted, kept, relock);
        let mut shared = self.lock();
        // Busy is over before an error returns, or all later calls would wait for ever.
        shared.busy = false;
        self.not_busy.announce();
        let (memory, mut layout) = mapped?;
        let plan = CommitPlan {
            slots: wanted.buffers,
            pool,
            memory: memory.clone(),
            wipe: self.settings.zero_on_release,
        };
        shared.words.adopt(&self.free_list, plan, &mut layout);
        self.geometry.set(wanted.prefix, wanted.size);
        shared.relock = None;
        shared.memory_kept = 0;
        self.start_serving(&mut shared);
        drop(shared);
        // Dropped without the lock: it now has the memory that the old configuration needed.
        drop(layout);
        if let Some(refused) = memory.no_huge_pages().filter(|_| is_new) {
            events::no_huge_pages(self.name(), refused);
        }
        Ok(())
    }

    /// Starts to serve gets, after the priority buffers are taken from the free slots. Every word is parked at this
    /// time.
    fn start_serving(&self, shared: &mut Shared) {
        shared.state = State::Committed;
        let size = PriorityBuffers::of(self.settings.priority_buffers, shared.properties.buffers);
        shared.priority_buffers.start_keeping(size);
        while shared.priority_buffers.is_short() {
            let Some(slot) = shared.words.take(&self.free_list, false) else {
                break;
            };
            shared.priority_buffers.keep(slot);
        }
        self.set_gate(shared);
    }

    /// Returns the memory of the last commit, or new memory if the properties were set since, and the layout that the
    /// free list needs.
    fn map(
        &self,
        wanted: Properties,
        kept: Option<Arc<Region>>,
        relock: Option<Relock>,
    ) -> Result<(Arc<Region>, Layout), CommitError> {
        let layout = Layout::make(&self.free_list, wanted.buffers, self.settings.track_holders)
            .map_err(|_refused| CommitError::OutOfMemory)?;
        let memory = match kept {
            Some(memory) => memory,
            None => Region::map(
                wanted.buffers,
                wanted.stride(),
                wanted.align,
                self.settings.huge_pages,
            )
            .map(Arc::new)
            .map_err(|_refused| CommitError::OutOfMemory)?,
        };
        let backed = match relock {
            Some(relock) => memory.back_again(relock),
            None => Ok(()),
        };
        let backed = backed.and_then(|()| match self.settings.prefault {
            true => memory.prefault(),
            false => Ok(()),
        });
        backed.map_err(|_refused| CommitError::OutOfMemory)?;
        Ok((memory, layout))
    }

    pub(crate) fn decommit(&self) {
        let mut shared = self.lock();
        if shared.state != State::Committed {
            return;
        }
        shared.state = State::Draining;
        self.set_gate(&shared);
        // Before the gets fail: a slot that they had gathered must not become a priority buffer, or the drain would not
        // end.
        self.put_priority_buffers(&mut shared);
        let failed = self.fail_waiters(&mut shared, GetBufferError::NotCommitted);
        let requested = shared.reclaim.take();
        let drained = shared.claim_drain();
        drop(shared);
        // Before the wakers, because no user code may run while the state is busy.
        let kept = if drained { self.finish_drain() } else { None };
        wake_all(failed);
        if let Some(requested) = requested {
            requested.wake_all();
        }
        events::drain_began(self.name());
        if drained {
            self.emit_drain_ended(kept);
        }
    }

    pub(crate) fn set_flushing(&self, flushing: bool) {
        let mut shared = self.lock();
        shared.flushing = flushing;
        self.set_gate(&shared);
        if !flushing {
            return;
        }
        let failed = self.fail_waiters(&mut shared, GetBufferError::Flushing);
        drop(shared);
        wake_all(failed);
    }

    /// Puts the priority buffers into the free list, and stops keeping any.
    fn put_priority_buffers(&self, shared: &mut Shared) {
        let mut kept = shared.priority_buffers.stop_keeping();
        while let Some(slot) = kept.pop() {
            shared.words.put(&self.free_list, slot, false);
        }
    }

    /// Parks the free list and makes all queued gets fail, also those that wait for room in a quota. Puts the slots
    /// that unfinished requests had gathered. Returns the wakers of the failed gets.
    fn fail_waiters(&self, shared: &mut Shared, error: GetBufferError) -> Vec<Waker> {
        shared.words.park_all(&self.free_list);
        let (mut failed, mut orphans) = shared.queue.fail_all(error);
        while let Some(slot) = orphans.pop() {
            let woken = shared.hand_off_or_put(self, slot);
            debug_assert!(
                woken.is_none(),
                "a waiter is queued after all waiters failed"
            );
        }
        self.accounts.fail_all(error, &mut failed);
        failed
    }

    /// Ends a drain whose last slot was returned. The caller has claimed the drain, so the state is busy.
    pub(crate) fn end_drain(&self) {
        let kept = self.finish_drain();
        self.emit_drain_ended(kept);
    }

    fn emit_drain_ended(&self, kept: Option<MemoryKept>) {
        events::drain_ended(self.name());
        if let Some(MemoryKept { bytes, reason }) = kept {
            events::memory_kept(self.name(), bytes, &reason);
        }
    }

    /// Returns the memory to the system and ends the drain. Returns what the system refused to take back.
    fn finish_drain(&self) -> Option<MemoryKept> {
        let memory = self.lock().words.memory().cloned();
        let bytes = memory.as_ref().map_or(0, |memory| memory.len());
        let given_back = memory.map_or(GivenBack::Taken, |memory| memory.give_back());
        let (relock, kept) = match given_back {
            GivenBack::Taken => (None, None),
            GivenBack::Locked(relock) => (Some(relock), None),
            GivenBack::Failed(reason) => (None, Some(MemoryKept { bytes, reason })),
        };
        let totals = self.final_totals();
        let mut shared = self.lock();
        shared.relock = relock;
        shared.memory_kept = kept.as_ref().map_or(0, |kept| kept.bytes);
        shared.add_to_totals(totals);
        shared.state = State::Configured;
        shared.busy = false;
        self.not_busy.announce();
        let listeners = mem::take(&mut shared.drained);
        drop(shared);
        listeners.notify_all();
        kept
    }

    /// What the slots counted since the commit. Every slot is free, and none is taken any more, so all are read while
    /// the lock is free.
    fn final_totals(&self) -> Totals {
        let used = self.lock().words.used().into_owned();
        used.totals(&self.free_list)
    }

    pub(crate) fn drained(&self) -> Listener {
        let mut shared = self.lock();
        match shared.state {
            State::Unconfigured | State::Configured => Listener::ready(),
            State::Committed | State::Draining => shared.drained.listen(),
        }
    }

    /// Removes a listener of `drained` whose future is dropped.
    pub(crate) fn remove_drained_listener(&self, listener: &Listener) {
        self.lock().drained.remove(listener);
    }

    /// Drops what may be the last handle or release guard. Returns `true` if nothing is left: the caller frees the
    /// pool.
    pub(crate) fn drop_last(&self, holding: Holding) -> bool {
        let mut shared = self.lock();
        if !self.handles.drop_under_the_lock(holding) {
            return false;
        }
        shared.words.park_all(&self.free_list);
        self.fail_forgotten_waiters(&mut shared);
        shared.claim_end(self)
    }

    /// Fails the queued gets if no handle and no callback reference is left. Their futures were leaked with
    /// `mem::forget` and will never be polled, so the slots that they have or would be given are returned to the pool.
    fn fail_forgotten_waiters(&self, shared: &mut Shared) {
        if !self.handles.any() && shared.words.parked_callback_refs() == 0 {
            let wakers = self.fail_waiters(shared, GetBufferError::NotCommitted);
            shared.forgotten_wakers.extend(wakers);
        }
    }

    /// Counts another handle, if one is left. Returns whether it did.
    pub(crate) fn count_another_handle(&self) -> bool {
        if self.handles.count_one_more_if_any() {
            return true;
        }
        let shared = self.lock();
        let alive = self.has_handle(&shared);
        if alive {
            self.handles.count_one_more();
        }
        alive
    }

    /// Whether a handle is left, so that another one can be made.
    pub(crate) fn has_handle(&self, shared: &Shared) -> bool {
        // A releaser that calls the callback has a handle too: its callback reference. If no counted handle is left,
        // every word is parked, so the parked count includes all callback references.
        !shared.ended && (self.handles.any() || shared.words.parked_callback_refs() > 0)
    }

    /// Drops a callback reference whose word was parked. Returns `true` if nothing is left: the caller frees the pool.
    pub(crate) fn drop_callback_ref(&self, word: &Word, retired: &mut Vec<Callback>) -> bool {
        loop {
            let mut shared = self.lock();
            if shared.words.drop_callback_ref(word) {
                if shared.words.parked_callback_refs() == 0 {
                    *retired = mem::take(&mut shared.retired);
                    shared.words.must_stay_parked = false;
                }
                self.fail_forgotten_waiters(&mut shared);
                return shared.claim_end(self);
            }
            drop(shared);
            // The word was opened after the failed exchange, so the exchange is tried again.
            if word.drop_callback_ref() {
                return false;
            }
        }
    }

    /// Takes out everything that must not be dropped under the lock, before the pool is freed.
    pub(crate) fn end(&self) {
        let totals = self.final_totals();
        let mut shared = self.lock();
        let callback = shared.callback.take();
        let retired = mem::take(&mut shared.retired);
        let listeners = mem::take(&mut shared.drained);
        let memory = shared.words.memory().cloned();
        self.put_priority_buffers(&mut shared);
        // Metrics may still read the counts after this, so they are added to the totals.
        if let State::Committed | State::Draining = shared.state {
            shared.add_to_totals(totals);
        }
        shared.words.abandon(&self.free_list);
        shared.state = State::Unconfigured;
        let forgotten = mem::take(&mut shared.forgotten_wakers);
        let queue = mem::replace(&mut shared.queue, WaitQueue::new(0));
        drop(shared);
        drop(memory);
        for waker in forgotten.into_iter().chain(queue.into_wakers()) {
            user_code::quietly(|| drop(waker));
        }
        listeners.notify_all();
        user_code::quietly(|| drop(callback));
        for callback in retired {
            user_code::quietly(|| drop(callback));
        }
    }
}

/// What the end of a drain and the end of the pool wait for.
impl Shared {
    /// Claims the end of a drain. Returns `true` if the pool drains and its last slot was returned: the caller then
    /// ends the drain, and no other thread does.
    pub(crate) fn claim_drain(&mut self) -> bool {
        let drained = self.state == State::Draining && !self.busy && self.words.parked_out() == 0;
        // In the same hold of the lock, or two releases could both end the drain.
        self.busy |= drained;
        drained
    }

    /// Claims the end of the pool. Returns `true` if no handle, no release guard, no callback reference and no sample
    /// is left: the caller then frees the pool, and no other thread does.
    pub(crate) fn claim_end(&mut self, engine: &Engine) -> bool {
        let ended = engine
            .handles
            .none_and_no_release_guards(self.release_guards.entered())
            && self.words.all_parked()
            // Priority buffers count as outstanding in the free list, but no sample holds them.
            && self.words.parked_out() == self.priority_buffers.len()
            && self.words.parked_callback_refs() == 0
            && !self.ended;
        self.ended |= ended;
        ended
    }
}

fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        user_code::quietly(|| waker.wake());
    }
}
