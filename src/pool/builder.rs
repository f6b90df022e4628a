//! The builder: the properties and settings of a pool, in one expression.

#![forbid(unsafe_code)]

use crate::{
    core::{engine::Settings, handle::Pool},
    values::{
        error::{BuildError, SetPropertiesError},
        properties::Properties,
    },
};
use std::{fmt, sync::Arc};

type OnRelease = Arc<dyn crate::core::callback::NotifyRelease>;

/// Builds a [`Pool`].
///
/// The methods check nothing: [`build`](Builder::build) and [`build_uncommitted`](Builder::build_uncommitted) report
/// what is wrong.
///
/// # Examples
///
/// ```
/// use sample_pool::Pool;
///
/// let pool = Pool::builder()
///     .buffers(64)
///     .size(1500)
///     .prefix(12)
///     .zero_on_release(true)
///     .build()?;
/// assert_eq!(pool.properties().prefix, 12);
/// # Ok::<(), sample_pool::BuildError>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    properties: Properties,
    settings: Settings,
    on_release: Option<OnRelease>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("properties", &self.properties)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    /// Same as [`Pool::builder`].
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Builder {
            properties: Properties {
                buffers: 32,
                size: 64 * 1024,
                align: 64,
                prefix: 0,
            },
            settings: Settings::default(),
            on_release: None,
        }
    }

    /// Sets the number of buffers. The default is 32.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().buffers(4).build()?;
    /// assert_eq!(pool.free_count(), 4);
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    pub fn buffers(mut self, n: usize) -> Self {
        self.properties.buffers = n;
        self
    }

    /// Sets the number of bytes that each buffer holds, not counting its prefix. The default is 64 KiB.
    ///
    /// The size is rounded up; see [`Pool::set_properties`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().size(1500).align(64).build()?;
    /// assert_eq!(pool.properties().size, 1536);
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    pub fn size(mut self, bytes: usize) -> Self {
        self.properties.size = bytes;
        self
    }

    /// Sets the alignment of the buffers in bytes. The default is 64.
    ///
    /// The start of each buffer, which is the start of its prefix, is a multiple of it. Any number but zero is valid.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().size(4096).align(4096).build()?;
    /// let sample = pool.try_get_buffer()?;
    /// assert_eq!(sample.as_ptr().addr() % 4096, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn align(mut self, bytes: usize) -> Self {
        self.properties.align = bytes;
        self
    }

    /// Sets the number of bytes of headroom that each sample starts with. The default is 0.
    ///
    /// The headroom is for headers that are [prepended](crate::Sample::prepend).
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().prefix(64).build()?;
    /// assert_eq!(pool.try_get_buffer()?.headroom(), 64);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefix(mut self, bytes: usize) -> Self {
        self.properties.prefix = bytes;
        self
    }

    /// Sets how many gets may be queued. The default is unlimited.
    ///
    /// The limit holds for the pool's wait queue and for the wait queue of each quota. A get that would exceed it fails
    /// with [`TooManyWaiters`](crate::GetBufferError::TooManyWaiters). Gets of a
    /// [`priority_quota`](Pool::priority_quota) wait for a sample without this limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(1).max_waiters(0).build()?;
    /// let sample = pool.get_buffer().await?;
    /// let refused = pool.get_buffer().await;
    /// assert_eq!(refused.unwrap_err(), GetBufferError::TooManyWaiters);
    /// # drop(sample);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_waiters(mut self, n: usize) -> Self {
        self.settings.max_waiters = n;
        self
    }

    /// Sets how many buffers are kept for [quotas of high priority](Pool::priority_quota). The default is none.
    ///
    /// For a get without high priority, the pool is smaller by this number. A get of high priority takes one of these
    /// buffers only if no other sample is free. While one of them is missing, each sample that is released replaces it
    /// before any other get is served, except for queued gets of high priority.
    ///
    /// At least one buffer is always left for the other gets: if the pool has no more buffers than this number, all but
    /// one are kept. While one is missing, gets and releases take a lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    ///
    /// let pool = Pool::builder().buffers(3).priority_buffers(1).build()?;
    /// let frames = pool.try_get_buffers(2)?;
    /// assert_eq!(pool.try_get_buffer().unwrap_err(), GetBufferError::Exhausted);
    ///
    /// let control = pool.priority_quota("control messages", 1);
    /// let message = control.try_get_buffer()?;
    /// # drop((frames, message));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn priority_buffers(mut self, n: usize) -> Self {
        self.settings.priority_buffers = n;
        self
    }

    /// Sets whether each release overwrites the whole buffer, its prefix included, with zeroes. The default is no.
    ///
    /// No safe code can read what an earlier owner wrote, with or without this setting. It is for secrets that must not
    /// stay in memory. Copies that this crate makes on the heap
    /// ([`SharedSample::into_bytes_or_copy`](crate::SharedSample::into_bytes_or_copy)) are overwritten too, when they
    /// are dropped. Copies that you make are yours to wipe.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let keys = Pool::builder().buffers(8).size(32).zero_on_release(true).build()?;
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    pub fn zero_on_release(mut self, yes: bool) -> Self {
        self.settings.zero_on_release = yes;
        self
    }

    /// Sets whether a commit makes the system back all memory at once. The default is no.
    ///
    /// The first use of a buffer then causes no page fault.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().buffers(8).prefault(true).build()?;
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    pub fn prefault(mut self, yes: bool) -> Self {
        self.settings.prefault = yes;
        self
    }

    /// Sets whether to ask the system for huge pages. The default is no.
    ///
    /// This is a hint, and is ignored where there are no huge pages. With the feature `tracing`, an event reports that
    /// the system refused it.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().buffers(64).huge_pages(true).build()?;
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.settings.huge_pages = yes;
        self
    }

    /// Sets whether to record who holds each sample and since when, for [`Pool::holders`]. The default is no.
    ///
    /// It costs a read of the clock for each get.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().track_holders(true).build()?;
    /// let sample = pool.try_get_buffer()?;
    /// assert_eq!(pool.holders()[0].index, sample.index());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn track_holders(mut self, yes: bool) -> Self {
        self.settings.track_holders = yes;
        self
    }

    /// Sets the name of the pool in [reports](Pool::report), events and metrics. The default is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().name("camera 3").build()?;
    /// assert!(pool.report().to_string().starts_with("pool \"camera 3\": 32 of 32 free"));
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Sets the callback that is called at each release; see [`Pool::set_notify`].
    ///
    /// It can be called on several threads at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder()
    ///     .buffers(4)
    ///     .on_release(|pool| assert_eq!(pool.free_count(), 4))
    ///     .build()?;
    /// drop(pool.try_get_buffer()?);
    /// assert_eq!(pool.status().callback_panics, 0); // a panic in it is caught, and counted
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_release(mut self, f: impl Fn(&Pool) + Send + Sync + 'static) -> Self {
        self.on_release = Some(Arc::new(f));
        self
    }

    /// Sets whether to measure how long gets wait. The default is no.
    ///
    /// The results are [`Status::wait_time`](crate::Status), `max_wait` and `oldest_wait`, and
    /// [`Pool::wait_histogram`]. A wait begins at the first poll of its get, and ends when a poll of the get returns
    /// the result.
    ///
    /// The clock is Tokio's, so that a test can pause it. A blocking get, and a get outside a runtime, use std's.
    /// Reading it twice costs a fifth of a hand-off.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder().measure_waits(true).build()?;
    /// assert_eq!(pool.status().max_wait, Some(Duration::ZERO));
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    pub fn measure_waits(mut self, yes: bool) -> Self {
        self.settings.measure_waits = yes;
        self
    }

    /// Makes the pool and commits it.
    ///
    /// # Errors
    ///
    /// Those of [`Pool::set_properties`] and [`Pool::commit`].
    ///
    /// # Panics
    ///
    /// As [`Pool::new`], if the system refuses a page of memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{BuildError, CommitError, Pool, SetPropertiesError};
    ///
    /// let error = Pool::builder().align(0).build().unwrap_err();
    /// assert!(matches!(error, BuildError::SetProperties(SetPropertiesError::BadAlign)));
    /// let error = Pool::builder().buffers(0).build().unwrap_err();
    /// assert!(matches!(error, BuildError::Commit(CommitError::SizeNotSet)));
    /// ```
    pub fn build(self) -> Result<Pool, BuildError> {
        let pool = self.build_uncommitted()?;
        pool.commit()?;
        Ok(pool)
    }

    /// Makes the pool and sets its properties, but does not commit it: gets fail until [`Pool::commit`].
    ///
    /// # Errors
    ///
    /// Those of [`Pool::set_properties`].
    ///
    /// # Panics
    ///
    /// As [`Pool::new`], if the system refuses a page of memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, State};
    ///
    /// let pool = Pool::builder().build_uncommitted()?;
    /// assert_eq!(pool.state(), State::Configured);
    /// # Ok::<(), sample_pool::SetPropertiesError>(())
    /// ```
    pub fn build_uncommitted(self) -> Result<Pool, SetPropertiesError> {
        let pool = Pool::with_settings(self.settings);
        pool.set_properties(self.properties)?;
        drop(pool.set_notify(self.on_release));
        Ok(pool)
    }
}
