//! A histogram of wait times.
//!
//! Waits are counted in nanoseconds, and waits of about the same length share a bucket: each power of two has eight
//! buckets. A bucket reports its upper bound, which is at most an eighth longer than the wait. The range is from
//! nanoseconds to centuries, in 4 KiB.

#![forbid(unsafe_code)]

use std::{fmt, time::Duration};

/// Each power of two has `1 << FINE` buckets.
const FINE: u32 = 3;
/// The number of buckets.
pub(crate) const COUNTS: usize = ((u64::BITS - FINE + 1) as usize) << FINE;

/// A histogram of how long gets waited, for a sample or for room in a quota, with any outcome.
///
/// [`Pool::wait_histogram`](crate::Pool::wait_histogram) returns it. Waits of about the same length share a bucket. A
/// length that this reports is never too short, and at most an eighth too long. Waits that have not ended are not
/// included.
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
    /// A histogram without waits.
    pub(crate) fn none() -> Self {
        WaitHistogram {
            counts: Box::new([0; COUNTS]),
        }
    }

    /// Makes a histogram from the counts of its buckets, in order. [`place`] is the index of a wait's bucket.
    pub(crate) fn of(counts: impl IntoIterator<Item = u64>) -> Self {
        let mut times = WaitHistogram::none();
        for (count, counted) in times.counts.iter_mut().zip(counts) {
            *count = counted;
        }
        times
    }

    /// Returns the number of waits that have ended.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().measure_waits(true).build()?;
    /// let times = pool.wait_histogram().expect("they are measured");
    /// assert_eq!(times.count(), 0);
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns a duration that the shortest `share` of the waits did not exceed: `0.5` gives the median, and `0.99` the
    /// length that one wait in a hundred exceeded. Returns `None` if there was no wait.
    ///
    /// A share below 0 counts as 0, and a share above 1 as 1.
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
        // `as` saturates: a float that is too large becomes `u64::MAX`, and NaN becomes zero.
        let rank = (self.count() as f64 * share.clamp(0.0, 1.0)).ceil() as u64;
        let mut counted = 0;
        self.iter()
            .find(|&(_, count)| {
                counted += count;
                counted >= rank
            })
            .map(|(at_most, _)| at_most)
    }

    /// Returns an iterator over the buckets that have waits, from the shortest to the longest: the longest wait that
    /// the bucket can contain, and the number of its waits.
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

    /// Returns the waits that ended since `earlier`, a histogram of the same pool.
    ///
    /// If a count is lower now than in `earlier`, because that was of another pool, the result is zero.
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

/// Prints the number of waits, their median and their 99th percentile.
impl fmt::Debug for WaitHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitHistogram")
            .field("count", &self.count())
            .field("median", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish_non_exhaustive()
    }
}

/// The index of the bucket of a wait of `nanos` nanoseconds. Each of the shortest waits has its own bucket.
pub(crate) fn place(nanos: u64) -> usize {
    let Some(power) = nanos.checked_ilog2().filter(|&power| power >= FINE) else {
        return nanos as usize;
    };
    let coarse = power - FINE;
    // 8 to 15, the highest bit included. That bit adds one row, which the waits below `1 << FINE` have.
    let fine = (nanos >> coarse) as usize;
    ((coarse as usize) << FINE) + fine
}

/// The longest wait in bucket `place`, in nanoseconds.
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

    /// A wrong shift counts long waits as short ones, and would hide the worst wait.
    #[test]
    fn a_wait_is_reported_never_too_short_and_at_most_an_eighth_too_long() {
        let edges = (0..u64::BITS).flat_map(|power| {
            let power = 1u64 << power;
            [power - 1, power, power + power / 3, power + (power - 1)]
        });
        for nanos in edges {
            let reported = longest(place(nanos));
            assert!(reported >= nanos, "{nanos} is reported as {reported}");
            assert!(
                reported - nanos <= nanos / 8,
                "{nanos} is reported as {reported}"
            );
        }
        assert_eq!(place(u64::MAX), COUNTS - 1);
    }

    #[test]
    fn each_bucket_follows_the_one_before_without_a_gap() {
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

    /// One wait of ten is long, so a rank that is off by one gives the wrong length.
    #[test]
    fn a_quantile_is_a_length_that_its_share_of_the_waits_did_not_exceed() {
        let times = of(&[100, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        let about = |share, millis| {
            let reported = times.quantile(share).expect("there were waits");
            let exact = Duration::from_millis(millis);
            assert!(
                reported >= exact && reported <= exact * 9 / 8,
                "{share}: {reported:?}"
            );
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
    fn the_waits_since_an_earlier_histogram_are_the_difference_and_never_below_zero() {
        let (before, now) = (of(&[1, 2]), of(&[1, 2, 2, 900]));
        let since: Vec<_> = now.since(&before).iter().map(|(_, count)| count).collect();
        assert_eq!(since, [1, 1]);
        assert_eq!(before.since(&now).count(), 0);
        assert_eq!(now.since(&WaitHistogram::none()), now);
    }

    #[test]
    fn debug_prints_the_number_of_waits_and_their_median() {
        let said = format!("{:?}", of(&[1, 1]));
        assert!(
            said.starts_with("WaitHistogram { count: 2, median: Some(1."),
            "{said}"
        );
    }
}
