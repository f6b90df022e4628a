//! How long gets waited, counted by length.
//!
//! The lengths are in nanoseconds, and share a count with those of about the same length: each power of
//! two is divided into eight, so what is told of a wait is at most an eighth too long, from nanoseconds
//! to centuries, in 4 KiB.

#![forbid(unsafe_code)]

use std::{fmt, time::Duration};

/// Each power of two has `1 << FINE` counts.
const FINE: u32 = 3;
pub(crate) const COUNTS: usize = ((u64::BITS - FINE + 1) as usize) << FINE;

/// How long gets waited, for a sample or for room in a quota, whatever came of it, counted by length: what
/// [`Pool::wait_histogram`](crate::Pool::wait_histogram) tells.
///
/// Waits of about the same length are counted together, so a length that this tells is never too short
/// and at most an eighth too long. Waits that have not ended are not in it.
///
/// # Examples
///
/// ```
/// use sample_pool::Pool;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(1).measure_waits(true).build()?;
/// let held = pool.get_buffer().await?;
/// let late = pool.get_buffer_timeout(Duration::from_millis(5)).await;
/// assert!(late.is_err());
/// let times = pool.wait_histogram().expect("they are measured");
/// assert_eq!(times.count(), 1);
/// assert!(times.quantile(0.99) >= Some(Duration::from_millis(5)));
/// # drop(held);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct WaitHistogram {
    counts: Box<[u64; COUNTS]>,
}

impl WaitHistogram {
    /// Of no wait.
    pub(crate) fn none() -> Self {
        WaitHistogram {
            counts: Box::new([0; COUNTS]),
        }
    }

    /// Of waits that were counted elsewhere, each by its [`place`].
    pub(crate) fn of(counts: impl IntoIterator<Item = u64>) -> Self {
        let mut times = WaitHistogram::none();
        for (count, counted) in times.counts.iter_mut().zip(counts) {
            *count = counted;
        }
        times
    }

    /// How many waits have ended.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long the shortest `share` of the waits took at most: `0.5` for the median, `0.99` for what
    /// one wait in a hundred exceeded. `None` if there was no wait.
    ///
    /// A share below 0 or above 1 is taken for that.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().measure_waits(true).build()?;
    /// let times = pool.wait_histogram().expect("they are measured");
    /// assert_eq!(times.quantile(0.5), None);
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        // A float too large for the integer becomes the largest, and what is no number becomes zero.
        let rank = (self.count() as f64 * share.clamp(0.0, 1.0)).ceil() as u64;
        let mut counted = 0;
        self.iter()
            .find(|&(_, count)| {
                counted += count;
                counted >= rank
            })
            .map(|(at_most, _)| at_most)
    }

    /// The counts from the shortest waits to the longest: how long those counted there took at most, and
    /// how many they are. Only where there are any.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().measure_waits(true).build().unwrap();
    /// # let times = pool.wait_histogram().unwrap();
    /// let all: u64 = times.iter().map(|(_at_most, count)| count).sum();
    /// assert_eq!(all, times.count());
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let counts = self.counts.iter().enumerate();
        counts
            .filter(|&(_, &count)| count > 0)
            .map(|(place, &count)| (Duration::from_nanos(longest(place)), count))
    }

    /// Those that ended since `earlier`, which the same pool told before. Counts that are lower now than
    /// they were, because it was another pool, are zero.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().measure_waits(true).build().unwrap();
    /// # let earlier = pool.wait_histogram().unwrap();
    /// # let now = pool.wait_histogram().unwrap();
    /// assert_eq!(now.since(&earlier).count(), 0);
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &WaitHistogram) -> WaitHistogram {
        let mut since = self.clone();
        for (count, before) in since.counts.iter_mut().zip(&*earlier.counts) {
            *count = count.saturating_sub(*before);
        }
        since
    }
}

/// Says how many waits there were, and how long half of them and nearly all of them took at most.
impl fmt::Debug for WaitHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitHistogram")
            .field("count", &self.count())
            .field("median", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish_non_exhaustive()
    }
}

/// Where a wait of so many nanoseconds is counted. Short ones have a count each.
pub(crate) fn place(nanos: u64) -> usize {
    let Some(power) = nanos.checked_ilog2().filter(|&power| power >= FINE) else {
        return nanos as usize;
    };
    let coarse = power - FINE;
    let fine = (nanos >> coarse) as usize; // with its highest bit, which is the first of the row
    ((coarse as usize) << FINE) + fine
}

/// The longest wait that is counted at `place`.
fn longest(place: usize) -> u64 {
    let row = 1 << FINE;
    let Some(coarse) = (place >> FINE).checked_sub(1) else {
        return place as u64;
    };
    let fine = (place % row + row) as u64;
    (fine << coarse) | ((1 << coarse) - 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::core::wait_times::Waits;

    /// A wrong shift counts long waits among short ones, and the worst wait is the one to be seen.
    #[test]
    fn a_wait_is_told_never_too_short_and_at_most_an_eighth_too_long() {
        let edges = (0..u64::BITS).flat_map(|power| {
            let power = 1u64 << power;
            [power - 1, power, power + power / 3, power + (power - 1)]
        });
        for nanos in edges {
            let told = longest(place(nanos));
            assert!(told >= nanos, "{nanos} is told as {told}");
            assert!(told - nanos <= nanos / 8, "{nanos} is told as {told}");
        }
        assert_eq!(place(u64::MAX), COUNTS - 1);
    }

    #[test]
    fn each_count_follows_the_one_before_without_a_gap() {
        for at in 1..COUNTS {
            assert_eq!(place(longest(at - 1) + 1), at);
            assert_eq!(place(longest(at)), at);
        }
    }

    fn of(millis: &[u64]) -> WaitHistogram {
        let waits = Waits::none();
        for &millis in millis {
            waits.add(Duration::from_millis(millis));
        }
        waits.times()
    }

    /// Between one wait of ten and all of them, an error by one shows.
    #[test]
    fn a_quantile_is_what_so_many_waits_did_not_exceed() {
        let times = of(&[100, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        let about = |share, millis| {
            let told = times.quantile(share).expect("there were waits");
            let exact = Duration::from_millis(millis);
            assert!(told >= exact && told <= exact * 9 / 8, "{share}: {told:?}");
        };
        for (share, millis) in [(-1.0, 1), (0.0, 1), (0.5, 1), (0.9, 1), (0.91, 100)] {
            about(share, millis);
        }
        about(1.0, 100);
        about(7.0, 100);
        assert_eq!(WaitHistogram::none().quantile(0.5), None);
        assert_eq!(of(&[3]).quantile(f64::NAN), of(&[3]).quantile(0.0));
    }

    #[test]
    fn what_ended_since_is_the_difference_and_never_below_zero() {
        let (before, now) = (of(&[1, 2]), of(&[1, 2, 2, 900]));
        let since: Vec<_> = now.since(&before).iter().map(|(_, count)| count).collect();
        assert_eq!(since, [1, 1]);
        assert_eq!(before.since(&now).count(), 0);
        assert_eq!(now.since(&WaitHistogram::none()), now);
    }

    #[test]
    fn debug_says_how_many_and_how_long() {
        let said = format!("{:?}", of(&[1, 1]));
        assert!(
            said.starts_with("WaitHistogram { count: 2, median: Some(1."),
            "{said}"
        );
    }
}
