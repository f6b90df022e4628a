//! The gets of one sample that block their thread.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    get::{one::GetBuffer, source::Source},
    sample::exclusive::Sample,
    sync::block_on::{assert_may_block, block_on},
    values::error::GetBufferError,
};
use std::{ops::ControlFlow, panic::Location};

impl Pool {
    /// Waits for a sample and takes it, and blocks the current thread until then.
    ///
    /// For threads that run no asynchronous tasks, as
    /// [`mpsc::Receiver::blocking_recv`](tokio::sync::mpsc::Receiver::blocking_recv) is in Tokio. It waits in the same
    /// queue as [`get_buffer`](Pool::get_buffer), first in, first out.
    ///
    /// If no sample is free, the thread first lets other threads run and looks again, up to four times in 50
    /// microseconds. Then it joins the queue. Until it has joined, other gets can take a sample that is released.
    /// After that none overtakes it. A get that was queued at once would make threads wait in turn for each sample,
    /// which costs a change of threads each time.
    ///
    /// Mirrors `IMemAllocator::GetBuffer`.
    ///
    /// # Errors
    ///
    /// As [`get_buffer`](Pool::get_buffer).
    ///
    /// # Panics
    ///
    /// If the thread drives Tokio's tasks, or if it is called inside of [`futures::executor::block_on`]. It does not
    /// panic in `spawn_blocking`. Threads of other executors are not detected: there it blocks the thread.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().buffers(1).build()?;
    /// let sample = pool.try_get_buffer()?;
    /// let waiting = std::thread::spawn({
    ///     let pool = pool.clone();
    ///     move || pool.blocking_get_buffer().map(|sample| sample.index())
    /// });
    /// drop(sample);
    /// assert_eq!(waiting.join().unwrap()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn blocking_get_buffer(&self) -> Result<Sample, GetBufferError> {
        blocking_get(self)
    }
}

/// Blocks the thread until `source` has a sample for it.
#[track_caller]
pub(crate) fn blocking_get<S: Source>(source: &S) -> Result<Sample, GetBufferError> {
    assert_may_block();
    let get = GetBuffer::new(source, Location::caller());
    block_on(get, |get| match get.look() {
        ControlFlow::Continue(()) => ControlFlow::Continue(()),
        ControlFlow::Break(found) => ControlFlow::Break(found.map(Ok)),
    })
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn look<S: Source>(source: &S) -> ControlFlow<Option<Sample>> {
        GetBuffer::new(source, Location::caller()).look()
    }

    fn may_look_again<S: Source>(source: &S) -> bool {
        match look(source) {
            ControlFlow::Continue(()) => true,
            ControlFlow::Break(None) => false,
            ControlFlow::Break(Some(_)) => panic!("it found a sample"),
        }
    }

    fn finds<S: Source>(source: &S) -> bool {
        matches!(look(source), ControlFlow::Break(Some(_)))
    }

    #[test]
    fn a_look_takes_a_free_sample_and_queues_nothing() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let held = pool.try_get_buffer().unwrap();
        assert!(may_look_again(&pool));
        let status = pool.status();
        assert_eq!((status.waiting, status.waited, status.exhausted), (0, 0, 0));
        drop(held);
        assert!(finds(&pool));
        assert_eq!(pool.free_count(), 1);
    }

    /// Its error must not come late, and must come from a poll.
    #[test]
    fn a_pool_that_serves_no_gets_is_not_looked_at_again() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        pool.set_flushing(true);
        assert!(!may_look_again(&pool));
        assert!(!may_look_again(&pool.quota("camera", 1)));
        pool.set_flushing(false);
        pool.decommit();
        assert!(!may_look_again(&pool));
    }

    #[test]
    fn a_look_does_not_overtake_a_queued_get() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let held = pool.try_get_buffer().unwrap();
        let waiter = std::thread::spawn({
            let pool = pool.clone();
            move || pool.blocking_get_buffer().map(|sample| (sample, pool))
        });
        while pool.status().waiting == 0 {
            std::thread::yield_now();
        }
        drop(held);
        assert!(may_look_again(&pool), "the sample is the waiter's");
        let (sample, _pool) = waiter.join().unwrap().unwrap();
        drop(sample);
        assert!(finds(&pool));
    }

    #[test]
    fn the_look_of_a_quota_keeps_its_room_and_takes_no_more() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let held = pool.try_get_buffer().unwrap();
        let quota = pool.quota("camera", 1);
        let mut get = GetBuffer::new(&quota, Location::caller());
        for _ in 0..2 {
            assert!(get.look().is_continue());
            assert_eq!(quota.status().in_use, 1);
        }
        assert!(may_look_again(&quota), "no room is left");
        drop(held);
        let ControlFlow::Break(Some(sample)) = get.look() else {
            panic!("it has room, and a slot is free");
        };
        drop(get);
        assert_eq!((quota.status().in_use, pool.free_count()), (1, 0));
        drop(sample);
        assert_eq!((quota.status().in_use, pool.free_count()), (0, 1));
        let mut unused = GetBuffer::new(&quota, Location::caller());
        let held = pool.try_get_buffer().unwrap();
        assert!(unused.look().is_continue());
        drop((unused, held));
        assert_eq!(quota.status().in_use, 0);
    }

    /// The buffers that are kept for it are found under the lock only.
    #[test]
    fn a_get_of_high_priority_does_not_look() {
        let pool = Pool::builder().buffers(2).priority_buffers(1).build();
        let pool = pool.unwrap();
        let _held = pool.try_get_buffer().unwrap();
        let quota = pool.priority_quota("audio", 1);
        assert!(!may_look_again(&quota));
        assert!(quota.blocking_get_buffer().is_ok());
    }
}
