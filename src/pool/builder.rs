//! Building a pool in one expression.

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

/// Builds a [`Pool`]. Nothing is checked before [`build`](Builder::build).
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
    /// [`Pool::builder`].
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

    /// How many buffers the pool has. Default 32.
    pub fn buffers(mut self, n: usize) -> Self {
        self.properties.buffers = n;
        self
    }

    /// How many bytes each buffer holds, its prefix not counted. Default 64 KiB. It is rounded up; see
    /// [`Pool::set_properties`].
    pub fn size(mut self, bytes: usize) -> Self {
        self.properties.size = bytes;
        self
    }

    /// What the start of each buffer, its prefix included, is a multiple of. Default 64. Any number but
    /// zero.
    pub fn align(mut self, bytes: usize) -> Self {
        self.properties.align = bytes;
        self
    }

    /// How many bytes of headroom each sample starts with, for headers that are
    /// [prepended](crate::Sample::prepend). Default 0.
    pub fn prefix(mut self, bytes: usize) -> Self {
        self.properties.prefix = bytes;
        self
    }

    /// How many gets may be in line, of the pool and of each quota; a further one fails with
    /// [`TooManyWaiters`](crate::GetBufferError::TooManyWaiters). Default unlimited. Gets of a
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

    /// How many buffers are kept for [quotas of high priority](Pool::priority_quota). Default none.
    ///
    /// A get without high priority finds the pool as if it were smaller by so many. One of high priority takes
    /// from the reserve only when no other sample is home; the next that come home fill it up again,
    /// before anyone else in line is served. One buffer is always left for all others, so of a pool with
    /// fewer buffers all but one are kept. While the reserve is short, releases and gets go under a lock.
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

    /// Whether each release overwrites the whole buffer, its prefix included, with zeroes. Default
    /// no: no safe code can read what an earlier owner wrote, so this is for secrets that must not
    /// stay in memory. Copies that the crate makes on the heap are wiped too when they are dropped
    /// ([`SharedSample::into_bytes_or_copy`](crate::SharedSample::into_bytes_or_copy)); copies that you make are yours to wipe.
    pub fn zero_on_release(mut self, yes: bool) -> Self {
        self.settings.zero_on_release = yes;
        self
    }

    /// Whether a commit makes the system back all memory at once, so that the first use of a buffer
    /// meets no page fault. Default no.
    pub fn prefault(mut self, yes: bool) -> Self {
        self.settings.prefault = yes;
        self
    }

    /// Whether to ask the system for huge pages. A hint, ignored where there are none; with the feature `tracing` an
    /// event says that the system refused it. Default no.
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.settings.huge_pages = yes;
        self
    }

    /// Whether to keep who holds each sample and since when, for [`Pool::holders`]. Default no: it
    /// reads the clock at each get.
    pub fn track_holders(mut self, yes: bool) -> Self {
        self.settings.track_holders = yes;
        self
    }

    /// What the pool is called in [reports](Pool::report), events and metrics, so that the pools of a
    /// program are told apart. Default none.
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

    /// Sets the callback that is called at each release, possibly on several threads at once; see [`Pool::set_notify`].
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

    /// Whether to measure how long gets wait, for [`Status::wait_time`](crate::Status), `max_wait` and
    /// `oldest_wait`, and for [`Pool::wait_histogram`].
    /// Default no: reading the clock twice is a fifth of a hand-over. It is Tokio's, so that a test may pause it, and std's
    /// in a blocking get and outside a runtime. A wait begins when its get is polled first, and ends when the get is polled
    /// with what came of it.
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

    /// Makes the pool and sets its properties; it hands out nothing until it is committed.
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
