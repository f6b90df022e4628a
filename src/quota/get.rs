//! The gets of a quota.
//!
//! Each get first reserves room in the quota (a [`Charge`]), then does what a get of the pool does, and moves the room
//! to the samples. On an error the charge is dropped, which returns the room.

#![forbid(unsafe_code)]

use super::Quota;
use crate::{
    get::{
        blocking::blocking_get,
        many::{self, GetBuffers, GetBuffersInto},
        one::{GetBuffer, GetBufferTimeout},
        owned::GetBufferOwned,
    },
    sample::exclusive::Sample,
    values::error::GetBufferError,
    wait::{charge::Charge, request::Wanted},
};
use std::{panic::Location, time::Duration};

impl Quota {
    /// Waits for room in the quota, then for a sample, and takes it.
    ///
    /// In each of the two queues it is served in the order in which it joined (first in, first out): it joins the
    /// quota's queue at its first poll, and the pool's queue at the poll that finds room. Otherwise as
    /// [`Pool::get_buffer`](crate::Pool::get_buffer).
    ///
    /// Mirrors `IMemAllocator::GetBuffer`, with a limit.
    ///
    /// # Errors
    ///
    /// - As [`Pool::get_buffer`](crate::Pool::get_buffer).
    /// - [`TooManyWaiters`](GetBufferError::TooManyWaiters) also if
    ///   [`Builder::max_waiters`](crate::Builder::max_waiters) gets are queued in the quota's own queue.
    /// - [`TooMany`](GetBufferError::TooMany) if the limit of the quota is zero.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future removes it from the queue in which it waits, and returns its room to the quota.
    /// A sample that was already handed to it goes to the next waiter, and the release callback is not called for it.
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
    /// let pool = sample_pool::Pool::builder().build()?;
    /// let sample = pool.quota("camera 1", 4).get_buffer().await?;
    /// assert!(sample.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_buffer(&self) -> GetBuffer<'_, Quota> {
        GetBuffer::new(self, Location::caller())
    }

    /// As [`get_buffer`](Quota::get_buffer), with a future that owns a handle to the quota, so it is `'static`.
    ///
    /// As in [`Pool::get_buffer_owned`](crate::Pool::get_buffer_owned), each get writes the shared handle count of the
    /// pool twice, and here that of the quota as well. Where many threads get at the same time, borrow a handle of the
    /// task and use [`get_buffer`](Quota::get_buffer).
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Quota::get_buffer).
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffer`](Quota::get_buffer).
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
    /// let pool = sample_pool::Pool::builder().build()?;
    /// let get = pool.quota("camera 1", 4).get_buffer_owned();
    /// let sample = tokio::spawn(get).await??;
    /// # drop(sample);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_buffer_owned(&self) -> GetBufferOwned<Quota> {
        GetBufferOwned::new(self, Location::caller())
    }

    /// As [`get_buffer`](Quota::get_buffer), but waits for at most `limit`, for room and for a sample together.
    ///
    /// The limit counts from the first poll that has to wait.
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Quota::get_buffer), and [`TimedOut`](GetBufferError::TimedOut) if no sample was handed to the
    /// future within `limit`.
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffer`](Quota::get_buffer).
    ///
    /// # Panics
    ///
    /// - If it has to wait, for room or for a sample, and is not polled in a Tokio runtime with time enabled
    ///   ([`Builder::enable_time`](tokio::runtime::Builder::enable_time)). A get that need not wait works on any
    ///   executor.
    /// - If it waits and is polled after the runtime in which it began to wait has shut down, also if it is polled in
    ///   another runtime.
    /// - If the future is polled after it has resolved.
    ///
    /// A panic loses neither a sample nor room in the quota.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build()?;
    /// let camera = pool.quota("camera 1", 1);
    /// let frame = camera.get_buffer().await?;
    /// let late = camera.get_buffer_timeout(Duration::from_millis(5)).await;
    /// assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    /// # drop(frame);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_buffer_timeout(&self, limit: Duration) -> GetBufferTimeout<'_, Quota> {
        GetBufferTimeout::new(self, limit, Location::caller())
    }

    /// Takes a sample if one is free, no waiter comes first, and the quota has room. Does not wait.
    ///
    /// Waiters for room in this quota come first. So do the waiters of the pool; for a quota of
    /// [high priority](crate::Pool::priority_quota) only those of high priority.
    ///
    /// # Errors
    ///
    /// As [`Pool::try_get_buffer`](crate::Pool::try_get_buffer). [`Exhausted`](GetBufferError::Exhausted) also if the
    /// quota has no room, and [`TooMany`](GetBufferError::TooMany) if its limit is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().build()?;
    /// let sample = pool.quota("camera 1", 4).try_get_buffer()?;
    /// # drop(sample);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_get_buffer(&self) -> Result<Sample, GetBufferError> {
        let location = Location::caller();
        // Room first: on an error below the charge is dropped, which returns the room.
        let charge = self.try_charge(1)?;
        let engine = self.pool.engine();
        let slot = match engine.take_free() {
            Some(slot) => slot,
            None => engine.try_take_one(self.account.rank())?,
        };
        let mut sample = Sample::new(engine, slot, location);
        sample.charge_to(charge);
        Ok(sample)
    }

    /// As [`get_buffer`](Quota::get_buffer), and blocks the current thread until it has a sample.
    ///
    /// As [`Pool::blocking_get_buffer`](crate::Pool::blocking_get_buffer) it tries again before it joins a queue. A get
    /// of high priority joins the queue at once.
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Quota::get_buffer).
    ///
    /// # Panics
    ///
    /// As [`Pool::blocking_get_buffer`](crate::Pool::blocking_get_buffer): on a thread that drives asynchronous tasks.
    /// It does not panic in `spawn_blocking`.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().build()?;
    /// let sample = pool.quota("camera 1", 4).blocking_get_buffer()?;
    /// # drop(sample);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_get_buffer(&self) -> Result<Sample, GetBufferError> {
        blocking_get(self)
    }

    /// Waits for room for `count` samples, then for the samples, and takes them, all or nothing.
    ///
    /// Otherwise as [`Pool::get_buffers`](crate::Pool::get_buffers).
    ///
    /// # Errors
    ///
    /// As [`Pool::get_buffers`](crate::Pool::get_buffers), and as [`get_buffer`](Quota::get_buffer).
    /// [`TooMany`](GetBufferError::TooMany) also if the limit of the quota is less than `count`.
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffer`](Quota::get_buffer). The samples that it had gathered go to the next waiter.
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
    /// let pool = sample_pool::Pool::builder().build()?;
    /// let samples = pool.quota("camera 1", 4).get_buffers(3).await?;
    /// assert_eq!(samples.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_buffers(&self, count: usize) -> GetBuffers<'_, Quota> {
        GetBuffers::new(self, count, Location::caller())
    }

    /// As [`get_buffers`](Quota::get_buffers), and appends the samples to `samples`.
    ///
    /// It allocates nothing if the `Vec` has enough spare capacity.
    ///
    /// # Errors
    ///
    /// As [`get_buffers`](Quota::get_buffers). After an error the content of `samples` is unchanged.
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffers`](Quota::get_buffers). The content of `samples` is unchanged.
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
    /// let pool = sample_pool::Pool::builder().build()?;
    /// let camera = pool.quota("camera 1", 4);
    /// let mut batch = Vec::with_capacity(4);
    /// camera.get_buffers_into(&mut batch, 4).await?;
    /// assert_eq!(camera.status().in_use, 4);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_buffers_into<'a>(
        &'a self,
        samples: &'a mut Vec<Sample>,
        count: usize,
    ) -> GetBuffersInto<'a, Quota> {
        GetBuffersInto::new(self, samples, count, Location::caller())
    }

    /// Takes `count` samples if that many are free, no waiter comes first, and the quota has room for them. Does not
    /// wait.
    ///
    /// # Errors
    ///
    /// As [`get_buffers`](Quota::get_buffers), but [`Exhausted`](GetBufferError::Exhausted) if `get_buffers` would
    /// wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    ///
    /// let pool = Pool::builder().build()?;
    /// let camera = pool.quota("camera 1", 4);
    /// assert_eq!(camera.try_get_buffers(3)?.len(), 3);
    /// assert_eq!(camera.try_get_buffers(5).unwrap_err(), GetBufferError::TooMany);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_get_buffers(&self, count: usize) -> Result<Vec<Sample>, GetBufferError> {
        self.try_get_many(count, Location::caller())
    }

    pub(super) fn try_get_many(
        &self,
        count: usize,
        location: &'static Location<'static>,
    ) -> Result<Vec<Sample>, GetBufferError> {
        let charge = self.try_charge(count)?;
        let mut samples = many::try_get(&self.pool, count, self.account.rank(), location)?;
        charge_each(charge, &mut samples);
        Ok(samples)
    }

    /// Takes up to `count` samples, as many as are free and as the quota has room for, if no waiter comes first. Does
    /// not wait.
    ///
    /// Otherwise as [`Pool::try_get_up_to`](crate::Pool::try_get_up_to).
    ///
    /// # Errors
    ///
    /// As [`Pool::try_get_up_to`](crate::Pool::try_get_up_to). [`Exhausted`](GetBufferError::Exhausted) also if the
    /// quota has no room, and [`TooMany`](GetBufferError::TooMany) if `count` is not zero and the limit is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    ///
    /// let pool = Pool::builder().buffers(8).build()?;
    /// let camera = pool.quota("camera 1", 4);
    /// let samples = camera.try_get_up_to(6)?;
    /// assert_eq!(samples.len(), 4);
    /// assert_eq!(camera.try_get_up_to(6).unwrap_err(), GetBufferError::Exhausted);
    /// # drop(samples);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_get_up_to(&self, count: usize) -> Result<Vec<Sample>, GetBufferError> {
        let location = Location::caller();
        let mut samples = Vec::new();
        let charge = self.try_charge_up_to(count)?;
        let taken = self.take_up_to(charge, &mut samples, location)?;
        match taken {
            0 if count > 0 => Err(self.pool.engine().exhausted(count)),
            _ => Ok(samples),
        }
    }

    /// As [`many::try_get_one_more`], if the quota has room for a sample.
    #[cfg(feature = "net")]
    pub(crate) fn try_get_one_more(&self, location: &'static Location<'static>) -> Option<Sample> {
        let charge = self.account.try_charge(1)?;
        let mut sample = many::try_get_one_more(&self.pool, self.account.rank(), location)?;
        sample.charge_to(charge);
        Some(sample)
    }

    /// Appends free samples, at most as many as `charge` is for. The rest of the charge is returned to the quota.
    fn take_up_to(
        &self,
        mut charge: Charge,
        samples: &mut Vec<Sample>,
        location: &'static Location<'static>,
    ) -> Result<usize, GetBufferError> {
        let first = samples.len();
        let rank = self.account.rank();
        let taken = many::try_get_up_to(&self.pool, samples, charge.count(), rank, location)?;
        charge_each(charge.split_off(taken), &mut samples[first..]);
        Ok(taken)
    }

    /// Reserves room for up to `count` samples: for at least one, unless `count` is zero.
    fn try_charge_up_to(&self, count: usize) -> Result<Charge, GetBufferError> {
        match self.account.try_charge_up_to(count) {
            None => self.try_charge(count.min(1)),
            Some(charge) => Ok(charge),
        }
    }

    /// Reserves room for `count` samples, or returns the error that says why not.
    fn try_charge(&self, count: usize) -> Result<Charge, GetBufferError> {
        if let Some(charge) = self.account.try_charge(count) {
            return Ok(charge);
        }
        // No room. The errors of the pool come first, then those of the quota: the order that `get_buffers` documents.
        let engine = self.pool.engine();
        let rank = self.account.rank();
        engine.admits(Wanted { slots: count, rank })?;
        if count > self.account.limit() {
            return Err(GetBufferError::TooMany);
        }
        Err(engine.exhausted(count))
    }
}

/// Moves the room to the samples: each carries its part, which its release returns.
#[inline]
pub(super) fn charge_each(mut charge: Charge, samples: &mut [Sample]) {
    debug_assert_eq!(charge.count(), samples.len());
    for sample in samples {
        sample.charge_to(charge.split_off(1));
    }
}
