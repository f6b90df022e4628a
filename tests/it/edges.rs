//! Numbers at the ends of their range, and those next to an overflow: every call that takes one obeys it or
//! returns an error, and nothing wraps around.
//!
//! Guarantees: 14

#![forbid(unsafe_code)]

use crate::polling::at_once;
use bytes::{Buf, BufMut};
use proptest::prelude::*;
use sample_pool::{
    BufferOverflow, CommitError, GetBufferError, Pool, Properties, ReferenceTime,
    SetPropertiesError, State,
};
use std::{
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
};

const MOST: usize = isize::MAX as usize;

/// Numbers on both sides of each overflow: of a `usize`, an `isize`, 32 bits, a page, and zero.
fn edge() -> impl Strategy<Value = usize> {
    let edges = vec![
        0,
        4096,
        u32::MAX as usize,
        1 << (usize::BITS - 16),
        MOST / 3,
        MOST / 2,
        MOST,
        usize::MAX / 2,
        usize::MAX,
    ];
    let near = (proptest::sample::select(edges), -3_i8..=3)
        .prop_map(|(edge, off)| edge.wrapping_add_signed(isize::from(off)));
    prop_oneof![3 => near, 1 => 0_usize..300, 1 => any::<usize>()]
}

/// The same calculation in numbers that cannot overflow.
fn expected(requested: Properties) -> Result<Properties, SetPropertiesError> {
    let [buffers, size, align, prefix] = [
        requested.buffers,
        requested.size,
        requested.align,
        requested.prefix,
    ]
    .map(|n| n as u128);
    if align == 0 {
        return Err(SetPropertiesError::BadAlign);
    }
    let stride = (size + prefix).div_ceil(align) * align;
    let fits = stride <= usize::MAX as u128
        && buffers * stride <= MOST as u128
        && buffers <= u128::from(u32::MAX);
    if !fits {
        return Err(SetPropertiesError::TooLarge);
    }
    let size = usize::try_from(stride - prefix).expect("no more than the stride");
    Ok(Properties { size, ..requested })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Sums and products overflow one after the other, each for other numbers.
    #[test]
    fn properties_are_refused_or_rounded_as_in_numbers_without_end(
        buffers in edge(), size in edge(), align in edge(), prefix in edge(),
    ) {
        let requested = Properties { buffers, size, align, prefix };
        let pool = Pool::new();
        let actual = pool.set_properties(requested);
        prop_assert_eq!(actual, expected(requested));
        prop_assert_eq!(pool.properties(), actual.unwrap_or_default());
        prop_assert_eq!(pool.free_count(), pool.properties().buffers);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Not everything that can be addressed can be mapped: with the headers and the space for alignment the sum
    /// can overflow again.
    #[test]
    fn what_was_accepted_is_committed_or_refused_and_never_worse(
        buffers in edge(), size in edge(), align in edge(), prefix in edge(), tracks: bool,
    ) {
        // Beyond this number the headers alone take long, and a larger number tests nothing more.
        prop_assume!(!(1 << 20..=1 << 31).contains(&buffers));
        let builder = Pool::builder().buffers(buffers).size(size).align(align).prefix(prefix);
        let Ok(pool) = builder.track_holders(tracks).build_uncommitted() else { return Ok(()) };
        match pool.commit() {
            Ok(()) => {
                let sample = pool.try_get_buffer().expect("committed");
                prop_assert_eq!(sample.capacity(), pool.properties().size);
                prop_assert_eq!(sample.headroom(), prefix);
                prop_assert_eq!(pool.free_count(), buffers - 1);
                prop_assert_eq!(sample.as_ptr().addr().wrapping_sub(prefix) % align, 0);
            }
            Err(CommitError::SizeNotSet) => prop_assert!(buffers == 0 || pool.properties().size == 0),
            Err(error) => {
                prop_assert!(matches!(error, CommitError::OutOfMemory));
                prop_assert_eq!(pool.state(), State::Configured);
            }
        }
    }
}

fn pool() -> Pool {
    let builder = Pool::builder().buffers(3).size(64).align(1).prefix(8);
    builder.build().expect("small")
}

/// To reserve a vector of that length would abort the process before the error is returned.
#[test]
fn a_request_for_more_samples_than_can_be_counted_is_too_many() {
    let pool = pool();
    for count in [4, u32::MAX as usize, MOST, usize::MAX] {
        let mut into = Vec::new();
        let refused = [
            pool.try_get_buffers(count).map(drop),
            at_once(pool.get_buffers(count)).map(drop),
            at_once(pool.get_buffers_into(&mut into, count)),
        ];
        assert_eq!(refused, [Err(GetBufferError::TooMany); 3]);
        assert_eq!(into.capacity(), 0);
    }
    assert_eq!(pool.free_count(), 3);
}

/// Each of these adds and subtracts the length, the headroom and the spare capacity.
#[test]
fn lengths_beyond_the_buffer_are_refused_with_both_numbers() {
    let pool = pool();
    let mut sample = pool.try_get_buffer().expect("free");
    for prepended in [0, 8] {
        sample.clear();
        sample.prepend(&[1; 8][..prepended]).expect("headroom");
        let capacity = 64 + prepended;
        for requested in [capacity + 1, MOST, usize::MAX - 7, usize::MAX] {
            let refused = BufferOverflow {
                requested,
                capacity,
            };
            assert_eq!(sample.set_len(requested), Err(refused));
            assert_eq!((sample.len(), sample.spare_capacity()), (prepended, 64));
        }
    }
    let overflow = sample.prepend(&[1]).expect_err("it is used up");
    assert_eq!((overflow.requested, overflow.capacity), (1, 0));
    for count in [65, MOST, usize::MAX] {
        let filled = catch_unwind(AssertUnwindSafe(|| sample.put_bytes(1, count)));
        assert!(filled.is_err(), "{count}");
    }
    assert_eq!(sample.len(), 8, "nothing was written");
}

/// Both ends of a range can be included or excluded, and the last number has no successor.
#[test]
fn ranges_that_end_beyond_the_bytes_or_at_the_last_number_panic_and_keep_the_sample() {
    type Bounds = (Bound<usize>, Bound<usize>);
    use Bound::{Excluded, Included, Unbounded};
    let ranges: [Bounds; 8] = [
        (Included(0), Included(usize::MAX)),
        (Excluded(usize::MAX), Unbounded),
        (Excluded(usize::MAX), Included(usize::MAX)),
        (Included(usize::MAX), Unbounded),
        (Included(0), Excluded(usize::MAX)),
        (Included(0), Included(4)),
        (Included(3), Excluded(2)),
        (Excluded(4), Unbounded),
    ];
    let pool = pool();
    let mut sample = pool.try_get_buffer().expect("free");
    sample.put_slice(b"four");
    let mut shared = sample.freeze();
    for range in ranges {
        let sliced = catch_unwind(AssertUnwindSafe(|| drop(shared.slice(range))));
        assert!(sliced.is_err(), "{range:?}");
    }
    for at in [5, MOST, usize::MAX] {
        let mut clone = shared.clone();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(clone.split_to(at)))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(clone.split_off(at)))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| clone.advance(at))).is_err());
        assert_eq!(&clone[..], b"four");
    }
    assert_eq!(&shared.slice((Excluded(0), Included(3)))[..], b"our");
    shared.advance(4);
    assert!(shared.is_empty());
    drop(shared);
    assert_eq!(pool.free_count(), 3, "none of them leaked a handle");
}

/// Times come from streams, and can have any value.
#[test]
fn times_at_the_ends_of_their_range_do_not_overflow() {
    let pool = pool();
    let mut sample = pool.try_get_buffer().expect("free");
    for time in [i64::MIN, -1, 0, i64::MAX - 1, i64::MAX] {
        sample
            .properties_mut()
            .set_time(Some(ReferenceTime(time)), None);
        let stop = sample.properties().stop().expect("there is a start");
        assert_eq!(stop.0, time.saturating_add(1), "{time}");
        sample.properties_mut().set_media_time(Some(time), None);
        assert_eq!(sample.properties().media_start(), Some(time));
        assert!(sample.properties().media_stop().is_some(), "{time}");
        assert!(!format!("{:?}", sample.properties()).is_empty());
    }
}
