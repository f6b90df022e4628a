//! The pool's life, as its user controls it: make, configure, commit, decommit and flush.

#![forbid(unsafe_code)]

use crate::{
    core::{
        engine::{Engine, Settings},
        handle::{Pool, WeakPool},
    },
    pool::builder::Builder,
    values::{
        error::{CommitError, SetPropertiesError},
        properties::Properties,
    },
    wait::event::Listener,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

impl Pool {
    /// Makes a pool that is not configured: all its properties are zero.
    ///
    /// [`Pool::builder`] makes one that is ready for use.
    ///
    /// # Panics
    ///
    /// If the system refuses a page of memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, Properties, State};
    ///
    /// let pool = Pool::new();
    /// assert_eq!(pool.state(), State::Unconfigured);
    /// pool.set_properties(Properties { buffers: 4, size: 1000, align: 64, prefix: 0 })?;
    /// pool.commit()?;
    /// assert_eq!(pool.free_count(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new() -> Pool {
        Pool::with_settings(Settings::default())
    }

    pub(crate) fn with_settings(settings: Settings) -> Pool {
        Pool::first(Engine::new(settings).expect("cannot map a page of memory for the pool"))
    }

    /// Returns a builder for a pool. Its defaults are 32 buffers of 64 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().buffers(16).size(1500).build()?;
    /// assert_eq!(pool.free_count(), 16);
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Sets the number and size of the buffers that the next commit makes, and returns the actual properties.
    ///
    /// The size is rounded up so that prefix and size together are a multiple of the alignment.
    ///
    /// This allocates nothing, and unmaps the memory of an earlier commit. What the pool keeps beside the bytes of each
    /// buffer stays until the pool is freed: 128 bytes, and 16 more with
    /// [`track_holders`](crate::Builder::track_holders), for as many buffers as were ever in use in one commit. It is
    /// at most twice as much if the number of buffers grew from commit to commit.
    ///
    /// If another thread is mapping memory, or is returning the memory of a drain to the system, this blocks until that
    /// is done.
    ///
    /// Mirrors `IMemAllocator::SetProperties`.
    ///
    /// # Errors
    ///
    /// They are checked in this order, and nothing changes if one is returned:
    ///
    /// - [`BadAlign`](SetPropertiesError::BadAlign) if the alignment is 0;
    /// - [`AlreadyCommitted`](SetPropertiesError::AlreadyCommitted) if the pool is committed;
    /// - [`BuffersOutstanding`](SetPropertiesError::BuffersOutstanding) while the pool drains;
    /// - [`TooLarge`](SetPropertiesError::TooLarge) if all buffers together take more than [`isize::MAX`] bytes, or if
    ///   there are more than [`u32::MAX`] buffers.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, Properties};
    ///
    /// let pool = Pool::new();
    /// let requested = Properties { buffers: 2, size: 1000, align: 256, prefix: 12 };
    /// let actual = pool.set_properties(requested)?;
    /// assert_eq!(actual.size, 1012);
    /// # Ok::<(), sample_pool::SetPropertiesError>(())
    /// ```
    pub fn set_properties(&self, requested: Properties) -> Result<Properties, SetPropertiesError> {
        self.engine().set_properties(requested)
    }

    /// Returns the actual properties, as the last [`set_properties`](Pool::set_properties) returned them.
    ///
    /// Mirrors `IMemAllocator::GetProperties`.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().buffers(4).size(1000).align(64).build()?;
    /// assert_eq!(pool.properties().size, 1024);
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn properties(&self) -> Properties {
        self.engine().properties()
    }

    /// Maps the memory and starts to serve gets.
    ///
    /// The memory is one contiguous mapping, and the system backs only the pages that are used. A mapping is address
    /// space: a commit can succeed for more memory than the machine has, and the system ends the process when it uses
    /// too much of it. With [`prefault`](crate::Builder::prefault), a commit backs all of the memory.
    ///
    /// - If `set_properties` was not called in between, a later commit has the same addresses.
    /// - Committing a committed pool does nothing.
    /// - Committing a pool that drains cancels the decommit.
    ///
    /// No callback runs. If another thread is returning the memory of a drain to the system, this blocks until that is
    /// done.
    ///
    /// Mirrors `IMemAllocator::Commit`.
    ///
    /// # Errors
    ///
    /// - [`SizeNotSet`](CommitError::SizeNotSet) if the number, size or alignment of the buffers is 0;
    /// - [`OutOfMemory`](CommitError::OutOfMemory) if the system refuses the mapping, or refuses to back or lock it
    ///   where that was asked for. Smaller properties can be set after that.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{CommitError, Pool};
    ///
    /// assert!(matches!(Pool::new().commit(), Err(CommitError::SizeNotSet)));
    /// let pool = Pool::builder().buffers(2).build_uncommitted()?;
    /// pool.commit()?;
    /// assert_eq!(pool.free_count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(&self) -> Result<(), CommitError> {
        self.engine().commit(self.address())
    }

    /// Stops serving gets. It never waits for samples.
    ///
    /// Every queued get fails with [`NotCommitted`](crate::GetBufferError::NotCommitted), even if `commit` is called
    /// before it is polled. Outstanding samples stay fully usable. The release of the last one completes the decommit:
    /// physical memory is returned to the system, and [`drained`](Pool::drained) resolves. If no sample is outstanding,
    /// this happens before `decommit` returns.
    ///
    /// Returning the memory is one system call, on the thread that completes the decommit. It takes longer the more
    /// memory was in use. It delays neither the gets that fail in this time nor other pools.
    ///
    /// Memory that is locked, by `mlockall` for example, is returned too. If all of it was backed, as `MCL_FUTURE`
    /// keeps it, the next `commit` backs and locks it again. With `MCL_ONFAULT`, pages are locked again as they are
    /// used. If the system refuses to take the memory back, [`Status::memory_kept`](crate::Status::memory_kept) says
    /// how much stays.
    ///
    /// Mirrors `IMemAllocator::Decommit`.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool, State};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build()?;
    /// let sample = pool.get_buffer().await?;
    /// pool.decommit();
    /// assert_eq!(pool.try_get_buffer().unwrap_err(), GetBufferError::NotCommitted);
    /// let drained = pool.drained();
    /// drop(sample);
    /// drained.await;
    /// assert_eq!(pool.state(), State::Configured);
    /// # Ok(())
    /// # }
    /// ```
    pub fn decommit(&self) {
        self.engine().decommit();
    }

    /// Waits until a decommit has drained.
    ///
    /// It resolves at once if the pool is not committed, and otherwise at the first drain that completes after this
    /// call, even if `commit` follows. A drain that `commit` cancels does not resolve it. It also resolves when the
    /// pool is freed.
    ///
    /// It does not keep the pool alive. It counts from the call, not from the first poll. It allocates.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future loses only the notification.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = sample_pool::Pool::builder().build()?;
    /// pool.decommit();
    /// pool.drained().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn drained(&self) -> Drained {
        Drained {
            pool: self.downgrade(),
            listener: self.engine().drained(),
        }
    }

    /// Starts or ends a flush.
    ///
    /// During a flush every get fails with [`Flushing`](crate::GetBufferError::Flushing). The memory and its addresses
    /// stay.
    ///
    /// Every queued get fails with this error when the flush starts, even if the flush ends before the get is polled. A
    /// decommit does not end a flush.
    ///
    /// Mirrors what `IPin::BeginFlush` and `IPin::EndFlush` ask of an allocator.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    ///
    /// let pool = Pool::builder().build()?;
    /// pool.set_flushing(true);
    /// assert_eq!(pool.try_get_buffer().unwrap_err(), GetBufferError::Flushing);
    /// pool.set_flushing(false);
    /// assert!(pool.try_get_buffer().is_ok());
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    pub fn set_flushing(&self, flushing: bool) {
        self.engine().set_flushing(flushing);
    }
}

impl Default for Pool {
    /// Same as [`Pool::new`].
    fn default() -> Self {
        Pool::new()
    }
}

/// The future of a completed drain; made by [`Pool::drained`].
#[must_use = "a future does nothing until it is awaited"]
pub struct Drained {
    /// Weak, so that waiting for the drain does not keep the pool alive.
    pool: WeakPool,
    listener: Listener,
}

impl fmt::Debug for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained").finish_non_exhaustive()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if !self.listener.is_over() {
            self.pool.engine().remove_drained_listener(&self.listener);
        }
    }
}

impl Future for Drained {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.listener.poll(cx)
    }
}
