//! The futures of several samples, all or nothing.

#![forbid(unsafe_code)]

use crate::{
    acquire::Acquire,
    error::GetBufferError,
    raw::{handle::Pool, slot::Chain},
    sample::Sample,
};
use futures::future::FusedFuture;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A request for several samples.
struct Request<'a> {
    pool: &'a Pool,
    acquire: Acquire,
    count: usize,
    location: &'static Location<'static>,
}

impl Request<'_> {
    fn poll_into(
        &mut self,
        samples: &mut Vec<Sample>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), GetBufferError>> {
        let engine = self.pool.engine();
        let slots = ready!(self.acquire.poll(engine, self.count, cx))?;
        hand_out(slots, samples, self.location);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.acquire.cancel(self.pool.engine());
    }
}

/// Appends a sample for each slot of the chain, in the order of their numbers within a word.
pub(crate) fn hand_out(
    mut slots: Chain,
    samples: &mut Vec<Sample>,
    location: &'static Location<'static>,
) {
    samples.reserve(slots.len());
    while let Some(slot) = slots.pop() {
        samples.push(Sample::new(slot, location));
    }
}

/// The future of several samples; see [`Pool::get_buffers`].
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBuffers<'a> {
    request: Request<'a>,
}

impl<'a> GetBuffers<'a> {
    pub(crate) fn new(pool: &'a Pool, count: usize, location: &'static Location<'static>) -> Self {
        let acquire = Acquire::New;
        GetBuffers {
            request: Request {
                pool,
                acquire,
                count,
                location,
            },
        }
    }
}

impl Future for GetBuffers<'_> {
    type Output = Result<Vec<Sample>, GetBufferError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut samples = Vec::new();
        ready!(self.request.poll_into(&mut samples, cx))?;
        Poll::Ready(Ok(samples))
    }
}

/// The future of several samples in a `Vec` of the caller's; see [`Pool::get_buffers_into`].
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBuffersInto<'a> {
    request: Request<'a>,
    samples: &'a mut Vec<Sample>,
}

impl<'a> GetBuffersInto<'a> {
    pub(crate) fn new(get: GetBuffers<'a>, samples: &'a mut Vec<Sample>) -> Self {
        GetBuffersInto {
            request: get.request,
            samples,
        }
    }
}

impl Future for GetBuffersInto<'_> {
    type Output = Result<(), GetBufferError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.request.poll_into(this.samples, cx)
    }
}

macro_rules! terminates {
    ($($future:ident),*) => {$(
        impl FusedFuture for $future<'_> {
            fn is_terminated(&self) -> bool {
                self.request.acquire.is_done()
            }
        }

        impl fmt::Debug for $future<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($future))
                    .field("count", &self.request.count)
                    .field("acquire", &self.request.acquire)
                    .finish_non_exhaustive()
            }
        }
    )*};
}

terminates!(GetBuffers, GetBuffersInto);
