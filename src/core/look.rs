//! The getters of the engine: its state, the holders of its samples, and the lengths of waits.

#![forbid(unsafe_code)]

use crate::{
    core::engine::{Engine, Shared},
    slot::{header::Slot, owned::OwnedSlot},
    sync::Ordering,
    values::{
        properties::Properties,
        quota_status::QuotaStatus,
        region::Region,
        status::{Holder, State, Status},
        undelivered::Undelivered,
        wait_histogram::WaitHistogram,
    },
    wait::{
        clock::{Moment, Stamp},
        quota_account::Account,
        slab::WaiterNumber,
        slot_account,
    },
};
use std::{
    collections::HashMap,
    panic::Location,
    sync::Arc,
    time::{Duration, Instant},
};

impl Engine {
    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    pub(crate) fn is_flushing(&self) -> bool {
        self.lock().flushing
    }

    pub(crate) fn properties(&self) -> Properties {
        self.lock().properties
    }

    pub(crate) fn free_count(&self) -> usize {
        let shared = self.lock();
        shared.properties.buffers - self.outstanding(&shared)
    }

    /// The lengths of the waits that have ended, if waits are measured.
    pub(crate) fn wait_histogram(&self) -> Option<WaitHistogram> {
        self.waits.as_ref().map(|waits| waits.times())
    }

    /// The address range of the memory, while the pool is committed.
    pub(crate) fn region(&self) -> Option<Region> {
        let shared = self.lock();
        if shared.state != State::Committed {
            return None;
        }
        let memory = shared.parked.memory()?;
        let base = memory.base().as_ptr().cast_const();
        Some(Region::new(base, memory.len(), memory.stride()))
    }

    /// Whether a handle is left, and the status. The counts of a freed pool are right: they are in the totals.
    #[cfg(feature = "metrics")]
    pub(crate) fn lives(&self) -> (bool, Status) {
        let shared = self.lock();
        (self.has_handle(&shared), self.status(&shared))
    }

    /// The quotas in use.
    pub(crate) fn quotas(&self) -> Vec<QuotaStatus> {
        self.accounts.statuses(|joined| self.since(joined))
    }

    /// The longest waiter for room of each quota that has one: its join time, its queue slot and the account.
    pub(crate) fn longest_waits_for_room(
        &self,
        now: Moment,
    ) -> impl Iterator<Item = (Stamp, WaiterNumber, Arc<Account>)> + use<> {
        self.accounts.longest(self.stamp(now))
    }

    /// How many samples are outstanding. In the free list, priority buffers count as outstanding too.
    fn outstanding(&self, shared: &Shared) -> usize {
        shared.parked.out(&self.free_list) - shared.priority_buffers.len()
    }

    /// Records who takes a slot.
    #[cold]
    pub(crate) fn record(&self, slot: &OwnedSlot, location: &'static Location<'static>) {
        if let Some(record) = self.free_list.table.record(slot.index()) {
            let since = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
            record.write(since, location);
        }
    }

    pub(crate) fn status(&self, shared: &Shared) -> Status {
        let buffers = shared.properties.buffers;
        let outstanding = self.outstanding(shared);
        let now = shared.parked.totals(&self.free_list);
        let counters = shared.counters;
        let waits = self.waits.as_ref();
        Status {
            state: shared.state,
            buffers,
            free: buffers - outstanding,
            outstanding,
            priority_free: shared.priority_buffers.len(),
            bytes_used: now.written,
            bytes_pinned: outstanding * shared.properties.stride(),
            memory_kept: shared.memory_kept,
            waiting: shared.queue.len(),
            high_water: match shared.state {
                State::Committed | State::Draining => now.used,
                State::Unconfigured | State::Configured => counters.totals.used,
            },
            oldest_wait: shared.queue.oldest().map(|joined| self.since(joined)),
            acquired: counters.totals.acquired + now.acquired,
            released: counters.totals.released + now.released,
            waited: counters.waited + self.waited_for_room.load(Ordering::Relaxed),
            wait_time: waits.map(|waits| waits.total()),
            max_wait: waits.map(|waits| waits.longest()),
            exhausted: counters.exhausted + self.misses.load(Ordering::Relaxed),
            timed_out: counters.timed_out,
            cancelled: counters.cancelled,
            callback_panics: self.callback_panics.load(Ordering::Relaxed),
        }
    }

    /// The samples that users hold, if the pool tracks holders.
    pub(crate) fn held<'a>(&'a self, shared: &'a Shared) -> impl Iterator<Item = HeldSlot> + 'a {
        // Kept until the iterator is dropped, so that no new account can have the address of one of them.
        let accounts = self.accounts.in_use().into_iter();
        let accounts: HashMap<_, _> = accounts
            .map(|one| (slot_account::address(&one), one))
            .collect();
        let slots = shared.parked.used_slots();
        slots.filter_map(move |index| {
            let slot = shared.parked.slot(&self.free_list, index)?;
            let mut held = self.held_in(index, slot)?;
            let account = accounts.get(&slot.account());
            held.quota = account.map(|account| account.name().clone());
            Some(held)
        })
    }

    fn held_in(&self, index: usize, slot: &Slot) -> Option<HeldSlot> {
        let generation = slot.generation();
        let references = slot.references();
        let written = slot.len();
        let (since, location) = self.free_list.table.record(index)?.read()?;
        // An odd generation means that a user has the slot. The same generation again means that `since` and `location`
        // are of the same user.
        let held = generation % 2 == 1 && slot.generation() == generation;
        held.then(|| HeldSlot {
            index,
            since: self.born + Duration::from_nanos(since),
            location,
            written,
            references,
            quota: None,
        })
    }
}

impl Shared {
    /// How many gets wait for a sample.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Join time (if measured) and queue slot of the get that has waited longest for a sample.
    pub(crate) fn longest_wait(&self) -> Option<(Stamp, WaiterNumber)> {
        self.queue.longest()
    }

    /// How many bytes a buffer takes, with its prefix.
    pub(crate) fn stride(&self) -> usize {
        self.properties.stride()
    }

    /// Samples that gets have, and that no user has received yet.
    pub(crate) fn undelivered(&self) -> Vec<Undelivered> {
        self.queue.undelivered().collect()
    }
}

/// A slot whose sample a user holds, as the slot's header and record describe it.
#[derive(Debug)]
pub(crate) struct HeldSlot {
    index: usize,
    pub(crate) since: Instant,
    pub(crate) location: &'static Location<'static>,
    pub(crate) written: usize,
    references: usize,
    pub(crate) quota: Option<Arc<str>>,
}

impl HeldSlot {
    /// How many handles it has: one until it is shared.
    pub(crate) fn handles(&self) -> usize {
        self.references.max(1)
    }
}

impl From<HeldSlot> for Holder {
    fn from(held: HeldSlot) -> Self {
        Holder {
            index: held.index,
            since: held.since,
            location: held.location,
            len: (held.references > 0).then_some(held.written),
            handles: held.handles(),
            quota: held.quota,
        }
    }
}
