//! What a pool says of itself: counting what is home, and who holds the rest.

#![forbid(unsafe_code)]

use crate::{
    engine::Engine,
    raw::{handle::Pool, slot::OwnedSlot},
    region_info::Region,
    status::{Holder, State, Status},
    sync::Ordering,
};
use std::{panic::Location, time::Duration};

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

    /// How many samples are home: `buffers` less those outstanding. Not a snapshot, and the cost
    /// grows with the number of buffers in use.
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
        shared.properties.buffers - shared.ledger.out(&engine.free_list)
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
        let shared = engine.lock();
        let buffers = shared.properties.buffers;
        let outstanding = shared.ledger.out(&engine.free_list);
        let now = shared.ledger.tally(&engine.free_list);
        let counters = shared.counters;
        let measured = engine.settings.measure_waits;
        Status {
            state: shared.state,
            buffers,
            free: buffers - outstanding,
            outstanding,
            waiting: shared.line.len(),
            high_water: match shared.state {
                State::Committed | State::Draining => now.used,
                State::Unconfigured | State::Configured => counters.tally.used,
            },
            acquired: counters.tally.acquired + now.acquired,
            released: counters.tally.released + now.released,
            waited: counters.waited,
            wait_time: measured.then_some(shared.line.waits().total),
            max_wait: measured.then_some(shared.line.waits().longest),
            exhausted: counters.exhausted + engine.misses.load(Ordering::Relaxed),
            timed_out: counters.timed_out,
            cancelled: counters.cancelled,
            callback_panics: engine.callback_panics.load(Ordering::Relaxed),
        }
    }

    /// Who holds the samples that are out, and since when; empty unless
    /// [`Builder::track_holders`](crate::Builder::track_holders) was set. Not a snapshot.
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
        let slots = shared.ledger.used_slots();
        slots.filter_map(|index| engine.holder(index)).collect()
    }

    /// Where the memory lies, while the pool is committed; for registering it with a device
    /// or the kernel.
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
    /// Writes down who takes a slot.
    #[cold]
    pub(crate) fn record(&self, slot: &OwnedSlot, location: &'static Location<'static>) {
        if let Some(record) = self.free_list.shelf().record(slot.index()) {
            let since = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
            record.write(since, location);
        }
    }

    fn holder(&self, index: usize) -> Option<Holder> {
        let shelf = self.free_list.shelf();
        let slot = shelf.slot(index)?;
        let turns = slot.turns();
        let handles = slot.references();
        let (since, location) = shelf.record(index)?.read()?;
        // An odd number of turns says that a user has it; the same number, that nothing moved.
        let held = turns % 2 == 1 && slot.turns() == turns;
        held.then(|| Holder {
            index,
            since: self.born + Duration::from_nanos(since),
            location,
            len: (handles > 0).then(|| slot.len()),
            handles: handles.max(1),
        })
    }
}
