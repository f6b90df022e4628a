//! A pool to be polled, for futures and streams that are written by hand.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    get::source::{Get, Source},
    quota::{Quota, registration::Registration},
    sample::exclusive::Sample,
    sync::coop::spend,
    values::error::GetBufferError,
};
use futures::{Stream, stream::FusedStream};
use std::{
    fmt,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A handle to a pool that can be polled for samples, and keeps its place in line between polls.
///
/// For `poll` functions that are written by hand: they cannot keep the future of
/// [`get_buffer`](Pool::get_buffer), which borrows the pool, and would have to box what they keep. This
/// has a handle of its own, and keeps in place what a get has between its polls. Nothing is allocated. With a
/// [`Quota`] in place of the pool, all of it goes through that.
///
/// It is a [`Stream`] of fresh samples as well, one that never ends: when the pool refuses, it yields
/// the error and asks again when it is polled again.
///
/// # Cancel safety
///
/// Whoever stops polling leaves this in line, and can be handed a sample that nobody fetches: it is out
/// until this is polled, [cancelled](PollPool::cancel) or dropped, and can hold up a drain. A sample
/// that is given up so goes to the next in line.
///
/// # Examples
///
/// As a stream, with a limit of its own:
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
///     sample?.put_u32(7); // and it is home again, or the next one would wait
/// }
/// # Ok(())
/// # }
/// ```
pub struct PollPool {
    asked: Asked,
    location: &'static Location<'static>,
    /// Once it was asked for.
    registration: Option<Registration>,
}

enum Asked {
    Pool(Polled<Pool>),
    Quota(Polled<Quota>),
}

/// A handle, and the get that goes on between polls.
struct Polled<S: Source> {
    // Before the handle, which keeps what this gives back when it is dropped.
    get: Option<Get<S>>,
    source: S,
}

impl<S: Source> Polled<S> {
    fn new(source: &S) -> Self {
        Polled {
            get: None,
            source: source.clone(),
        }
    }

    #[inline]
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        location: &'static Location<'static>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        let source = &self.source;
        let get = self
            .get
            .get_or_insert_with(|| Get::new(source, 1, location));
        let result = ready!(get.poll_one(source, cx));
        self.get = None;
        Poll::Ready(result)
    }

    fn cancel(&mut self) {
        if let Some(mut get) = self.get.take() {
            get.cancel(&self.source);
        }
    }
}

impl<S: Source> Drop for Polled<S> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl PollPool {
    /// Polls `pool`, and keeps it alive. [`Holder::location`](crate::Holder::location) is where this was
    /// called.
    #[must_use]
    #[track_caller]
    pub fn new(pool: &Pool) -> Self {
        PollPool::from(pool)
    }

    /// The pool behind it. Never public: a quota is a boundary, and this leads past it.
    #[cfg(feature = "stream")]
    pub(crate) fn pool(&self) -> &Pool {
        match &self.asked {
            Asked::Pool(polled) => &polled.source,
            Asked::Quota(polled) => polled.source.pool(),
        }
    }

    /// Takes another sample from the same source, if one is free and no waiter comes first.
    #[cfg(feature = "net")]
    pub(crate) fn try_get_one_more(&self, location: &'static Location<'static>) -> Option<Sample> {
        match &self.asked {
            Asked::Pool(polled) => crate::get::many::try_get_one_more(
                &polled.source,
                crate::wait::request::Rank::Ordinary,
                location,
            ),
            Asked::Quota(polled) => polled.source.try_get_one_more(location),
        }
    }

    /// Takes a sample, or takes a place in line and registers the waker.
    ///
    /// Polling again keeps the place, and replaces the waker. Served as
    /// [`get_buffer`](Pool::get_buffer) is.
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Pool::get_buffer). The next call asks anew.
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
    pub fn poll_get_buffer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        self.poll_get_buffer_at(cx, self.location)
    }

    /// As [`poll_get_buffer`](PollPool::poll_get_buffer); a get that begins here is recorded for `location`.
    pub(crate) fn poll_get_buffer_at(
        &mut self,
        cx: &mut Context<'_>,
        location: &'static Location<'static>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        match &mut self.asked {
            Asked::Pool(polled) => polled.poll(cx, location),
            Asked::Quota(polled) => polled.poll(cx, location),
        }
    }

    /// Resolves when another get waits for a sample that a task could release, and otherwise registers the waker for
    /// that.
    ///
    /// For a task that keeps a sample for unfinished work while it waits for something else. A reader does that
    /// with the first bytes of a frame whose rest has not come. Such a sample is out for as long as the other end
    /// likes, and a few slow senders can have all of them. So poll this as well before returning
    /// [`Pending`](Poll::Pending). Once it is ready, copy what was read, and release the sample.
    ///
    /// It is ready while a get waits in the wait queue of the pool, or of the [`Quota`] through which this gets its
    /// samples; and while the pool drains. A get of this `PollPool` itself counts too: ask when it is not
    /// [waiting](PollPool::is_waiting). The waker is woken once; poll again to register again. A get that does
    /// not wait, as that of [`try_get_buffer`](Pool::try_get_buffer), wakes nothing. With
    /// [`max_waiters(0)`](crate::Builder::max_waiters) no get waits, and one that is refused for that counts as one that
    /// waits: it wakes the waker, and the next poll is ready.
    ///
    /// Being ready takes part in Tokio's cooperative budget, as a get does. It takes the pool's lock at each call, so ask only where the task is about to wait with a sample in its hands.
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
        // A task that asks in a loop would keep its thread from the tasks that end the reason of the request.
        match spend(cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// As [`poll_reclaim_requested`](PollPool::poll_reclaim_requested), whether or not the task has budget left. For a
    /// caller that does not ask again after the answer, and must not take a lack of budget for "nothing is requested".
    pub(crate) fn poll_reclaim_unbudgeted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let registration = self.registration.get_or_insert_with(|| match &self.asked {
            Asked::Pool(polled) => Registration::new(&polled.source, None),
            Asked::Quota(polled) => polled.source.registration(),
        });
        registration.poll(cx)
    }

    /// Gives up the place in line, if there is one. A sample that it was handed goes to the next.
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
        match &mut self.asked {
            Asked::Pool(polled) => polled.cancel(),
            Asked::Quota(polled) => polled.cancel(),
        }
    }

    /// Whether it is in line, or was handed a sample that was not fetched.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        match &self.asked {
            Asked::Pool(polled) => polled.get.is_some(),
            Asked::Quota(polled) => polled.get.is_some(),
        }
    }
}

/// Polls the pool itself.
impl From<&Pool> for PollPool {
    #[track_caller]
    fn from(pool: &Pool) -> Self {
        PollPool {
            asked: Asked::Pool(Polled::new(pool)),
            location: Location::caller(),
            registration: None,
        }
    }
}

/// Polls through a quota, for whatever takes an `Into<PollPool>`.
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
            asked: Asked::Quota(Polled::new(quota)),
            location: Location::caller(),
            registration: None,
        }
    }
}

/// Polls the same pool or quota, from a place of its own.
impl Clone for PollPool {
    fn clone(&self) -> Self {
        PollPool {
            asked: match &self.asked {
                Asked::Pool(polled) => Asked::Pool(Polled::new(&polled.source)),
                Asked::Quota(polled) => Asked::Quota(Polled::new(&polled.source)),
            },
            location: self.location,
            registration: None,
        }
    }
}

/// Fresh samples, without end.
impl Stream for PollPool {
    type Item = Result<Sample, GetBufferError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_get_buffer(cx).map(Some)
    }
}

/// It never ends.
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
