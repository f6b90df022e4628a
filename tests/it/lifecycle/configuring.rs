//! Setting properties and committing.

use super::{SMALL, STATES, addresses, assert_all_refused, committed, pool_in, properties};
use crate::polling::{Polled, at_once};
use sample_pool::{
    BuildError, CommitError, GetBufferError, Pool, Properties, Sample, SetPropertiesError, State,
};

/// The size grows so that prefix and size fill the alignment, so returning the requested size would be wrong.
#[test]
fn set_properties_rounds_the_size_up_and_echoes_the_rest() {
    for (requested, size) in [
        (properties(4, 1000, 256, 12), 1012),
        (properties(4, 1316, 188, 0), 1316),
        (properties(4, 1, 188, 1), 187),
        (properties(0, 0, 1, 0), 0),
        (properties(3, 0, 64, 70), 58),
    ] {
        let pool = Pool::new();
        let actual = pool.set_properties(requested).expect("small");
        assert_eq!(actual, Properties { size, ..requested });
        assert_eq!(pool.properties(), actual);
        assert_eq!(pool.state(), State::Configured);
        assert_eq!(pool.free_count(), requested.buffers, "before any commit");
        assert!(pool.region().is_none(), "it allocates nothing");
    }
}

/// A zero alignment is an error in any state, so it is checked before the state. The state is checked before
/// the sizes, since the sizes may be valid later.
#[test]
fn set_properties_checks_the_alignment_then_the_state_then_the_size_and_changes_nothing() {
    let too_large = properties(2, usize::MAX / 2, 64, 0);
    let nonsense = properties(2, usize::MAX, 0, 7);
    for state in STATES {
        let (pool, _sample) = pool_in(state);
        let before = (pool.properties(), pool.free_count());
        let of_the_state = match state {
            State::Committed => Some(SetPropertiesError::AlreadyCommitted),
            State::Draining => Some(SetPropertiesError::BuffersOutstanding),
            _ => None,
        };
        let bad_align = pool.set_properties(nonsense);
        assert_eq!(bad_align, Err(SetPropertiesError::BadAlign), "{state:?}");
        let too_large = pool.set_properties(too_large);
        let expected = of_the_state.unwrap_or(SetPropertiesError::TooLarge);
        assert_eq!(too_large, Err(expected), "{state:?}");
        assert_eq!(pool.state(), state);
        assert_eq!((pool.properties(), pool.free_count()), before);
        assert_eq!(pool.set_properties(SMALL).err(), of_the_state, "{state:?}");
    }
}

/// Each limit is one byte, or one slot, away from an overflow.
#[test]
fn all_buffers_together_may_take_isize_max_bytes_and_u32_max_slots() {
    let pool = Pool::new();
    let most = isize::MAX as usize;
    // With 32 bits no request exceeds the number of slots that an index can count.
    let one_more = (u32::MAX as usize).checked_add(1);
    let cases = [
        (properties(1, most, 1, 0), true),
        (properties(1, most, 1, 1), false),
        (properties(1, most - 1, 1, 1), true),
        (properties(1, most, 2, 0), false),
        (properties(2, most / 2 + 1, 1, 0), false),
        (properties(usize::MAX, usize::MAX, 1, 0), false),
        (properties(1, usize::MAX, 1, usize::MAX), false),
        (properties(0, 0, usize::MAX, usize::MAX), true),
        (properties(u32::MAX as usize, 0, 1, 0), true),
    ];
    let one_slot_too_many = one_more.map(|slots| (properties(slots, 0, 1, 0), false));
    for (requested, fits) in cases.into_iter().chain(one_slot_too_many) {
        let expected = if fits {
            Ok(requested)
        } else {
            Err(SetPropertiesError::TooLarge)
        };
        assert_eq!(pool.set_properties(requested), expected, "{requested:?}");
    }
}

/// A pool without buffers or bytes can serve no get, so its commit must fail.
#[test]
fn commit_refuses_a_pool_without_buffers_size_or_properties() {
    assert!(matches!(Pool::new().commit(), Err(CommitError::SizeNotSet)));
    assert_eq!(Pool::new().state(), State::Unconfigured);
    for requested in [properties(0, 64, 64, 0), properties(4, 0, 64, 64)] {
        let pool = Pool::new();
        pool.set_properties(requested).expect("small");
        assert!(matches!(pool.commit(), Err(CommitError::SizeNotSet)));
        assert_eq!(pool.state(), State::Configured);
        assert_all_refused(&pool, GetBufferError::NotCommitted);
    }
}

/// A failed commit must leave no old or partial configuration. (With 32 bits, all that can be addressed can be
/// mapped: `refused_memory` has a limit for that.)
#[cfg(target_pointer_width = "64")]
#[test]
fn memory_that_the_system_refuses_is_an_error_that_saner_properties_recover_from() {
    let most = isize::MAX as usize / 4096 * 4096;
    for requested in [properties(1, most, 4096, 0), properties(8, most / 8, 1, 0)] {
        let (pool, _none) = pool_in(State::Configured);
        pool.set_properties(requested).expect("it can be addressed");
        for _ in 0..2 {
            assert!(matches!(pool.commit(), Err(CommitError::OutOfMemory)));
            assert_eq!(pool.state(), State::Configured);
            assert_eq!(pool.free_count(), requested.buffers);
            assert_all_refused(&pool, GetBufferError::NotCommitted);
        }
        at_once(pool.drained());
        pool.set_properties(SMALL).expect("not committed");
        pool.commit().expect("small");
        assert_eq!(addresses(&pool).len(), 4);
        let built = Pool::builder().buffers(1).size(most).build();
        assert!(matches!(
            built,
            Err(BuildError::Commit(CommitError::OutOfMemory))
        ));
    }
}

/// A device that registered the mapping computes each address itself.
#[test]
fn commit_makes_one_contiguous_mapping_that_is_aligned_to_any_number() {
    for align in [1, 64, 100, 188, 4096, 3 * 4096, 1 << 16] {
        let pool = Pool::builder().buffers(70).size(150).align(align).prefix(6);
        let pool = pool.build().expect("small");
        let region = pool.region().expect("committed");
        assert_eq!(region.base().addr() % align, 0, "it aligns the prefix");
        assert_eq!(region.stride() % align, 0);
        assert_eq!(region.len(), 70 * region.stride());
        let expected = (0..70).map(|index| region.base().addr() + index * region.stride() + 6);
        assert!(addresses(&pool).into_iter().eq(expected), "align {align}");
    }
}

/// A second mapping or a new free list would lose the samples that are checked out.
#[test]
fn committing_a_committed_pool_changes_nothing() {
    let pool = committed();
    let region = pool.region();
    let samples = pool.try_get_buffers(4).expect("all are free");
    let mut waiter = Polled::waiting(pool.get_buffer());
    pool.commit().expect("it cancels the drain");
    assert_eq!((pool.region(), pool.free_count()), (region, 0));
    assert_eq!(waiter.wakes(), 0);
    waiter.expect_pending();
    drop(samples);
    waiter.expect_ready().expect("it still waits");
}

/// Otherwise registered memory would have to be registered again.
#[test]
fn a_commit_after_a_decommit_gives_the_same_addresses() {
    let pool = committed();
    let before = addresses(&pool);
    for _ in 0..3 {
        pool.decommit();
        assert!(pool.region().is_none(), "not committed");
        pool.commit().expect("small");
        assert_eq!(addresses(&pool), before);
    }
}

/// Slots are spread over words, so their number decides whether all of them can be reached.
#[test]
fn a_pool_has_as_many_samples_as_it_was_configured_for() {
    for buffers in 1..=600 {
        let pool = Pool::builder().buffers(buffers).size(1).align(1).build();
        let pool = pool.expect("small");
        let mut indices: Vec<usize> = (0..buffers)
            .map(|_| pool.try_get_buffer().expect("one is free"))
            .collect::<Vec<Sample>>()
            .iter()
            .map(Sample::index)
            .collect();
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..buffers), "{buffers} buffers");
        assert_eq!(pool.free_count(), buffers);
    }
}

/// Nothing of the old free list and layout may remain.
#[test]
fn other_properties_take_effect_at_the_next_commit() {
    let pool = committed();
    for requested in [
        properties(250, 10, 1, 3),
        properties(1, 5000, 64, 0),
        properties(60, 64, 64, 64),
    ] {
        pool.decommit();
        pool.set_properties(requested).expect("not committed");
        pool.commit().expect("small");
        let actual = pool.properties();
        let samples = pool.try_get_buffers(requested.buffers).expect("all");
        for sample in &samples {
            assert_eq!(sample.capacity(), actual.size);
            assert_eq!(sample.headroom(), requested.prefix);
        }
        let none_left = pool.try_get_buffer().map(drop);
        assert_eq!(none_left, Err(GetBufferError::Exhausted));
        drop(samples);
        assert_eq!(pool.free_count(), requested.buffers);
    }
}
