//! The gets of a quota for one message that is larger than a buffer.

#![forbid(unsafe_code)]

use super::Quota;
use crate::{
    get::segments::{self, GetSegments},
    sample::segments::Segments,
    values::error::GetBufferError,
};
use std::panic::Location;

impl Quota {
    /// Waits for room for as many buffers as a message of `len` bytes needs, then for the buffers, and takes them, all or
    /// nothing.
    ///
    /// Otherwise as [`Pool::get_segments`](crate::Pool::get_segments).
    ///
    /// # Errors
    ///
    /// As [`get_buffers`](Quota::get_buffers): [`TooMany`](GetBufferError::TooMany) also if the message needs more
    /// buffers than the limit of the quota.
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffers`](Quota::get_buffers).
    ///
    /// # Panics
    ///
    /// If the future is polled after it has resolved.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::GetBufferError;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = sample_pool::Pool::builder().size(64).build()?;
    /// let uploads = pool.quota("uploads", 4);
    /// let message = uploads.get_segments(200).await?;
    /// assert_eq!(uploads.status().in_use, 4);
    /// assert_eq!(uploads.get_segments(300).await.unwrap_err(), GetBufferError::TooMany);
    /// # drop(message);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_segments(&self, len: usize) -> GetSegments<'_, Quota> {
        GetSegments::new(self, len, Location::caller())
    }

    /// Takes as many buffers as a message of `len` bytes needs, if that many are free, no waiter comes first, and the
    /// quota has room for them. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`get_segments`](Quota::get_segments), but [`Exhausted`](GetBufferError::Exhausted) if `get_segments` would
    /// wait.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().size(64).build()?;
    /// let message = pool.quota("uploads", 4).try_get_segments(200)?;
    /// assert_eq!(message.buffers(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_get_segments(&self, len: usize) -> Result<Segments, GetBufferError> {
        let location = Location::caller();
        let take = |count| self.try_get_many(count, location);
        segments::try_get(&self.pool, len, take)
    }

    /// Adds buffers to `segments` until they have room for at least `additional` more bytes, if enough buffers are free,
    /// no waiter comes first, and the quota has room for them. Does not wait.
    ///
    /// Otherwise as [`Pool::try_grow_segments`](crate::Pool::try_grow_segments).
    ///
    /// # Errors
    ///
    /// As [`try_get_segments`](Quota::try_get_segments). **All buffers of `segments` are released then.**
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::{GetBufferError, Segments};
    /// let pool = sample_pool::Pool::builder().size(64).build()?;
    /// let uploads = pool.quota("uploads", 2);
    /// let body = uploads.try_grow_segments(Segments::new(), 100)?;
    /// assert_eq!(body.capacity(), 128);
    /// let refused = uploads.try_grow_segments(body, 129).unwrap_err();
    /// assert_eq!(refused, GetBufferError::Exhausted);
    /// assert_eq!(uploads.status().in_use, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_grow_segments(
        &self,
        segments: Segments,
        additional: usize,
    ) -> Result<Segments, GetBufferError> {
        let location = Location::caller();
        let take = |count| self.try_get_many(count, location);
        segments::try_grow(&self.pool, segments, additional, take)
    }
}
