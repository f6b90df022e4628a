//! Getting one sample: borrowed, owned, with a time limit, without waiting, or blocking.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    get::{
        owned::GetBufferOwned,
        source::{Get, Source},
    },
    sample::exclusive::Sample,
    sync::assert_may_block,
    values::error::GetBufferError,
    wait::clock,
};
use futures::future::FusedFuture;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, sleep};

impl Pool {
    /// Waits for a sample and takes it.
    ///
    /// Served first in, first out, by *first poll*: making the future takes no place in line, and
    /// running out of Tokio's cooperative budget loses none. The sample is empty and can take
    /// [`Properties::size`](crate::Properties::size) bytes. The common get is one atomic read-modify-write of a cache line that
    /// no other busy thread writes; nothing is allocated, waiting or not, once as many have waited
    /// before. Works on any executor.
    ///
    /// A future that was handed a sample and is neither polled nor dropped keeps it, and can hold up a
    /// drain. It can also make its own task wait for ever. If a future of this kind is kept outside of a `select!`
    /// loop and another branch of the loop asks for a sample as well, the first future is served first and is not
    /// polled meanwhile. So drop the first future before another get, or await both in the same `select!`, or
    /// use one [`PollPool`](crate::PollPool) for both. [`report`](Pool::report) names the line of such a get, if
    /// [`track_holders`](crate::Builder::track_holders) is set.
    ///
    /// A release wakes the waiter that it hands its sample to. If a waker polls its task at once, instead of
    /// scheduling it, and the task releases the sample in that poll, that release runs inside the first one:
    /// the stack grows with each waiter that is served so. Wakers of Tokio and of `block_on` only schedule.
    ///
    /// Mirrors `IMemAllocator::GetBuffer`.
    ///
    /// # Errors
    ///
    /// [`NotCommitted`](GetBufferError::NotCommitted) and [`Flushing`](GetBufferError::Flushing) if the
    /// pool is so at the first poll or becomes so while this waits;
    /// [`TooManyWaiters`](GetBufferError::TooManyWaiters) if the line has
    /// [`Builder::max_waiters`](crate::Builder::max_waiters) already.
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
    /// Otherwise as [`get_buffer`](Pool::get_buffer). The handle is counted at the call, as
    /// [`clone`](Pool::clone) does, and given up when the future resolves: a sample keeps the pool alive by
    /// itself. Both write the pool's count of handles, which all threads share. So where many threads get at
    /// the same time, borrow the pool, if the task has a handle of its own, and use `get_buffer`.
    ///
    /// It has no place in the wait queue before its first poll.
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
    /// If it has to wait outside a Tokio runtime with a timer; if it is polled, while it waits, after the
    /// runtime in which it began to wait was shut down, in another runtime too; or if it is polled after it
    /// has resolved. A sample that was handed to it is not lost then, and returned without a panic.
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
        let engine = self.engine();
        let slot = engine.try_take()?;
        Ok(Sample::new(engine, slot, location))
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
    /// On a thread that drives Tokio's tasks, or inside of [`futures::executor::block_on`]; not in
    /// `spawn_blocking`. Threads of other executors are not recognised: there it blocks them.
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
        assert_may_block();
        clock::block_on(self.get_buffer())
    }
}

/// The future of a sample; see [`Pool::get_buffer`] and [`Quota::get_buffer`](crate::Quota::get_buffer).
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
}

impl<S: Source> Future for GetBuffer<'_, S> {
    type Output = Result<Sample, GetBufferError>;

    // Always, as in what it calls.
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

/// The future of a sample with a time limit; see [`Pool::get_buffer_timeout`] and
/// [`Quota::get_buffer_timeout`](crate::Quota::get_buffer_timeout).
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBufferTimeout<'a, S: Source = Pool> {
    get: GetBuffer<'a, S>,
    limit: Duration,
    /// When it had to wait for the first time: what it waits for later has the rest of the limit.
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

    /// Polls the timer of a get that is in line; sets it first, if it is not set yet.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = self.get.get.timer() else {
            // A sample is in hand, and beats the deadline.
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
            // It was given what it waits for between its poll and the end of the time.
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
