//! The gets of several buffers for one message: how many it needs, and all or nothing.
//!
//! They are [gets of several samples](super::many), with a number that follows from the length of the message and the
//! size of a buffer. A pool can be given buffers of another size while it has no samples outstanding. So the number is
//! computed at the first poll, and compared after the get: while samples are held, the size does not change.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    get::{
        many,
        source::{Get, SealedSource, Source},
    },
    sample::{exclusive::Sample, segments::Segments},
    values::error::GetBufferError,
    wait::request::Rank,
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
    /// Waits for as many buffers as a message of `len` bytes needs, and takes them, all or nothing.
    ///
    /// It is [`get_buffers`](Pool::get_buffers) for `len` divided by the [size](crate::Properties::size) of a buffer,
    /// rounded up: one waiter in the wait queue, which holds nothing of its own while it waits. The
    /// [`Segments`] have room for `len` bytes. If `len` is zero, it resolves at once to `Segments` without a buffer.
    ///
    /// **Take all buffers of a message in one call.** A task that holds one and waits for more can wait for ever, for a
    /// task that does the same. For a message of unknown length, see [`try_grow_segments`](Pool::try_grow_segments).
    ///
    /// `len` often is a number that a peer has sent. Check it first: one message can take all buffers of the pool. A
    /// [`Quota`](crate::Quota) limits that.
    ///
    /// # Errors
    ///
    /// As [`get_buffers`](Pool::get_buffers): [`TooMany`](GetBufferError::TooMany) if the message needs more buffers than
    /// the pool has, without its [priority buffers](crate::Builder::priority_buffers).
    ///
    /// # Cancel safety
    ///
    /// As [`get_buffers`](Pool::get_buffers). Only the position in the queue is lost.
    ///
    /// # Panics
    ///
    /// If the future is polled after it has resolved.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// use sample_pool::GetBufferError;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = sample_pool::Pool::builder().buffers(8).size(64).build()?;
    /// let mut message = pool.get_segments(200).await?;
    /// assert_eq!((message.buffers(), message.capacity()), (4, 200));
    /// message.put_bytes(7, 200);
    /// assert_eq!(pool.get_segments(513).await.unwrap_err(), GetBufferError::TooMany);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn get_segments(&self, len: usize) -> GetSegments<'_> {
        GetSegments::new(self, len, Location::caller())
    }

    /// Takes as many buffers as a message of `len` bytes needs, if that many are free and no waiter is queued. Does not
    /// wait.
    ///
    /// # Errors
    ///
    /// As [`get_segments`](Pool::get_segments), but [`Exhausted`](GetBufferError::Exhausted) if `get_segments` would
    /// wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    ///
    /// let pool = Pool::builder().buffers(3).size(64).build()?;
    /// let message = pool.try_get_segments(100)?;
    /// assert_eq!(pool.try_get_segments(100).unwrap_err(), GetBufferError::Exhausted);
    /// # drop(message);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_get_segments(&self, len: usize) -> Result<Segments, GetBufferError> {
        let location = Location::caller();
        try_get(self, len, |count| {
            many::try_get(self, count, Rank::Ordinary, location)
        })
    }

    /// Adds buffers to `segments` until they have room for at least `additional` more bytes, if enough buffers are free
    /// and no waiter is queued. Does not wait.
    ///
    /// For a message of unknown length. All bytes of the added buffers count as room. The buffers can also be those of
    /// another pool.
    ///
    /// # Errors
    ///
    /// As [`try_get_segments`](Pool::try_get_segments). **All buffers of `segments` are released then**, and what was
    /// written to them is lost: a task that keeps them and waits for more can wait for ever. Start the message again when
    /// [`get_segments`](Pool::get_segments) has taken enough for all of it, or refuse it.
    ///
    /// # Examples
    ///
    /// A body without a length, of at most three buffers:
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool, Segments};
    /// use tokio::io::AsyncReadExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(3).size(64).build()?;
    /// let mut socket = &[7; 150][..];
    /// let mut body = pool.try_grow_segments(Segments::new(), 1)?;
    /// while socket.read_buf(&mut body).await? > 0 {
    ///     if body.spare_capacity() == 0 {
    ///         body = pool.try_grow_segments(body, 1)?;
    ///     }
    /// }
    /// assert_eq!((body.len(), body.buffers()), (150, 3));
    ///
    /// let refused = pool.try_grow_segments(body, 100).unwrap_err();
    /// assert_eq!(refused, GetBufferError::Exhausted);
    /// assert_eq!(pool.free_count(), 3);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn try_grow_segments(
        &self,
        segments: Segments,
        additional: usize,
    ) -> Result<Segments, GetBufferError> {
        let location = Location::caller();
        try_grow(self, segments, additional, |count| {
            many::try_get(self, count, Rank::Ordinary, location)
        })
    }
}

/// How many buffers a message of `len` bytes needs.
fn buffers_for(pool: &Pool, len: usize) -> usize {
    // The size is zero only if the pool was never configured, and then no get succeeds.
    len.div_ceil(pool.properties().size.max(1))
}

/// Whether `count` was computed from a size that buffers no longer have, and the result of the get follows from it. The
/// other errors do not: a get that waited during a decommit fails, also if the pool has other buffers by now.
fn is_outdated<T>(
    pool: &Pool,
    len: usize,
    count: usize,
    result: &Result<T, GetBufferError>,
) -> bool {
    matches!(result, Ok(_) | Err(GetBufferError::TooMany)) && buffers_for(pool, len) != count
}

/// Takes the buffers of a message with `take`, which gets their number.
pub(crate) fn try_get(
    pool: &Pool,
    len: usize,
    take: impl Fn(usize) -> Result<Vec<Sample>, GetBufferError>,
) -> Result<Segments, GetBufferError> {
    loop {
        let count = buffers_for(pool, len);
        let taken = take(count);
        if !is_outdated(pool, len, count, &taken) {
            return taken.map(|samples| Segments::of(samples, len));
        }
    }
}

/// Adds buffers with `take`, which gets their number. On an error, `segments` are released.
pub(crate) fn try_grow(
    pool: &Pool,
    segments: Segments,
    additional: usize,
    take: impl Fn(usize) -> Result<Vec<Sample>, GetBufferError>,
) -> Result<Segments, GetBufferError> {
    let missing = additional.saturating_sub(segments.room());
    let more = try_get(pool, missing, take)?;
    segments.grow(more.into_samples())
}

/// A get of the buffers of a message, without its source and the length: the caller passes the same ones to every poll.
/// It must keep the source until the get has resolved or was [cancelled](SegmentsGet::cancel).
#[derive(Debug)]
pub(crate) struct SegmentsGet<S: SealedSource> {
    /// `None` until the first poll.
    get: Option<Get<S>>,
    /// How many buffers it gets.
    count: usize,
}

impl<S: SealedSource> SegmentsGet<S> {
    pub(crate) fn new() -> Self {
        SegmentsGet {
            get: None,
            count: 0,
        }
    }

    pub(crate) fn poll(
        &mut self,
        source: &S,
        len: usize,
        location: &'static Location<'static>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Segments, GetBufferError>> {
        let pool = source.pool();
        loop {
            let get = match &mut self.get {
                Some(get) => get,
                none => {
                    self.count = buffers_for(pool, len);
                    none.insert(Get::new(source, self.count, location))
                }
            };
            let mut samples = Vec::new();
            let result = ready!(get.poll_many(source, &mut samples, cx));
            if !is_outdated(pool, len, self.count, &result) {
                return Poll::Ready(result.map(|()| Segments::of(samples, len)));
            }
            self.get = None;
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.get.as_ref().is_some_and(Get::is_done)
    }

    /// Removes the get from the wait queue, and passes on what was handed to it.
    pub(crate) fn cancel(&mut self, source: &S) {
        if let Some(get) = &mut self.get {
            get.cancel(source);
        }
    }
}

/// The future that [`Pool::get_segments`] and [`Quota::get_segments`](crate::Quota::get_segments) return.
///
/// It resolves to [`Segments`] or an error. `S` is the source: a [`Pool`], or a [`Quota`](crate::Quota).
///
/// # Examples
///
/// ```
/// use sample_pool::{GetSegments, Pool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).size(64).build()?;
/// let get: GetSegments<'_> = pool.get_segments(100);
/// assert_eq!(get.await?.capacity(), 100);
/// # Ok(())
/// # }
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct GetSegments<'a, S: Source = Pool> {
    source: &'a S,
    len: usize,
    location: &'static Location<'static>,
    get: SegmentsGet<S>,
}

impl<'a, S: Source> GetSegments<'a, S> {
    pub(crate) fn new(source: &'a S, len: usize, location: &'static Location<'static>) -> Self {
        GetSegments {
            source,
            len,
            location,
            get: SegmentsGet::new(),
        }
    }
}

impl<S: Source> Future for GetSegments<'_, S> {
    type Output = Result<Segments, GetBufferError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.get.poll(this.source, this.len, this.location, cx)
    }
}

impl<S: Source> Drop for GetSegments<'_, S> {
    fn drop(&mut self) {
        self.get.cancel(self.source);
    }
}

impl<S: Source> FusedFuture for GetSegments<'_, S> {
    fn is_terminated(&self) -> bool {
        self.get.is_done()
    }
}

impl<S: Source> fmt::Debug for GetSegments<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetSegments")
            .field("len", &self.len)
            .field("get", &self.get)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::values::properties::Properties;
    use std::cell::Cell;

    /// Gives the pool buffers of another size between the division and the get, which another thread can do at any time.
    fn taken_while_the_size_changes(
        before: usize,
        after: usize,
    ) -> Result<Segments, GetBufferError> {
        let pool = Pool::builder().buffers(8).size(before).align(1).build();
        let pool = pool.expect("small");
        let changed = Cell::new(false);
        try_get(&pool, 200, |count| {
            if !changed.replace(true) {
                pool.decommit();
                let properties = Properties {
                    size: after,
                    ..pool.properties()
                };
                pool.set_properties(properties).expect("drained");
                pool.commit().expect("small");
            }
            pool.try_get_buffers(count)
        })
    }

    /// With the old number, the message would have too little room, or hold buffers that it does not need; or it would be
    /// refused although there is enough.
    #[test]
    fn a_message_gets_as_many_buffers_as_it_needs_when_their_size_changes() {
        for (before, after, buffers) in [(100, 50, 4), (50, 100, 2), (10, 100, 2)] {
            let taken = taken_while_the_size_changes(before, after);
            let segments = taken.expect("there are enough");
            assert_eq!((segments.buffers(), segments.capacity()), (buffers, 200));
        }
        let refused = taken_while_the_size_changes(100, 10);
        assert_eq!(refused.unwrap_err(), GetBufferError::TooMany);
    }
}
