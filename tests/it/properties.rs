//! Properties: what is rounded, how buffers are aligned, and the defaults of a builder.
//!
//! Guarantees: 14

#![forbid(unsafe_code)]

use sample_pool::{BuildError, CommitError, Pool, Properties, SetPropertiesError, State};

const ALIGNS: [usize; 8] = [1, 3, 64, 100, 188, 4096, 10_000, 65_536];

fn properties(buffers: usize, size: usize, align: usize, prefix: usize) -> Properties {
    Properties {
        buffers,
        size,
        align,
        prefix,
    }
}

fn each_layout(mut check: impl FnMut(Properties)) {
    for align in ALIGNS {
        for prefix in [0, 1, 12, 99, 5000] {
            for size in [1, 64, 188, 1316, 4096] {
                check(properties(5, size, align, prefix));
            }
        }
    }
}

/// If the size were rounded without the prefix, the second buffer would not be aligned.
#[test]
fn only_the_size_grows_until_prefix_and_size_are_a_multiple_of_the_alignment() {
    each_layout(|requested| {
        let pool = Pool::new();
        let actual = pool.set_properties(requested).expect("small");
        let stride = actual.prefix + actual.size;
        assert_eq!(stride % actual.align, 0, "{actual:?}");
        assert!(actual.size >= requested.size, "{actual:?}");
        assert!(actual.size < requested.size + requested.align, "{actual:?}");
        let size = requested.size;
        assert_eq!(Properties { size, ..actual }, requested);
        assert_eq!(pool.properties(), actual);
        assert_eq!(pool.set_properties(actual), Ok(actual), "it does not creep");
    });
}

/// The system aligns a mapping to a page, which is enough for powers of two up to the page size and for nothing
/// else.
#[test]
fn every_prefix_starts_at_a_multiple_of_the_alignment() {
    each_layout(|requested| {
        let pool = Pool::new();
        let actual = pool.set_properties(requested).expect("small");
        pool.commit().expect("small");
        let region = pool.region().expect("committed");
        let base = region.base().addr();
        assert_eq!(region.stride(), actual.prefix + actual.size);
        assert_eq!(region.len(), actual.buffers * region.stride());
        assert_eq!(base % actual.align, 0, "{actual:?}");
        let all = pool.try_get_buffers(actual.buffers).expect("free");
        for mut sample in all {
            assert_eq!(sample.capacity(), actual.size);
            assert_eq!(sample.headroom(), actual.prefix);
            sample.prepend(&vec![1; actual.prefix]).expect("headroom");
            sample
                .set_len(actual.prefix + actual.size)
                .expect("exactly");
            let start = base + sample.index() * region.stride();
            assert_eq!(sample.as_ptr().addr(), start);
            assert_eq!(start % actual.align, 0, "{actual:?}");
        }
    });
}

/// Slots that overlap by one byte are found only when all are full at once.
#[test]
fn no_two_buffers_overlap() {
    for (align, prefix) in [(1, 0), (3, 7), (100, 12), (4096, 0)] {
        let pool = Pool::new();
        let requested = properties(120, 61, align, prefix);
        let actual = pool.set_properties(requested).expect("small");
        pool.commit().expect("small");
        let mut all = pool.try_get_buffers(120).expect("free");
        for sample in &mut all {
            let mark = u8::try_from(sample.index()).expect("120 fit");
            sample.prepend(&vec![mark; prefix]).expect("headroom");
            sample.set_len(prefix + actual.size).expect("exactly");
            sample.fill(mark);
        }
        for sample in &all {
            let mark = u8::try_from(sample.index()).expect("120 fit");
            assert!(sample.iter().all(|&byte| byte == mark));
        }
    }
}

/// Devices keep the addresses that were registered.
#[test]
fn a_commit_after_a_decommit_gives_the_same_addresses() {
    let pool = Pool::builder().buffers(7).size(5000).align(100).build();
    let pool = pool.expect("small");
    let before = pool.region();
    assert!(before.is_some());
    let sample = pool.try_get_buffer();
    pool.decommit();
    assert_eq!(pool.region(), None, "while it drains");
    drop(sample);
    assert_eq!(pool.region(), None);
    pool.commit().expect("small");
    assert_eq!(pool.region(), before);
}

/// These numbers are in the documentation, and users rely on them.
#[test]
fn a_default_builder_makes_32_buffers_of_64_kib() {
    let defaults = properties(32, 64 * 1024, 64, 0);
    let pool = Pool::builder().build().expect("2 MiB of address space");
    assert_eq!(pool.properties(), defaults);
    assert_eq!((pool.state(), pool.free_count()), (State::Committed, 32));
    let status = pool.status();
    assert_eq!((status.wait_time, status.max_wait), (None, None));
    let held = pool.try_get_buffer();
    assert!(held.is_ok() && pool.holders().is_empty());
    let pool = Pool::builder().build_uncommitted().expect("small");
    assert_eq!(pool.properties(), defaults);
    assert_eq!((pool.state(), pool.free_count()), (State::Configured, 32));
    assert_eq!(pool.region(), None);
    let pool = Pool::new();
    assert_eq!(pool.properties(), Properties::default());
    assert_eq!((pool.state(), pool.free_count()), (State::Unconfigured, 0));
}

/// The builder fails once, at the end, and its error says which of the two steps failed.
#[test]
fn a_builder_passes_on_what_the_two_steps_refuse() {
    let refused = |builder: sample_pool::Builder| builder.build().expect_err("refused");
    let bad_align = refused(Pool::builder().align(0));
    assert!(matches!(
        bad_align,
        BuildError::SetProperties(SetPropertiesError::BadAlign)
    ));
    let too_large = refused(Pool::builder().size(usize::MAX));
    assert!(matches!(
        too_large,
        BuildError::SetProperties(SetPropertiesError::TooLarge)
    ));
    let not_set = |error| matches!(error, BuildError::Commit(CommitError::SizeNotSet));
    assert!(not_set(refused(Pool::builder().buffers(0))));
    assert!(not_set(refused(Pool::builder().size(0))));
    // With 32 bits, all that can be addressed can be mapped.
    #[cfg(target_pointer_width = "64")]
    {
        let no_memory = refused(Pool::builder().buffers(1).size(isize::MAX as usize / 2));
        assert!(matches!(
            no_memory,
            BuildError::Commit(CommitError::OutOfMemory)
        ));
    }
    let uncommitted = Pool::builder().buffers(0).build_uncommitted();
    assert_eq!(
        uncommitted.expect("may be set later").properties().buffers,
        0
    );
}

/// The sum and the product overflow in different places, and each must be checked.
#[test]
fn what_no_memory_can_hold_is_too_large_and_changes_nothing() {
    let pool = Pool::new();
    let kept = properties(2, 64, 64, 0);
    assert_eq!(pool.set_properties(kept), Ok(kept));
    let most = isize::MAX as usize;
    for too_large in [
        properties(1, usize::MAX, 1, 1),
        properties(1, usize::MAX, 64, 0),
        properties(1, most, 1, 1),
        properties(2, most, 1, 0),
        properties(usize::MAX, usize::MAX, 1, 0),
        properties((u32::MAX as usize).saturating_add(1), 1, 1, 0),
        properties(1, 1, usize::MAX, 1),
    ] {
        let refused = pool.set_properties(too_large);
        assert_eq!(refused, Err(SetPropertiesError::TooLarge), "{too_large:?}");
        assert_eq!(pool.properties(), kept);
    }
    pool.commit().expect("small");
    assert_eq!(pool.free_count(), 2);
}

/// The layout of slots in words depends on the number of slots and of processors, and each division has its
/// edge cases.
#[test]
fn any_number_of_buffers_can_be_committed_and_used_up() {
    for buffers in (1..=300).chain([519, 520, 521, 833, 1025, 1664, 1665, 5000]) {
        let pool = Pool::builder().buffers(buffers).size(1).align(1);
        let pool = pool.build().expect("small");
        assert_eq!(pool.free_count(), buffers);
        let mut used = vec![false; buffers];
        let all: Vec<_> = std::iter::from_fn(|| pool.try_get_buffer().ok()).collect();
        for sample in &all {
            assert!(!std::mem::replace(&mut used[sample.index()], true));
        }
        assert_eq!((all.len(), pool.free_count()), (buffers, 0));
        drop(all);
        assert_eq!(pool.free_count(), buffers);
        assert_eq!(pool.try_get_buffers(buffers).expect("free").len(), buffers);
    }
}

/// An alignment larger than a page costs address space, but at most one alignment.
#[test]
fn a_large_odd_alignment_is_kept_over_a_change_of_properties() {
    let pool = Pool::new();
    for align in [1_000_003, 7, 2 << 20] {
        let actual = pool.set_properties(properties(3, 1, align, 2));
        assert_eq!(actual.expect("small").size, align - 2);
        pool.commit().expect("some megabytes");
        let region = pool.region().expect("committed");
        assert_eq!(region.base().addr() % align, 0);
        assert_eq!(region.len(), 3 * align);
        pool.decommit();
    }
}
