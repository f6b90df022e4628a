//! The clock that waits are measured by: Tokio's, so that a test which pauses time sees the waits that it made.
//!
//! | who reads it | clock |
//! |---|---|
//! | a poll in a Tokio runtime | the runtime's, which may be paused |
//! | any other poll | std's |
//! | a get that blocks its thread | std's, also inside `spawn_blocking` |
//! | a loom test | std's: Tokio's own is not there |
//!
//! Both stamps of a wait are read in polls of the waiter's own future, never by a releaser, which may run in another
//! runtime. Two clocks can differ by any time, so everything that is subtracted here saturates.

#![forbid(unsafe_code)]

use std::{
    cell::Cell,
    future::Future,
    num::NonZeroU64,
    time::{Duration, Instant},
};

thread_local! {
    /// Whether this thread is inside of a get that blocks it.
    static BLOCKS: Cell<bool> = const { Cell::new(false) };
}

/// What the clock of the caller shows.
pub(crate) fn now() -> Instant {
    match BLOCKS.get() {
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

/// Blocks the thread until `get` resolves. Its wait is measured by std's clock: that of a runtime which is paused
/// stands still meanwhile.
pub(crate) fn block_on<T>(get: impl Future<Output = T>) -> T {
    let _blocks = Blocks(BLOCKS.replace(true));
    futures::executor::block_on(get)
}

/// Sets what was before, also when a get panics.
struct Blocks(bool);

impl Drop for Blocks {
    fn drop(&mut self) {
        BLOCKS.set(self.0);
    }
}

/// Which clock a moment was read from, if that was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unknown = 0,
    /// It agrees with std's.
    Real = 1,
    /// It is paused, or was: it is behind std's, or ahead of it.
    Virtual = 2,
}

/// What a clock showed, and which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) kind: Kind,
}

impl Moment {
    /// What the clock of the caller shows.
    pub(crate) fn now() -> Self {
        Moment {
            at: now(),
            kind: Kind::Unknown,
        }
    }

    /// What the clock of the caller shows, and which it is. Reads two more clocks.
    pub(crate) fn now_and_which() -> Self {
        let before = Instant::now();
        let at = now();
        let is_real = at >= before && at <= Instant::now();
        let kind = if is_real { Kind::Real } else { Kind::Virtual };
        Moment { at, kind }
    }

    pub(crate) fn is_virtual(self) -> bool {
        self.kind == Kind::Virtual
    }

    /// Whether both are known to be of one clock. Two that are paused are taken for one: a pool that is used by two
    /// paused runtimes is nothing that this tells apart.
    pub(crate) fn is_comparable(self, other: Moment) -> bool {
        self.kind == other.kind && self.kind != Kind::Unknown
    }

    pub(crate) fn since(self, earlier: Moment) -> Duration {
        self.at.saturating_duration_since(earlier.at)
    }
}

/// The nanoseconds that are between a moment and the birth of its pool: up to 73 years before and after.
const MOST: i64 = (1 << 61) - 1;
const KIND_BITS: u32 = 2;

/// A moment in one word, as it lies around the birth of its pool. Stamps of one pool are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(NonZeroU64);

impl Stamp {
    pub(crate) fn new(moment: Moment, born: Instant) -> Self {
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(MOST).min(MOST);
        let after = nanos(moment.at.saturating_duration_since(born));
        let before = nanos(born.saturating_duration_since(moment.at));
        // Above zero, whatever the kind.
        let from_the_first = (after - before + MOST + 1).unsigned_abs();
        let stamp = from_the_first << KIND_BITS | moment.kind as u64;
        Stamp(NonZeroU64::new(stamp).expect("not zero"))
    }

    pub(crate) fn moment(self, born: Instant) -> Moment {
        let from_the_first = (self.0.get() >> KIND_BITS) as i64;
        let nanos = from_the_first - MOST - 1;
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

    /// As a number that is zero for none.
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

    /// A clock that was paused before its pool was made is behind the pool's birth, and a stamp of zero means none.
    #[test]
    fn a_stamp_is_the_moment_that_it_was_made_of() {
        let born = Instant::now();
        let hour = Duration::from_secs(3600);
        let early = born.checked_sub(hour).expect("the machine runs for longer");
        for kind in [Kind::Unknown, Kind::Real, Kind::Virtual] {
            for at in [born, early, born + hour, born + Duration::from_nanos(41)] {
                let told = Stamp::new(Moment { at, kind }, born).moment(born);
                assert_eq!((told.at, told.kind), (at, kind));
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
        let told = Stamp::new(Moment { at, kind }, born).moment(born);
        assert_eq!(told.kind, kind);
        assert_eq!(told.at, born + Duration::from_nanos(MOST.unsigned_abs()));
    }

    /// A test that is not paused must find its waits on one clock with those of threads.
    #[tokio::test]
    async fn the_clock_of_a_runtime_is_real_until_it_is_paused() {
        assert_eq!(Moment::now_and_which().kind, Kind::Real);
        tokio::time::pause();
        assert_eq!(Moment::now_and_which().kind, Kind::Virtual);
        block_on(async { assert_eq!(Moment::now_and_which().kind, Kind::Real) });
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(Moment::now_and_which().kind, Kind::Virtual);
    }
}
