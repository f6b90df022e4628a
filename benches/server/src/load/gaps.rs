//! The times between two frames, counted by the millisecond.

use std::time::{Duration, Instant};

/// Longer ones count as this long, apart from the worst.
const LONGEST_MILLISECONDS: usize = 10_000;

/// Those that are longer are kept one by one, but for those that end with a longer one.
const LONG: Duration = Duration::from_millis(500);
const TOGETHER: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug)]
pub(crate) struct LongGap {
    pub(crate) end: Instant,
    pub(crate) length: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct Gaps {
    /// How many took less than one millisecond, less than two, …
    counts: Vec<u64>,
    pub(crate) worst: Duration,
    pub(crate) long: Vec<LongGap>,
}

impl Default for Gaps {
    fn default() -> Self {
        Gaps {
            counts: vec![0; LONGEST_MILLISECONDS],
            worst: Duration::ZERO,
            long: Vec::new(),
        }
    }
}

impl Gaps {
    pub(crate) fn count(&mut self, gap: Duration) {
        let milliseconds = usize::try_from(gap.as_millis()).unwrap_or(usize::MAX);
        self.counts[milliseconds.min(LONGEST_MILLISECONDS - 1)] += 1;
        self.worst = self.worst.max(gap);
        if gap >= LONG {
            self.keep(gap, Instant::now());
        }
    }

    fn keep(&mut self, length: Duration, end: Instant) {
        match self.long.last_mut() {
            Some(last) if end - last.end < TOGETHER => {
                if last.length < length {
                    *last = LongGap { end, length };
                }
            }
            _ => self.long.push(LongGap { end, length }),
        }
    }

    pub(crate) fn all(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// So many milliseconds, or less, was this share of the gaps long. Zero if there were none.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let enough = (self.all() as f64 * share).ceil() as u64;
        let mut sum = 0;
        for (milliseconds, count) in (1..).zip(&self.counts) {
            sum += count;
            if sum >= enough && sum > 0 {
                return f64::from(milliseconds);
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_end_of_the_millisecond_that_it_lies_in() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.percentile(0.99), 0.0);
        for milliseconds in 0..100 {
            gaps.count(Duration::from_millis(milliseconds));
        }
        gaps.count(Duration::from_secs(60));
        assert_eq!(gaps.all(), 101);
        assert_eq!(gaps.percentile(0.5), 51.0);
        assert_eq!(gaps.percentile(0.99), 100.0);
        assert_eq!(gaps.percentile(1.0), LONGEST_MILLISECONDS as f64);
        assert_eq!(gaps.worst, Duration::from_secs(60));
    }
    #[test]
    fn of_long_gaps_that_end_together_the_longest_is_kept() {
        let (mut gaps, now) = (Gaps::default(), Instant::now());
        let ends = [(700, 0), (900, 50), (800, 100), (600, 400)];
        for (length, end) in ends.map(|(length, end)| (Duration::from_millis(length), end)) {
            gaps.keep(length, now + Duration::from_millis(end));
        }
        let kept = gaps.long.iter().map(|gap| gap.length.as_millis());
        assert_eq!(kept.collect::<Vec<_>>(), [900, 600]);
    }
}
