//! The futures of one sample: borrowed, owned, and with a time limit.

#![forbid(unsafe_code)]

use crate::{
    acquire::Acquire, error::GetBufferError, raw::handle::Pool, raw::slot::OwnedSlot,
    sample::Sample,
};
use futures::future::FusedFuture;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::sleep;

/// The future of a sample; see [`Pool::get_buffer`].
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBuffer<'a> {
    pool: &'a Pool,
    acquire: Acquire,
    location: &'static Location<'static>,
}

impl<'a> GetBuffer<'a> {
    #[inline]
    pub(crate) fn new(pool: &'a Pool, location: &'static Location<'static>) -> Self {
        GetBuffer {
            pool,
            acquire: Acquire::New,
            location,
        }
    }

    fn sample(&self, slot: OwnedSlot) -> Sample {
        Sample::new(slot, self.location)
    }
}

impl Future for GetBuffer<'_> {
    type Output = Result<Sample, GetBufferError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let slot = ready!(this.acquire.poll_one(this.pool.engine(), cx))?;
        Poll::Ready(Ok(this.sample(slot)))
    }
}

impl Drop for GetBuffer<'_> {
    #[inline]
    fn drop(&mut self) {
        self.acquire.cancel(self.pool.engine());
    }
}

/// The future of a sample that owns a handle to its pool; see [`Pool::get_buffer_owned`].
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBufferOwned {
    pool: Pool,
    acquire: Acquire,
    location: &'static Location<'static>,
}

impl GetBufferOwned {
    pub(crate) fn new(pool: Pool, location: &'static Location<'static>) -> Self {
        GetBufferOwned {
            pool,
            acquire: Acquire::New,
            location,
        }
    }
}

impl Future for GetBufferOwned {
    type Output = Result<Sample, GetBufferError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let slot = ready!(this.acquire.poll_one(this.pool.engine(), cx))?;
        Poll::Ready(Ok(Sample::new(slot, this.location)))
    }
}

impl Drop for GetBufferOwned {
    #[inline]
    fn drop(&mut self) {
        self.acquire.cancel(self.pool.engine());
    }
}

/// The future of a sample with a time limit; see [`Pool::get_buffer_timeout`].
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBufferTimeout<'a> {
    get: GetBuffer<'a>,
    limit: Duration,
}

impl<'a> GetBufferTimeout<'a> {
    pub(crate) fn new(get: GetBuffer<'a>, limit: Duration) -> Self {
        GetBufferTimeout { get, limit }
    }

    /// Polls the timer of a get that is in line; sets it first, if it is not set yet.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = self.get.acquire.timer() else {
            // A sample is in hand, and beats the deadline.
            return Poll::Pending;
        };
        let timer = timer.get_or_insert_with(|| Box::pin(None));
        if timer.is_none() {
            timer.as_mut().set(Some(sleep(self.limit)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(sleep) => sleep.poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Future for GetBufferTimeout<'_> {
    type Output = Result<Sample, GetBufferError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(result) = Pin::new(&mut self.get).poll(cx) {
            return Poll::Ready(result);
        }
        ready!(self.poll_timer(cx));
        let engine = self.get.pool.engine();
        self.get.acquire.time_out(engine)?;
        // It was handed a sample between its poll and the end of the time.
        Pin::new(&mut self.get).poll(cx)
    }
}

macro_rules! terminates {
    ($($future:ident $(<$life:lifetime>)?, $($acquire:ident).+;)*) => {$(
        impl FusedFuture for $future $(<$life>)? {
            fn is_terminated(&self) -> bool {
                self.$($acquire).+.is_done()
            }
        }

        impl fmt::Debug for $future $(<$life>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($future))
                    .field("acquire", &self.$($acquire).+)
                    .finish_non_exhaustive()
            }
        }
    )*};
}

terminates! {
    GetBuffer<'_>, acquire;
    GetBufferOwned, acquire;
    GetBufferTimeout<'_>, get.acquire;
}
