//! What a pool says of itself, for the `metrics` facade and whatever exporter is installed behind it.
//!
//! Nothing is recorded where it happens: a counter that each get and release adds to would be a cache line
//! that all threads write, and a recorder is foreign code, which must not run in the middle of a release. The
//! pool counts for itself, and a [`PoolMetrics`] copies the counts to the recorder when it is told to, or
//! once in an interval.
//!
//! | name | kind | of [`Status`] |
//! |---|---|---|
//! | `sample_pool_buffers` | gauge | `buffers` |
//! | `sample_pool_free` | gauge | `free` |
//! | `sample_pool_reserved` | gauge | `reserved` |
//! | `sample_pool_outstanding` | gauge | `outstanding` |
//! | `sample_pool_used_bytes` | gauge | `bytes_used` |
//! | `sample_pool_pinned_bytes` | gauge | `bytes_pinned` |
//! | `sample_pool_waiting` | gauge | `waiting` |
//! | `sample_pool_oldest_wait_seconds` | gauge, if waits are measured | `oldest_wait`, 0 if nobody waits |
//! | `sample_pool_high_water` | gauge | `high_water` |
//! | `sample_pool_acquired_total` | counter | `acquired` |
//! | `sample_pool_released_total` | counter | `released` |
//! | `sample_pool_waited_total` | counter | `waited` |
//! | `sample_pool_exhausted_total` | counter | `exhausted` |
//! | `sample_pool_timed_out_total` | counter | `timed_out` |
//! | `sample_pool_cancelled_total` | counter | `cancelled` |
//! | `sample_pool_callback_panics_total` | counter | `callback_panics` |
//! | `sample_pool_wait_seconds` | histogram, if waits are measured | each wait in line; at most an eighth too long |
//!
//! Waits are measured if [`Builder::measure_waits`](crate::Builder::measure_waits) was set. Each has the
//! label `pool` with what [`Builder::name`](crate::Builder::name) set; of several pools without a name only
//! the last to be recorded is seen.

#![forbid(unsafe_code)]

use crate::{
    raw::handle::{Pool, WeakPool},
    status::Status,
    wait_times::WaitTimes,
};
use ::metrics::{
    Label, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Interval, MissedTickBehavior, interval};

type Gauge = (&'static str, Unit, &'static str, fn(&Status) -> usize);
type Counter = (&'static str, &'static str, fn(&Status) -> u64);

/// The name, the unit, what it means, and where it comes from.
#[rustfmt::skip]
const GAUGES: [Gauge; 8] = [
    ("sample_pool_buffers", Unit::Count, "How many buffers the pool has", |s| s.buffers),
    ("sample_pool_free", Unit::Count, "How many samples are home", |s| s.free),
    ("sample_pool_reserved", Unit::Count, "How many of them are kept for quotas of high priority", |s| s.reserved),
    ("sample_pool_outstanding", Unit::Count, "How many samples are not home", |s| s.outstanding),
    ("sample_pool_used_bytes", Unit::Bytes, "What stands in the samples that are held", |s| s.bytes_used),
    ("sample_pool_pinned_bytes", Unit::Bytes, "The buffers of the samples that are not home", |s| s.bytes_pinned),
    ("sample_pool_waiting", Unit::Count, "How many gets are in line", |s| s.waiting),
    ("sample_pool_high_water", Unit::Count, "How many buffers were used since the last commit", |s| s.high_water),
];

#[rustfmt::skip]
const COUNTERS: [Counter; 7] = [
    ("sample_pool_acquired_total", "Samples that were handed out", |s| s.acquired),
    ("sample_pool_released_total", "Samples that came home", |s| s.released),
    ("sample_pool_waited_total", "Gets that had to wait in line", |s| s.waited),
    ("sample_pool_exhausted_total", "Gets that were refused because they would have had to wait", |s| s.exhausted),
    ("sample_pool_timed_out_total", "Gets that ran out of time", |s| s.timed_out),
    ("sample_pool_cancelled_total", "Gets that were dropped before they had their sample", |s| s.cancelled),
    ("sample_pool_callback_panics_total", "Release callbacks that panicked", |s| s.callback_panics),
];

const OLDEST_WAIT: (&str, &str) = (
    "sample_pool_oldest_wait_seconds",
    "How long the first in line has waited",
);
const WAITS: (&str, &str) = ("sample_pool_wait_seconds", "How long gets waited in line");

/// The shortest interval, so that one of zero does not keep the task busy.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

/// Copies what a pool says of itself to the recorder of `metrics`; see [the module](self).
///
/// It does not keep the pool alive.
///
/// # Examples
///
/// Before each scrape, or whenever it suits:
///
/// ```
/// use sample_pool::{Pool, metrics::PoolMetrics};
///
/// let pool = Pool::builder().name("relay").build()?;
/// let mut metrics = PoolMetrics::new(&pool);
/// assert!(metrics.record());
/// drop(pool);
/// assert!(!metrics.record());
/// # Ok::<(), sample_pool::BuildError>(())
/// ```
///
/// In a task of its own:
///
/// ```
/// use sample_pool::{Pool, metrics::{self, PoolMetrics}};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().name("relay").measure_waits(true).build()?;
/// metrics::describe();
/// tokio::spawn(PoolMetrics::new(&pool).record_every(Duration::from_secs(1)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PoolMetrics {
    pool: WeakPool,
    labels: Vec<Label>,
    /// The waits that were recorded before.
    recorded: Option<WaitTimes>,
}

impl PoolMetrics {
    /// Of `pool`. Waits that ended before are recorded the first time.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        let name = pool.engine().settings.name.clone();
        let label = name.map(|name| Label::new("pool", SharedString::from_shared(name)));
        PoolMetrics {
            pool: pool.downgrade(),
            labels: label.into_iter().collect(),
            recorded: None,
        }
    }

    /// Records how the pool stands, and the waits that ended since it was called last. `false`, and
    /// nothing is recorded, once no handle to the pool is left.
    ///
    /// The recorder is the one that is installed, or that of this thread, at the time of the call; it runs
    /// without a lock. It costs what [`Pool::status`] costs, and one call of the recorder for each wait that ended since
    /// the last time, unless the recorder takes many at once: at the first time, all since the pool was made.
    pub fn record(&mut self) -> bool {
        let engine = self.pool.engine();
        let shared = engine.lock();
        if !engine.can_be_had(&shared) {
            return false;
        }
        let status = engine.status(&shared);
        drop(shared);
        let times = engine.waits.as_ref().map(|waits| waits.times());
        self.tell(&status);
        if let Some(times) = times {
            self.tell_waits(&status, times);
        }
        true
    }

    fn tell(&self, status: &Status) {
        for (name, _, _, value) in GAUGES {
            gauge!(name, self.labels.clone()).set(value(status) as f64);
        }
        for (name, _, value) in COUNTERS {
            counter!(name, self.labels.clone()).absolute(value(status));
        }
    }

    fn tell_waits(&mut self, status: &Status, times: WaitTimes) {
        let oldest = status.oldest_wait.unwrap_or_default();
        gauge!(OLDEST_WAIT.0, self.labels.clone()).set(oldest);
        let histogram = histogram!(WAITS.0, self.labels.clone());
        let new = match &self.recorded {
            Some(recorded) => times.since(recorded),
            None => times.clone(),
        };
        for (waited, count) in new.iter() {
            // On a target of 32 bits an interval with more waits than that tells of so many.
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            histogram.record_many(waited, count);
        }
        self.recorded = Some(times);
    }

    /// Records at once and then once in each `interval`, for a task of its own. Resolves once no handle to
    /// the pool is left, up to `interval` later.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future ends the recording.
    ///
    /// # Panics
    ///
    /// If it is polled outside a Tokio runtime with a timer, or after the one was shut down in which it was
    /// polled before. A panic of the recorder goes through, and ends
    /// the task.
    pub fn record_every(self, interval: Duration) -> RecordEvery {
        RecordEvery {
            metrics: self,
            every: interval.max(LEAST_INTERVAL),
            interval: None,
        }
    }
}

/// The future that records in intervals; see [`PoolMetrics::record_every`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub struct RecordEvery {
    metrics: PoolMetrics,
    every: Duration,
    /// Made at the first poll, since that alone is in a runtime for certain.
    interval: Option<Interval>,
}

impl Future for RecordEvery {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let interval = this.interval.get_or_insert_with(|| {
            let mut interval = interval(this.every);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        loop {
            ready!(interval.poll_tick(cx));
            if !this.metrics.record() {
                return Poll::Ready(());
            }
        }
    }
}

/// Tells the recorder what each metric means and its unit. Once for the program, for exporters that show it.
///
/// # Examples
///
/// ```
/// sample_pool::metrics::describe();
/// ```
pub fn describe() {
    for (name, unit, what, _) in GAUGES {
        describe_gauge!(name, unit, what);
    }
    for (name, what, _) in COUNTERS {
        describe_counter!(name, Unit::Count, what);
    }
    let (name, what) = OLDEST_WAIT;
    describe_gauge!(name, Unit::Seconds, what);
    let (name, what) = WAITS;
    describe_histogram!(name, Unit::Seconds, what);
}
