//! The gets of one sample: borrowed, owned, with a timeout, or without waiting.
//!
//! This file has the public methods and their futures. [`source`](super::source) has what all gets have in common, and
//! [`acquire`](super::acquire) the states of a get.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    get::{
        owned::GetBufferOwned,
        source::{Get, Source},
    },
    sample::exclusive::Sample,
    values::error::GetBufferError,
};
use futures::future::FusedFuture;
use std::{
    fmt,
    future::Future,
    ops::ControlFlow,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, sleep};

impl Pool {
    /// Waits for a sample and takes it.
    ///
    /// Waiters are served in the order of their first poll (first in, first out). Creating the future does not queue
    /// it, and a task that runs out of Tokio's cooperative budget keeps its position. The sample is empty
    /// (`len() == 0`) and can take [`Properties::size`](crate::Properties::size) bytes.
    ///
    /// If a sample is free, this is one atomic read-modify-write of a cache line that no other busy thread writes.
    /// Nothing is allocated, also when this waits, once the pool has had as many waiters at a time before. It works
    /// on any executor.
    ///
    /// Mirrors `IMemAllocator::GetBuffer`. In Tokio, [`Semaphore::acquire`](tokio::sync::Semaphore::acquire) waits for
    /// a permit in the same way.
    ///
    /// ## A future that is not polled
    ///
    /// A future that was handed a sample and is neither polled nor dropped keeps the sample. It can delay a drain, and
    /// it can make its own task wait for ever. That happens if the future is kept outside of a `select!` loop and
    /// another branch of the loop awaits another get: the first future is served first, and is not polled while the
    /// branch waits. So drop the first future before another get, or await both in the same `select!`, or use one
    /// [`PollPool`](crate::PollPool) for both. If [`track_holders`](crate::Builder::track_holders) is set,
    /// [`report`](Pool::report) shows the source line of such a get.
    ///
    /// ## Wakers that poll
    ///
    /// A release wakes the waiter to which it hands its sample. If the waker polls the task at once, instead of
    /// scheduling it, and the task releases the sample in that poll, the second release runs inside the first one.
    /// Then the stack grows with each waiter that is served. The wakers of Tokio and of `block_on` only schedule.
    ///
    /// # Errors
    ///
    /// - [`NotCommitted`](GetBufferError::NotCommitted) if the pool is not committed at the first poll, or is
    ///   decommitted while this waits.
    /// - [`Flushing`](GetBufferError::Flushing) if the pool is flushing at the first poll, or begins to flush while
    ///   this waits.
    /// - [`TooManyWaiters`](GetBufferError::TooManyWaiters) if [`Builder::max_waiters`](crate::Builder::max_waiters)
    ///   gets are queued already.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future removes it from the wait queue: only its position is lost. A sample that was
    /// already handed to it goes to the next waiter, and the release callback is not called for it.
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

    /// Waits for a sample and takes it. The future owns a handle to the pool, so it is `'static`.
    ///
    /// Otherwise it behaves as [`get_buffer`](Pool::get_buffer), and is queued at its first poll. Use it for a future
    /// that is spawned or stored. In Tokio,
    /// [`Semaphore::acquire_owned`](tokio::sync::Semaphore::acquire_owned) is the same for a permit.
    ///
    /// The call adds to the pool's shared handle count, as [`clone`](Pool::clone) does. The future drops its handle
    /// when it resolves, because a sample keeps the pool alive by itself. So each get writes the shared handle count
    /// twice, and all threads write the same cache line. Where many threads get at the same time and the task has a
    /// handle of its own, borrow that handle and use `get_buffer`, which does not write the count.
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Pool::get_buffer).
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffer`](Pool::get_buffer).
    ///
    /// # Panics
    ///
    /// If the future is polled after it has resolved.
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
    #[inline]
    #[track_caller]
    pub fn get_buffer_owned(&self) -> GetBufferOwned {
        GetBufferOwned::new(self, Location::caller())
    }

    /// Waits for a sample for at most `limit` and takes it.
    ///
    /// The timer is created when the future has to wait, and `limit` counts from then. So if a sample is free, this
    /// costs the same as [`get_buffer`](Pool::get_buffer). A sample that was handed to the future before it is polled
    /// again is returned, also after the deadline.
    ///
    /// [`tokio::time::timeout`] around [`get_buffer`](Pool::get_buffer) is also correct. It makes a timer for every
    /// get, and its timeouts count as cancelled and not as timed out in [`status`](Pool::status).
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Pool::get_buffer), and [`TimedOut`](GetBufferError::TimedOut) if no sample was handed to the
    /// future within `limit`.
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffer`](Pool::get_buffer).
    ///
    /// # Panics
    ///
    /// - If it has to wait and is not polled in a Tokio runtime with time enabled
    ///   ([`Builder::enable_time`](tokio::runtime::Builder::enable_time)).
    /// - If it waits and is polled after the runtime in which it began to wait has shut down, also if it is polled in
    ///   another runtime.
    /// - If the future is polled after it has resolved.
    ///
    /// In the first two cases a sample that was handed to the future is not lost: it is returned without a panic.
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
    #[inline]
    #[track_caller]
    pub fn get_buffer_timeout(&self, limit: Duration) -> GetBufferTimeout<'_> {
        GetBufferTimeout::new(self, limit, Location::caller())
    }

    /// Takes a sample if one is free and no waiter is queued. Does not wait.
    ///
    /// Mirrors `IMemAllocator::GetBuffer` with `AM_GBF_NOWAIT`, but a call that fails leaves nothing behind. In Tokio,
    /// [`Semaphore::try_acquire`](tokio::sync::Semaphore::try_acquire) is the same for a permit.
    ///
    /// # Errors
    ///
    /// Checked in this order:
    ///
    /// - [`NotCommitted`](GetBufferError::NotCommitted) if the pool is not committed.
    /// - [`Flushing`](GetBufferError::Flushing) if the pool is flushing.
    /// - [`Exhausted`](GetBufferError::Exhausted) if no sample is free or a waiter is queued. In rare cases also if
    ///   other threads take and release samples at the same time.
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
        let engine = self.engine();
        let slot = engine.try_take()?;
        Ok(Sample::new(engine, slot, location))
    }
}

/// The future that [`Pool::get_buffer`] and [`Quota::get_buffer`](crate::Quota::get_buffer) return.
///
/// It resolves to a [`Sample`] or an error. `S` is the source: a [`Pool`], or a [`Quota`](crate::Quota).
///
/// # Examples
///
/// ```
/// use sample_pool::{GetBuffer, Pool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).build()?;
/// let get: GetBuffer<'_> = pool.get_buffer();
/// let sample = get.await?;
/// assert!(sample.is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBuffer<'a, S: Source = Pool> {
    source: &'a S,
    get: Get<S>,
}

impl<'a, S: Source> GetBuffer<'a, S> {
    #[inline]
    pub(crate) fn new(source: &'a S, location: &'static Location<'static>) -> Self {
        let get = Get::new(source, 1, location);
        GetBuffer { source, get }
    }

    /// As [`Get::try_take`].
    pub(crate) fn try_take(&mut self) -> ControlFlow<Option<Sample>> {
        self.get.try_take(self.source)
    }

    /// The state of a get that waits, without the source. It no longer gives anything back when it is dropped.
    pub(crate) fn into_state(mut self) -> Get<S> {
        self.get.take()
    }
}

impl<S: Source> Future for GetBuffer<'_, S> {
    type Output = Result<Sample, GetBufferError>;

    // `always`, as for the functions that it calls: a call would return the sample through memory.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.get.poll_one(this.source, cx)
    }
}

impl<S: Source> Drop for GetBuffer<'_, S> {
    #[inline]
    fn drop(&mut self) {
        self.get.cancel(self.source);
    }
}

/// The future that [`Pool::get_buffer_timeout`] and
/// [`Quota::get_buffer_timeout`](crate::Quota::get_buffer_timeout) return.
///
/// It resolves to a [`Sample`] or an error. `S` is the source: a [`Pool`], or a [`Quota`](crate::Quota).
///
/// # Examples
///
/// ```
/// use sample_pool::{GetBufferTimeout, Pool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).build()?;
/// let get: GetBufferTimeout<'_> = pool.get_buffer_timeout(std::time::Duration::from_secs(1));
/// let sample = get.await?;
/// assert!(sample.is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBufferTimeout<'a, S: Source = Pool> {
    get: GetBuffer<'a, S>,
    limit: Duration,
    /// When it had to wait for the first time. A second wait (first for the quota, then for the pool) has the rest of
    /// the limit.
    begun: Option<Instant>,
}

impl<'a, S: Source> GetBufferTimeout<'a, S> {
    pub(crate) fn new(
        source: &'a S,
        limit: Duration,
        location: &'static Location<'static>,
    ) -> Self {
        GetBufferTimeout {
            get: GetBuffer::new(source, location),
            limit,
            begun: None,
        }
    }

    /// Polls the timer of a get that is queued. Creates the timer first, if there is none.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = self.get.get.timer() else {
            // The get is not queued: it has its result, which the task had no cooperative budget to return. The result
            // counts, whatever the deadline.
            return Poll::Pending;
        };
        let timer = timer.get_or_insert_with(|| Box::pin(None));
        if timer.is_none() {
            let begun = *self.begun.get_or_insert_with(Instant::now);
            let left = self.limit.saturating_sub(begun.elapsed());
            timer.as_mut().set(Some(sleep(left)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(sleep) => sleep.poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<S: Source> Future for GetBufferTimeout<'_, S> {
    type Output = Result<Sample, GetBufferError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Poll::Ready(result) = Pin::new(&mut self.get).poll(cx) {
                return Poll::Ready(result);
            }
            ready!(self.poll_timer(cx));
            let GetBuffer { source, get } = &mut self.get;
            get.time_out(source)?;
            // It was handed what it waits for after its poll and before the timeout, so it is polled again.
        }
    }
}

macro_rules! terminates {
    ($($future:ident, $($get:ident).+;)*) => {$(
        impl<S: Source> FusedFuture for $future<'_, S> {
            fn is_terminated(&self) -> bool {
                self.$($get).+.is_done()
            }
        }

        impl<S: Source> fmt::Debug for $future<'_, S> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($future))
                    .field("acquire", self.$($get).+.acquire())
                    .finish_non_exhaustive()
            }
        }
    )*};
}

terminates! {
    GetBuffer, get;
    GetBufferTimeout, get.get;
}
