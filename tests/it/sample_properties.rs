//! The properties of a sample read back as DirectShow defines them, and times convert exactly.

#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashSet};
use std::mem::size_of;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sample_pool::{MediaType, Pool, ReferenceTime, ReferenceTimeError, SampleProperties};

/// Every value that all getters together can distinguish.
fn everything_set() -> SampleProperties {
    let mut properties = SampleProperties::default();
    properties.set_time(Some(ReferenceTime(1)), Some(ReferenceTime(2)));
    properties.set_media_time(Some(3), Some(4));
    properties.set_stream_id(5);
    properties.set_user(6);
    properties.set_media_type(Some(MediaType::new("video/mp2t")));
    for (_, set) in FLAGS {
        set(&mut properties, true);
    }
    properties
}

type Getter = fn(&SampleProperties) -> bool;
type Setter = fn(&mut SampleProperties, bool);

const FLAGS: [(Getter, Setter); 5] = [
    (
        SampleProperties::sync_point,
        SampleProperties::set_sync_point,
    ),
    (SampleProperties::preroll, SampleProperties::set_preroll),
    (
        SampleProperties::discontinuity,
        SampleProperties::set_discontinuity,
    ),
    (
        SampleProperties::time_discontinuity,
        SampleProperties::set_time_discontinuity,
    ),
    (
        SampleProperties::end_of_stream,
        SampleProperties::set_end_of_stream,
    ),
];

/// Each slot has one, and each release writes one.
#[test]
fn the_properties_of_a_sample_fit_one_cache_line() {
    assert!(
        size_of::<SampleProperties>() <= 64,
        "{}",
        size_of::<SampleProperties>()
    );
    assert_eq!(size_of::<ReferenceTime>(), 8);
}

#[test]
fn nothing_is_set_by_default() {
    let properties = SampleProperties::default();
    assert_eq!((properties.start(), properties.stop()), (None, None));
    assert_eq!(
        (properties.media_start(), properties.media_stop()),
        (None, None)
    );
    assert!(!properties.has_stop());
    assert_eq!((properties.stream_id(), properties.user()), (0, 0));
    assert_eq!(properties.media_type(), None);
    for (get, _) in FLAGS {
        assert!(!get(&properties));
    }
}

#[test]
fn times_read_back_as_given_even_if_the_stop_comes_first() {
    let mut properties = SampleProperties::default();
    for (start, stop) in [(0, 1), (0, 0), (-10, -5), (7, 3), (i64::MIN, i64::MAX)] {
        properties.set_time(Some(ReferenceTime(start)), Some(ReferenceTime(stop)));
        assert_eq!(properties.start(), Some(ReferenceTime(start)));
        assert_eq!(properties.stop(), Some(ReferenceTime(stop)));
        assert!(properties.has_stop());
        properties.set_media_time(Some(stop), Some(start));
        assert_eq!(properties.media_start(), Some(stop));
        assert_eq!(properties.media_stop(), Some(start));
    }
}

#[test]
fn a_start_without_a_stop_reads_as_one_that_ends_a_unit_later() {
    let mut properties = SampleProperties::default();
    for start in [0, 1, -1, 400_000, i64::MIN, i64::MAX - 1] {
        properties.set_time(Some(ReferenceTime(start)), None);
        assert_eq!(properties.start(), Some(ReferenceTime(start)));
        assert_eq!(properties.stop(), Some(ReferenceTime(start + 1)));
        assert!(!properties.has_stop());
        properties.set_media_time(Some(start), None);
        assert_eq!(properties.media_start(), Some(start));
        assert_eq!(properties.media_stop(), Some(start + 1));
    }
}

/// No later unit exists, and the smallest time would be the worst result.
#[test]
fn a_start_at_the_end_of_time_stops_there_too() {
    let mut properties = SampleProperties::default();
    properties.set_time(Some(ReferenceTime::MAX), None);
    assert_eq!(properties.stop(), Some(ReferenceTime::MAX));
    properties.set_media_time(Some(i64::MAX), None);
    assert_eq!(properties.media_stop(), Some(i64::MAX));
}

/// The stop of the previous time must not appear with the next one.
#[test]
fn a_start_without_a_stop_forgets_the_stop_that_was_set_before() {
    let mut properties = SampleProperties::default();
    properties.set_time(Some(ReferenceTime(0)), Some(ReferenceTime(9)));
    properties.set_time(Some(ReferenceTime(5)), None);
    assert_eq!(properties.stop(), Some(ReferenceTime(6)));
    properties.set_media_time(Some(0), Some(9));
    properties.set_media_time(Some(5), None);
    assert_eq!(properties.media_stop(), Some(6));
}

#[test]
fn without_a_start_both_times_are_cleared_and_nothing_of_them_is_left() {
    for stop in [None, Some(99)] {
        let mut properties = SampleProperties::default();
        properties.set_time(Some(ReferenceTime(1)), Some(ReferenceTime(2)));
        properties.set_time(None, stop.map(ReferenceTime));
        assert_eq!((properties.start(), properties.stop()), (None, None));
        assert!(!properties.has_stop());
        properties.set_media_time(Some(3), Some(4));
        properties.set_media_time(None, stop);
        assert_eq!(
            (properties.media_start(), properties.media_stop()),
            (None, None)
        );
        assert_eq!(properties, SampleProperties::default());
    }
}

#[test]
fn stream_time_and_media_time_do_not_touch_each_other() {
    let mut properties = SampleProperties::default();
    properties.set_time(Some(ReferenceTime(1)), Some(ReferenceTime(2)));
    assert_eq!(
        (properties.media_start(), properties.media_stop()),
        (None, None)
    );
    properties.set_media_time(Some(3), Some(4));
    assert_eq!(properties.start(), Some(ReferenceTime(1)));
    assert_eq!(properties.stop(), Some(ReferenceTime(2)));
    properties.set_time(None, None);
    assert_eq!(
        (properties.media_start(), properties.media_stop()),
        (Some(3), Some(4))
    );
    properties.set_time(Some(ReferenceTime(1)), None);
    properties.set_media_time(None, None);
    assert_eq!(properties.start(), Some(ReferenceTime(1)));
}

/// They share a word with the bits for which times are set.
#[test]
fn each_flag_is_set_and_cleared_alone() {
    for (i, (get, set)) in FLAGS.iter().enumerate() {
        let mut properties = SampleProperties::default();
        set(&mut properties, true);
        for (j, (other, _)) in FLAGS.iter().enumerate() {
            assert_eq!(other(&properties), i == j);
        }
        assert_eq!((properties.start(), properties.media_start()), (None, None));

        let mut properties = everything_set();
        set(&mut properties, false);
        set(&mut properties, false);
        for (j, (other, _)) in FLAGS.iter().enumerate() {
            assert_eq!(other(&properties), i != j);
        }
        assert!(!get(&properties) && properties.has_stop());
        assert_eq!(properties.media_stop(), Some(4));
        set(&mut properties, true);
        assert_eq!(properties, everything_set());
    }
}

#[test]
fn two_are_equal_only_if_every_getter_agrees() {
    let changes: [fn(&mut SampleProperties); 12] = [
        |p| p.set_time(Some(ReferenceTime(0)), Some(ReferenceTime(2))),
        |p| p.set_time(Some(ReferenceTime(1)), Some(ReferenceTime(3))),
        |p| p.set_time(Some(ReferenceTime(1)), None),
        |p| p.set_media_time(Some(0), Some(4)),
        |p| p.set_media_time(Some(3), Some(5)),
        |p| p.set_media_time(None, None),
        |p| p.set_stream_id(u32::MAX),
        |p| p.set_user(u64::MAX),
        |p| p.set_media_type(None),
        |p| p.set_media_type(Some(MediaType::new("video/mp4"))),
        |p| p.set_preroll(false),
        |p| p.set_time(None, None),
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut changed = everything_set();
        change(&mut changed);
        assert_ne!(changed, everything_set(), "change {i}");
        assert_eq!(changed.clone(), changed);
    }
}

#[test]
fn debug_shows_what_the_getters_say() {
    let shown = format!("{:?}", everything_set());
    let parts = [
        "stop: Some(ReferenceTime(2))",
        "media_start: Some(3)",
        "user: 6",
    ];
    for part in parts
        .into_iter()
        .chain(["stream_id: 5", "\"video/mp2t\"", "end_of_stream: true"])
    {
        assert!(shown.contains(part), "{shown}");
    }
    assert!(format!("{:?}", SampleProperties::default()).contains("start: None"));
}

#[test]
fn milliseconds_are_rounded_towards_the_past_and_stop_at_the_ends() {
    let milliseconds = |units| ReferenceTime(units).as_millis();
    assert_eq!([0, 9_999, 10_000, 19_999].map(milliseconds), [0, 0, 1, 1]);
    assert_eq!([-1, -10_000, -10_001].map(milliseconds), [-1, -1, -2]);
    assert_eq!(ReferenceTime::from_millis(-3), ReferenceTime(-30_000));
    let most = i64::MAX / ReferenceTime::UNITS_PER_MILLISECOND;
    assert_eq!(ReferenceTime::from_millis(most).as_millis(), most);
    assert_eq!(ReferenceTime::from_millis(most + 1), ReferenceTime::MAX);
    assert_eq!(ReferenceTime::from_millis(-most - 2), ReferenceTime::MIN);
}

#[test]
fn ticks_are_rounded_to_the_nearest_and_half_a_tick_goes_up() {
    let ticks = |units| ReferenceTime(units).as_ticks_90khz();
    assert_eq!(
        [55, 56, 111, 500, 10_000_000].map(ticks),
        [0, 1, 1, 5, 90_000]
    );
    assert_eq!([-55, -56, -111, -500].map(ticks), [0, -1, -1, -4]);
    let units = |ticks| ReferenceTime::from_ticks_90khz(ticks).0;
    assert_eq!([1, 2, 4, 5, 9].map(units), [111, 222, 444, 556, 1000]);
    assert_eq!([-1, -4, -5, -9].map(units), [-111, -444, -556, -1000]);
}

/// In 64 bits the products would overflow some 3,200 years from zero, far inside the range.
#[test]
fn ticks_at_the_ends_of_time_neither_wrap_nor_panic() {
    let ticks = |time: ReferenceTime| time.as_ticks_90khz();
    assert_eq!(ticks(ReferenceTime::MAX), 83_010_348_331_692_982);
    assert_eq!(ticks(ReferenceTime::MIN), -83_010_348_331_692_982);
    let units = |ticks| ReferenceTime::from_ticks_90khz(ticks).0;
    assert_eq!([i64::MAX, i64::MIN].map(units), [i64::MAX, i64::MIN]);
    // The time at which MPEG's 33-bit counter wraps.
    assert_eq!(units(1 << 33), 954_437_176_889);
}

#[test]
fn a_duration_loses_less_than_a_unit_and_comes_back_exactly() {
    let units = |nanoseconds| ReferenceTime::from_duration(Duration::from_nanos(nanoseconds)).0;
    assert_eq!(
        [0, 99, 100, 199, 2_000_000_000].map(units),
        [0, 0, 1, 1, 20_000_000]
    );
    assert_eq!(
        ReferenceTime::try_from(Duration::from_nanos(199)),
        Ok(ReferenceTime(1))
    );
    for units in [0, 1, 9_999_999, 10_000_000, 15_000_001, i64::MAX] {
        let duration = Duration::try_from(ReferenceTime(units)).expect("it is not negative");
        assert_eq!(duration.as_nanos(), units as u128 * 100);
        assert_eq!(ReferenceTime::try_from(duration), Ok(ReferenceTime(units)));
        assert_eq!(ReferenceTime::from_duration(duration), ReferenceTime(units));
    }
}

#[test]
fn a_duration_that_does_not_fit_is_refused_or_stops_at_the_end() {
    let longest = Duration::try_from(ReferenceTime::MAX).expect("it is not negative");
    for too_long in [longest + Duration::from_nanos(100), Duration::MAX] {
        let refused = ReferenceTime::try_from(too_long);
        assert_eq!(refused, Err(ReferenceTimeError::Overflow));
        assert_eq!(ReferenceTime::from_duration(too_long), ReferenceTime::MAX);
    }
    for negative in [ReferenceTime(-1), ReferenceTime::MIN] {
        let refused = Duration::try_from(negative);
        assert_eq!(refused, Err(ReferenceTimeError::Negative));
        assert_eq!(negative.to_duration(), None);
    }
}

#[test]
fn times_add_and_subtract_with_times_and_durations() {
    let (five, two) = (ReferenceTime(5), ReferenceTime(2));
    let two_units = Duration::from_nanos(299);
    assert_eq!(
        [five + two, five - two, two - five].map(|time| time.0),
        [7, 3, -3]
    );
    assert_eq!(
        [five + two_units, five - two_units].map(|time| time.0),
        [7, 3]
    );
    let mut time = five;
    time += two;
    time += two_units;
    assert_eq!(time, ReferenceTime(9));
    time -= two_units;
    time -= two;
    time -= ReferenceTime(10);
    assert_eq!(time, ReferenceTime(-5));
    // The duration alone is out of range, and the sum is not.
    let whole = Duration::try_from(ReferenceTime::MAX).expect("it is not negative") + two_units;
    assert_eq!(ReferenceTime(-4) + whole, ReferenceTime(i64::MAX - 2));
    assert_eq!(ReferenceTime(4) - whole, ReferenceTime(i64::MIN + 3));
}

/// In a release build plain integers would wrap here, from the largest time to the smallest.
#[test]
fn an_overflow_is_none_or_the_end_of_time_or_a_panic_but_never_wraps() {
    let one = ReferenceTime(1);
    assert_eq!(ReferenceTime::MAX.checked_add(one), None);
    assert_eq!(ReferenceTime::MIN.checked_sub(one), None);
    assert_eq!(one.checked_add(one), Some(ReferenceTime(2)));
    assert_eq!(one.checked_sub(one), Some(ReferenceTime::ZERO));
    assert_eq!(ReferenceTime::MAX.saturating_add(one), ReferenceTime::MAX);
    assert_eq!(ReferenceTime::MIN.saturating_sub(one), ReferenceTime::MIN);
    assert_eq!(one.saturating_add(one), ReferenceTime(2));
    assert_eq!(one.saturating_sub(one), ReferenceTime::ZERO);
    let unit = Duration::from_nanos(100);
    let overflows: [fn(ReferenceTime, Duration) -> ReferenceTime; 5] = [
        |one, _| ReferenceTime::MAX + one,
        |one, _| ReferenceTime::MIN - one,
        |_, unit| ReferenceTime::MAX + unit,
        |_, unit| ReferenceTime::MIN - unit,
        |_, _| ReferenceTime::ZERO + Duration::MAX,
    ];
    for (i, overflow) in overflows.iter().enumerate() {
        let result = catch_unwind(|| overflow(one, unit));
        assert!(result.is_err(), "overflow {i}");
    }
}

#[test]
fn a_time_is_shown_in_seconds_with_the_decimals_it_needs() {
    for (units, shown) in [
        (0, "0s"),
        (10_000_000, "1s"),
        (15_000_000, "1.5s"),
        (15_400_000, "1.54s"),
        (1, "0.0000001s"),
        (-1, "-0.0000001s"),
        (-12_345_670, "-1.234567s"),
        (1_000_000_000, "100s"),
        (i64::MAX, "922337203685.4775807s"),
        (i64::MIN, "-922337203685.4775808s"),
    ] {
        assert_eq!(ReferenceTime(units).to_string(), shown);
    }
}

#[test]
fn times_are_ordered_and_hashed_by_their_units() {
    let times = [i64::MAX, i64::MIN, 0, -1].map(ReferenceTime);
    let sorted: Vec<i64> = BTreeSet::from(times).iter().map(|time| time.0).collect();
    assert_eq!(sorted, [i64::MIN, -1, 0, i64::MAX]);
    assert!(HashSet::from(times).contains(&ReferenceTime::ZERO));
}

proptest! {
    /// A timestamp that is written to a container and read back must not drift.
    #[test]
    fn ticks_survive_the_way_through_reference_time(ticks in -(1_i64 << 55)..1_i64 << 55) {
        prop_assert_eq!(ReferenceTime::from_ticks_90khz(ticks).as_ticks_90khz(), ticks);
    }

    #[test]
    fn the_nearest_tick_is_at_most_half_a_tick_away(units: i64) {
        let ticks = ReferenceTime(units).as_ticks_90khz();
        // In ninths of a unit: a tick is a thousand of them.
        let off = ticks as i128 * 1000 - units as i128 * 9;
        prop_assert!(-500 < off && off <= 500, "{}", off);
    }
}

/// The next owner of a buffer sets no properties, and what lies in their place is still that of the last owner. A release
/// that has something else to reset must not drop it again.
#[test]
fn a_media_type_is_dropped_once_by_the_sample_that_had_it() {
    let pool = Pool::builder().buffers(1).zero_on_release(true).build();
    let pool = pool.expect("small");
    let text: Arc<str> = Arc::from("video/mp2t");
    let mut sample = pool.try_get_buffer().expect("free");
    let media_type = MediaType::new(text.clone());
    sample.properties_mut().set_media_type(Some(media_type));
    assert_eq!(Arc::strong_count(&text), 2);
    drop(sample);
    assert_eq!(Arc::strong_count(&text), 1, "dropped with the sample");
    let other = text.clone();
    drop(pool.try_get_buffer().expect("free"));
    assert_eq!(Arc::strong_count(&text), 2, "not dropped again");
    drop(other);
}
