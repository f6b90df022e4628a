//! The limit on how many different samples subscribers hold.
//!
//! A sample counts once, however many subscribers hold it. Each subscriber that holds it has a [`HoldGuard`].
//!
//! | the sample   | counted | left by                                                                  |
//! |--------------|---------|--------------------------------------------------------------------------|
//! | not held     | no      | [`acquire`](HoldLimit::acquire) below the limit: held                    |
//! | held         | yes     | `acquire` by another subscriber at the limit, if it is the longest held: reclaim requested; drop of the last guard: not held |
//! | reclaim requested | yes | drop of the last guard of *any* sample: held, or not held if it was its own |
//!
//! # Invariants
//!
//! - **L1** At most `limit` different samples are held. `fan_out::all_subscribers_together_hold_no_more_than_the_limit`
//! - **L2** No task is woken by [`acquire`](HoldLimit::acquire), because its caller holds the lock of the window.
//!   `fan_out::a_waker_of_a_reclaim_request_may_use_the_fan_out`
//! - **L3** Holders are notified once for each sample that is requested, not at each attempt or release.
//!   `fan_out::a_release_wakes_only_subscribers_at_the_limit`

use crate::sync::watch;
use std::{fmt, sync::Arc};
use tokio::task::coop;

/// A limit on how many different samples subscribers hold, for one fan-out or shared by many.
///
/// A sample that several subscribers hold counts once. Clones are handles to the same limit. A server with one pool
/// and many channels uses one limit for all of them: it bounds what all viewers of all channels hold together, and
/// one channel can use what the others do not.
///
/// # Examples
///
/// ```
/// use sample_pool::{Pool, fan_out::{FanOut, HoldLimit}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(12).build()?;
/// let limit = HoldLimit::new(3);
/// let channels = [(); 2].map(|()| FanOut::with_limit(4, &limit));
/// let mut viewers = channels.each_ref().map(|channel| channel.subscribe(1));
/// for channel in &channels {
///     channel.send(pool.get_buffer().await?.freeze())?;
/// }
/// let [mut one, mut other] = viewers.each_mut();
/// let frames = (one.recv().await, other.recv().await);
/// assert_eq!((limit.held(), limit.limit()), (2, 3));
/// # drop(frames);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HoldLimit(Arc<State>);

struct State {
    limit: usize,
    /// Changes when a sample is no longer held, which wakes the subscribers that are at the limit.
    held: watch::Sender<HeldSamples>,
    /// Changes when the reclaim of another sample is requested. A channel of its own, because `held` would wake every
    /// holder at each release (L3).
    reclaim: watch::Sender<()>,
}

pub(super) struct HeldSamples {
    /// Ordered by when each was first taken. Allocated for `limit` samples; never grows.
    samples: Vec<HeldSample>,
    /// The sample that holders should release, while the limit is reached.
    reclaim: Option<SampleId>,
    /// How many fan-outs have used this limit. The source of their ids.
    fan_outs: u64,
}

struct HeldSample {
    sample: SampleId,
    holders: usize,
}

/// Identifies a sample among all fan-outs that share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SampleId {
    pub(super) fan_out: u64,
    pub(super) sequence: u64,
}

/// The limit is reached.
#[derive(Debug)]
#[must_use = "the holders of the sample to reclaim must be notified"]
pub(super) struct AtLimit {
    /// Whether the sample to reclaim is another one than before.
    is_new: bool,
}

impl HoldLimit {
    /// Creates a limit of `limit` different samples.
    ///
    /// # Panics
    ///
    /// If `limit` is zero, or if the memory to keep track of so many samples cannot be allocated. It is allocated here.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        assert!(limit > 0, "the hold limit must not be zero");
        let mut samples = Vec::new();
        // The number is the user's, so refused memory is a panic and does not abort the process.
        if let Err(error) = samples.try_reserve_exact(limit) {
            panic!("no memory for a hold limit of {limit} samples: {error}");
        }
        HoldLimit(Arc::new(State {
            limit,
            held: watch::Sender::new(HeldSamples {
                samples,
                reclaim: None,
                fan_outs: 0,
            }),
            reclaim: watch::Sender::new(()),
        }))
    }

    /// Returns how many different samples are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held.borrow().samples.len()
    }

    /// Returns how many different samples of one fan-out are held.
    pub(super) fn held_of(&self, fan_out: u64) -> usize {
        let held = self.0.held.borrow();
        let samples = held.samples.iter();
        samples
            .filter(|held| held.sample.fan_out == fan_out)
            .count()
    }

    /// Returns how many different samples can be held.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Registers a fan-out and returns its id.
    pub(super) fn register_fan_out(&self) -> u64 {
        let mut id = 0;
        self.0.held.send_if_modified(|held| {
            id = held.fan_outs;
            held.fan_outs += 1;
            false
        });
        id
    }

    /// Returns a receiver that changes whenever a sample is no longer held.
    pub(super) fn watch_releases(&self) -> watch::Receiver<HeldSamples> {
        self.0.held.subscribe()
    }

    /// Counts one more holder of `sample`.
    ///
    /// At the limit, the reclaim of the longest held sample is requested. The holders are not notified here but by
    /// [`notify_holders`](HoldLimit::notify_holders), after the caller has released the lock of the window (L2).
    pub(super) fn acquire(&self, sample: SampleId) -> Result<HoldGuard, AtLimit> {
        let (mut is_counted, mut is_new) = (true, false);
        self.0.held.send_if_modified(|held| {
            // Searched from the end: most subscribers take the newest samples.
            let mut newest_first = held.samples.iter_mut().rev();
            if let Some(held) = newest_first.find(|held| held.sample == sample) {
                held.holders += 1;
                return false;
            }
            is_counted = held.samples.len() < self.0.limit;
            if is_counted {
                held.samples.push(HeldSample { sample, holders: 1 });
            } else {
                let longest_held = held.samples.first().map(|held| held.sample);
                is_new = held.reclaim != longest_held;
                held.reclaim = longest_held;
            }
            // Never a change to wake for: the window is locked (L2), and nothing was released.
            false
        });
        match is_counted {
            true => Ok(HoldGuard {
                limit: self.clone(),
                sample,
            }),
            false => Err(AtLimit { is_new }),
        }
    }

    /// Wakes the tasks that wait in [`reclaim_requested`](HoldLimit::reclaim_requested), if the sample is another one.
    pub(super) fn notify_holders(&self, at_limit: AtLimit) {
        if at_limit.is_new {
            self.0.reclaim.send_replace(());
        }
    }

    /// Waits until the reclaim of `sample` is requested.
    pub(super) fn reclaim_requested(
        &self,
        sample: SampleId,
    ) -> impl Future<Output = ()> + Send + Sync + use<> {
        let (limit, mut reclaim) = (self.clone(), self.0.reclaim.subscribe());
        async move {
            loop {
                // Before the check: a request that comes after the check is then a change, and wakes this task.
                reclaim.mark_unchanged();
                if limit.0.held.borrow().reclaim == Some(sample) {
                    // Without it, a task that polls this in a loop would not let other tasks run.
                    coop::consume_budget().await;
                    return;
                }
                // Cannot fail: the future has a handle to the limit, which owns the sender.
                let _changed = reclaim.changed().await;
            }
        }
    }
}

/// Shows how many samples are held, and the limit.
impl fmt::Debug for HoldLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HoldLimit")
            .field("held", &self.held())
            .field("limit", &self.limit())
            .finish()
    }
}

/// Counts one subscriber as a holder of a sample, until it is dropped.
#[derive(Debug)]
pub(super) struct HoldGuard {
    limit: HoldLimit,
    sample: SampleId,
}

impl HoldGuard {
    pub(super) fn sample(&self) -> SampleId {
        self.sample
    }

    pub(super) fn limit(&self) -> &HoldLimit {
        &self.limit
    }
}

impl Drop for HoldGuard {
    fn drop(&mut self) {
        self.limit.0.held.send_if_modified(|held| {
            let mut newest_first = held.samples.iter().enumerate().rev();
            let found = newest_first.find(|(_, held)| held.sample == self.sample);
            let Some((at, _)) = found else {
                return false;
            };
            held.samples[at].holders -= 1;
            let is_released = held.samples[at].holders == 0;
            if is_released {
                // Not `swap_remove`: the order decides which sample has been held for longest.
                held.samples.remove(at);
                // The limit is no longer reached. A subscriber that reaches it again requests the right sample then.
                held.reclaim = None;
            }
            is_released
        });
    }
}
