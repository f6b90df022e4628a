//! Metrics of a pool for the `metrics` facade, and so for any exporter that is installed behind it.
//!
//! Gets and releases record nothing: a counter that each of them adds to would be a cache line that all threads write,
//! and a recorder is user code, which must not run in the middle of a release. The pool keeps its own counts. A
//! [`PoolMetrics`] copies them to the recorder when [`record`](PoolMetrics::record) is called, or once in an interval.
//!
//! | name | kind | of [`Status`] |
//! |---|---|---|
//! | `sample_pool_buffers` | gauge | `buffers` |
//! | `sample_pool_free` | gauge | `free` |
//! | `sample_pool_priority_free` | gauge | `priority_free` |
//! | `sample_pool_outstanding` | gauge | `outstanding` |
//! | `sample_pool_used_bytes` | gauge | `bytes_used` |
//! | `sample_pool_pinned_bytes` | gauge | `bytes_pinned` |
//! | `sample_pool_waiting` | gauge | `waiting` |
//! | `sample_pool_oldest_wait_seconds` | gauge, if waits are measured | `oldest_wait`, 0 if no get waits |
//! | `sample_pool_high_water` | gauge | `high_water` |
//! | `sample_pool_acquired_total` | counter | `acquired` |
//! | `sample_pool_released_total` | counter | `released` |
//! | `sample_pool_waited_total` | counter | `waited` |
//! | `sample_pool_exhausted_total` | counter | `exhausted` |
//! | `sample_pool_timed_out_total` | counter | `timed_out` |
//! | `sample_pool_cancelled_total` | counter | `cancelled` |
//! | `sample_pool_callback_panics_total` | counter | `callback_panics` |
//! | `sample_pool_wait_seconds` | histogram, if waits are measured | each wait, rounded up by at most an eighth |
//!
//! For each [quota](crate::Quota) in use:
//!
//! | name | kind | of [`QuotaStatus`] |
//! |---|---|---|
//! | `sample_pool_quota_limit` | gauge | `limit` |
//! | `sample_pool_quota_in_use` | gauge | `in_use` |
//! | `sample_pool_quota_waiting` | gauge | `waiting` |
//! | `sample_pool_quota_oldest_wait_seconds` | gauge, if waits are measured | `oldest_wait`, 0 if no get waits |
//!
//! For each [`FanOut`](crate::fan_out::FanOut) that has a [`FanOutMetrics`]:
//!
//! | name | kind | of [`FanOutStatus`](crate::fan_out::FanOutStatus) |
//! |---|---|---|
//! | `sample_pool_fan_out_subscribers` | gauge | `subscribers` |
//! | `sample_pool_fan_out_backlog` | gauge | `backlog` |
//! | `sample_pool_fan_out_held` | gauge | `held` |
//! | `sample_pool_fan_out_sent_total` | counter | `sent` |
//! | `sample_pool_fan_out_skipped_total` | counter | `skipped` |
//!
//! Waits are measured if [`Builder::measure_waits`](crate::Builder::measure_waits) was set.
//!
//! # Labels, and metrics with the same labels
//!
//! A pool's metrics have the label `pool` with the name that [`Builder::name`](crate::Builder::name) set, and no label
//! if the pool has no name. A quota's metrics have the label `quota` in addition. A fan-out's metrics have the label
//! `fan_out`.
//!
//! Metrics with the same labels are added up. Two pools without a name appear as one pool that is as large as both.
//! `oldest_wait` is the longest of them. If a pool is made again under the same name, its counters continue from the
//! values of the old one.
//!
//! The name of a quota is the value of a label. A recorder keeps one series for each name and gauge, also of quotas
//! that no longer exist. If you make quotas for connections or users, give many of them the same name: they are added
//! up.
//!
//! The gauges of a pool are set to zero by the first [`record`](PoolMetrics::record) after its last handle was dropped.
//! The gauges of a quota are set to zero by the first one after the last user of the quota was dropped.

#![forbid(unsafe_code)]

mod fan_out;
mod gauges;

pub use fan_out::FanOutMetrics;

use crate::{
    core::handle::{Pool, WeakPool},
    values::{quota_status::QuotaStatus, status::Status, wait_histogram::WaitHistogram},
};
use ::metrics::{
    Label, SharedString, Unit, describe_counter, describe_gauge, describe_histogram, histogram,
};
use gauges::{Gauges, Joined, Reading, count};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Interval, MissedTickBehavior, interval};

type Gauge = (&'static str, Unit, &'static str, fn(&Status) -> usize);
type Counter = (&'static str, &'static str, fn(&Status) -> u64);
type OfQuota = (&'static str, &'static str, fn(&QuotaStatus) -> usize);

/// The name, the unit, the help text, and the value.
#[rustfmt::skip]
const GAUGES: [Gauge; 8] = [
    ("sample_pool_buffers", Unit::Count, "Buffers that the pool has", |s| s.buffers),
    ("sample_pool_free", Unit::Count, "Samples that are free", |s| s.free),
    ("sample_pool_priority_free", Unit::Count, "Free samples that are kept for quotas of high priority", |s| s.priority_free),
    ("sample_pool_outstanding", Unit::Count, "Samples that are outstanding", |s| s.outstanding),
    ("sample_pool_used_bytes", Unit::Bytes, "Bytes that were written to the samples that are held", |s| s.bytes_used),
    ("sample_pool_pinned_bytes", Unit::Bytes, "Size of the buffers of outstanding samples", |s| s.bytes_pinned),
    ("sample_pool_waiting", Unit::Count, "Gets that wait for a sample", |s| s.waiting),
    ("sample_pool_high_water", Unit::Count, "Buffers that were used since the last commit", |s| s.high_water),
];

#[rustfmt::skip]
const COUNTERS: [Counter; 7] = [
    ("sample_pool_acquired_total", "Samples that were acquired", |s| s.acquired),
    ("sample_pool_released_total", "Samples that were released", |s| s.released),
    ("sample_pool_waited_total", "Waits for a sample or for room in a quota", |s| s.waited),
    ("sample_pool_exhausted_total", "Gets that failed because they would have had to wait", |s| s.exhausted),
    ("sample_pool_timed_out_total", "Gets that timed out", |s| s.timed_out),
    ("sample_pool_cancelled_total", "Gets that were dropped before they returned a sample", |s| s.cancelled),
    ("sample_pool_callback_panics_total", "Release callbacks that panicked", |s| s.callback_panics),
];

#[rustfmt::skip]
const OF_QUOTAS: [OfQuota; 3] = [
    ("sample_pool_quota_limit", "Samples that can be in use in a quota", |q| q.limit),
    ("sample_pool_quota_in_use", "Samples that are in use in a quota", |q| q.in_use),
    ("sample_pool_quota_waiting", "Gets that wait for room in a quota", |q| q.waiting),
];

const OLDEST_WAIT_OF_QUOTA: (&str, &str) = (
    "sample_pool_quota_oldest_wait_seconds",
    "Time that the longest-waiting get has waited for room in a quota",
);
const OLDEST_WAIT: (&str, &str) = (
    "sample_pool_oldest_wait_seconds",
    "Time that the longest-waiting get has waited for a sample",
);
const WAITS: (&str, &str) = ("sample_pool_wait_seconds", "Time that gets waited");

/// The shortest interval. An interval of zero would keep the task busy.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

/// Copies the counts of a pool to the recorder of `metrics`; see [the module](self).
///
/// It does not keep the pool alive. Make one for each pool and recorder: each remembers what it has counted, so a
/// second one would count everything again.
///
/// # Examples
///
/// Before each scrape, or at any other time:
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
    gauges: Gauges,
    /// The counts that the recorder has.
    recorded: Recorded,
    has_begun: bool,
    is_over: bool,
}

/// The counts that a recorder has already. A counter is increased by the difference. With `absolute`, the counter of a
/// pool that is made again would not move until the new pool has counted as much as the old one.
#[derive(Debug, Default)]
struct Recorded {
    counters: [u64; COUNTERS.len()],
    waits: Option<WaitHistogram>,
}

impl PoolMetrics {
    /// Makes the metrics of `pool`. Waits that ended before are recorded at the first [`record`](PoolMetrics::record).
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        let name = pool.engine().shared_name();
        let label = name.map(|name| Label::new("pool", SharedString::from_shared(name)));
        PoolMetrics {
            pool: pool.downgrade(),
            labels: label.into_iter().collect(),
            gauges: Gauges::new(),
            recorded: Recorded::default(),
            has_begun: false,
            is_over: false,
        }
    }

    /// Records the pool's status, and what was counted since the last call. Returns `false` once no handle to the pool
    /// is left.
    ///
    /// With no handle left, the gauges are set to zero and the last counts are recorded, once, if any were recorded
    /// before. Samples that are released after that are not counted.
    ///
    /// The recorder is the one that is installed, or that of this thread, at the time of the call. It runs without a
    /// lock. The call costs as much as [`Pool::status`] and [`Pool::quotas`], and one call of the recorder for each
    /// wait that ended since the last time, unless the recorder accepts many at once. The first time, these are all
    /// waits since the pool was made.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, metrics::PoolMetrics};
    ///
    /// let pool = Pool::builder().build()?;
    /// let mut metrics = PoolMetrics::new(&pool);
    /// assert!(metrics.record());
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    pub fn record(&mut self) -> bool {
        if self.is_over {
            return false;
        }
        let engine = self.pool.engine();
        let (lives, status) = engine.lives();
        let times = engine.wait_histogram();
        let quotas = engine.quotas();
        if lives || self.has_begun {
            self.has_begun = true;
            self.recorded.count(&self.labels, &status);
            if let Some(times) = times {
                self.recorded.record_waits(&self.labels, times);
            }
        }
        let readings = lives.then(|| self.readings(&status, &quotas));
        self.gauges.set(readings.into_iter().flatten());
        self.is_over = !lives;
        lives
    }

    fn readings(&self, status: &Status, quotas: &[QuotaStatus]) -> Vec<Reading> {
        let reading = |name, labels: &[Label], value, joined| Reading {
            name,
            labels: labels.to_vec(),
            value,
            joined,
        };
        let labels = &self.labels;
        let mut all =
            Vec::from(GAUGES.map(|(name, _, _, value)| {
                reading(name, labels, value(status) as f64, Joined::Sum)
            }));
        let is_measured = status.wait_time.is_some();
        let oldest = |name, labels: &[Label], oldest: Option<Duration>| {
            let seconds = oldest.unwrap_or_default().as_secs_f64();
            is_measured.then(|| reading(name, labels, seconds, Joined::Largest))
        };
        all.extend(oldest(OLDEST_WAIT.0, labels, status.oldest_wait));
        for quota in quotas {
            let name = SharedString::from_shared(quota.name.clone());
            let mut labels = labels.clone();
            labels.push(Label::new("quota", name));
            all.extend(
                OF_QUOTAS.map(|(name, _, value)| {
                    reading(name, &labels, value(quota) as f64, Joined::Sum)
                }),
            );
            all.extend(oldest(OLDEST_WAIT_OF_QUOTA.0, &labels, quota.oldest_wait));
        }
        all
    }

    /// Records at once and then once in each `interval`, for a task of its own.
    ///
    /// It resolves once no handle to the pool is left, up to `interval` later.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future ends the recording.
    ///
    /// # Panics
    ///
    /// If it is polled outside a Tokio runtime with time enabled, or after the runtime in which it was polled before
    /// was shut down. A panic of the recorder is passed on, and ends the task.
    pub fn record_every(self, interval: Duration) -> RecordEvery {
        RecordEvery {
            metrics: self,
            every: interval.max(LEAST_INTERVAL),
            interval: None,
        }
    }
}

impl Recorded {
    fn count(&mut self, labels: &[Label], status: &Status) {
        for ((name, _, value), recorded) in COUNTERS.iter().zip(&mut self.counters) {
            count(name, labels, value(status), recorded);
        }
    }

    fn record_waits(&mut self, labels: &[Label], times: WaitHistogram) {
        let histogram = histogram!(WAITS.0, labels.to_vec());
        let new = match &self.waits {
            Some(recorded) => times.since(recorded),
            None => times.clone(),
        };
        for (waited, count) in new.iter() {
            // On a 32-bit target the count is capped: an interval with more waits records `usize::MAX` of them.
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            histogram.record_many(waited, count);
        }
        self.waits = Some(times);
    }
}

/// The future that records in intervals; made by [`PoolMetrics::record_every`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub struct RecordEvery {
    metrics: PoolMetrics,
    every: Duration,
    /// Made at the first poll, because only a poll is certain to be inside a runtime.
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

/// Registers the help text and unit of each metric with the recorder, for exporters that show them.
///
/// Call it once for the program.
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
    for (name, what, _) in OF_QUOTAS {
        describe_gauge!(name, Unit::Count, what);
    }
    for (name, what) in [OLDEST_WAIT, OLDEST_WAIT_OF_QUOTA] {
        describe_gauge!(name, Unit::Seconds, what);
    }
    fan_out::describe();
    let (name, what) = WAITS;
    describe_histogram!(name, Unit::Seconds, what);
}
