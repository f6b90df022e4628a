//! Tasks that keep a buffer until another get queues.

use super::{get_and_release, spawn};
use crate::{
    PollPool, Sample,
    checks::shared::{assert_all_free, pool},
};
use futures::future::poll_fn;
use loom::future::block_on;

/// Keeps the sample until another get waits for it.
fn keep_until_it_is_wanted(mut polled: PollPool, sample: Sample) {
    block_on(poll_fn(|cx| polled.poll_reclaim_requested(cx)));
    drop(sample);
}

/// Whichever comes first, the task is woken: otherwise both would wait for ever.
#[test]
fn a_get_that_queues_meets_a_task_that_keeps_the_buffer() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let polled = PollPool::new(&pool);
        let thread = spawn(move || keep_until_it_is_wanted(polled, sample));
        get_and_release(&pool).unwrap();
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// The same in a quota, whose queue has a lock of its own.
#[test]
fn a_get_that_waits_for_room_meets_a_task_that_keeps_a_sample_of_the_quota() {
    loom::model(|| {
        let pool = pool(2);
        let quota = pool.quota("one", 1);
        let sample = quota.try_get_buffer().unwrap();
        let polled = PollPool::from(&quota);
        let thread = spawn(move || keep_until_it_is_wanted(polled, sample));
        drop(block_on(quota.get_buffer()).unwrap());
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}

/// A drain waits for the sample as a get does.
#[test]
fn a_decommit_meets_a_task_that_keeps_the_buffer() {
    loom::model(|| {
        let pool = pool(1);
        let sample = pool.try_get_buffer().unwrap();
        let polled = PollPool::new(&pool);
        let thread = spawn(move || keep_until_it_is_wanted(polled, sample));
        pool.decommit();
        thread.join().unwrap();
        assert_all_free(&pool);
    });
}
