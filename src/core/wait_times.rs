//! The lengths of a pool's waits, counted while gets run.
//!
//! A waiter counts its own wait when the wait has ended: three relaxed additions, without a lock.

#![forbid(unsafe_code)]

use crate::{
    sync::{Ordering, StatisticU64},
    values::wait_histogram::{COUNTS, WaitHistogram, place},
};
use std::{array, fmt, time::Duration};

/// The counts of the waits that have ended, in a pool that measures its waits.
pub(crate) struct Waits {
    /// The sum of all waits in nanoseconds. It can hold five centuries.
    total: StatisticU64,
    longest: StatisticU64,
    counts: [StatisticU64; COUNTS],
}

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.times().fmt(f)
    }
}

impl Waits {
    pub(crate) fn none() -> Self {
        Waits {
            total: StatisticU64::new(0),
            longest: StatisticU64::new(0),
            counts: array::from_fn(|_| StatisticU64::new(0)),
        }
    }

    pub(crate) fn add(&self, waited: Duration) {
        let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.total.fetch_add(nanos, Ordering::Relaxed);
        self.longest.fetch_max(nanos, Ordering::Relaxed);
        self.counts[place(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.total.load(Ordering::Relaxed))
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest.load(Ordering::Relaxed))
    }

    pub(crate) fn times(&self) -> WaitHistogram {
        let counts = self.counts.iter();
        WaitHistogram::of(counts.map(|counted| counted.load(Ordering::Relaxed)))
    }
}
