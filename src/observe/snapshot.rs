//! What a pool says of itself: counting what is home, and who holds the rest.

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
        self.engine().state()
    }

    /// Whether the pool is being flushed; see [`set_flushing`](Pool::set_flushing).
    #[must_use]
    pub fn is_flushing(&self) -> bool {
        self.engine().is_flushing()
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
        self.engine().free_count()
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
        self.engine().wait_histogram()
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
        self.engine().name()
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
        self.engine().region()
    }
}
