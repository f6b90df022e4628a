//! The pool's public methods: configuring it, and getting samples from it.

#![forbid(unsafe_code)]

use crate::{
    builder::Builder,
    engine::{Engine, Settings},
    error::{CommitError, GetBufferError, SetPropertiesError},
    get::{GetBuffer, GetBufferOwned, GetBufferTimeout},
    get_many::{self, GetBuffers, GetBuffersInto},
    properties::Properties,
    raw::handle::Pool,
    sample::Sample,
    signal::Signal,
};
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
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
        Pool::first(Engine::new(settings).expect("the system gives a page of memory"))
    }

    /// Starts building a pool: 32 buffers of 64 KiB, unless told otherwise.
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

    /// Says how many buffers of what size the next commit makes, and returns the actual properties:
    /// the size is rounded up so that prefix and size together are a multiple of the alignment.
    ///
    /// Allocates nothing, but unmaps the memory of an earlier commit.
    ///
    /// Mirrors `IMemAllocator::SetProperties`.
    ///
    /// # Errors
    ///
    /// Checked in this order, and nothing changes on any: `BadAlign` if the alignment is 0,
    /// `AlreadyCommitted`, `BuffersOutstanding` while the pool drains, `TooLarge` if all buffers
    /// together are larger than memory can be, or more than `u32::MAX`.
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

    /// The actual properties, as the last [`set_properties`](Pool::set_properties) returned them.
    ///
    /// Mirrors `IMemAllocator::GetProperties`.
    #[must_use]
    pub fn properties(&self) -> Properties {
        self.engine().lock().properties
    }

    /// Maps the memory and starts to hand out samples.
    ///
    /// The memory is one contiguous mapping, backed by the system only where it is used. Without
    /// `set_properties` in between, a further commit gives the same addresses. Committing a committed
    /// pool does nothing; committing one that drains cancels the decommit. No callback runs. If the
    /// memory of a drain is being given back at this moment, this waits until it is.
    ///
    /// Mirrors `IMemAllocator::Commit`.
    ///
    /// # Errors
    ///
    /// [`SizeNotSet`](CommitError::SizeNotSet) if the number, size or alignment of the buffers is 0;
    /// [`OutOfMemory`](CommitError::OutOfMemory) if the system refuses the mapping, after which smaller
    /// properties can be set.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{CommitError, Pool};
    ///
    /// assert_eq!(Pool::new().commit(), Err(CommitError::SizeNotSet));
    /// let pool = Pool::builder().buffers(2).build_uncommitted()?;
    /// pool.commit()?;
    /// assert_eq!(pool.free_count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(&self) -> Result<(), CommitError> {
        self.engine().commit(self.owner())
    }

    /// Stops handing out samples. Never waits for samples.
    ///
    /// Everybody in line gets [`NotCommitted`](GetBufferError::NotCommitted), even if `commit` follows
    /// before it is polled. Samples that are out stay fully usable; whoever brings the last one home
    /// completes the decommit: physical memory is given back to the system, and
    /// [`drained`](Pool::drained) resolves. With nothing out, that happens before this returns.
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

    /// Waits until a decommit has drained: at once if the pool is not committed, otherwise at the
    /// first drain that completes after this call, even if `commit` follows. A drain that `commit`
    /// cancels keeps it waiting. It also resolves when the pool is freed.
    ///
    /// It does not keep the pool alive, and counts from the call, not from the first poll. It
    /// allocates.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future loses nothing but the notice.
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
            signal: self.engine().drained(),
        }
    }

    /// Starts or ends a flush. While it lasts every get fails with
    /// [`Flushing`](GetBufferError::Flushing); memory and addresses stay.
    ///
    /// Everybody in line gets the error when the flush begins, even if it ends before it is polled. A
    /// flush outlives a decommit.
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

    /// Waits for a sample and takes it.
    ///
    /// Served first in, first out, by *first poll*: making the future takes no place in line, and
    /// running out of Tokio's cooperative budget loses none. The sample is empty and can take
    /// [`Properties::size`] bytes. The common get is one atomic read-modify-write of a cache line that
    /// no other busy thread writes; nothing is allocated, waiting or not, once as many have waited
    /// before. Works on any executor.
    ///
    /// A future that was handed a sample and is neither polled nor dropped keeps it, and can hold up a
    /// drain.
    ///
    /// Mirrors `IMemAllocator::GetBuffer`.
    ///
    /// # Errors
    ///
    /// [`NotCommitted`](GetBufferError::NotCommitted) and [`Flushing`](GetBufferError::Flushing) if the
    /// pool is so at the first poll or becomes so while this waits;
    /// [`TooManyWaiters`](GetBufferError::TooManyWaiters) if the line has
    /// [`Builder::max_waiters`] already.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future gives up its place in line and nothing else: a sample already
    /// handed to it goes to the next in line, and no release callback runs for it.
    ///
    /// # Panics
    ///
    /// If the future is polled after it has resolved.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = sample_pool::Pool::builder().buffers(2).build()?;
    /// let mut sample = pool.get_buffer().await?;
    /// sample.write_all(b"a frame")?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_buffer(&self) -> GetBuffer<'_> {
        GetBuffer::new(self, Location::caller())
    }

    /// Waits for a sample and takes it; the future owns a handle to the pool, so it is `'static`.
    ///
    /// Otherwise as [`get_buffer`](Pool::get_buffer). The handle is counted on a line that all threads
    /// share; where a lifetime does, `get_buffer` is cheaper.
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Pool::get_buffer).
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffer`](Pool::get_buffer).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = sample_pool::Pool::builder().buffers(2).build()?;
    /// let get = pool.get_buffer_owned();
    /// let sample = tokio::spawn(get).await??;
    /// assert!(sample.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_buffer_owned(&self) -> GetBufferOwned {
        GetBufferOwned::new(self.clone(), Location::caller())
    }

    /// Waits for a sample for at most `limit` and takes it.
    ///
    /// The timer is set when it has to wait, and the limit counts from then, so a hit costs what
    /// [`get_buffer`](Pool::get_buffer) costs. A sample in hand beats the deadline.
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Pool::get_buffer), and [`TimedOut`](GetBufferError::TimedOut).
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffer`](Pool::get_buffer).
    ///
    /// # Panics
    ///
    /// If it has to wait outside a Tokio runtime with a timer.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(1).build()?;
    /// let held = pool.get_buffer().await?;
    /// let late = pool.get_buffer_timeout(Duration::from_millis(5)).await;
    /// assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    /// # drop(held);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_buffer_timeout(&self, limit: Duration) -> GetBufferTimeout<'_> {
        GetBufferTimeout::new(GetBuffer::new(self, Location::caller()), limit)
    }

    /// Takes a sample if one is home and nobody is in line.
    ///
    /// Mirrors `IMemAllocator::GetBuffer` with `AM_GBF_NOWAIT`, but leaves no trace when it fails.
    ///
    /// # Errors
    ///
    /// [`NotCommitted`](GetBufferError::NotCommitted), [`Flushing`](GetBufferError::Flushing), and then
    /// [`Exhausted`](GetBufferError::Exhausted), which it also gives, rarely, while samples move.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    ///
    /// let pool = Pool::builder().buffers(1).build()?;
    /// let sample = pool.try_get_buffer()?;
    /// assert_eq!(pool.try_get_buffer().unwrap_err(), GetBufferError::Exhausted);
    /// # drop(sample);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_get_buffer(&self) -> Result<Sample, GetBufferError> {
        let location = Location::caller();
        let slot = self.engine().try_take()?;
        Ok(Sample::new(slot, location))
    }

    /// Waits for a sample and takes it, and blocks the thread meanwhile. In line with all others.
    ///
    /// Mirrors `IMemAllocator::GetBuffer`.
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Pool::get_buffer).
    ///
    /// # Panics
    ///
    /// On a thread that drives asynchronous tasks. In `spawn_blocking` it does not.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().buffers(1).build()?;
    /// let sample = pool.try_get_buffer()?;
    /// let waiting = std::thread::spawn({
    ///     let pool = pool.clone();
    ///     move || pool.blocking_get_buffer().map(|sample| sample.index())
    /// });
    /// drop(sample);
    /// assert_eq!(waiting.join().unwrap()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_get_buffer(&self) -> Result<Sample, GetBufferError> {
        // Tokio alone knows which threads drive its tasks; its own blocking calls panic there.
        let probe = tokio::sync::Mutex::const_new(());
        drop(probe.blocking_lock());
        futures::executor::block_on(self.get_buffer())
    }

    /// Waits for `count` samples and takes them, all or nothing.
    ///
    /// It is in line like one waiter, and when it is at the front it gathers samples as they come home;
    /// meanwhile they count as outstanding. The `Vec` is its only allocation.
    ///
    /// # Errors
    ///
    /// Checked in this order: [`NotCommitted`](GetBufferError::NotCommitted),
    /// [`Flushing`](GetBufferError::Flushing), [`TooMany`](GetBufferError::TooMany) if the pool has
    /// fewer buffers. For no samples the answer is then an empty `Vec`, at once. Otherwise as
    /// [`get_buffer`](Pool::get_buffer).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. What it had gathered goes to the next in line, and no release callback runs for it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = sample_pool::Pool::builder().buffers(8).build()?;
    /// let samples = pool.get_buffers(5).await?;
    /// assert_eq!((samples.len(), pool.free_count()), (5, 3));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_buffers(&self, count: usize) -> GetBuffers<'_> {
        GetBuffers::new(self, count, Location::caller())
    }

    /// Waits for `count` samples and appends them to `samples`, all or nothing.
    ///
    /// As [`get_buffers`](Pool::get_buffers), but allocates nothing if the `Vec` has room. On error it
    /// is untouched.
    ///
    /// # Errors
    ///
    /// As [`get_buffers`](Pool::get_buffers).
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffers`](Pool::get_buffers); the `Vec` is untouched.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = sample_pool::Pool::builder().buffers(8).build()?;
    /// let mut batch = Vec::with_capacity(4);
    /// for _ in 0..3 {
    ///     pool.get_buffers_into(&mut batch, 4).await?;
    ///     batch.clear(); // all four go home
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_buffers_into<'a>(
        &'a self,
        samples: &'a mut Vec<Sample>,
        count: usize,
    ) -> GetBuffersInto<'a> {
        let get = GetBuffers::new(self, count, Location::caller());
        GetBuffersInto::new(get, samples)
    }

    /// Takes `count` samples if as many are home and nobody is in line.
    ///
    /// # Errors
    ///
    /// As [`get_buffers`](Pool::get_buffers), but [`Exhausted`](GetBufferError::Exhausted) where that
    /// would wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    ///
    /// let pool = Pool::builder().buffers(3).build()?;
    /// let two = pool.try_get_buffers(2)?;
    /// assert_eq!(pool.try_get_buffers(2).unwrap_err(), GetBufferError::Exhausted);
    /// assert_eq!(pool.try_get_buffers(4).unwrap_err(), GetBufferError::TooMany);
    /// # drop(two);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_get_buffers(&self, count: usize) -> Result<Vec<Sample>, GetBufferError> {
        let location = Location::caller();
        let slots = self.engine().try_take_many(count)?;
        let mut samples = Vec::new();
        get_many::hand_out(slots, &mut samples, location);
        Ok(samples)
    }
}

impl Default for Pool {
    /// [`Pool::new`].
    fn default() -> Self {
        Pool::new()
    }
}

/// The future of a completed drain; see [`Pool::drained`].
#[must_use = "a future does nothing until it is awaited"]
pub struct Drained {
    signal: Signal,
}

impl fmt::Debug for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained").finish_non_exhaustive()
    }
}

impl Future for Drained {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.signal.poll(cx)
    }
}
