//! Getting one sample with a future that borrows nothing.
//!
//! | stage                                   | what keeps the pool alive                     |
//! |-----------------------------------------|-----------------------------------------------|
//! | from the call until the get resolves    | a counted handle, as a clone of the pool is   |
//! | resolved with a sample                  | the sample's slot; the handle is given up     |
//! | resolved with an error, or dropped      | nothing of the future's                       |

#![forbid(unsafe_code)]

use crate::{
    acquire::Acquire, error::GetBufferError, raw::handle::Pool, request::Rank, sample::Sample,
};
use futures::future::FusedFuture;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The future of a sample that owns a handle to its pool; see [`Pool::get_buffer_owned`].
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBufferOwned {
    /// `None` once it has resolved.
    pool: Option<Pool>,
    acquire: Acquire,
    location: &'static Location<'static>,
}

impl GetBufferOwned {
    #[inline]
    pub(crate) fn new(pool: &Pool, rank: Rank, location: &'static Location<'static>) -> Self {
        GetBufferOwned {
            pool: Some(pool.clone()),
            acquire: Acquire::New(rank),
            location,
        }
    }

    #[cold]
    #[inline(never)]
    fn poll_slowly(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sample, GetBufferError>> {
        let Some(pool) = &self.pool else {
            panic!("a get was polled after it had resolved");
        };
        let engine = pool.engine();
        let polled = self.acquire.poll(engine, 1, cx);
        self.acquire.locate(engine, self.location);
        let result =
            ready!(polled).map(|slots| Sample::new(engine, slots.into_only(), self.location));
        self.pool = None;
        Poll::Ready(result)
    }
}

impl Future for GetBufferOwned {
    type Output = Result<Sample, GetBufferError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(pool) = &this.pool {
            let engine = pool.engine();
            if let Some(slot) = this.acquire.poll_hit(engine, cx) {
                let sample = Sample::new(engine, slot, this.location);
                // Only now: from here on the slot keeps the pool alive.
                this.pool = None;
                return Poll::Ready(Ok(sample));
            }
        }
        this.poll_slowly(cx)
    }
}

impl Drop for GetBufferOwned {
    #[inline]
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            self.acquire.cancel(pool.engine());
        }
    }
}

impl FusedFuture for GetBufferOwned {
    fn is_terminated(&self) -> bool {
        self.acquire.is_done()
    }
}

impl fmt::Debug for GetBufferOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetBufferOwned")
            .field("acquire", &self.acquire)
            .finish_non_exhaustive()
    }
}
