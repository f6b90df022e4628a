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
//! Mapping the samples' memory and giving it back can take long, so neither happens under the lock: the
//! state is marked busy, and whoever wants to change it waits. Nothing foreign runs while it is busy.

#![forbid(unsafe_code)]

use crate::{
    engine::{Callback, Engine, Shared},
    error::{CommitError, GetBufferError, SetPropertiesError},
    foreign,
    free_list::Plan,
    handles::Holding,
    properties::{self, Properties},
    raw::{region::Region, slot::Owner, waiter::WaiterRef},
    signal::Signal,
    status::State,
    sync::LockGuard,
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
            memory
                .prefault()
                .map_err(|_refused| CommitError::OutOfMemory)?;
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
        // Somebody waits only while a sample is out, so if anybody has to be woken the drain does not
        // end here: no foreign code runs while the state is busy.
        let failed = self.turn_away(&mut shared, GetBufferError::NotCommitted);
        let drained = shared.claim_drain();
        debug_assert!(failed.is_empty() || !drained);
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

    /// Drops what may be the last handle or guest. `true` if nothing is left: the caller frees the pool.
    pub(crate) fn drop_last(&self, holding: Holding) -> bool {
        let mut shared = self.lock();
        if !self.handles.drop_under_the_lock(holding) {
            return false;
        }
        shared.ledger.park_all(&self.free_list);
        self.turn_away_the_forgotten(&mut shared);
        shared.claim_end(self)
    }

    /// With no handle and no claim left, whoever is still in line is a future that was forgotten, and
    /// nobody will poll it: what it has or would be given goes home instead.
    fn turn_away_the_forgotten(&self, shared: &mut Shared) {
        if !self.handles.any() && shared.ledger.parked_claims() == 0 {
            let _forgotten = self.turn_away(shared, GetBufferError::NotCommitted);
        }
    }

    /// Counts another handle, unless none is left.
    pub(crate) fn count_another_handle(&self) -> bool {
        if self.handles.count_one_more_if_any() {
            return true;
        }
        // A claim is a handle too: that of a releaser who calls the callback. With no other handle left
        // every word is parked, so all claims are counted here.
        let shared = self.lock();
        let alive = !shared.ended && (shared.ledger.parked_claims() > 0 || self.handles.any());
        if alive {
            self.handles.count_one_more();
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
                self.turn_away_the_forgotten(&mut shared);
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
        // The nodes of futures that were forgotten have their wakers.
        let line = mem::take(&mut shared.line);
        drop(shared);
        drop(memory);
        foreign::quietly(|| drop(line));
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
