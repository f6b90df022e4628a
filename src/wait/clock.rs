//! The clock that measures waits: Tokio's, so that a test that pauses time measures the waits that it made.
//!
//! | reader                         | clock                                    |
//! |--------------------------------|------------------------------------------|
//! | a poll in a Tokio runtime      | the clock of the runtime, may be paused  |
//! | any other poll                 | the clock of std                         |
//! | a get that blocks its thread   | that of std, also inside `spawn_blocking` |
//! | a loom test                    | that of std: Tokio's is not available    |
//!
//! Both stamps of a wait are read in polls of the waiter's own future. A release never reads the clock for a waiter,
//! because it may run in another runtime. Two clocks can differ by any duration, so all subtractions here saturate.

#![forbid(unsafe_code)]

use crate::sync::block_on;
use std::{
    num::NonZeroU64,
    time::{Duration, Instant},
};

/// The time of the caller's clock.
pub(crate) fn now() -> Instant {
    // A paused clock of a runtime does not advance while the thread is blocked.
    match block_on::is_blocked() {
        true => Instant::now(),
        false => of_the_runtime(),
    }
}

#[cfg(not(all(test, loom)))]
fn of_the_runtime() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(all(test, loom))]
fn of_the_runtime() -> Instant {
    Instant::now()
}

/// The clock from which a moment was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not checked.
    Unknown = 0,
    /// A clock that agrees with std's.
    Real = 1,
    /// A clock that is paused or was paused: it is behind std's, or ahead of it.
    Virtual = 2,
}

/// A time, and the clock from which it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) kind: Kind,
}

impl Moment {
    /// The time of the caller's clock, which is not checked.
    pub(crate) fn now() -> Self {
        Moment {
            at: now(),
            kind: Kind::Unknown,
        }
    }

    /// The time of the caller's clock, and which clock it is. Reads std's clock twice for that.
    pub(crate) fn now_and_which() -> Self {
        // A clock that agrees with std's is between two readings of std's.
        let before = Instant::now();
        let at = now();
        let is_real = at >= before && at <= Instant::now();
        let kind = if is_real { Kind::Real } else { Kind::Virtual };
        Moment { at, kind }
    }

    pub(crate) fn is_virtual(self) -> bool {
        self.kind == Kind::Virtual
    }

    /// Whether both are known to be of the same clock. Two paused clocks count as the same: this does not distinguish
    /// two paused runtimes that use one pool.
    pub(crate) fn is_comparable(self, other: Moment) -> bool {
        self.kind == other.kind && self.kind != Kind::Unknown
    }

    pub(crate) fn since(self, earlier: Moment) -> Duration {
        self.at.saturating_duration_since(earlier.at)
    }
}

/// The largest number of nanoseconds between a moment and the creation of its pool: 73 years before or after.
const MAX_NANOS: i64 = (1 << 61) - 1;
const KIND_BITS: u32 = 2;

/// A moment in one word, relative to the creation of its pool. The order of the stamps of one pool is that of their
/// times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(NonZeroU64);

impl Stamp {
    pub(crate) fn new(moment: Moment, born: Instant) -> Self {
        let nanos = |time: Duration| {
            i64::try_from(time.as_nanos())
                .unwrap_or(MAX_NANOS)
                .min(MAX_NANOS)
        };
        let after = nanos(moment.at.saturating_duration_since(born));
        let before = nanos(born.saturating_duration_since(moment.at));
        // Above zero: `NonZeroU64`, for which zero means no stamp.
        let from_the_first = (after - before + MAX_NANOS + 1).unsigned_abs();
        let stamp = from_the_first << KIND_BITS | moment.kind as u64;
        Stamp(NonZeroU64::new(stamp).expect("not zero"))
    }

    pub(crate) fn moment(self, born: Instant) -> Moment {
        let from_the_first = (self.0.get() >> KIND_BITS) as i64;
        let nanos = from_the_first - MAX_NANOS - 1;
        let apart = Duration::from_nanos(nanos.unsigned_abs());
        let at = match nanos < 0 {
            true => born.checked_sub(apart),
            false => born.checked_add(apart),
        };
        let kind = match self.0.get() & ((1 << KIND_BITS) - 1) {
            1 => Kind::Real,
            2 => Kind::Virtual,
            _ => Kind::Unknown,
        };
        Moment {
            at: at.unwrap_or(born),
            kind,
        }
    }

    /// The stamp as a number. Zero means `None`.
    pub(crate) fn to_bits(stamp: Option<Stamp>) -> u64 {
        stamp.map_or(0, |stamp| stamp.0.get())
    }

    pub(crate) fn from_bits(bits: u64) -> Option<Stamp> {
        NonZeroU64::new(bits).map(Stamp)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use std::{ops::ControlFlow, pin::pin};

    /// A clock that was paused before the pool was made can be behind the creation of the pool, and zero means no
    /// stamp.
    #[test]
    fn a_stamp_is_the_moment_that_it_was_made_of() {
        let born = Instant::now();
        let hour = Duration::from_secs(3600);
        let early = born.checked_sub(hour).expect("the machine runs for longer");
        for kind in [Kind::Unknown, Kind::Real, Kind::Virtual] {
            for at in [born, early, born + hour, born + Duration::from_nanos(41)] {
                let moment = Stamp::new(Moment { at, kind }, born).moment(born);
                assert_eq!((moment.at, moment.kind), (at, kind));
            }
        }
    }

    #[test]
    fn stamps_are_in_the_order_of_time() {
        let born = Instant::now();
        let stamp = |nanos, kind| {
            let at = born + Duration::from_nanos(nanos);
            Stamp::new(Moment { at, kind }, born)
        };
        assert!(stamp(1, Kind::Unknown) > stamp(0, Kind::Virtual));
    }

    #[test]
    fn what_is_too_far_away_for_a_stamp_is_the_furthest() {
        let born = Instant::now();
        let six_centuries = Duration::from_secs(600 * 366 * 24 * 3600);
        let at = born + six_centuries;
        let kind = Kind::Virtual;
        let moment = Stamp::new(Moment { at, kind }, born).moment(born);
        assert_eq!(moment.kind, kind);
        assert_eq!(
            moment.at,
            born + Duration::from_nanos(MAX_NANOS.unsigned_abs())
        );
    }

    /// In a test that is not paused, the waits of tasks and of threads must be comparable.
    #[tokio::test]
    async fn the_clock_of_a_runtime_is_real_until_it_is_paused() {
        assert_eq!(Moment::now_and_which().kind, Kind::Real);
        tokio::time::pause();
        assert_eq!(Moment::now_and_which().kind, Kind::Virtual);
        let which = pin!(async { Moment::now_and_which().kind });
        let kind = block_on::block_on(which, |_| ControlFlow::Break(None));
        assert_eq!(kind, Kind::Real);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(Moment::now_and_which().kind, Kind::Virtual);
    }
}
