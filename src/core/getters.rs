//! The getters of the engine: its state, the holders of its samples, and the lengths of waits.

#![forbid(unsafe_code)]

use crate::{
    core::engine::{Engine, Shared},
    free_list::used::{Totals, UsedWords},
    slot::{header::Slot, owned::OwnedSlot},
    sync::{LockGuard, Ordering},
    values::{
        properties::Properties,
        quota_status::QuotaStatus,
        region::Region,
        status::{Holder, State, Status},
        undelivered::Undelivered,
        wait_histogram::WaitHistogram,
    },
    wait::{
        charge,
        clock::{Moment, Stamp},
        quota_account::Account,
        slab::WaiterNumber,
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
        let (out, shared) = self.survey(|used| used.out(&self.free_list));
        shared.properties.buffers - Engine::outstanding(&shared, out)
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
        let memory = shared.words.memory()?;
        let base = memory.base().as_ptr().cast_const();
        Some(Region::new(base, memory.len(), memory.stride()))
    }

    /// Whether a handle is left, and the status. The counts of a freed pool are right: they are in the totals.
    #[cfg(feature = "metrics")]
    pub(crate) fn lives(&self) -> (bool, Status) {
        let (counted, shared) = self.survey(|used| self.counted(used));
        (self.has_handle(&shared), self.status_of(&shared, counted))
    }

    /// The quotas in use.
    pub(crate) fn quotas(&self) -> Vec<QuotaStatus> {
        self.accounts.statuses(|joined| self.since(joined))
    }

    /// The longest waiter for room of each quota that has one: its join time, its number and the account.
    pub(crate) fn longest_waits_for_room(
        &self,
        now: Moment,
    ) -> impl Iterator<Item = (Stamp, WaiterNumber, Arc<Account>)> + use<> {
        self.accounts.longest(self.stamp(now))
    }

    /// Reads what the slots say, with `read`. Returns what it found, and the lock.
    ///
    /// If there are many slots, they are read while the lock is free: a hand-off must not wait for an observer. So it
    /// may be called again, if the slots began to count from 0 in between.
    pub(crate) fn survey<T>(
        &self,
        mut read: impl FnMut(&UsedWords<'_>) -> T,
    ) -> (T, LockGuard<'_, Shared>) {
        loop {
            let shared = self.lock();
            let used = shared.words.used();
            if used.are_few() {
                let found = read(&used);
                return (found, shared);
            }
            let used = used.into_owned();
            drop(shared);
            let found = read(&used);
            let shared = self.lock();
            if shared.words.is_of_this_commit(&used) {
                return (found, shared);
            }
        }
    }

    /// Counts what the slots say.
    fn counted(&self, used: &UsedWords<'_>) -> Counted {
        Counted {
            out: used.out(&self.free_list),
            totals: used.totals(&self.free_list),
        }
    }

    /// How many samples are outstanding, of `out` slots that are checked out. In the free list, priority buffers count
    /// as checked out too. Those that were kept since `out` was counted may make it too small by their number.
    fn outstanding(shared: &Shared, out: usize) -> usize {
        // If every word is parked, the number is known now. So no sample is shown as free beside a waiter.
        let out = match shared.words.all_parked() {
            true => shared.words.parked_out(),
            false => out,
        };
        out.saturating_sub(shared.priority_buffers.len())
            .min(shared.properties.buffers)
    }

    /// Records who takes a slot.
    #[cold]
    pub(crate) fn record(&self, slot: &OwnedSlot, location: &'static Location<'static>) {
        if let Some(record) = self.free_list.table.record(slot.index()) {
            let since = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
            record.write(since, location);
        }
    }

    pub(crate) fn status(&self) -> Status {
        let (counted, shared) = self.survey(|used| self.counted(used));
        self.status_of(&shared, counted)
    }

    fn status_of(&self, shared: &Shared, counted: Counted) -> Status {
        let buffers = shared.properties.buffers;
        let outstanding = Engine::outstanding(shared, counted.out);
        let now = counted.totals;
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
            exhausted: self.misses.sum(),
            timed_out: counters.timed_out,
            cancelled: counters.cancelled,
            callback_panics: self.callback_panics.load(Ordering::Relaxed),
        }
    }

    fn held_in_all(&self, used: &UsedWords<'_>) -> Vec<HeldSlot> {
        // Kept until the iterator is dropped, so that no new account can have the address of one of them.
        let accounts = self.accounts.in_use().into_iter();
        let accounts: HashMap<_, _> = accounts.map(|one| (charge::address(&one), one)).collect();
        let slots = used.slots(&self.free_list);
        let held = slots.filter_map(|(index, slot)| {
            let mut held = self.held_in(index, slot)?;
            let account = accounts.get(&slot.account());
            held.quota = account.map(|account| account.name().clone());
            Some(held)
        });
        held.collect()
    }

    /// The samples that users hold, if the pool tracks holders.
    pub(crate) fn held(&self) -> Vec<HeldSlot> {
        self.survey(|used| self.held_in_all(used)).0
    }

    /// The status, the samples that users hold, if the pool tracks holders, and the lock.
    pub(crate) fn status_and_held(&self) -> (Status, Option<Vec<HeldSlot>>, LockGuard<'_, Shared>) {
        let tracks = self.tracks_holders();
        let ((counted, held), shared) = self.survey(|used| {
            let held = tracks.then(|| self.held_in_all(used));
            (self.counted(used), held)
        });
        (self.status_of(&shared, counted), held, shared)
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

/// What the slots said when they were read.
struct Counted {
    /// How many were checked out.
    out: usize,
    totals: Totals,
}

impl Shared {
    /// How many gets wait for a sample.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Join time (if measured) and number of the get that has waited longest for a sample.
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

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use crate::Pool;
    use std::{
        cell::RefCell,
        thread,
        time::{Duration, Instant},
    };

    /// A pool whose slots are too many to be read under the lock, and all were used.
    fn large_pool() -> Pool {
        let pool = Pool::builder().buffers(2000).size(64).build().unwrap();
        drop(pool.try_get_buffers(2000).unwrap());
        pool
    }

    /// At a million slots a hand-off would wait for milliseconds.
    #[test]
    fn many_slots_are_read_while_the_lock_is_free() {
        let pool = large_pool();
        let held: RefCell<Vec<_>> = RefCell::new(pool.try_get_buffers(1501).unwrap());
        let (out, shared) = pool.engine().survey(|used| {
            let sample = held.borrow_mut().pop().unwrap();
            let other = pool.clone();
            let thread = thread::spawn(move || {
                drop(other.engine().lock());
                drop(sample);
            });
            let begun = Instant::now();
            while !thread.is_finished() {
                assert!(
                    begun.elapsed() < Duration::from_secs(10),
                    "the lock is held"
                );
                thread::yield_now();
            }
            used.out(&pool.engine().free_list)
        });
        drop(shared);
        assert_eq!(out, 1500);
        drop(held);
    }

    /// The number that a pool had last is what its metrics go on to show.
    #[test]
    fn a_pool_that_is_freed_after_a_drain_keeps_its_high_water_mark() {
        let pool = large_pool();
        pool.decommit();
        let weak = pool.downgrade();
        assert_eq!(pool.status().high_water, 2000);
        drop(pool);
        assert_eq!(weak.engine().status().high_water, 2000);
    }

    /// The counts of one commit and the sums of the earlier ones would be added up wrongly.
    #[test]
    fn a_survey_over_a_new_commit_is_made_again() {
        let pool = large_pool();
        let mut surveys = 0;
        let (out, shared) = pool.engine().survey(|used| {
            surveys += 1;
            if surveys == 1 {
                pool.decommit();
                pool.commit().unwrap();
            }
            used.out(&pool.engine().free_list)
        });
        drop(shared);
        assert_eq!((surveys, out), (2, 0));
        let status = pool.status();
        assert_eq!((status.acquired, status.released), (2000, 2000));
    }
}
