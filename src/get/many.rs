//! The gets of several samples: all or nothing, or as many as are free.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    get::{
        pool_get::append_samples,
        source::{Get, Source},
    },
    sample::exclusive::Sample,
    values::error::GetBufferError,
    wait::request::{Rank, Wanted},
};
use futures::future::FusedFuture;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

impl Pool {
    /// Waits for `count` samples and takes them, all or nothing.
    ///
    /// It is one waiter of the wait queue, in the order of its first poll. At the head of the queue it gathers samples
    /// as they are released, until it has `count`; so smaller requests behind it cannot starve it. Gathered samples
    /// count as outstanding. If `count` is zero, it resolves at once to an empty `Vec`. The `Vec` is its only
    /// allocation.
    ///
    /// In Tokio, [`Semaphore::acquire_many`](tokio::sync::Semaphore::acquire_many) is the same for permits.
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Pool::get_buffer), and [`TooMany`](GetBufferError::TooMany) if the pool has fewer than `count`
    /// buffers, without its [priority buffers](crate::Builder::priority_buffers). Checked in this order:
    /// [`NotCommitted`](GetBufferError::NotCommitted), [`Flushing`](GetBufferError::Flushing), `TooMany`. A get of zero
    /// samples fails with the same errors.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future removes it from the wait queue: only its position is lost. The samples that it
    /// had gathered go to the next waiter, and the release callback is not called for them.
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
    /// As [`get_buffers`](Pool::get_buffers), but it allocates nothing if the `Vec` has enough spare capacity.
    /// [`Sample::release_all`] empties the `Vec` again, for less than the drop of each sample costs.
    ///
    /// # Errors
    ///
    /// As [`get_buffers`](Pool::get_buffers). After an error the content of `samples` is unchanged.
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffers`](Pool::get_buffers). The content of `samples` is unchanged.
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
    /// let pool = sample_pool::Pool::builder().buffers(8).build()?;
    /// let mut batch = Vec::with_capacity(4);
    /// for _ in 0..3 {
    ///     pool.get_buffers_into(&mut batch, 4).await?;
    ///     sample_pool::Sample::release_all(&mut batch); // returns all four to the pool
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
        GetBuffersInto::new(self, samples, count, Location::caller())
    }

    /// Takes `count` samples if that many are free and no waiter is queued. Does not wait.
    ///
    /// In Tokio, [`Semaphore::try_acquire_many`](tokio::sync::Semaphore::try_acquire_many) is the same for permits.
    ///
    /// # Errors
    ///
    /// As [`get_buffers`](Pool::get_buffers), but [`Exhausted`](GetBufferError::Exhausted) if `get_buffers` would wait.
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
        try_get(self, count, Rank::Ordinary, Location::caller())
    }
}

impl Pool {
    /// Takes up to `count` samples, as many as are free, if no waiter is queued. Does not wait.
    ///
    /// For batches that must not wait while they hold samples: wait for one sample with
    /// [`get_buffer`](Pool::get_buffer), then take more only if they are free. `count` may be larger than the number of
    /// buffers of the pool. The `Vec` is the only allocation.
    ///
    /// # Errors
    ///
    /// Checked in this order:
    ///
    /// - [`NotCommitted`](GetBufferError::NotCommitted) if the pool is not committed.
    /// - [`Flushing`](GetBufferError::Flushing) if the pool is flushing.
    /// - [`Exhausted`](GetBufferError::Exhausted) if `count` is not zero and no sample can be taken. So `Ok` has at
    ///   least one sample, unless `count` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    ///
    /// let pool = Pool::builder().buffers(3).build()?;
    /// let held = pool.try_get_buffer()?;
    /// let samples = pool.try_get_up_to(8)?;
    /// assert_eq!(samples.len(), 2);
    /// assert_eq!(pool.try_get_up_to(8).unwrap_err(), GetBufferError::Exhausted);
    /// # drop((held, samples));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_get_up_to(&self, count: usize) -> Result<Vec<Sample>, GetBufferError> {
        let mut samples = Vec::new();
        let location = Location::caller();
        match try_get_up_to(self, &mut samples, count, Rank::Ordinary, location)? {
            0 if count > 0 => Err(self.engine().exhausted(count)),
            _ => Ok(samples),
        }
    }
}

/// Appends up to `count` samples that are free, and returns how many.
pub(crate) fn try_get_up_to(
    pool: &Pool,
    samples: &mut Vec<Sample>,
    count: usize,
    rank: Rank,
    location: &'static Location<'static>,
) -> Result<usize, GetBufferError> {
    let engine = pool.engine();
    let slots = engine.try_take_up_to(Wanted { slots: count, rank })?;
    let taken = slots.len();
    append_samples(engine, slots, samples, location)?;
    Ok(taken)
}

/// Takes a sample if one is free and no waiter comes first. If there is none, no counter of the pool changes.
#[cfg(feature = "net")]
pub(crate) fn try_get_one_more(
    pool: &Pool,
    rank: Rank,
    location: &'static Location<'static>,
) -> Option<Sample> {
    let engine = pool.engine();
    let slots = engine.try_take_up_to(Wanted { slots: 1, rank }).ok()?;
    (slots.len() > 0).then(|| Sample::new(engine, slots.into_only(), location))
}

/// Takes `count` samples if that many are free and no waiter comes first.
pub(crate) fn try_get(
    pool: &Pool,
    count: usize,
    rank: Rank,
    location: &'static Location<'static>,
) -> Result<Vec<Sample>, GetBufferError> {
    let engine = pool.engine();
    // One free sample needs no lock: see `a_free_slot_is_taken_without_the_lock`.
    if count == 1 {
        if let Some(slot) = engine.take_free() {
            return Ok(vec![Sample::new(engine, slot, location)]);
        }
    }
    let slots = count;
    let slots = engine.try_take_many(Wanted { slots, rank })?;
    let mut samples = Vec::new();
    append_samples(engine, slots, &mut samples, location)?;
    Ok(samples)
}

/// The future that [`Pool::get_buffers`] and [`Quota::get_buffers`](crate::Quota::get_buffers) return.
///
/// It resolves to a `Vec` of samples or an error. `S` is the source: a [`Pool`], or a [`Quota`](crate::Quota).
///
/// # Examples
///
/// ```
/// use sample_pool::{GetBuffers, Pool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).build()?;
/// let get: GetBuffers<'_> = pool.get_buffers(2);
/// assert_eq!(get.await?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBuffers<'a, S: Source = Pool> {
    source: &'a S,
    get: Get<S>,
}

impl<'a, S: Source> GetBuffers<'a, S> {
    pub(crate) fn new(source: &'a S, count: usize, location: &'static Location<'static>) -> Self {
        let get = Get::new(source, count, location);
        GetBuffers { source, get }
    }
}

impl<S: Source> Future for GetBuffers<'_, S> {
    type Output = Result<Vec<Sample>, GetBufferError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut samples = Vec::new();
        ready!(this.get.poll_many(this.source, &mut samples, cx))?;
        Poll::Ready(Ok(samples))
    }
}

/// The future that [`Pool::get_buffers_into`] and [`Quota::get_buffers_into`](crate::Quota::get_buffers_into) return.
///
/// It appends samples to the caller's `Vec`, or resolves to an error. `S` is the source: a [`Pool`], or a
/// [`Quota`](crate::Quota).
///
/// # Examples
///
/// ```
/// use sample_pool::{GetBuffersInto, Pool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).build()?;
/// let mut samples = Vec::new();
/// let get: GetBuffersInto<'_> = pool.get_buffers_into(&mut samples, 2);
/// get.await?;
/// assert_eq!(samples.len(), 2);
/// # Ok(())
/// # }
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBuffersInto<'a, S: Source = Pool> {
    source: &'a S,
    get: Get<S>,
    samples: &'a mut Vec<Sample>,
}

impl<'a, S: Source> GetBuffersInto<'a, S> {
    pub(crate) fn new(
        source: &'a S,
        samples: &'a mut Vec<Sample>,
        count: usize,
        location: &'static Location<'static>,
    ) -> Self {
        let get = Get::new(source, count, location);
        GetBuffersInto {
            source,
            get,
            samples,
        }
    }
}

impl<S: Source> Future for GetBuffersInto<'_, S> {
    type Output = Result<(), GetBufferError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.get.poll_many(this.source, this.samples, cx)
    }
}

macro_rules! terminates {
    ($($future:ident),*) => {$(
        impl<S: Source> Drop for $future<'_, S> {
            fn drop(&mut self) {
                self.get.cancel(self.source);
            }
        }

        impl<S: Source> FusedFuture for $future<'_, S> {
            fn is_terminated(&self) -> bool {
                self.get.is_done()
            }
        }

        impl<S: Source> fmt::Debug for $future<'_, S> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($future))
                    .field("acquire", self.get.acquire())
                    .finish_non_exhaustive()
            }
        }
    )*};
}

terminates!(GetBuffers, GetBuffersInto);

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::core::engine::tests::without_the_lock;
    use futures::FutureExt;

    /// A batch takes as many samples as there is work for, which may be one. Then it need not wait for the thread that
    /// holds the lock.
    #[test]
    fn a_free_slot_is_taken_without_the_lock() {
        let pool = Pool::builder().buffers(64).size(64).build().unwrap();
        drop(pool.try_get_buffer().unwrap());
        let samples = without_the_lock(&pool, {
            let pool = pool.clone();
            move || {
                let mut samples = pool.try_get_buffers(1).unwrap();
                let got = pool.get_buffers_into(&mut samples, 1).now_or_never();
                got.expect("one is free").unwrap();
                samples.extend(pool.get_buffers(1).now_or_never().unwrap().unwrap());
                samples
            }
        });
        assert_eq!(samples.len(), 3);
    }
}
