//! What a pool says of itself: counting what is home, and who holds the rest.

#![forbid(unsafe_code)]

use crate::{
    engine::{Engine, Shared},
    raw::{handle::Pool, header::Slot, payer, slot::OwnedSlot},
    region_info::Region,
    status::{Holder, State, Status},
    sync::Ordering,
    wait_times::WaitHistogram,
};
use std::{
    collections::HashMap,
    panic::Location,
    sync::Arc,
    time::{Duration, Instant},
};

impl Pool {
    /// Where the pool is in its life.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, State};
    ///
    /// assert_eq!(Pool::new().state(), State::Unconfigured);
    /// ```
    #[must_use]
    pub fn state(&self) -> State {
        self.engine().lock().state
    }

    /// Whether the pool is being flushed; see [`set_flushing`](Pool::set_flushing).
    #[must_use]
    pub fn is_flushing(&self) -> bool {
        self.engine().lock().flushing
    }

    /// How many samples are home, the reserve among them: `buffers` less those outstanding. Not a snapshot,
    /// and the cost grows with the number of buffers in use.
    ///
    /// Mirrors `IMemAllocatorCallbackTemp::GetFreeCount`.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().buffers(4).build()?;
    /// let sample = pool.try_get_buffer()?;
    /// assert_eq!(pool.free_count(), 3);
    /// # drop(sample);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn free_count(&self) -> usize {
        let engine = self.engine();
        let shared = engine.lock();
        shared.properties.buffers - engine.outstanding(&shared)
    }

    /// How busy the pool is, and how busy it has been. Not a snapshot: see [`Status`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().buffers(2).build()?;
    /// drop(pool.try_get_buffer()?);
    /// let status = pool.status();
    /// assert_eq!((status.acquired, status.released, status.high_water), (1, 1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        let engine = self.engine();
        engine.status(&engine.lock())
    }

    /// How long gets waited, for a sample or for room in a [quota](crate::Quota), by length; `None` unless
    /// [`Builder::measure_waits`](crate::Builder::measure_waits) was set. It counts from when the pool was
    /// made.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().measure_waits(true).build()?;
    /// let times = pool.wait_histogram().expect("they are measured");
    /// if let Some(longest) = times.quantile(0.99) {
    ///     println!("99 of 100 gets that had to wait waited for at most {longest:?}");
    /// }
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn wait_histogram(&self) -> Option<WaitHistogram> {
        let waits = self.engine().waits.as_ref()?;
        Some(waits.times())
    }

    /// Who holds the samples that are out, and since when; empty unless
    /// [`Builder::track_holders`](crate::Builder::track_holders) was set. Not a snapshot.
    ///
    /// [`report`](Pool::report) tells the same by call site, to be read.
    ///
    /// A sample on its way (handed to a waiter that was not polled since, or gathered for a request
    /// for several) has no holder.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().track_holders(true).build()?;
    /// let sample = pool.try_get_buffer()?;
    /// for holder in pool.holders() {
    ///     println!("{holder}");
    /// }
    /// # assert_eq!(pool.holders().len(), 1);
    /// # drop(sample);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        let engine = self.engine();
        let shared = engine.lock();
        engine.held(&shared).map(Holder::from).collect()
    }

    /// What [`Builder::name`](crate::Builder::name) set.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// assert_eq!(Pool::builder().name("camera").build()?.name(), Some("camera"));
    /// assert_eq!(Pool::new().name(), None);
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.engine().settings.name.as_deref()
    }

    /// Where the memory lies, while the pool is committed; for registering it with a device
    /// or the kernel. Until when that holds: see [`Region`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().buffers(4).size(4096).align(4096).build()?;
    /// let region = pool.region().expect("committed");
    /// assert_eq!((region.len(), region.stride()), (4 * 4096, 4096));
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        let shared = self.engine().lock();
        if shared.state != State::Committed {
            return None;
        }
        let memory = shared.ledger.memory()?;
        let base = memory.base().as_ptr().cast_const();
        Some(Region::new(base, memory.len(), memory.stride()))
    }
}

impl Engine {
    /// How many samples are not home. To the free list those of the reserve are not.
    fn outstanding(&self, shared: &Shared) -> usize {
        shared.ledger.out(&self.free_list) - shared.reserve.len()
    }

    /// Writes down who takes a slot.
    #[cold]
    pub(crate) fn record(&self, slot: &OwnedSlot, location: &'static Location<'static>) {
        if let Some(record) = self.free_list.shelf.record(slot.index()) {
            let since = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
            record.write(since, location);
        }
    }

    pub(crate) fn status(&self, shared: &Shared) -> Status {
        let buffers = shared.properties.buffers;
        let outstanding = self.outstanding(shared);
        let now = shared.ledger.tally(&self.free_list);
        let counters = shared.counters;
        let waits = self.waits.as_ref();
        Status {
            state: shared.state,
            buffers,
            free: buffers - outstanding,
            outstanding,
            priority_free: shared.reserve.len(),
            bytes_used: now.written,
            bytes_pinned: outstanding * shared.properties.stride(),
            memory_kept: shared.memory_kept,
            waiting: shared.line.len(),
            high_water: match shared.state {
                State::Committed | State::Draining => now.used,
                State::Unconfigured | State::Configured => counters.tally.used,
            },
            oldest_wait: shared.line.oldest().map(|joined| self.since(joined)),
            acquired: counters.tally.acquired + now.acquired,
            released: counters.tally.released + now.released,
            waited: counters.waited + self.waited_for_room.load(Ordering::Relaxed),
            wait_time: waits.map(|waits| waits.total()),
            max_wait: waits.map(|waits| waits.longest()),
            exhausted: counters.exhausted + self.misses.load(Ordering::Relaxed),
            timed_out: counters.timed_out,
            cancelled: counters.cancelled,
            callback_panics: self.callback_panics.load(Ordering::Relaxed),
        }
    }

    /// The samples that users have, if the pool keeps who has them.
    pub(crate) fn held<'a>(&'a self, shared: &'a Shared) -> impl Iterator<Item = Held> + 'a {
        // Kept until the end, so that no other account can have the address of one of them.
        let accounts = self.accounts.in_use().into_iter();
        let accounts: HashMap<_, _> = accounts.map(|one| (payer::address(&one), one)).collect();
        let slots = shared.ledger.used_slots();
        slots.filter_map(move |index| {
            let slot = shared.ledger.slot(&self.free_list, index)?;
            let mut held = self.held_in(index, slot)?;
            let account = accounts.get(&slot.payer());
            held.quota = account.map(|account| account.name().clone());
            Some(held)
        })
    }

    fn held_in(&self, index: usize, slot: &Slot) -> Option<Held> {
        let turns = slot.turns();
        let references = slot.references();
        let written = slot.len();
        let (since, location) = self.free_list.shelf.record(index)?.read()?;
        // An odd number of turns says that a user has it; the same number, that nothing moved.
        let held = turns % 2 == 1 && slot.turns() == turns;
        held.then(|| Held {
            index,
            since: self.born + Duration::from_nanos(since),
            location,
            written,
            references,
            quota: None,
        })
    }
}

/// A sample that a user has, as its slot's header and record tell.
#[derive(Debug)]
pub(crate) struct Held {
    index: usize,
    pub(crate) since: Instant,
    pub(crate) location: &'static Location<'static>,
    pub(crate) written: usize,
    references: usize,
    pub(crate) quota: Option<Arc<str>>,
}

impl Held {
    /// One, until it is shared.
    pub(crate) fn handles(&self) -> usize {
        self.references.max(1)
    }
}

impl From<Held> for Holder {
    fn from(held: Held) -> Self {
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
