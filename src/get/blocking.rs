//! The gets of one sample that block their thread.

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    get::{one::GetBuffer, source::Source},
    sample::exclusive::Sample,
    sync::block_on::{assert_may_block, block_on},
    values::error::GetBufferError,
};
use std::panic::Location;

impl Pool {
    /// Waits for a sample and takes it, and blocks the current thread until then.
    ///
    /// For threads that run no asynchronous tasks, as
    /// [`mpsc::Receiver::blocking_recv`](tokio::sync::mpsc::Receiver::blocking_recv) is in Tokio. It waits in the same
    /// queue as [`get_buffer`](Pool::get_buffer), first in, first out.
    ///
    /// If no sample is free, the thread lets other threads run and tries again, up to four times, but not again after 50
    /// microseconds. Then it joins the queue. Before that, other gets can take a sample that is released. After that,
    /// none overtakes it. If it was queued at once, threads would wait in turn for each sample, which costs a change of
    /// threads each time.
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
    block_on(get, |get| get.try_take().map_break(|sample| sample.map(Ok)))
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use futures::future::FusedFuture;
    use std::{ops::ControlFlow, thread};

    fn try_take<S: Source>(source: &S) -> ControlFlow<Option<Sample>> {
        GetBuffer::new(source, Location::caller()).try_take()
    }

    fn may_try_again<S: Source>(source: &S) -> bool {
        match try_take(source) {
            ControlFlow::Continue(()) => true,
            ControlFlow::Break(None) => false,
            ControlFlow::Break(Some(_)) => panic!("it took a sample"),
        }
    }

    fn takes<S: Source>(source: &S) -> bool {
        matches!(try_take(source), ControlFlow::Break(Some(_)))
    }

    #[test]
    fn a_try_takes_a_free_sample_and_counts_nothing() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let held = pool.try_get_buffer().unwrap();
        assert!(may_try_again(&pool));
        let status = pool.status();
        assert_eq!((status.waiting, status.waited, status.exhausted), (0, 0, 0));
        drop(held);
        assert!(takes(&pool));
        assert_eq!(pool.free_count(), 1);
    }

    /// A thread that let others run although a sample is free would have waited for nothing.
    #[test]
    fn a_try_takes_a_sample_that_is_found_only_under_the_lock() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        assert!(
            takes(&pool),
            "the first get of a pool, whose words are parked"
        );
        let _released = pool.released();
        assert!(
            takes(&pool),
            "words stay parked while somebody waits for a release"
        );
        drop(pool.try_get_buffers(1).unwrap());
        assert!(takes(&pool), "a get of several parks the words");
    }

    #[test]
    fn a_thread_that_finds_a_sample_at_a_later_try_does_not_join_the_queue() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let mut held = Some(pool.try_get_buffer().unwrap());
        let get = GetBuffer::new(&pool, Location::caller());
        let sample = block_on(get, |get| {
            let taken = get.try_take();
            // As if the thread that is run in between released it.
            held = None;
            taken.map_break(|sample| sample.map(Ok))
        });
        assert!(sample.is_ok());
        assert_eq!(pool.status().waited, 0);
    }

    /// Its error must not come late, and must come from a poll.
    #[test]
    fn what_can_only_fail_is_not_tried_again() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        assert!(!may_try_again(&pool.quota("of nothing", 0)));
        pool.set_flushing(true);
        assert!(!may_try_again(&pool));
        assert!(!may_try_again(&pool.quota("camera", 1)));
        pool.set_flushing(false);
        pool.decommit();
        assert!(!may_try_again(&pool));
    }

    #[test]
    fn a_try_does_not_overtake_a_queued_get() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let held = pool.try_get_buffer().unwrap();
        let waiter = thread::spawn({
            let pool = pool.clone();
            move || pool.blocking_get_buffer()
        });
        while pool.status().waiting == 0 {
            thread::yield_now();
        }
        drop(held);
        assert!(may_try_again(&pool), "the sample is the waiter's");
        drop(waiter.join().unwrap().unwrap());
        assert!(takes(&pool));
    }

    #[test]
    fn a_get_of_a_quota_keeps_its_room_between_tries_and_takes_no_more() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let held = pool.try_get_buffer().unwrap();
        let quota = pool.quota("camera", 2);
        let [mut first, mut second] = [(); 2].map(|()| GetBuffer::new(&quota, Location::caller()));
        for _ in 0..2 {
            assert!(first.try_take().is_continue());
            assert_eq!(quota.status().in_use, 1);
        }
        assert!(second.try_take().is_continue());
        drop(held);
        assert!(may_try_again(&quota), "a sample is free, but no room");
        drop(second);
        assert_eq!(quota.status().in_use, 1, "its room was returned");
        let ControlFlow::Break(Some(sample)) = first.try_take() else {
            panic!("it has room, and a sample is free");
        };
        assert!(first.is_terminated());
        drop(first);
        assert_eq!((quota.status().in_use, pool.free_count()), (1, 0));
        drop(sample);
        assert_eq!((quota.status().in_use, pool.free_count()), (0, 1));
    }

    /// The buffers that are kept for it are found by a poll only.
    #[test]
    fn a_get_of_high_priority_is_polled_at_once() {
        let pool = Pool::builder().buffers(2).priority_buffers(1).build();
        let pool = pool.unwrap();
        let _held = pool.try_get_buffer().unwrap();
        let quota = pool.priority_quota("audio", 1);
        assert!(!may_try_again(&quota));
        assert!(quota.blocking_get_buffer().is_ok());
    }
}
