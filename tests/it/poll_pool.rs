//! A polled pool keeps its position in the wait queue between polls, and gives it up on request.

#![forbid(unsafe_code)]

use crate::polling::{Wakes, at_once, poll_once};
use futures::{StreamExt, stream};
use sample_pool::{GetBufferError, PollPool, Pool};
use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::{Context, Poll, Waker},
};

fn pool(buffers: usize) -> Pool {
    Pool::builder()
        .buffers(buffers)
        .size(8)
        .build()
        .expect("small")
}

/// A future that is created again at each poll would go to the end of the queue each time.
#[test]
fn polling_again_keeps_the_place_in_the_queue_and_wakes_the_last_waker() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("one is free");
    let mut polled = PollPool::new(&pool);
    let [first, second] = [(); 2].map(|()| Arc::new(Wakes::default()));
    let wakers = [&first, &second].map(|wakes| Waker::from(wakes.clone()));
    assert!(
        polled
            .poll_get_buffer(&mut Context::from_waker(&wakers[0]))
            .is_pending()
    );
    let mut other = pool.get_buffer();
    assert!(poll_once(&mut other).is_pending());
    assert!(
        polled
            .poll_get_buffer(&mut Context::from_waker(&wakers[1]))
            .is_pending()
    );
    assert_eq!(pool.status().waiting, 2);
    drop(held);
    assert_eq!((first.count(), second.count()), (0, 1));
    assert!(poll_once(&mut other).is_pending(), "it came later");
    let sample = polled.poll_get_buffer(&mut Context::from_waker(Waker::noop()));
    assert!(sample.is_ready());
    assert!(!polled.is_waiting());
}

/// A reader that stops reading would otherwise keep a sample that it never takes.
#[test]
fn a_cancelled_poll_hands_its_sample_to_the_next_waiter() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("one is free");
    let mut polled = PollPool::new(&pool);
    assert!(at_once(std::future::poll_fn(|cx| {
        std::task::Poll::Ready(polled.poll_get_buffer(cx).is_pending())
    })));
    let mut other = pool.get_buffer();
    assert!(poll_once(&mut other).is_pending());
    drop(held);
    assert!(polled.is_waiting());
    polled.cancel();
    assert!(!polled.is_waiting());
    assert!(poll_once(&mut other).is_ready());
}

/// If a clone shared the position, it would take the sample that the other was handed.
#[test]
fn a_clone_has_a_place_of_its_own() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("one is free");
    let mut polled = PollPool::new(&pool);
    assert!(poll_once(&mut polled.next()).is_pending());
    let clone = polled.clone();
    assert!(!clone.is_waiting());
    assert_eq!(pool.status().waiting, 1);
    drop((held, clone));
    assert!(poll_once(&mut polled.next()).is_ready());
}

/// After an error the next poll must start a new get, and not panic as a resolved future does.
#[test]
fn the_stream_of_samples_goes_on_after_a_refusal() {
    let pool = pool(2);
    let mut samples = PollPool::new(&pool);
    pool.set_flushing(true);
    for _ in 0..2 {
        let refused = at_once(samples.next()).expect("it never ends");
        assert_eq!(refused.expect_err("flushing"), GetBufferError::Flushing);
    }
    pool.set_flushing(false);
    let both = at_once(stream::StreamExt::take(&mut samples, 2).collect::<Vec<_>>());
    assert!(both.iter().all(Result::is_ok));
    assert!(poll_once(&mut samples.next()).is_pending());
}

/// All readers of a server take their samples at one line of this crate, which would identify none of them.
#[test]
fn a_holder_is_where_the_polled_pool_was_made() {
    let pool = Pool::builder()
        .buffers(1)
        .size(8)
        .track_holders(true)
        .build()
        .expect("small");
    let line = line!() + 1;
    let mut samples = PollPool::new(&pool);
    let _held = at_once(samples.next());
    let holders = pool.holders();
    assert_eq!(
        (holders[0].location.file(), holders[0].location.line()),
        (file!(), line)
    );
}

/// All code that polls a pool can be given a quota instead.
#[test]
fn a_polled_quota_waits_for_room_and_its_samples_count_as_in_use() {
    let pool = Pool::builder().buffers(3).size(8).track_holders(true);
    let pool = pool.build().expect("small");
    let quota = pool.quota("camera", 1);
    let mut polled = PollPool::from(&quota);
    let line = line!() - 1;
    let poll = |polled: &mut PollPool| {
        let polled = polled.poll_get_buffer(&mut Context::from_waker(Waker::noop()));
        polled.map(|got| got.expect("it is committed"))
    };
    let Poll::Ready(first) = poll(&mut polled) else {
        panic!("there is room");
    };
    assert_eq!(quota.status().in_use, 1);
    let holder = pool.holders().remove(0);
    assert_eq!(holder.quota.as_deref(), Some("camera"));
    assert_eq!(
        (holder.location.file(), holder.location.line()),
        (file!(), line)
    );

    let mut other = polled.clone();
    assert!(poll(&mut polled).is_pending() && poll(&mut other).is_pending());
    assert_eq!((pool.status().waiting, quota.status().waiting), (0, 2));
    polled.cancel();
    assert_eq!(quota.status().waiting, 1);
    drop(first);
    assert!(poll(&mut polled).is_pending(), "the other was first");
    let Poll::Ready(second) = poll(&mut other) else {
        panic!("there is room");
    };
    drop((second, polled, other));
    let status = quota.status();
    assert_eq!((status.in_use, status.waiting), (0, 0));
    assert_eq!(pool.free_count(), 3);
}

/// It has a handle from the beginning, as an owned get has.
#[test]
fn a_polled_quota_keeps_the_pool_alive() {
    let pool = pool(1);
    let weak = pool.downgrade();
    let held = pool.try_get_buffer().expect("one is free");
    let quota = pool.quota("camera", 1);
    let mut get = Box::pin(quota.get_buffer_owned());
    let waits = get
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_pending();
    assert!(waits);
    drop((pool, quota));
    assert!(weak.upgrade().is_some());
    drop(held);
    drop(at_once(get).expect("it was handed off"));
    assert!(weak.upgrade().is_none());
}

fn wanted(polled: &mut PollPool) -> impl Future<Output = ()> + Unpin {
    poll_fn(|cx| polled.poll_reclaim_requested(cx))
}

/// The task sleeps while it holds a sample: only the get that queues can wake it.
#[test]
fn a_task_that_keeps_a_sample_is_woken_once_when_a_get_queues() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("one is free");
    let mut keeper = PollPool::new(&pool);
    let mut keeps = crate::polling::Polled::waiting(wanted(&mut keeper));
    assert!(pool.try_get_buffer().is_err());
    assert_eq!(keeps.wakes(), 0, "that one does not wait");
    let mut first = pool.get_buffer();
    assert!(poll_once(&mut first).is_pending());
    assert_eq!(keeps.wakes(), 1);
    let mut second = pool.get_buffers(1);
    assert!(poll_once(&mut second).is_pending());
    assert_eq!(keeps.wakes(), 1, "it has not asked again");
    keeps.expect_ready();
    keeps.expect_ready();
    drop(first);
    keeps.expect_ready();
    drop(second);
    keeps.expect_pending();
    pool.decommit();
    assert_eq!(keeps.wakes(), 2, "a drain waits for the sample too");
    keeps.expect_ready();
    drop(held);
    keeps.expect_pending();
}

/// A reader that is gone has no sample to give up, and its task must not be kept by the pool.
#[test]
fn a_polled_pool_that_is_dropped_leaves_no_waker_behind() {
    let pool = pool(2);
    let quota = pool.quota("camera", 1);
    let wakes = Arc::new(Wakes::default());
    for mut keeper in [PollPool::new(&pool), PollPool::from(&quota)] {
        let waker = Waker::from(wakes.clone());
        let poll = keeper.poll_reclaim_requested(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
    }
    assert_eq!(Arc::strong_count(&wakes), 1);
    let _held = (quota.try_get_buffer(), pool.try_get_buffer());
    assert!(poll_once(&mut quota.get_buffer()).is_pending());
    assert!(poll_once(&mut pool.get_buffer()).is_pending());
    assert_eq!(wakes.count(), 0);
}

/// The reader may have moved to another task, and the waker of that task must be woken.
#[test]
fn of_two_wakers_that_wait_for_a_queued_get_the_last_one_is_woken() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("one is free");
    let mut keeper = PollPool::new(&pool);
    let [first, second] = [(); 2].map(|()| Arc::new(Wakes::default()));
    for wakes in [&first, &second] {
        let waker = Waker::from(wakes.clone());
        let poll = keeper.poll_reclaim_requested(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
    }
    assert!(poll_once(&mut pool.get_buffer()).is_pending());
    assert_eq!((first.count(), second.count()), (0, 1));
    drop(held);
}

/// A get that waits for room in a quota is in no queue of the pool.
#[test]
fn a_get_through_a_quota_asks_tasks_that_keep_samples_of_that_quota() {
    let pool = pool(3);
    let quotas = ["one", "another"].map(|name| pool.quota(name, 1));
    let _held = quotas
        .each_ref()
        .map(|quota| quota.try_get_buffer().expect("there is room"));
    let mut keepers = quotas.each_ref().map(PollPool::from);
    let [one, another] = &mut keepers;
    let mut one = crate::polling::Polled::waiting(wanted(one));
    let mut another = crate::polling::Polled::waiting(wanted(another));
    let get = crate::polling::Polled::waiting(quotas[0].get_buffer());
    assert_eq!((one.wakes(), another.wakes()), (1, 0));
    one.expect_ready();
    another.expect_pending();
    drop(get);
    one.expect_pending();
}

/// Where no get may queue, one that fails is the only sign that a sample is needed.
#[test]
fn a_get_that_may_not_queue_asks_for_samples_that_are_kept() {
    let pool = Pool::builder().buffers(2).size(8).max_waiters(0);
    let pool = pool.build().expect("small");
    let quota = pool.quota("one", 1);
    let held = pool.try_get_buffer().expect("two are free");
    let charged = quota.try_get_buffer().expect("there is room");
    let mut keepers = [PollPool::new(&pool), PollPool::from(&quota)];
    let [of_pool, of_quota] = &mut keepers;
    let mut of_pool = crate::polling::Polled::waiting(wanted(of_pool));
    let mut of_quota = crate::polling::Polled::waiting(wanted(of_quota));
    let refused = Err(GetBufferError::TooManyWaiters);

    assert_eq!(at_once(quota.get_buffer()).map(drop), refused);
    assert_eq!((of_pool.wakes(), of_quota.wakes()), (0, 1));
    of_quota.expect_ready();
    of_quota.expect_pending();
    of_pool.expect_pending();

    for round in 1..3 {
        assert_eq!(at_once(pool.get_buffer()).map(drop), refused);
        assert_eq!(at_once(pool.get_buffers(2)).map(drop), refused);
        assert_eq!((of_pool.wakes(), of_quota.wakes()), (round, round + 1));
        for keeper in [&mut of_pool, &mut of_quota] {
            keeper.expect_ready();
            keeper.expect_pending();
        }
    }
    assert!(pool.try_get_buffer().is_err());
    assert_eq!(of_pool.wakes(), 2, "that one would not wait");
    drop((held, charged));
    drop(at_once(pool.get_buffer()).expect("they were released"));
}
