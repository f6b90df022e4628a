//! The getters of a pool: its state, its counters, the holders of its samples and its memory.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    values::{
        region::Region,
        status::{Holder, State, Status},
        wait_histogram::WaitHistogram,
    },
};

impl Pool {
    /// Returns the state of the pool's life cycle.
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
        self.engine().state()
    }

    /// Returns `true` while the pool is flushed; see [`set_flushing`](Pool::set_flushing).
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::new();
    /// pool.set_flushing(true);
    /// assert!(pool.is_flushing());
    /// ```
    #[must_use]
    pub fn is_flushing(&self) -> bool {
        self.engine().is_flushing()
    }

    /// Returns how many samples are free: the number of buffers less the outstanding samples.
    ///
    /// The buffers that are kept for [high priority](crate::Builder::priority_buffers) are included. It is not a
    /// snapshot: samples move while they are counted. The cost grows with the number of buffers in use.
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
        self.engine().free_count()
    }

    /// Returns the pool's counts: what is free and outstanding now, and what happened so far.
    ///
    /// It is not a snapshot; see [`Status`].
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
        self.engine().status()
    }

    /// Returns the lengths of all waits for a sample or for room in a [quota](crate::Quota), as a histogram.
    ///
    /// It is `None` unless [`Builder::measure_waits`](crate::Builder::measure_waits) was set. It counts the waits since
    /// the pool was made.
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
        self.engine().wait_histogram()
    }

    /// Returns who holds the outstanding samples, and since when.
    ///
    /// It is empty unless [`Builder::track_holders`](crate::Builder::track_holders) was set. It is not a snapshot. To
    /// print the same grouped by call site, use [`report`](Pool::report).
    ///
    /// A sample in transit has no holder: one that was handed to a waiter that was not polled since, or that was
    /// gathered for a request for several.
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
        let held = self.engine().held().into_iter();
        held.map(Holder::from).collect()
    }

    /// Returns the name that [`Builder::name`](crate::Builder::name) set.
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
        self.engine().name()
    }

    /// Returns the address range of the memory while the pool is committed, for registering it with a device or the
    /// kernel.
    ///
    /// For how long it stays valid, see [`Region`].
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
        self.engine().region()
    }
}
