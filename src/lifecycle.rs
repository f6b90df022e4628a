//! The life of a pool: who may make which transition, and what it does.
//!
//! ```text
//!                set_properties            commit                decommit
//!  Unconfigured ───────────────► Configured ─────► Committed ───────────────► Draining
//!                                 ▲   ▲  │ set_properties ▲                      │  │
//!                                 │   └──┘                └──── commit ──────────┘  │
//!                                 └───────── the last sample comes home ────────────┘
//! ```
//!
//! Mapping memory and giving it back can take long, so neither happens under the lock: the state is
//! marked busy, and whoever wants to change it waits. Nothing foreign runs while it is busy.

#![forbid(unsafe_code)]

use crate::{
    engine::{Callback, Engine, Shared},
    error::{CommitError, GetBufferError, SetPropertiesError},
    foreign,
    free_list::Plan,
    properties::{self, Properties},
    raw::{region::Region, slot::Owner, waiter::WaiterRef},
    signal::Signal,
    status::State,
    sync::{LockGuard, Ordering},
    word::Word,
};
use std::{mem, sync::Arc};

impl Engine {
    fn lock_settled(&self) -> LockGuard<'_, Shared> {
        let mut shared = self.lock();
        while shared.busy {
            shared = self.settled.wait(shared);
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
                _ if shared.busy => shared = self.settled.wait(shared),
                _ => break,
            }
        }
        let actual = properties::round(requested)?;
        shared.properties = actual;
        shared.state = State::Configured;
        let memory = shared.ledger.memory().cloned();
        shared.ledger.abandon(&self.free_list);
        drop(shared);
        // Unmapping can take long, so it happens here, without the lock.
        drop(memory);
        Ok(actual)
    }

    pub(crate) fn commit(&self, owner: Owner) -> Result<(), CommitError> {
        let mut shared = self.lock_settled();
        match shared.state {
            State::Committed => return Ok(()),
            State::Draining => {
                shared.state = State::Committed;
                self.set_gate(&shared);
                return Ok(());
            }
            _ => {}
        }
        let wanted = shared.properties;
        if wanted.buffers == 0 || wanted.size == 0 || wanted.align == 0 {
            return Err(CommitError::SizeNotSet);
        }
        let kept = shared.ledger.memory().cloned();
        shared.busy = true;
        drop(shared);
        let memory = self.map(wanted, kept);
        let mut shared = self.lock();
        shared.busy = false;
        self.settled.announce();
        let plan = Plan {
            slots: wanted.buffers,
            owner,
            memory: memory?,
            wipe: self.settings.zero_on_release,
            records: self.settings.track_holders,
        };
        shared
            .ledger
            .adopt(&self.free_list, plan)
            .map_err(|_refused| CommitError::OutOfMemory)?;
        self.geometry.set(wanted.prefix, wanted.size);
        shared.state = State::Committed;
        self.set_gate(&shared);
        Ok(())
    }

    /// The memory of the last commit, or new memory if the properties were set since.
    fn map(
        &self,
        wanted: Properties,
        kept: Option<Arc<Region>>,
    ) -> Result<Arc<Region>, CommitError> {
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
        if self.settings.prefault {
            memory.prefault();
        }
        Ok(memory)
    }

    pub(crate) fn decommit(&self) {
        let mut shared = self.lock();
        if shared.state != State::Committed {
            return;
        }
        shared.state = State::Draining;
        self.set_gate(&shared);
        let failed = self.turn_away(&mut shared, GetBufferError::NotCommitted);
        let drained = shared.claim_drain();
        drop(shared);
        wake_all(failed);
        if drained {
            self.end_drain();
        }
    }

    pub(crate) fn set_flushing(&self, flushing: bool) {
        let mut shared = self.lock();
        shared.flushing = flushing;
        self.set_gate(&shared);
        if !flushing {
            return;
        }
        let failed = self.turn_away(&mut shared, GetBufferError::Flushing);
        drop(shared);
        wake_all(failed);
    }

    /// Parks the free list, tells everybody in line that it failed, and puts home what unfinished
    /// requests had gathered.
    fn turn_away(&self, shared: &mut Shared, error: GetBufferError) -> Vec<WaiterRef> {
        shared.ledger.park_all(&self.free_list);
        let (failed, mut orphans) = shared.line.fail_all(error);
        while let Some(slot) = orphans.pop() {
            let nobody = shared.settle(self, slot);
            debug_assert!(nobody.is_none(), "nobody is in line any more");
        }
        failed
    }

    /// Ends a drain whose last slot has come home. The caller claimed it, so the state is busy.
    pub(crate) fn end_drain(&self) {
        let memory = self.lock().ledger.memory().cloned();
        if let Some(memory) = memory {
            memory.give_back();
        }
        let mut shared = self.lock();
        let tally = shared.ledger.tally(&self.free_list);
        shared.counters.tally.acquired += tally.acquired;
        shared.counters.tally.released += tally.released;
        shared.counters.tally.used = tally.used;
        shared.ledger.close_books();
        shared.state = State::Configured;
        shared.busy = false;
        self.settled.announce();
        let listeners = mem::take(&mut shared.drained);
        drop(shared);
        listeners.tell_all();
    }

    pub(crate) fn drained(&self) -> Signal {
        let mut shared = self.lock();
        match shared.state {
            State::Unconfigured | State::Configured => Signal::ready(),
            State::Committed | State::Draining => shared.drained.listen(),
        }
    }

    /// Drops a handle that is not the last one. `false` if it may be, and is still held.
    #[inline]
    pub(crate) fn drop_one_of_many_handles(&self) -> bool {
        let mut handles = self.handles.load(Ordering::Relaxed);
        while handles > 1 {
            let dropped = self.handles.compare_exchange_weak(
                handles,
                handles - 1,
                Ordering::Release,
                Ordering::Relaxed,
            );
            match dropped {
                Ok(_) => return true,
                Err(now) => handles = now,
            }
        }
        false
    }

    /// Drops what may be the last handle. `true` if nothing is left: the caller frees the pool.
    ///
    /// The last handle goes under the lock, as only there it can be seen in the same step whether a
    /// sample or a claim is left, which would free the pool later.
    pub(crate) fn drop_last_handle(&self) -> bool {
        let mut shared = self.lock();
        if self.handles.fetch_sub(1, Ordering::AcqRel) > 1 {
            return false;
        }
        // Only futures that were forgotten can still be in line, and nobody will poll those.
        let _forgotten = self.turn_away(&mut shared, GetBufferError::NotCommitted);
        shared.claim_end(self)
    }

    /// Counts another handle, unless none is left.
    pub(crate) fn count_another_handle(&self) -> bool {
        let mut handles = self.handles.load(Ordering::Relaxed);
        while handles > 0 {
            let counted = self.handles.compare_exchange_weak(
                handles,
                handles + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match counted {
                Ok(_) => return true,
                Err(now) => handles = now,
            }
        }
        // A claim is a handle too: that of a releaser who calls the callback.
        let shared = self.lock();
        let alive = !shared.ended
            && (shared.ledger.parked_claims() > 0 || self.handles.load(Ordering::Relaxed) > 0);
        if alive {
            self.handles.fetch_add(1, Ordering::Relaxed);
        }
        alive
    }

    /// Drops a claim whose word was parked. `true` if nothing is left: the caller frees the pool.
    pub(crate) fn drop_claim(&self, word: &Word, retired: &mut Vec<Callback>) -> bool {
        loop {
            let mut shared = self.lock();
            if shared.ledger.unclaim(word) {
                if shared.ledger.parked_claims() == 0 {
                    *retired = mem::take(&mut shared.retired);
                    shared.ledger.hold_claims = false;
                }
                return shared.claim_end(self);
            }
            drop(shared);
            // The word was opened in between.
            if word.unclaim() {
                return false;
            }
        }
    }

    /// Takes out everything that must not be dropped under the lock, before the pool is freed.
    pub(crate) fn end(&self) {
        let mut shared = self.lock();
        let callback = shared.callback.take();
        let retired = mem::take(&mut shared.retired);
        let listeners = mem::take(&mut shared.drained);
        let memory = shared.ledger.memory().cloned();
        shared.ledger.abandon(&self.free_list);
        shared.state = State::Unconfigured;
        drop(shared);
        drop(memory);
        listeners.tell_all();
        foreign::quietly(|| drop(callback));
        for callback in retired {
            foreign::quietly(|| drop(callback));
        }
    }
}

fn wake_all(waiters: Vec<WaiterRef>) {
    for waiter in waiters {
        foreign::quietly(|| waiter.wake());
    }
}
