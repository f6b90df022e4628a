//! The future of one sample that borrows nothing.
//!
//! It has to keep the pool alive while it waits, and must not keep it alive longer.
//!
//! | state                                   | what keeps the pool alive                                      |
//! |-----------------------------------------|----------------------------------------------------------------|
//! | from the call until the get resolves    | a counted handle, as a clone of the pool is                    |
//! | resolved with a sample                  | the sample's slot; the future has dropped its handle           |
//! | resolved with an error, or dropped      | nothing that is of this future; it has dropped its handle      |
//!
//! Making the handle and dropping it are two writes of the shared handle count.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    get::source::{Get, Source},
    sample::exclusive::Sample,
    values::error::GetBufferError,
};
use futures::future::FusedFuture;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The future that [`Pool::get_buffer_owned`] and
/// [`Quota::get_buffer_owned`](crate::Quota::get_buffer_owned) return.
///
/// It owns a handle to its pool or quota until it resolves, and resolves to a [`Sample`] or an error. `S` is the
/// source: a [`Pool`], or a [`Quota`](crate::Quota).
///
/// # Examples
///
/// ```
/// use sample_pool::{GetBufferOwned, Pool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).build()?;
/// let get: GetBufferOwned = pool.get_buffer_owned();
/// drop(pool); // the future has a handle of its own
/// assert!(get.await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBufferOwned<S: Source = Pool> {
    // Declared before the handle, so dropped before it: what this gives back needs the pool.
    get: Get<S>,
    /// `None` once it has resolved.
    source: Option<S>,
}

impl<S: Source> GetBufferOwned<S> {
    #[inline]
    pub(crate) fn new(source: &S, location: &'static Location<'static>) -> Self {
        GetBufferOwned {
            get: Get::new(source, 1, location),
            source: Some(source.clone()),
        }
    }
}

impl<S: Source> Future for GetBufferOwned<S> {
    type Output = Result<Sample, GetBufferError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(source) = &this.source else {
            panic!("a get was polled after it had resolved");
        };
        let result = ready!(this.get.poll_one(source, cx));
        // Only after the poll: from here on the sample's slot keeps the pool alive.
        this.source = None;
        Poll::Ready(result)
    }
}

impl<S: Source> Drop for GetBufferOwned<S> {
    #[inline]
    fn drop(&mut self) {
        if let Some(source) = &self.source {
            self.get.cancel(source);
        }
    }
}

impl<S: Source> FusedFuture for GetBufferOwned<S> {
    fn is_terminated(&self) -> bool {
        self.get.is_done()
    }
}

impl<S: Source> fmt::Debug for GetBufferOwned<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetBufferOwned")
            .field("acquire", self.get.acquire())
            .finish_non_exhaustive()
    }
}
