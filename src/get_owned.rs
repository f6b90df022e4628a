//! Getting one sample with a future that borrows nothing.
//!
//! | keeps the pool alive by | from                                      | until                                  |
//! |-------------------------|-------------------------------------------|----------------------------------------|
//! | a lease in a word       | the call, if that word is open            | the first poll                         |
//! | a counted handle        | the call otherwise; a first poll that has to wait, also for room in a quota | it is dropped |
//! | nothing                 | a hit at the first poll                   | –                                      |
//!
//! In the common case the exchange that takes the slot gives the lease up, and from then on the sample
//! keeps the pool alive.

#![forbid(unsafe_code)]

use crate::{
    acquire::Acquire,
    coop::spend,
    error::GetBufferError,
    foreign,
    raw::{
        handle::{self, Pool},
        slot::OwnedSlot,
        tie::Lease,
    },
    request::Rank,
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

/// The future of a sample that owns a handle to its pool; see [`Pool::get_buffer_owned`].
#[must_use = "a future does nothing until it is awaited"]
pub struct GetBufferOwned {
    /// Until the first poll, if the word had one to give.
    lease: Option<Lease>,
    /// Whenever there is something to give back.
    pool: Option<Pool>,
    acquire: Acquire,
    location: &'static Location<'static>,
}

impl GetBufferOwned {
    #[inline]
    pub(crate) fn new(pool: &Pool, rank: Rank, location: &'static Location<'static>) -> Self {
        let lease = Lease::of(pool);
        GetBufferOwned {
            pool: match lease {
                Some(_) => None,
                None => Some(pool.clone()),
            },
            lease,
            acquire: Acquire::New(rank),
            location,
        }
    }

    /// Keeps the pool alive by a handle in place of a lease.
    pub(crate) fn hold_by_handle(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.pool = Some(lease.into_handle());
        }
    }

    /// Resolves with a slot, which is all that keeps the pool alive, if the task has budget left.
    #[inline]
    fn finish_with(&mut self, slot: OwnedSlot, cx: &mut Context<'_>) -> Option<Sample> {
        let (slot, has_budget) =
            foreign::holding(slot, || spend(cx), |slot| self.keep_in_hand(slot));
        if has_budget {
            self.acquire.finish();
            return Some(Sample::of_slot(slot, self.location));
        }
        self.keep_in_hand(slot);
        None
    }

    /// The slot is there and the task's budget is not: both wait for the next poll.
    #[cold]
    #[inline(never)]
    fn keep_in_hand(&mut self, slot: OwnedSlot) {
        self.pool = Some(handle::of_slot(&slot));
        self.acquire.keep_in_hand(slot);
    }

    /// The lease's word was dry, or somebody else wrote it at the same moment.
    #[cold]
    #[inline(never)]
    fn poll_elsewhere(
        &mut self,
        lease: Lease,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        match lease.engine().take_free() {
            Some(slot) => {
                drop(lease);
                if let Some(sample) = self.finish_with(slot, cx) {
                    return Poll::Ready(Ok(sample));
                }
            }
            None => self.pool = Some(lease.into_handle()),
        }
        self.go_on(cx)
    }

    #[cold]
    #[inline(never)]
    fn poll_slowly(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sample, GetBufferError>> {
        // One that never had a lease has not looked for a slot yet.
        let hit = self
            .pool
            .as_ref()
            .and_then(|pool| self.acquire.poll_hit(pool.engine(), cx));
        match hit {
            Some(slot) => Poll::Ready(Ok(Sample::of_slot(slot, self.location))),
            None => self.go_on(cx),
        }
    }

    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sample, GetBufferError>> {
        let Some(pool) = &self.pool else {
            panic!("a get was polled after it had resolved");
        };
        let engine = pool.engine();
        let polled = self.acquire.poll(engine, 1, cx);
        self.acquire.locate(engine, self.location);
        let slots = ready!(polled)?;
        Poll::Ready(Ok(Sample::new(engine, slots.into_only(), self.location)))
    }
}

impl Future for GetBufferOwned {
    type Output = Result<Sample, GetBufferError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(lease) = this.lease.take() {
            let slot = match lease.take() {
                Ok(slot) => slot,
                Err(lease) => return this.poll_elsewhere(lease, cx),
            };
            if let Some(sample) = this.finish_with(slot, cx) {
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

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::engine::tests::without_the_lock;
    use std::task::Waker;

    /// There are fewer leases than futures can be made, and who has none must not pay for it with the lock.
    #[test]
    fn a_get_without_a_lease_takes_a_slot_without_the_lock() {
        let pool = Pool::builder().buffers(64).size(64).build().unwrap();
        drop(pool.try_get_buffer().unwrap());
        let mut unpolled: Vec<_> = (0..64).map(|_| pool.get_buffer_owned()).collect();
        let mut last = unpolled.pop().unwrap();
        assert!(last.lease.is_none(), "all leases are given out");
        let took = without_the_lock(&pool, move || {
            let cx = &mut Context::from_waker(Waker::noop());
            let polled = Pin::new(&mut last).poll(cx);
            matches!(polled, Poll::Ready(Ok(_)))
        });
        assert!(took, "a slot is home");
    }

    /// They may wait for long, and leases are for those who do not.
    #[test]
    fn who_waits_for_room_in_a_quota_has_no_lease() {
        let pool = Pool::builder().buffers(64).size(64).build().unwrap();
        let quota = pool.quota("one", 1);
        let _held = quota.try_get_buffer().unwrap();
        let cx = &mut Context::from_waker(Waker::noop());
        let waiting: Vec<_> = (0..64)
            .map(|_| {
                let mut get = Box::pin(quota.get_buffer_owned());
                assert!(get.as_mut().poll(cx).is_pending());
                get
            })
            .collect();
        assert!(pool.get_buffer_owned().lease.is_some());
        drop(waiting);
    }
}
