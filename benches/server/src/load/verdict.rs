//! What must hold of a server under load, and with what bounds.

use super::{
    gaps::LongGap,
    plan::{CHANNELS, Habit, LARGEST, VIEWERS},
    process::Sample,
    run::Loaded,
};
use crate::{contender::Contender, server::BUFFERS};
use std::time::{Duration, Instant};

/// A slow viewer is closed after five seconds. If it could hold others up, that is how long they would wait. What the
/// thread of the server or the load generator that waited most was without a core meanwhile is the machine's doing, and
/// is taken off: on two cores that do nothing else a third of the time.
const LONGEST_GAP: Duration = Duration::from_secs(1);

/// The share of frames that healthy viewers may be left out of. None is, if each connection has its turn before four
/// more frames have come, which is 160 ms.
const MOST_SKIPPED: f64 = 0.01;

/// And if threads wait for a core more than they should, which is beyond the server's power. With three times as much to
/// do as two cores can it was one frame out of nine.
const MOST_SKIPPED_WHEN_BUSY: f64 = 0.3;

/// How much longer than the run took all of its threads together, a dozen, may wait for a core before the machine
/// counts as busy. Two cores that do nothing else give 0.9.
const BUSY: f64 = 1.2;

/// What may be resident more in the last quarter than in the second: what the allocator's own ups and downs are, and as many
/// buffers as all viewers may hold, which a pool or an allocator may have needed for the first time since. 100 bytes
/// lost for each frame that is delivered are more than that in four seconds, a frame lost for each slow viewer that is
/// closed in a minute, and one for each source that leaves in ten.
const RESIDENT_GROWTH: u64 = 2_500_000 + (BUFFERS / 2 * LARGEST) as u64;

/// A source that is just leaving, and one that returns; `/status`; viewers that left and are back before the
/// server has seen it.
const MORE_DESCRIPTORS: usize = 40;

/// The figures of a quarter of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quarter {
    /// What came before it is the warm-up.
    Second,
    Last,
}

impl Loaded {
    fn quarter(&self, quarter: Quarter) -> &[Sample] {
        let length = self.samples.len();
        match quarter {
            Quarter::Second => &self.samples[length / 4..length / 2],
            Quarter::Last => &self.samples[length - length / 4..],
        }
    }

    /// The median of a figure: a single second says little.
    pub(crate) fn median(&self, quarter: Quarter, figure: impl Fn(&Sample) -> u64) -> u64 {
        let mut figures: Vec<u64> = self.quarter(quarter).iter().map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or(0)
    }

    pub(crate) fn most(&self, figure: impl Fn(&Sample) -> u64) -> u64 {
        self.samples.iter().map(figure).max().unwrap_or(0)
    }

    /// The fewest buffers that were free at any time.
    pub(crate) fn fewest_free(&self) -> Option<usize> {
        self.samples.iter().filter_map(|sample| sample.free).min()
    }

    pub(crate) fn skipped_share(&self) -> f64 {
        let skipped = self.delivered.healthy_skipped as f64;
        skipped / (skipped + self.delivered.healthy_frames as f64)
    }

    /// The longest that a healthy viewer had to wait, but for what its frame may have waited for a core meanwhile.
    fn longest_gap(&self) -> Duration {
        let waited = |since: Instant, until: Instant| {
            let before = self.samples.iter().rev().find(|sample| sample.at <= since);
            let after = self.samples.iter().find(|sample| sample.at >= until);
            let [first, .., last] = &self.samples[..] else {
                return Duration::ZERO;
            };
            let (before, after) = (before.unwrap_or(first), after.unwrap_or(last));
            after.waits.longest_since(&before.waits)
        };
        let long = self.delivered.gaps.long.iter();
        let own = |gap: &LongGap| {
            let since = gap.end.checked_sub(gap.length).unwrap_or(gap.end);
            gap.length.saturating_sub(waited(since, gap.end))
        };
        long.map(own).max().unwrap_or_default()
    }

    /// How many seconds threads were ready to run and had no core, all together.
    pub(crate) fn waited(&self) -> f64 {
        match &self.samples[..] {
            [first, .., last] => last.waits.all_since(&first.waits).as_secs_f64(),
            _ => 0.0,
        }
    }

    /// Whether the machine may have had no time for what the server had to do.
    fn is_busy(&self) -> bool {
        self.waited() > BUSY * self.seconds
    }

    fn most_skipped(&self) -> f64 {
        if self.is_busy() {
            MOST_SKIPPED_WHEN_BUSY
        } else {
            MOST_SKIPPED
        }
    }

    /// What does not hold.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut hold = |holds: bool, otherwise: String| {
            if !holds {
                complaints.push(otherwise);
            }
        };
        let delivered = &self.delivered;

        let resident = |quarter| self.median(quarter, |sample| sample.usage.resident_bytes);
        let (warm, end) = (resident(Quarter::Second), resident(Quarter::Last));
        hold(
            end <= warm + RESIDENT_GROWTH,
            format!("resident memory grew from {warm} to {end} bytes"),
        );

        // Slow viewers come and go by the dozen, so their number at two times says nothing; the most there may be, and
        // what is left in the end, do.
        let most = self.most(|sample| sample.descriptors as u64) as usize;
        let needed = self.descriptors_before + VIEWERS + CHANNELS.len();
        hold(
            most <= needed + MORE_DESCRIPTORS,
            format!("{most} descriptors were open, and {needed} are needed"),
        );
        hold(
            self.descriptors_after <= self.descriptors_before,
            format!(
                "{} descriptors are open when all have left, and {} were before they came",
                self.descriptors_after, self.descriptors_before
            ),
        );

        hold(
            self.free == (self.contender != Contender::BytesMut).then_some(self.buffers),
            format!(
                "buffers that were returned: {:?} of {}",
                self.free, self.buffers
            ),
        );
        hold(
            self.fewest_free() != Some(0),
            "the pool ran out of buffers".to_owned(),
        );

        hold(
            self.longest_gap() < LONGEST_GAP,
            format!(
                "a healthy viewer waited {:?}, and not for a core",
                self.longest_gap()
            ),
        );
        hold(
            self.skipped_share() < self.most_skipped(),
            format!(
                "healthy viewers were left out of {} frames of {}",
                delivered.healthy_skipped,
                delivered.healthy_skipped + delivered.healthy_frames
            ),
        );

        // All of this says nothing of a load that was none.
        for habit in Habit::ALL {
            let seen = delivered.slow[habit as usize];
            hold(
                seen.frames > 0 && (seen.skipped > 0 || seen.closed > 0),
                format!("{habit:?}: no viewer was slow: {seen:?}"),
            );
        }
        let stopped = delivered.slow[Habit::Stops as usize];
        hold(
            stopped.closed > 0 && stopped.kept <= if self.is_busy() { stopped.closed } else { 0 },
            format!("of those who stopped not all were closed: {stopped:?}"),
        );
        hold(
            self.returns > 0 && delivered.came_back > 0,
            "no source has left and come back, or no viewer left for it".to_owned(),
        );
        complaints
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
