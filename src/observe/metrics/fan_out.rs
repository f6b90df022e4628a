//! Metrics of a fan-out, for a recorder.

use super::gauges::{Gauges, Joined, Reading, count};
use crate::fan_out::{Counts, FanOut, FanOutStatus};
use ::metrics::{Label, SharedString, Unit};
use std::sync::{Arc, Weak};

type Gauge = (&'static str, &'static str, fn(&FanOutStatus) -> usize);
type Counter = (&'static str, &'static str, fn(&Counts) -> u64);

#[rustfmt::skip]
pub(super) const GAUGES: [Gauge; 3] = [
    ("sample_pool_fan_out_subscribers", "Subscribers of a fan-out", |s| s.subscribers),
    ("sample_pool_fan_out_backlog", "Samples that a fan-out keeps for its subscribers", |s| s.backlog),
    ("sample_pool_fan_out_held", "Different samples that subscribers of a fan-out hold", |s| s.held),
];

#[rustfmt::skip]
pub(super) const COUNTERS: [Counter; 2] = [
    ("sample_pool_fan_out_sent_total", "Samples that were sent", Counts::sent),
    ("sample_pool_fan_out_skipped_total", "Samples that subscribers skipped", Counts::skipped),
];

/// Copies the counts of a [`FanOut`] to the recorder of `metrics`; see [the module](super).
///
/// It does not keep the fan-out alive. Make one for each fan-out and recorder: a second one would count everything
/// again.
///
/// # Examples
///
/// ```
/// use sample_pool::{fan_out::FanOut, metrics::FanOutMetrics};
/// use std::sync::Arc;
///
/// let video = Arc::new(FanOut::new(4, 3));
/// let mut metrics = FanOutMetrics::new("camera 1", &video);
/// assert!(metrics.record());
/// drop(video);
/// assert!(!metrics.record()); // its gauges are zero now
/// ```
#[derive(Debug)]
pub struct FanOutMetrics {
    fan_out: Weak<FanOut>,
    counts: Counts,
    labels: Vec<Label>,
    recorded: [u64; COUNTERS.len()],
    gauges: Gauges,
}

impl FanOutMetrics {
    /// Makes the metrics of `fan_out`, with `name` as the value of the label `fan_out`.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, fan_out: &Arc<FanOut>) -> Self {
        let name = SharedString::from_shared(name.into());
        FanOutMetrics {
            fan_out: Arc::downgrade(fan_out),
            counts: fan_out.counts(),
            labels: vec![Label::new("fan_out", name)],
            recorded: [0; COUNTERS.len()],
            gauges: Gauges::new(),
        }
    }

    /// Records the fan-out's status, and what was counted since the last call. Returns `false` once the fan-out is
    /// dropped.
    ///
    /// The gauges are set to zero then, and the last counts are recorded. Subscribers that still have samples to
    /// receive may skip some after that; a later call records these.
    ///
    /// The recorder is the one that is installed, or that of this thread, at the time of the call. It runs without a
    /// lock.
    pub fn record(&mut self) -> bool {
        let status = self.fan_out.upgrade().map(|fan_out| fan_out.status());
        // After the upgrade: if the fan-out is gone, nothing is sent any more, so these counts are the last.
        for ((name, _, value), recorded) in COUNTERS.iter().zip(&mut self.recorded) {
            count(name, &self.labels, value(&self.counts), recorded);
        }
        let Some(status) = status else {
            self.gauges.set([]);
            return false;
        };
        let labels = &self.labels;
        self.gauges.set(GAUGES.map(|(name, _, value)| Reading {
            name,
            labels: labels.clone(),
            value: value(&status) as f64,
            joined: Joined::Sum,
        }));
        true
    }
}

pub(super) fn describe() {
    for (name, what, _) in GAUGES {
        ::metrics::describe_gauge!(name, Unit::Count, what);
    }
    for (name, what, _) in COUNTERS {
        ::metrics::describe_counter!(name, Unit::Count, what);
    }
}
