//! The status of a pool: every counter, and which lines have held samples since when.
//!
//! Guarantees: 4

#![forbid(unsafe_code)]

use crate::polling::{Polled, at_once, poll_once};
use bytes::BufMut;
use sample_pool::{Builder, GetBufferError, Holder, Pool, Sample, State};
use std::{
    panic::Location,
    pin::pin,
    thread,
    time::{Duration, Instant},
};
use tokio::task::coop;

fn builder(buffers: usize) -> Builder {
    Pool::builder().buffers(buffers).size(64)
}

fn pool(buffers: usize) -> Pool {
    builder(buffers).build().expect("small")
}

fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("free")
}

/// The slots count both themselves, so a new way to get or release could easily miss it.
#[test]
fn every_way_to_get_and_to_release_is_counted() {
    let pool = pool(4);
    drop(take(&pool));
    drop(pool.try_get_buffers(3));
    drop(at_once(pool.get_buffer()));
    drop(at_once(pool.get_buffer_owned()));
    drop(at_once(pool.get_buffer_timeout(Duration::ZERO)));
    drop(at_once(pool.get_buffers(2)));
    let mut samples = Vec::new();
    at_once(pool.get_buffers_into(&mut samples, 1)).expect("free");
    drop(pool.blocking_get_buffer());
    let status = pool.status();
    assert_eq!((status.acquired, status.released), (11, 10));
    assert_eq!((status.outstanding, status.free), (1, 3));
    let shared = samples.remove(0).freeze();
    let clone = shared.clone();
    drop(shared);
    assert_eq!(pool.status().released, 10);
    drop(clone.into_bytes());
    assert_eq!(pool.status().released, 11);
    let status = pool.status();
    assert_eq!((status.waited, status.exhausted), (0, 0));
    assert_eq!((status.timed_out, status.cancelled), (0, 0));
}

/// The totals are read across commits, and the counters of slots are not.
#[test]
fn totals_go_on_over_decommits_and_new_properties() {
    let pool = pool(2);
    for round in 1..=3 {
        drop(pool.try_get_buffers(2));
        pool.decommit();
        assert_eq!(
            (pool.status().acquired, pool.status().released),
            (2 * round, 2 * round)
        );
        let mut properties = pool.properties();
        properties.buffers += 1;
        pool.set_properties(properties).expect("drained");
        assert_eq!(pool.status().acquired, 2 * round);
        pool.commit().expect("small");
        assert_eq!(
            (pool.status().acquired, pool.status().released),
            (2 * round, 2 * round)
        );
    }
}

/// A sample that was handed off or gathered is not free: a sum without it cannot add up.
#[test]
fn outstanding_includes_handed_and_gathered_samples() {
    let pool = pool(3);
    let mut held = pool.try_get_buffers(3).expect("free");
    let mut handed = Polled::waiting(pool.get_buffer());
    let many = Polled::waiting(pool.get_buffers(3));
    held.truncate(1);
    let status = pool.status();
    assert_eq!((status.outstanding, status.free, status.waiting), (3, 0, 1));
    assert_eq!(
        (status.acquired, status.released),
        (3, 2),
        "it was not taken yet"
    );
    drop(many);
    let status = pool.status();
    assert_eq!((status.outstanding, status.free, status.waiting), (2, 1, 0));
    assert!(handed.expect_ready().is_ok());
    assert_eq!(pool.status().acquired, 4);
    drop(held);
    assert_eq!(pool.status().free, 3);
}

/// An operator first looks at how many gets are queued.
#[test]
fn waiting_is_the_length_of_the_queue_and_waited_counts_all_that_queued() {
    let pool = pool(1);
    let held = take(&pool);
    let unpolled = pool.get_buffer();
    assert_eq!((pool.status().waiting, pool.status().waited), (0, 0));
    let mut first = Polled::waiting(pool.get_buffer());
    first.expect_pending();
    let second = Polled::waiting(pool.get_buffers(1));
    assert_eq!((pool.status().waiting, pool.status().waited), (2, 2));
    drop((second, unpolled));
    assert_eq!((pool.status().waiting, pool.status().waited), (1, 2));
    drop(held);
    assert_eq!((pool.status().waiting, pool.status().waited), (0, 2));
    drop(first.expect_ready());
}

/// It is never below the true peak, or a pool that is sized by it would be too small.
#[test]
fn high_water_is_how_many_buffers_would_have_been_enough() {
    let pool = pool(100);
    assert_eq!(pool.status().high_water, 0);
    for _ in 0..10 {
        drop(take(&pool));
    }
    assert_eq!(pool.status().high_water, 1, "low slots come first");
    drop([take(&pool), take(&pool)]);
    assert_eq!(pool.status().high_water, 2);
    drop(pool.try_get_buffers(70));
    for _ in 0..10 {
        drop(take(&pool));
    }
    assert_eq!(pool.status().high_water, 70);
    pool.decommit();
    assert_eq!(pool.status().high_water, 70, "until the next commit");
    pool.commit().expect("small");
    assert_eq!(pool.status().high_water, 0);
    let held = pool.try_get_buffers(100).expect("free");
    pool.decommit();
    pool.commit().expect("cancels the decommit");
    assert_eq!(
        pool.status().high_water,
        100,
        "a cancelled decommit starts no new count"
    );
    drop(held);
}

/// A get that has found a sample has a buffer, also if its task has no cooperative budget to return it.
#[tokio::test]
async fn high_water_counts_a_sample_that_waits_for_cooperative_budget() {
    let pool = pool(2);
    let _held = take(&pool);
    while coop::has_budget_remaining() {
        coop::consume_budget().await;
    }
    drop(Polled::waiting(pool.get_buffer()));
    let status = pool.status();
    assert_eq!((status.free, status.high_water), (1, 2));
}

/// Gets that fail because they would have to wait, and no others.
#[test]
fn exhausted_counts_gets_that_were_refused_for_lack_of_samples() {
    let pool = pool(2);
    let held = take(&pool);
    assert!(pool.try_get_buffers(2).is_err());
    assert_eq!(pool.status().exhausted, 1);
    let second = take(&pool);
    for _ in 0..3 {
        assert_eq!(
            pool.try_get_buffer().unwrap_err(),
            GetBufferError::Exhausted
        );
    }
    assert_eq!(pool.status().exhausted, 4);
    let waiting = Polled::waiting(pool.get_buffers(2));
    drop(second);
    assert!(pool.try_get_buffer().is_err(), "a waiter is queued");
    assert_eq!(pool.status().exhausted, 5);
    drop(waiting);
    assert!(pool.try_get_buffers(3).is_err(), "more than there are");
    drop(held);
    pool.decommit();
    assert!(pool.try_get_buffer().is_err());
    assert_eq!(pool.status().exhausted, 5);
}

/// A get that timed out is not counted as cancelled, and one that was served is counted as neither.
#[tokio::test(start_paused = true)]
async fn timed_out_and_cancelled_are_counted_apart() {
    let pool = pool(1);
    let held = take(&pool);
    let counts = || (pool.status().timed_out, pool.status().cancelled);
    let late = pool.get_buffer_timeout(Duration::from_millis(1)).await;
    assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    assert_eq!(counts(), (1, 0));
    drop(Polled::waiting(pool.get_buffer()));
    drop(Polled::waiting(pool.get_buffers(1)));
    drop(Polled::waiting(
        pool.get_buffer_timeout(Duration::from_secs(1)),
    ));
    drop(pool.get_buffer());
    assert_eq!(
        counts(),
        (1, 3),
        "one that was never polled gives up nothing"
    );
    let handed = Polled::waiting(pool.get_buffer());
    let mut served = Polled::waiting(pool.get_buffer());
    drop(held);
    drop(handed);
    assert_eq!(counts(), (1, 4));
    drop(served.expect_ready());
    let held = take(&pool);
    let mut failed = Polled::waiting(pool.get_buffer());
    pool.set_flushing(true);
    assert!(failed.expect_ready().is_err());
    drop((failed, held));
    assert_eq!(counts(), (1, 4));
}

/// Each measured wait reads the clock twice, so only users who request it pay for it.
#[test]
fn waits_are_measured_if_asked_for() {
    let least = Duration::from_millis(20);
    for measures in [false, true] {
        let pool = builder(1).measure_waits(measures).build().expect("small");
        let expected = |time| measures.then_some(time);
        let status = pool.status();
        let zero = expected(Duration::ZERO);
        assert_eq!((status.wait_time, status.max_wait), (zero, zero));
        for _ in 0..2 {
            let held = take(&pool);
            let mut get = Polled::waiting(pool.get_buffer());
            let joined = Instant::now();
            while joined.elapsed() < least {
                thread::yield_now();
            }
            drop(held);
            assert!(get.expect_ready().is_ok());
        }
        let status = pool.status();
        assert_eq!(
            (status.wait_time.is_some(), status.max_wait.is_some()),
            (measures, measures)
        );
        if let (Some(all), Some(longest)) = (status.wait_time, status.max_wait) {
            assert!(longest >= least && all >= 2 * least && all <= 2 * longest);
        }
        assert_eq!(status.waited, 2);
    }
}

/// The state and the number of buffers are the current ones, in every state.
#[test]
fn status_shows_the_state_and_the_number_of_buffers() {
    let fresh = Pool::new().status();
    assert_eq!(
        (fresh.state, fresh.buffers, fresh.free),
        (State::Unconfigured, 0, 0)
    );
    let pool = builder(3).build_uncommitted().expect("small");
    let shown = || {
        (
            pool.status().state,
            pool.status().buffers,
            pool.status().free,
        )
    };
    assert_eq!(shown(), (State::Configured, 3, 3));
    pool.commit().expect("small");
    let held = take(&pool);
    assert_eq!(shown(), (State::Committed, 3, 2));
    pool.decommit();
    assert_eq!(shown(), (State::Draining, 3, 2));
    drop(held);
    assert_eq!(shown(), (State::Configured, 3, 3));
}

fn tracking(buffers: usize) -> Pool {
    builder(buffers).track_holders(true).build().expect("small")
}

fn only_holder(pool: &Pool) -> Holder {
    let mut holders = pool.holders();
    assert_eq!(holders.len(), 1);
    holders.remove(0)
}

/// Without it one would have to read the whole program to find a leak.
#[test]
fn a_holder_is_listed_with_its_call_site_for_each_kind_of_get() {
    type Get = fn(&Pool) -> (&'static Location<'static>, Sample);
    let ways: &[(&str, Get)] = &[
        ("try_get_buffer", |p| {
            (here(), p.try_get_buffer().expect("free"))
        }),
        ("try_get_buffers", |p| {
            (here(), p.try_get_buffers(1).expect("free").remove(0))
        }),
        ("get_buffer", |p| {
            (here(), at_once(p.get_buffer()).expect("free"))
        }),
        ("get_buffer_owned", |p| {
            (here(), at_once(p.get_buffer_owned()).expect("free"))
        }),
        ("get_buffer_timeout", |p| {
            let (asked, get) = (here(), p.get_buffer_timeout(Duration::MAX));
            (asked, at_once(get).expect("free"))
        }),
        ("get_buffers", |p| {
            (here(), at_once(p.get_buffers(1)).expect("free").remove(0))
        }),
        ("get_buffers_into", |p| {
            let mut into = Vec::new();
            let (asked, get) = (here(), p.get_buffers_into(&mut into, 1));
            at_once(get).expect("free");
            (asked, into.remove(0))
        }),
        ("blocking_get_buffer", |p| {
            (here(), p.blocking_get_buffer().expect("free"))
        }),
    ];
    for (name, get) in ways {
        let pool = tracking(2);
        let (asked, sample) = get(&pool);
        let holder = only_holder(&pool);
        assert_eq!(holder.location.file(), file!(), "{name}");
        assert_eq!(holder.location.line(), asked.line(), "{name}");
        assert_eq!(holder.index, sample.index());
        drop(sample);
        assert!(pool.holders().is_empty(), "{name}");
    }
}

#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}

/// A get that waits is polled by an executor, whose line is not the line that called.
#[test]
fn a_holder_that_had_to_wait_is_listed_with_its_call_site() {
    let pool = tracking(1);
    let held = take(&pool);
    let (asked, get) = (here(), pool.get_buffer());
    let mut get = pin!(get);
    assert!(poll_once(&mut get).is_pending());
    assert_eq!(pool.holders().len(), 1);
    drop(held);
    assert!(pool.holders().is_empty(), "it is on its way");
    let sample = at_once(get.as_mut()).expect("handed off");
    assert_eq!(only_holder(&pool).location.line(), asked.line());
    drop(sample);
}

/// The length identifies the frame, and the handles show why it is not free.
#[test]
fn a_holder_is_listed_with_its_age_its_length_and_its_handles() {
    let pool = tracking(3);
    let before = Instant::now();
    let mut sample = take(&pool);
    let after = Instant::now();
    sample.put_slice(b"four");
    let holder = only_holder(&pool);
    assert!(holder.since >= before && holder.since <= after);
    assert_eq!(
        (holder.len, holder.handles),
        (None, 1),
        "only its owner knows"
    );
    let shared = sample.freeze();
    let shown = || (only_holder(&pool).len, only_holder(&pool).handles);
    assert_eq!(shown(), (Some(4), 1));
    let others = (shared.clone(), shared.slice(..1), shared.slice(..0));
    assert_eq!(shown(), (Some(4), 4));
    let bytes = shared.clone().into_bytes();
    let _same = bytes.clone();
    assert_eq!(shown(), (Some(4), 5), "Bytes count once");
    drop((others, bytes, _same));
    let sample = shared.try_into_sample().expect("the only handle");
    assert_eq!(shown(), (None, 1));
    assert_eq!(only_holder(&pool).since, holder.since, "it was never free");
    let said = only_holder(&pool).to_string();
    assert!(
        said.contains("status.rs") && !said.contains("four"),
        "{said}"
    );
    drop(sample);
    let mut again = take(&pool);
    assert!(only_holder(&pool).since > holder.since);
    again.put_slice(b"three");
    let bytes = again.into_bytes();
    let _same = bytes.clone();
    assert_eq!(shown(), (Some(5), 1), "the Bytes of a whole sample");
    drop((bytes, _same));
    let _again = take(&pool);
    assert_eq!(shown(), (None, 1));
}

/// An exhausted pool whose consumer waits for itself must show it in its holders.
#[test]
fn all_holders_of_an_exhausted_pool_are_listed_and_none_unless_requested() {
    let pool = tracking(100);
    let all = pool.try_get_buffers(100).expect("free");
    let mut indexes: Vec<_> = pool.holders().iter().map(|h| h.index).collect();
    indexes.sort_unstable();
    assert!(indexes.into_iter().eq(0..100));
    pool.decommit();
    assert_eq!(pool.holders().len(), 100, "while it drains as well");
    drop(all);
    assert!(pool.holders().is_empty());
    let silent = self::pool(2);
    let held = take(&silent);
    assert!(silent.holders().is_empty());
    drop(held);
}
