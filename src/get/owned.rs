//! Getting one sample with a future that borrows nothing.
//!
//! | stage                                   | what keeps the pool alive                     |
//! |-----------------------------------------|-----------------------------------------------|
//! | from the call until the get resolves    | a counted handle, as a clone of the pool is   |
//! | resolved with a sample                  | the sample's slot; the handle is given up     |
//! | resolved with an error, or dropped      | nothing of the future's                       |

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

/// The future of a sample that owns a handle to its pool or quota; see [`Pool::get_buffer_owned`] and
/// [`Quota::get_buffer_owned`](crate::Quota::get_buffer_owned).
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBufferOwned<S: Source = Pool> {
    // Before the handle, which keeps what this gives back when it is dropped.
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
        // Only now: from here on the sample's slot keeps the pool alive.
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
