//! Stream time, in DirectShow's unit of 100 nanoseconds.
//!
//! Conversions between units compute in 128 bits, so no intermediate product can overflow. A result that does not fit
//! into a [`ReferenceTime`] is more than 29,000 years away from zero. Then the `from_` functions return the nearest end
//! of the range, `TryFrom` returns an error, the `checked_` functions return `None`, and the operators panic.

#![forbid(unsafe_code)]

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use thiserror::Error;

/// A point in stream time, or the distance between two, in units of 100 nanoseconds.
///
/// It can be negative: preroll is before zero. The range is about 29,000 years in each direction.
///
/// Mirrors `REFERENCE_TIME`.
///
/// # Examples
///
/// The presentation time of an MPEG packet, and that of the next frame:
///
/// ```
/// use sample_pool::ReferenceTime;
/// use std::time::Duration;
///
/// let start = ReferenceTime::from_ticks_90khz(135_000);
/// assert_eq!(start, ReferenceTime(15_000_000));
/// let next = start + Duration::from_millis(40);
/// assert_eq!(next.as_ticks_90khz(), 138_600);
/// assert_eq!(next.to_string(), "1.54s");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReferenceTime(
    /// The number of 100-nanosecond units.
    pub i64,
);

/// The error of a conversion between [`ReferenceTime`] and [`Duration`]: the other type cannot hold the time.
///
/// Trying again cannot help.
///
/// # Examples
///
/// ```
/// use sample_pool::{ReferenceTime, ReferenceTimeError};
/// use std::time::Duration;
///
/// assert_eq!(Duration::try_from(ReferenceTime(-1)), Err(ReferenceTimeError::Negative));
/// assert_eq!(ReferenceTime::try_from(Duration::MAX), Err(ReferenceTimeError::Overflow));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReferenceTimeError {
    /// The time is before zero. A [`Duration`] cannot be negative.
    #[error("the time is negative")]
    Negative,
    /// The duration is longer than [`ReferenceTime::MAX`].
    #[error("the duration is longer than a reference time can hold")]
    Overflow,
}

impl ReferenceTime {
    /// The number of units in a second: ten million.
    ///
    /// Mirrors `UNITS`.
    pub const UNITS_PER_SECOND: i64 = 10_000_000;
    /// The number of units in a millisecond: ten thousand.
    pub const UNITS_PER_MILLISECOND: i64 = 10_000;
    /// The time at which a stream begins.
    pub const ZERO: ReferenceTime = ReferenceTime(0);
    /// The latest time, about 29,000 years after zero.
    ///
    /// Mirrors `MAX_TIME`.
    pub const MAX: ReferenceTime = ReferenceTime(i64::MAX);
    /// The earliest time, about 29,000 years before zero.
    pub const MIN: ReferenceTime = ReferenceTime(i64::MIN);

    /// Converts from milliseconds.
    ///
    /// Returns [`MAX`](Self::MAX) or [`MIN`](Self::MIN) if the time is out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::ReferenceTime;
    ///
    /// assert_eq!(ReferenceTime::from_millis(40), ReferenceTime(400_000));
    /// assert_eq!(ReferenceTime::from_millis(i64::MAX), ReferenceTime::MAX);
    /// ```
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds.saturating_mul(Self::UNITS_PER_MILLISECOND))
    }

    /// Converts to whole milliseconds, rounded down: towards the past, also for negative times.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::ReferenceTime;
    ///
    /// assert_eq!(ReferenceTime(19_999).as_millis(), 1);
    /// assert_eq!(ReferenceTime(-1).as_millis(), -1);
    /// ```
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(Self::UNITS_PER_MILLISECOND)
    }

    /// Converts from ticks of the 90 kHz clock of MPEG and RTP, rounded to the nearest unit.
    ///
    /// Returns [`MAX`](Self::MAX) or [`MIN`](Self::MIN) if the time is out of range. A tick is 111 and one ninth
    /// units, so the rounding error is less than half a unit. In the range,
    /// [`as_ticks_90khz`](Self::as_ticks_90khz) returns the same ticks again. The 33-bit counter of MPEG wraps every
    /// 26 hours; the caller must unwrap it.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::ReferenceTime;
    ///
    /// assert_eq!(ReferenceTime::from_ticks_90khz(90_000), ReferenceTime::from_millis(1_000));
    /// assert_eq!(ReferenceTime::from_ticks_90khz(1), ReferenceTime(111));
    /// ```
    #[must_use]
    pub const fn from_ticks_90khz(ticks: i64) -> Self {
        // 10,000,000 units are 90,000 ticks; in lowest terms, 1000 units are 9 ticks.
        Self(saturate(divide_to_nearest(ticks as i128 * 1000, 9)))
    }

    /// Converts to the nearest tick of the 90 kHz clock of MPEG and RTP. Half a tick is rounded up.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::ReferenceTime;
    ///
    /// assert_eq!(ReferenceTime::from_millis(40).as_ticks_90khz(), 3_600);
    /// assert_eq!(ReferenceTime(500).as_ticks_90khz(), 5); // 4.5
    /// ```
    #[must_use]
    pub const fn as_ticks_90khz(self) -> i64 {
        saturate(divide_to_nearest(self.0 as i128 * 9, 1000))
    }

    /// Converts from a [`Duration`]. A fraction of a unit is dropped.
    ///
    /// Returns [`MAX`](Self::MAX) if the duration is too long. `TryFrom` returns an error instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::ReferenceTime;
    /// use std::time::Duration;
    ///
    /// assert_eq!(ReferenceTime::from_duration(Duration::from_micros(3)), ReferenceTime(30));
    /// assert_eq!(ReferenceTime::from_duration(Duration::from_nanos(199)), ReferenceTime(1));
    /// ```
    #[must_use]
    pub const fn from_duration(duration: Duration) -> Self {
        Self(saturate(units_of(duration)))
    }

    /// Converts to a [`Duration`], exactly. Returns `None` if the time is negative.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::ReferenceTime;
    /// use std::time::Duration;
    ///
    /// assert_eq!(ReferenceTime(15).to_duration(), Some(Duration::from_nanos(1_500)));
    /// assert_eq!(ReferenceTime(-15).to_duration(), None);
    /// ```
    #[must_use]
    pub const fn to_duration(self) -> Option<Duration> {
        if self.0 < 0 {
            return None;
        }
        let (seconds, units) = (
            self.0 / Self::UNITS_PER_SECOND,
            self.0 % Self::UNITS_PER_SECOND,
        );
        Some(Duration::new(seconds as u64, units as u32 * 100))
    }

    /// Returns the sum, or `None` if it is out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::ReferenceTime;
    ///
    /// assert_eq!(ReferenceTime(1).checked_add(ReferenceTime(2)), Some(ReferenceTime(3)));
    /// assert_eq!(ReferenceTime::MAX.checked_add(ReferenceTime(1)), None);
    /// ```
    #[must_use]
    pub const fn checked_add(self, other: ReferenceTime) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// Returns the difference, or `None` if it is out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::ReferenceTime;
    ///
    /// assert_eq!(ReferenceTime(1).checked_sub(ReferenceTime(2)), Some(ReferenceTime(-1)));
    /// assert_eq!(ReferenceTime::MIN.checked_sub(ReferenceTime(1)), None);
    /// ```
    #[must_use]
    pub const fn checked_sub(self, other: ReferenceTime) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// Returns the sum, or [`MAX`](Self::MAX) or [`MIN`](Self::MIN) if it is out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::ReferenceTime;
    ///
    /// assert_eq!(ReferenceTime::MAX.saturating_add(ReferenceTime(1)), ReferenceTime::MAX);
    /// ```
    #[must_use]
    pub const fn saturating_add(self, other: ReferenceTime) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns the difference, or [`MAX`](Self::MAX) or [`MIN`](Self::MIN) if it is out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::ReferenceTime;
    ///
    /// assert_eq!(ReferenceTime::MIN.saturating_sub(ReferenceTime(1)), ReferenceTime::MIN);
    /// ```
    #[must_use]
    pub const fn saturating_sub(self, other: ReferenceTime) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Half is rounded up, also for negative numbers, so equal steps stay equal across zero.
const fn divide_to_nearest(dividend: i128, divisor: i128) -> i128 {
    (dividend * 2 + divisor).div_euclid(divisor * 2)
}

/// The whole units in `duration`. It has at most 2^64 seconds, so the units fit into 88 bits.
const fn units_of(duration: Duration) -> i128 {
    (duration.as_nanos() / 100) as i128
}

const fn saturate(units: i128) -> i64 {
    if units > i64::MAX as i128 {
        i64::MAX
    } else if units < i64::MIN as i128 {
        i64::MIN
    } else {
        units as i64
    }
}

/// Formats as seconds, with as many decimals as an exact value needs: `1.5s`, `-0.0000001s`.
impl fmt::Display for ReferenceTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs();
        let per_second = Self::UNITS_PER_SECOND.unsigned_abs();
        let (seconds, mut decimals) = (units / per_second, units % per_second);
        if decimals == 0 {
            return write!(f, "{sign}{seconds}s");
        }
        let mut width = 7;
        while decimals % 10 == 0 {
            decimals /= 10;
            width -= 1;
        }
        write!(f, "{sign}{seconds}.{decimals:0width$}s")
    }
}

/// Converts from a [`Duration`]. A fraction of a unit is dropped.
impl TryFrom<Duration> for ReferenceTime {
    type Error = ReferenceTimeError;

    fn try_from(duration: Duration) -> Result<Self, ReferenceTimeError> {
        match i64::try_from(units_of(duration)) {
            Ok(units) => Ok(Self(units)),
            Err(_) => Err(ReferenceTimeError::Overflow),
        }
    }
}

/// Converts to a [`Duration`], exactly.
impl TryFrom<ReferenceTime> for Duration {
    type Error = ReferenceTimeError;

    fn try_from(time: ReferenceTime) -> Result<Self, ReferenceTimeError> {
        time.to_duration().ok_or(ReferenceTimeError::Negative)
    }
}

/// Panics on overflow, in release builds too; `checked_add` and `saturating_add` do not.
impl Add for ReferenceTime {
    type Output = ReferenceTime;

    fn add(self, other: ReferenceTime) -> ReferenceTime {
        self.checked_add(other)
            .expect("overflow when adding reference times")
    }
}

/// Panics on overflow, in release builds too; `checked_sub` and `saturating_sub` do not.
impl Sub for ReferenceTime {
    type Output = ReferenceTime;

    fn sub(self, other: ReferenceTime) -> ReferenceTime {
        self.checked_sub(other)
            .expect("overflow when subtracting reference times")
    }
}

/// A fraction of a unit is dropped. Panics on overflow, in release builds too.
impl Add<Duration> for ReferenceTime {
    type Output = ReferenceTime;

    fn add(self, duration: Duration) -> ReferenceTime {
        // In 128 bits, because the sum can be in range where the duration alone is not.
        let units = i64::try_from(self.0 as i128 + units_of(duration));
        ReferenceTime(units.expect("overflow when adding a duration to a reference time"))
    }
}

/// A fraction of a unit is dropped. Panics on overflow, in release builds too.
impl Sub<Duration> for ReferenceTime {
    type Output = ReferenceTime;

    fn sub(self, duration: Duration) -> ReferenceTime {
        let units = i64::try_from(self.0 as i128 - units_of(duration));
        ReferenceTime(units.expect("overflow when subtracting a duration from a reference time"))
    }
}

impl AddAssign for ReferenceTime {
    fn add_assign(&mut self, other: ReferenceTime) {
        *self = *self + other;
    }
}

impl SubAssign for ReferenceTime {
    fn sub_assign(&mut self, other: ReferenceTime) {
        *self = *self - other;
    }
}

impl AddAssign<Duration> for ReferenceTime {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl SubAssign<Duration> for ReferenceTime {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}
