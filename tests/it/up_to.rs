//! `try_get_up_to`: takes the free samples, at most the requested number, and does not wait.

#![forbid(unsafe_code)]

use crate::polling::{Polled, at_once};
use sample_pool::{GetBufferError, Pool, Sample};

fn pool(buffers: usize) -> Pool {
    Pool::builder()
        .buffers(buffers)
        .size(64)
        .build()
        .expect("small")
}

/// Slots are in words that are open or parked, and a slot in a parked word must be found as well.
#[test]
fn all_that_are_free_are_taken_and_no_more_than_asked_for() {
    for buffers in [1, 5, 52, 100, 2000] {
        let pool = pool(buffers);
        for _fresh_then_used in 0..2 {
            for count in [1, 2, buffers, buffers + 1, usize::MAX] {
                let samples = pool.try_get_up_to(count).expect("all are free");
                assert_eq!(samples.len(), count.min(buffers));
                assert_eq!(pool.free_count(), buffers - samples.len());
                let mut indices: Vec<usize> = samples.iter().map(Sample::index).collect();
                indices.sort_unstable();
                indices.dedup();
                assert_eq!(indices.len(), samples.len());
                let rest = buffers - samples.len();
                assert_eq!(
                    pool.try_get_up_to(buffers).map_or(0, |rest| rest.len()),
                    rest
                );
            }
        }
    }
}

/// `Ok` with no sample would look like progress, and would be counted nowhere.
#[test]
fn with_none_free_it_fails_and_counts_as_exhausted() {
    let pool = pool(3);
    let some = pool.try_get_up_to(2).expect("three are free");
    let last = pool.try_get_up_to(2).expect("one is free");
    assert_eq!((some.len(), last.len()), (2, 1));
    assert_eq!(pool.status().exhausted, 0);
    assert_eq!(
        pool.try_get_up_to(2).unwrap_err(),
        GetBufferError::Exhausted
    );
    assert_eq!(pool.status().exhausted, 1);
    assert!(pool.try_get_up_to(0).expect("none is wanted").is_empty());
    assert_eq!(pool.status().exhausted, 1);
}

/// The state is checked first, also for a request for none.
#[test]
fn a_pool_that_does_not_serve_gives_its_reason() {
    let pool = pool(3);
    pool.set_flushing(true);
    assert_eq!(pool.try_get_up_to(0).unwrap_err(), GetBufferError::Flushing);
    assert_eq!(pool.try_get_up_to(9).unwrap_err(), GetBufferError::Flushing);
    pool.decommit();
    assert_eq!(
        pool.try_get_up_to(0).unwrap_err(),
        GetBufferError::NotCommitted
    );
    assert_eq!(
        pool.try_get_up_to(9).unwrap_err(),
        GetBufferError::NotCommitted
    );
    assert_eq!(pool.status().exhausted, 0);
}

/// The free samples belong to the queued request that gathers.
#[test]
fn nothing_is_taken_while_a_waiter_is_queued() {
    let pool = pool(3);
    let held = pool.try_get_buffer().expect("three are free");
    let mut all = Polled::waiting(pool.get_buffers(3));
    assert_eq!(
        pool.try_get_up_to(2).unwrap_err(),
        GetBufferError::Exhausted
    );
    drop(held);
    assert_eq!(all.expect_ready().expect("all are free").len(), 3);
}

/// Priority buffers are not free for other gets.
#[test]
fn priority_buffers_are_left_to_high_priority() {
    let pool = Pool::builder()
        .buffers(4)
        .size(64)
        .priority_buffers(1)
        .build()
        .expect("small");
    let priority = pool.priority_quota("control", 4);
    let others = pool.try_get_up_to(4).expect("three are free");
    assert_eq!(others.len(), 3);
    let last = priority.try_get_up_to(4).expect("the priority buffers");
    assert_eq!(last.len(), 1);
    drop((others, last));
    assert_eq!(priority.try_get_up_to(9).expect("all are free").len(), 4);
}

/// Room that stays in use for samples that were not taken would shrink the quota for ever.
#[test]
fn a_quota_has_room_again_for_what_was_not_taken() {
    let pool = pool(4);
    let quota = pool.quota("one", 3);
    assert_eq!(quota.try_get_up_to(9).expect("four are free").len(), 3);
    let held = pool.try_get_buffers(2).expect("four are free");
    let taken = quota.try_get_up_to(9).expect("two are free");
    assert_eq!((taken.len(), quota.status().in_use), (2, 2));
    assert_eq!(
        quota.try_get_up_to(9).unwrap_err(),
        GetBufferError::Exhausted
    );
    assert_eq!(quota.status().in_use, 2);
    drop(held);
    let one = quota.try_get_up_to(9).expect("it has room for one");
    assert_eq!((one.len(), quota.status().in_use), (1, 3));
    assert_eq!(
        quota.try_get_up_to(9).unwrap_err(),
        GetBufferError::Exhausted
    );
    let mut waiting = Polled::waiting(quota.get_buffer());
    drop(one);
    assert_eq!(
        quota.try_get_up_to(1).unwrap_err(),
        GetBufferError::Exhausted,
        "it is promised"
    );
    drop((taken, waiting.expect_ready()));
    assert_eq!(quota.status().in_use, 0);
    assert_eq!(
        pool.quota("none", 0).try_get_up_to(1).unwrap_err(),
        GetBufferError::TooMany
    );
    assert!(quota.try_get_up_to(0).expect("none is wanted").is_empty());
    pool.set_flushing(true);
    assert_eq!(
        quota.try_get_up_to(1).unwrap_err(),
        GetBufferError::Flushing
    );
    assert_eq!(quota.status().in_use, 0);
}

/// A word that was found empty is parked, and must open again for later gets.
#[test]
fn gets_after_it_are_served_as_before() {
    let pool = pool(100);
    for _ in 0..3 {
        drop(pool.try_get_up_to(200).expect("all are free"));
        drop(at_once(pool.get_buffers(100)).expect("all are free"));
        let each: Vec<Sample> = std::iter::from_fn(|| pool.try_get_buffer().ok()).collect();
        assert_eq!(each.len(), 100);
    }
}
