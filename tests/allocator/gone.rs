//! Dropped quotas, waiters, listeners and callbacks leave no memory behind.
//!
//! Each test runs on one thread and counts the bytes that this thread has allocated and not freed, so tests
//! that run at the same time are not counted.
//!
//! Guarantees: 6

use crate::counting::live;
use crate::polling::{Polled, poll_once};
use sample_pool::{GetBufferError, NotifyRelease, Pool, Sample};
use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::Poll,
    thread::{self, JoinHandle},
};

/// What an empty map, a short list and the like may keep allocated.
const LITTLE: isize = 16 << 10;

/// What a wait queue may keep after many waiters: wait nodes for later ones.
const KEPT: isize = 4 << 20;

/// Asserts that `operation` leaves at most `most` bytes allocated.
#[track_caller]
fn assert_leaves(most: isize, what: &str, operation: impl FnOnce()) {
    let before = live();
    operation();
    let left = live() - before;
    assert!(left <= most, "{what}: {left} bytes are left, not {most}");
}

fn pool(buffers: usize) -> Pool {
    let pool = Pool::builder().buffers(buffers).size(64);
    pool.build().expect("small")
}

fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("one is free")
}

/// A server makes a quota for each connection. The pool used to keep the account of each until the list of all
/// accounts was full, and every decommit and every report walked the list.
#[test]
fn quotas_that_were_made_and_dropped_leave_nothing() {
    let pool = pool(4);
    assert_leaves(LITTLE, "one after the other", || {
        for _ in 0..200_000 {
            drop(pool.quota("connection", 1));
        }
    });
    assert_leaves(LITTLE, "all at once", || {
        let quotas: Vec<_> = (0..10_000).map(|_| pool.quota("connection", 1)).collect();
        assert_eq!(pool.quotas().len(), 10_000);
        drop(quotas);
    });
    assert_leaves(LITTLE, "the last user is a sample", || {
        for _ in 0..10_000 {
            let sample = pool.quota("connection", 1).try_get_buffer().unwrap();
            assert_eq!(pool.quotas().len(), 1);
            drop(sample.freeze().into_bytes());
        }
    });
    assert_leaves(LITTLE, "the last user is a get", || {
        let held = pool.try_get_buffers(4).unwrap();
        for _ in 0..10_000 {
            let get = pool.quota("connection", 1).get_buffer_owned();
            drop(Polled::waiting(Box::pin(get)));
        }
        drop(held);
    });
    assert!(pool.quotas().is_empty());
    assert_eq!(pool.status().outstanding, 0);
}

/// A server makes a quota for each connection, and each has gauges. The lists of gauges used to keep their
/// capacity.
#[cfg(feature = "metrics")]
#[test]
fn gauges_of_quotas_that_are_gone_leave_nothing() {
    use sample_pool::metrics::PoolMetrics;

    let pool = pool(4);
    let mut metrics = PoolMetrics::new(&pool);
    assert!(metrics.record());
    let crowd = || (0..5_000).map(|number| pool.quota(format!("connection {number}"), 1));
    assert_leaves(LITTLE, "quotas", || {
        let quotas: Vec<_> = crowd().collect();
        assert!(metrics.record());
        drop(quotas);
        assert!(metrics.record());
    });
    assert_leaves(LITTLE, "metrics", || {
        let quotas: Vec<_> = crowd().collect();
        let mut metrics = PoolMetrics::new(&pool);
        assert!(metrics.record());
        drop((quotas, metrics));
    });
}

/// A detector ends when its future is dropped. Its entry in the list of all detectors used to be kept.
#[test]
fn detectors_that_were_dropped_leave_nothing() {
    let pool = pool(1);
    assert_leaves(LITTLE, "all at once", || {
        let limit = std::time::Duration::from_secs(1);
        drop(
            (0..5_000)
                .map(|_| pool.detect_stalls(limit, |_| {}))
                .collect::<Vec<_>>(),
        );
    });
}

/// Accounts are freed on every path: by a release under the lock, by a decommit, while the pool drains, and
/// after the last handle of the pool.
#[test]
fn a_quota_whose_last_user_goes_while_the_pool_is_locked_drained_or_gone_leaves_nothing() {
    assert_leaves(0, "with its pool", || {
        let pool = pool(2);
        let quota = pool.quota("connection", 2);
        let (first, last) = (quota.try_get_buffer().unwrap(), quota.try_get_buffer());
        let mut waiting = Polled::waiting(pool.get_buffer());
        drop(quota);
        drop(first);
        drop(waiting.expect_ready().unwrap());
        pool.decommit();
        assert_eq!(pool.quotas().len(), 1);
        let weak = pool.downgrade();
        drop(waiting);
        drop(pool);
        drop(last);
        assert!(weak.upgrade().is_none());
    });
}

/// Lets that many gets wait for a sample at the same time, and ends each wait by `end`.
fn crowd(pool: &Pool, waiters: usize, end: impl FnOnce()) {
    let mut gets: Vec<_> = (0..waiters).map(|_| pool.get_buffer()).collect();
    for get in &mut gets {
        assert!(poll_once(get).is_pending());
    }
    assert_eq!(pool.status().waiting, waiters);
    end();
    for get in &mut gets {
        drop(poll_once(get));
    }
}

/// A million tasks wait once, at the peak of a bad day. Their wait nodes used to stay for the life of the pool:
/// 370 MB.
#[test]
fn a_million_waiters_leave_a_bounded_number_of_wait_nodes() {
    const MANY: usize = 1_000_000;
    let pool = pool(1);
    let held = take(&pool);
    let nothing = || {};
    assert_leaves(KEPT, "cancelled", || crowd(&pool, MANY, nothing));
    assert_leaves(LITTLE, "failed by a flush", || {
        crowd(&pool, MANY / 10, || pool.set_flushing(true));
        pool.set_flushing(false);
    });
    drop(held);
    assert_eq!(pool.status().outstanding, 0);
}

/// Each waiter is handed the sample in order, and releases it.
#[test]
fn a_crowd_that_is_served_leaves_a_bounded_number_of_wait_nodes() {
    let pool = pool(1);
    let held = take(&pool);
    assert_leaves(KEPT, "served", || {
        let mut gets: Vec<_> = (0..200_000).map(|_| pool.get_buffer()).collect();
        for get in &mut gets {
            assert!(poll_once(get).is_pending());
        }
        drop(held);
        for get in &mut gets {
            assert!(matches!(poll_once(get), Poll::Ready(Ok(_))));
        }
    });
    assert_eq!(pool.status().outstanding, 0);
}

/// There are many quotas, so each keeps fewer wait nodes.
#[test]
fn a_crowd_that_waits_for_room_leaves_a_bounded_number_of_wait_nodes() {
    let pool = pool(2);
    let quota = pool.quota("crowded", 1);
    let held = quota.try_get_buffer().unwrap();
    assert_leaves(KEPT / 8, "cancelled", || {
        let mut gets: Vec<_> = (0..100_000)
            .map(|_| Box::pin(quota.get_buffer_owned()))
            .collect();
        for get in &mut gets {
            assert!(poll_once(get).is_pending());
        }
        assert_eq!(quota.status().waiting, gets.len());
    });
    assert_leaves(LITTLE, "failed by a decommit", || {
        let mut gets: Vec<_> = (0..100_000)
            .map(|_| Box::pin(quota.get_buffer_owned()))
            .collect();
        for get in &mut gets {
            assert!(poll_once(get).is_pending());
        }
        pool.decommit();
        for get in &mut gets {
            let Poll::Ready(Err(error)) = poll_once(get) else {
                panic!("each get fails");
            };
            assert_eq!(error, GetBufferError::NotCommitted);
        }
    });
    drop(held);
    assert_eq!(quota.status().in_use, 0);
}

/// Futures of events that are dropped before the event. The list of them used to be cleaned only when it was
/// full.
#[test]
fn dropped_futures_of_releases_and_drains_leave_nothing() {
    const MANY: usize = 100_000;
    let pool = pool(1);
    assert_leaves(LITTLE, "released, one after the other", || {
        (0..MANY).for_each(|_| drop(pool.released()));
    });
    assert_leaves(LITTLE, "released, all at once", || {
        drop((0..MANY).map(|_| pool.released()).collect::<Vec<_>>());
    });
    assert_leaves(LITTLE, "drained, one after the other", || {
        (0..MANY).for_each(|_| drop(pool.drained()));
    });
    assert_leaves(LITTLE, "drained, all at once", || {
        drop((0..MANY).map(|_| pool.drained()).collect::<Vec<_>>());
    });
}

/// A callback that blocks in the calls that a test arms, until the test unblocks them.
struct Stops {
    armed: AtomicBool,
    entered: mpsc::Sender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl NotifyRelease for Stops {
    fn notify_release(&self, _pool: &Pool) {
        if self.armed.swap(false, Ordering::SeqCst) {
            self.entered.send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
        }
    }
}

/// Sets a callback and releases a sample. The call is in flight until the test sends to the returned channel.
fn call_in_flight(
    pool: &Pool,
    samples: [Sample; 2],
) -> (Weak<Stops>, mpsc::Sender<()>, JoinHandle<()>) {
    let (entered, has_entered) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let callback = Arc::new(Stops {
        armed: AtomicBool::new(false),
        entered,
        go_on: Mutex::new(may_go_on),
    });
    let watched = Arc::downgrade(&callback);
    drop(pool.set_notify(Some(callback.clone())));
    let [first, second] = samples;
    // The slow path under the lock, after which the next release need not take the lock.
    drop(first);
    callback.armed.store(true, Ordering::SeqCst);
    drop(callback);
    let thread = thread::spawn(move || drop(second));
    has_entered.recv().unwrap();
    (watched, go_on, thread)
}

/// With overlapping calls in flight, some call is always in flight. A replaced callback used to be kept until
/// none was: 26,000 callbacks in a fifth of a second.
#[test]
fn a_replaced_callback_is_freed_when_the_calls_that_can_be_its_own_have_ended() {
    let pool = pool(256);
    let mut samples = pool.try_get_buffers(256).unwrap();
    samples.sort_by_key(|sample| std::cmp::Reverse(sample.index()));
    let mut two = |at: usize| {
        let far = samples
            .iter()
            .position(|sample| sample.index() == at)
            .unwrap();
        [samples.remove(far - 1), samples.remove(far - 1)]
    };
    let (of_one_word, of_another) = (two(0), two(200));
    let (first, end_first, in_first) = call_in_flight(&pool, of_one_word);
    let (second, end_second, in_second) = call_in_flight(&pool, of_another);
    assert!(pool.set_notify(None).is_some());
    assert!(first.upgrade().is_some() && second.upgrade().is_some());
    end_first.send(()).unwrap();
    in_first.join().unwrap();
    assert!(
        first.upgrade().is_none(),
        "the call of the second is not its own"
    );
    end_second.send(()).unwrap();
    in_second.join().unwrap();
    assert!(second.upgrade().is_none());
    drop(samples);
    assert_eq!(pool.status().outstanding, 0);
}
