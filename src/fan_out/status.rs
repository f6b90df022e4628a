//! The figures of a fan-out.

use crate::sync::{Ordering, StatisticU64};
use std::sync::Arc;

/// The figures of a fan-out at one moment; see [`FanOut::status`](super::FanOut::status).
///
/// # Examples
///
/// ```
/// # let pool = sample_pool::Pool::builder().buffers(1).build().unwrap();
/// let video = sample_pool::fan_out::FanOut::new(4, 3);
/// video.send(pool.try_get_buffer()?.freeze())?;
/// let status = video.status();
/// assert_eq!((status.sent, status.backlog, status.held), (1, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanOutStatus {
    /// How many subscribers there are.
    pub subscribers: usize,
    /// How many samples are in the backlog.
    pub backlog: usize,
    /// How many different samples of this fan-out its subscribers hold. With a shared [`HoldLimit`](super::HoldLimit),
    /// the samples of other fan-outs are not counted.
    pub held: usize,
    /// How many samples were sent. One that is still arriving counts from its first bytes, once, however many bytes are
    /// added to it; also if its frame is aborted.
    pub sent: u64,
    /// How many samples were skipped, as a sum over all subscribers. A subscriber adds what it skipped when it
    /// receives the next sample, and when it is dropped. The samples of an aborted frame count for subscribers that
    /// received no part of the frame, and a sample of which a subscriber received only a part counts if the subscriber
    /// lagged.
    pub skipped: u64,
}

/// How many samples the subscribers of one fan-out skipped. A subscriber that keeps up does not write to it.
///
/// The fan-out and each of its subscribers have a handle.
#[derive(Clone, Debug)]
pub(super) struct SkipCounter(Arc<StatisticU64>);

impl Default for SkipCounter {
    fn default() -> Self {
        SkipCounter(Arc::new(StatisticU64::new(0)))
    }
}

impl SkipCounter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, samples: u64) {
        if samples > 0 {
            self.0.fetch_add(samples, Ordering::Relaxed);
        }
    }
}

/// The counters of one fan-out. They outlive it, so that metrics record the last counts.
#[cfg(feature = "metrics")]
#[derive(Debug)]
pub(crate) struct Counts {
    sent: Arc<StatisticU64>,
    skipped: SkipCounter,
}

#[cfg(feature = "metrics")]
impl Counts {
    pub(super) fn new(sent: Arc<StatisticU64>, skipped: SkipCounter) -> Self {
        Counts { sent, skipped }
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.0.load(Ordering::Relaxed)
    }
}
