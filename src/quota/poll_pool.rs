//! A pool or quota that can be polled, for futures and streams that are written by hand.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    get::{
        one::GetBuffer,
        source::{Get, Source},
    },
    quota::{Quota, registration::Registration},
    sample::exclusive::Sample,
    sync::coop::spend,
    values::error::GetBufferError,
};
#[cfg(feature = "stream")]
use crate::{get::segments::SegmentsGet, sample::segments::Segments};
use futures::{Stream, stream::FusedStream};
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A handle to a pool that can be polled for samples, and keeps its position in the wait queue between polls.
///
/// For `poll` functions that are written by hand. They cannot store the future of [`get_buffer`](Pool::get_buffer),
/// because it borrows the pool, unless they box it with a handle. A `PollPool` owns a handle, and stores the state of a
/// get between polls in itself. Nothing is allocated. If it is made from a [`Quota`] (`PollPool::from(&quota)`), its
/// gets are those of the quota. `PollSemaphore` of `tokio-util` is the same for permits.
///
/// It is also a [`Stream`] of empty samples. The stream never ends: when a get fails, it yields the error, and the next
/// poll begins another get.
///
/// # Cancel safety
///
/// If polling stops, the get stays queued, and it can be handed a sample. That sample is outstanding until the
/// `PollPool` is polled, [cancelled](PollPool::cancel) or dropped, and can delay a drain. Cancelling or dropping it
/// passes the sample to the next waiter.
///
/// # Examples
///
/// As a stream, which ends after ten samples:
///
/// ```
/// use bytes::BufMut;
/// use futures::StreamExt;
/// use sample_pool::{Pool, PollPool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(1).build()?;
/// let mut samples = PollPool::new(&pool).take(10);
/// while let Some(sample) = samples.next().await {
///     sample?.put_u32(7); // the sample is released here; otherwise the next one would wait
/// }
/// # Ok(())
/// # }
/// ```
pub struct PollPool {
    source: PolledSource,
    location: &'static Location<'static>,
    /// `Some` once [`poll_reclaim_requested`](PollPool::poll_reclaim_requested) was called.
    registration: Option<Registration>,
}

enum PolledSource {
    Pool(Polled<Pool>),
    Quota(Polled<Quota>),
}

/// A handle, and the get that is under way between polls.
struct Polled<S: Source> {
    // Declared before the handle, so dropped before it: what this gives back needs the pool.
    get: Option<Get<S>>,
    #[cfg(feature = "stream")]
    segments: Option<SegmentsGet<S>>,
    source: S,
}

impl<S: Source> Polled<S> {
    fn new(source: &S) -> Self {
        Polled {
            get: None,
            #[cfg(feature = "stream")]
            segments: None,
            source: source.clone(),
        }
    }

    #[inline]
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        location: &'static Location<'static>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        if let Some(get) = &mut self.get {
            let result = ready!(poll_waiting(get, &self.source, cx));
            self.get = None;
            return Poll::Ready(result);
        }
        // On the stack: a get that need not wait is then as cheap as one that is awaited. If a waker panics, the drop
        // gives back what the get has.
        let mut get = GetBuffer::new(&self.source, location);
        let polled = Pin::new(&mut get).poll(cx);
        if polled.is_pending() {
            self.get = Some(get.into_state());
        }
        polled
    }

    #[cfg(feature = "stream")]
    fn poll_segments(
        &mut self,
        len: usize,
        cx: &mut Context<'_>,
        location: &'static Location<'static>,
    ) -> Poll<Result<Segments, GetBufferError>> {
        let get = self.segments.get_or_insert_with(SegmentsGet::new);
        let result = ready!(get.poll(&self.source, len, location, cx));
        self.segments = None;
        Poll::Ready(result)
    }

    fn cancel(&mut self) {
        if let Some(mut get) = self.get.take() {
            get.cancel(&self.source);
        }
        #[cfg(feature = "stream")]
        if let Some(mut get) = self.segments.take() {
            get.cancel(&self.source);
        }
    }
}

/// Out of line, so that the fast path is small enough to be inlined into its caller.
#[cold]
#[inline(never)]
fn poll_waiting<S: Source>(
    get: &mut Get<S>,
    source: &S,
    cx: &mut Context<'_>,
) -> Poll<Result<Sample, GetBufferError>> {
    get.poll_one(source, cx)
}

impl<S: Source> Drop for Polled<S> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl PollPool {
    /// Makes a `PollPool` that gets its samples from `pool`, and keeps the pool alive.
    ///
    /// The [`Holder::location`](crate::Holder::location) of its samples is where this was called.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::future::poll_fn;
    /// use sample_pool::{Pool, PollPool};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build()?;
    /// let mut polled = PollPool::new(&pool);
    /// let sample = poll_fn(|cx| polled.poll_get_buffer(cx)).await?;
    /// assert!(sample.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(pool: &Pool) -> Self {
        PollPool::from(pool)
    }

    /// The pool of the samples. Not public: a quota is a boundary, and this method crosses it.
    #[cfg(feature = "stream")]
    pub(crate) fn pool(&self) -> &Pool {
        match &self.source {
            PolledSource::Pool(polled) => &polled.source,
            PolledSource::Quota(polled) => polled.source.pool(),
        }
    }

    /// Takes another sample from the same source, if one is free and no waiter comes first.
    #[cfg(feature = "net")]
    pub(crate) fn try_get_one_more(&self, location: &'static Location<'static>) -> Option<Sample> {
        match &self.source {
            PolledSource::Pool(polled) => crate::get::many::try_get_one_more(
                &polled.source,
                crate::wait::request::Rank::Ordinary,
                location,
            ),
            PolledSource::Quota(polled) => polled.source.try_get_one_more(location),
        }
    }

    /// Takes a sample, or joins the wait queue and registers the waker.
    ///
    /// Polling again keeps the position in the queue, and replaces the waker. The order is that of
    /// [`get_buffer`](Pool::get_buffer): first in, first out.
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Pool::get_buffer). The next call begins another get.
    ///
    /// # Cancel safety
    ///
    /// The position in the queue is kept until [`cancel`](PollPool::cancel) is called or this is dropped; see
    /// [`PollPool`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool, PollPool, SharedSample};
    /// use std::{future::Future, pin::Pin, task::{Context, Poll, ready}};
    ///
    /// /// Copies a packet into a sample.
    /// struct Keep<'a> {
    ///     packet: &'a [u8],
    ///     pool: PollPool,
    /// }
    ///
    /// impl Future for Keep<'_> {
    ///     type Output = Result<SharedSample, GetBufferError>;
    ///
    ///     fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
    ///         let mut sample = ready!(self.pool.poll_get_buffer(cx))?;
    ///         bytes::BufMut::put_slice(&mut sample, self.packet);
    ///         Poll::Ready(Ok(sample.freeze()))
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().build()?;
    /// let kept = Keep { packet: b"packet", pool: PollPool::new(&pool) }.await?;
    /// assert_eq!(&kept[..], b"packet");
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn poll_get_buffer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        self.poll_get_buffer_at(cx, self.location)
    }

    /// As [`poll_get_buffer`](PollPool::poll_get_buffer). If it begins a get, `location` is recorded as its source
    /// line.
    #[inline]
    pub(crate) fn poll_get_buffer_at(
        &mut self,
        cx: &mut Context<'_>,
        location: &'static Location<'static>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        match &mut self.source {
            PolledSource::Pool(polled) => polled.poll(cx, location),
            PolledSource::Quota(polled) => polled.poll(cx, location),
        }
    }

    /// As [`Pool::get_segments`], with the position in the queue kept between polls. Until it is ready or
    /// [cancelled](PollPool::cancel), the caller passes the same `len`.
    #[cfg(feature = "stream")]
    pub(crate) fn poll_get_segments(
        &mut self,
        len: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Segments, GetBufferError>> {
        match &mut self.source {
            PolledSource::Pool(polled) => polled.poll_segments(len, cx, self.location),
            PolledSource::Quota(polled) => polled.poll_segments(len, cx, self.location),
        }
    }

    /// Resolves when another get waits for a sample that this task could release. Otherwise registers the waker for
    /// that.
    ///
    /// For a task that keeps a sample for unfinished work while it waits for something else. A reader does that with
    /// the first bytes of a frame whose rest has not been received. Such a sample is outstanding for as long as the
    /// sender takes, and a few slow senders can hold all samples. So poll this too before returning
    /// [`Pending`](Poll::Pending). Once it is ready, copy the bytes that were read, and release the sample.
    ///
    /// - It is ready while a get is queued in the pool, or in the [`Quota`] through which this gets its samples, and
    ///   while the pool drains.
    /// - A get of this `PollPool` itself counts too: call this only while it is not [waiting](PollPool::is_waiting).
    /// - The waker is woken once. Poll again to register it again.
    /// - A get that does not wait, as [`try_get_buffer`](Pool::try_get_buffer), wakes nothing.
    /// - With [`max_waiters(0)`](crate::Builder::max_waiters) no get waits. A get that fails for this reason counts as
    ///   one that waits: it wakes the waker, and the next poll is ready.
    ///
    /// A poll that is ready spends Tokio's cooperative budget, as a get does. Each call takes the pool's lock, so call
    /// it only where the task is about to wait while it holds a sample.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost. The waker stays registered until it is woken, or until this is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// use futures::future::poll_fn;
    /// use sample_pool::{Pool, PollPool};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(1).build()?;
    /// let mut polled = PollPool::new(&pool);
    /// let mut begun = pool.get_buffer().await?;
    /// begun.put_slice(b"the first part of a ");
    ///
    /// let other = tokio::spawn({
    ///     let pool = pool.clone();
    ///     async move { pool.get_buffer().await.map(|sample| sample.len()) }
    /// });
    /// poll_fn(|cx| polled.poll_reclaim_requested(cx)).await; // beside the source of the rest
    /// let kept = begun.to_vec();
    /// drop(begun);
    /// assert_eq!(other.await??, 0);
    /// # drop(kept);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_reclaim_requested(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_reclaim_unbudgeted(cx));
        // Otherwise a task that polls this in a loop would never yield, and the tasks that end the reason of the
        // request could not run on its thread.
        match spend(cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// As [`poll_reclaim_requested`](PollPool::poll_reclaim_requested), but it spends no cooperative budget. For a
    /// caller that does not poll again after `Ready`, and must not take a lack of budget for "nothing is requested".
    pub(crate) fn poll_reclaim_unbudgeted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let registration = self.registration.get_or_insert_with(|| match &self.source {
            PolledSource::Pool(polled) => Registration::new(&polled.source, None),
            PolledSource::Quota(polled) => polled.source.registration(),
        });
        registration.poll(cx)
    }

    /// Leaves the wait queue, if a get is under way. A sample that was already handed to it goes to the next waiter.
    ///
    /// The next poll begins another get.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, PollPool};
    /// use std::task::{Context, Waker};
    ///
    /// let pool = Pool::builder().buffers(1).build()?;
    /// let held = pool.try_get_buffer()?;
    /// let mut polled = PollPool::new(&pool);
    /// assert!(polled.poll_get_buffer(&mut Context::from_waker(Waker::noop())).is_pending());
    /// assert_eq!(pool.status().waiting, 1);
    /// polled.cancel();
    /// assert_eq!(pool.status().waiting, 0);
    /// # drop(held);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&mut self) {
        match &mut self.source {
            PolledSource::Pool(polled) => polled.cancel(),
            PolledSource::Quota(polled) => polled.cancel(),
        }
    }

    /// Returns `true` if a get is under way: it is queued, or it was handed a sample that no poll has returned.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, PollPool};
    /// use std::task::{Context, Waker};
    ///
    /// let pool = Pool::builder().buffers(1).build()?;
    /// let held = pool.try_get_buffer()?;
    /// let mut polled = PollPool::new(&pool);
    /// assert!(!polled.is_waiting());
    /// let cx = &mut Context::from_waker(Waker::noop());
    /// assert!(polled.poll_get_buffer(cx).is_pending());
    /// assert!(polled.is_waiting());
    /// drop(held);
    /// assert!(polled.is_waiting(), "it was handed the sample");
    /// assert!(polled.poll_get_buffer(cx).is_ready());
    /// assert!(!polled.is_waiting());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        match &self.source {
            PolledSource::Pool(polled) => polled.get.is_some(),
            PolledSource::Quota(polled) => polled.get.is_some(),
        }
    }
}

/// Gets samples from the pool, as [`PollPool::new`].
impl From<&Pool> for PollPool {
    #[track_caller]
    fn from(pool: &Pool) -> Self {
        PollPool {
            source: PolledSource::Pool(Polled::new(pool)),
            location: Location::caller(),
            registration: None,
        }
    }
}

/// Gets samples through a quota, for functions that take an `Into<PollPool>`.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use sample_pool::{Pool, PollPool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().build()?;
/// let camera = pool.quota("camera 1", 2);
/// let mut samples = PollPool::from(&camera);
/// let first = samples.next().await.expect("it never ends")?;
/// assert_eq!(camera.status().in_use, 1);
/// # drop(first);
/// # Ok(())
/// # }
/// ```
impl From<&Quota> for PollPool {
    #[track_caller]
    fn from(quota: &Quota) -> Self {
        PollPool {
            source: PolledSource::Quota(Polled::new(quota)),
            location: Location::caller(),
            registration: None,
        }
    }
}

/// Gets samples from the same pool or quota. The clone has no get under way: it does not share the position in the
/// queue.
impl Clone for PollPool {
    fn clone(&self) -> Self {
        PollPool {
            source: match &self.source {
                PolledSource::Pool(polled) => PolledSource::Pool(Polled::new(&polled.source)),
                PolledSource::Quota(polled) => PolledSource::Quota(Polled::new(&polled.source)),
            },
            location: self.location,
            registration: None,
        }
    }
}

/// Empty samples, one for each get. The stream never ends.
impl Stream for PollPool {
    type Item = Result<Sample, GetBufferError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_get_buffer(cx).map(Some)
    }
}

/// The stream never ends.
impl FusedStream for PollPool {
    fn is_terminated(&self) -> bool {
        false
    }
}

impl fmt::Debug for PollPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollPool")
            .field("waiting", &self.is_waiting())
            .finish_non_exhaustive()
    }
}
