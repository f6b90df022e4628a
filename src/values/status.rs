//! What a pool says of itself, for whoever watches it: where it is in its life, how busy it is, and
//! who holds its samples.
//!
//! None of it is a snapshot. Samples move while the numbers are read, one after the other, and a pool
//! that stopped to be counted would be slower for it. Each field says what that does to it.

#![forbid(unsafe_code)]

use crate::values::escape::escaped;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a pool is between being made and being drained.
///
/// | state | left by |
/// |---|---|
/// | `Unconfigured` | `set_properties`: `Configured` |
/// | `Configured` | `commit`: `Committed` |
/// | `Committed` | `decommit`: `Draining`, or `Configured` if nothing is outstanding |
/// | `Draining` | the last sample comes home: `Configured`; `commit`: `Committed` again |
///
/// Flushing is no state of its own: [`Pool::is_flushing`](crate::Pool::is_flushing) tells it.
///
/// # Examples
///
/// ```
/// use sample_pool::{Pool, State};
///
/// let pool = Pool::builder().build()?;
/// assert_eq!(pool.state(), State::Committed);
/// let sample = pool.try_get_buffer()?;
/// pool.decommit();
/// assert_eq!(pool.state(), State::Draining);
/// drop(sample);
/// assert_eq!(pool.state(), State::Configured);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// New: all properties are zero.
    Unconfigured,
    /// It has properties and hands out nothing. Its memory, if it ever had any, is given back to
    /// the system.
    Configured,
    /// It has memory and hands out samples.
    Committed,
    /// Decommitted, and waiting for samples to come home. They stay fully usable.
    Draining,
}

/// How busy a pool is, and how busy it has been.
///
/// Not a snapshot: the numbers are read one after the other while samples move, so they need not
/// agree with each other, and reading them costs more the more buffers there are. In a pool that
/// nobody is using at the time, all are exact. The totals count from when the pool was made, and
/// neither a decommit nor new properties reset them.
///
/// # Examples
///
/// ```
/// use sample_pool::Pool;
///
/// let pool = Pool::builder().buffers(4).build()?;
/// let sample = pool.try_get_buffer()?;
/// let status = pool.status();
/// assert_eq!((status.buffers, status.free, status.outstanding), (4, 3, 1));
/// assert_eq!((status.acquired, status.released), (1, 0));
/// # drop(sample);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where the pool is in its life. It may be another by the time it is read; the rest may belong
    /// to the state before or after.
    pub state: State,
    /// How many buffers the pool has. Wrong only if properties are being set meanwhile.
    pub buffers: usize,
    /// How many samples are home. Those that move while they are counted may be in it or not.
    pub free: usize,
    /// How many samples are not home. As uncertain as [`free`](Self::free); includes those handed to
    /// a waiter that was not polled since, and those gathered for a request for several.
    pub outstanding: usize,
    /// How many of those that are [`free`](Self::free) are kept for quotas of high priority; see
    /// [`Builder::priority_buffers`](crate::Builder::priority_buffers). Exact at the moment at which it was read.
    pub priority_free: usize,
    /// How many bytes stand in the samples that users have, prepended ones included. Of a sample that
    /// is being filled or handed out at the moment it may be the length of just before. The pool does
    /// not see how much of its sample a slice or a [`Bytes`](bytes::Bytes) shows: the whole sample
    /// counts, so this is the most that can be in use, and may be far above what is.
    pub bytes_used: usize,
    /// How many bytes of buffers the samples that are not home keep from others: [`outstanding`] times
    /// [`Region::stride`](crate::Region::stride), the prefix and what the alignment added included. As
    /// uncertain as [`outstanding`], and read at another moment than [`bytes_used`](Self::bytes_used),
    /// which may be above it for an instant. What it is more than that, is pinned and not used; a pool
    /// whose clients keep small slices pins many times what it uses.
    ///
    /// [`outstanding`]: Self::outstanding
    pub bytes_pinned: usize,
    /// How many bytes of buffers the system refused to take back when the pool drained: at most so many are still in
    /// memory although the pool is not committed. Zero if it took them, and while the pool is committed. An event says
    /// why, if the feature `tracing` is on.
    pub memory_kept: usize,
    /// How many are in line, those of high priority among them; not those that wait for room in a
    /// [quota](crate::Quota). Those that join or leave meanwhile may be in it or not; a future that
    /// was never polled is not in line.
    pub waiting: usize,
    /// How many distinct slots were used since the last commit: the number of buffers that would
    /// have been enough. Never below the true peak, but it may be above it, since low slots are only
    /// preferred: under contention a higher one is used while a lower one is home.
    pub high_water: usize,
    /// How long the first in line has waited, which is the longest wait that has not ended. As uncertain
    /// as [`waiting`](Self::waiting); `None` if nobody is in line, and unless waits are measured: with
    /// [`Builder::measure_waits`](crate::Builder::measure_waits), or while somebody
    /// [watches](crate::Pool::detect_stalls) them.
    pub oldest_wait: Option<Duration>,
    /// How many samples were handed out in all. May lack, or count early, those on the move.
    pub acquired: u64,
    /// How many samples came home in all. As uncertain as [`acquired`](Self::acquired), and read at
    /// another moment: the difference of the two need not be [`outstanding`](Self::outstanding).
    pub released: u64,
    /// How many waits began, for a sample or for room in a [quota](crate::Quota), whatever came of them. A get through a
    /// quota that waits for both counts twice. May lack one that just began.
    pub waited: u64,
    /// How long those waits took, all together; `None` unless
    /// [`Builder::measure_waits`](crate::Builder::measure_waits). A wait ends, and is in it, when its get is polled
    /// with what came of it, or is dropped.
    pub wait_time: Option<Duration>,
    /// How long the longest of those waits took; `None` unless
    /// [`Builder::measure_waits`](crate::Builder::measure_waits). Waits that have not ended are not
    /// in it, however long they have lasted.
    pub max_wait: Option<Duration>,
    /// How many gets were refused because they would have had to wait. It may be more than the times
    /// that no sample was home: a get that may not wait can also be refused while samples move, and for lack
    /// of room in a quota.
    pub exhausted: u64,
    /// How many gets ran out of time, in line or while they waited for room in a quota. Counted when the
    /// future is polled after that, so it may lag.
    pub timed_out: u64,
    /// How many gets were dropped while in line, while they waited for room in a quota, or with a sample that they had been handed and
    /// never saw. One that is dropped later, or was told of a failure, was not cancelled.
    pub cancelled: u64,
    /// How many release callbacks panicked. Only panics that unwind can be counted, and the release
    /// is finished either way.
    pub callback_panics: u64,
}

/// Who holds a sample, and since when.
///
/// Recorded only with [`Builder::track_holders`](crate::Builder::track_holders), and read while
/// samples move: by the time it is looked at, the sample may be home, or in other hands.
///
/// # Examples
///
/// ```
/// use sample_pool::Pool;
///
/// let pool = Pool::builder().track_holders(true).build()?;
/// let leaked = pool.try_get_buffer()?;
/// let holders = pool.holders();
/// assert_eq!(holders.len(), 1);
/// assert_eq!(holders[0].index, leaked.index());
/// assert_eq!(holders[0].location.file(), file!());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Holder {
    /// The slot number, as [`Sample::index`](crate::Sample::index) tells it. Never wrong.
    pub index: usize,
    /// When the sample was handed out. Of the holder before, if the sample changed hands meanwhile.
    pub since: Instant,
    /// The line that asked for the sample; not where it was frozen, cloned or sent since. As
    /// uncertain as [`since`](Self::since).
    pub location: &'static Location<'static>,
    /// How many bytes it holds, of which a slice may show fewer; `None` until it is frozen, because the number may
    /// change at any moment. [`Status::bytes_used`] counts what is there all the same.
    pub len: Option<usize>,
    /// How many handles to it there are: one, until it is frozen; then its clones and slices. May be
    /// out of date at once. A [`Bytes`](bytes::Bytes) counts once, with all its own clones.
    pub handles: usize,
    /// The name of the [quota](crate::Quota) that it is charged to, if any. As uncertain as
    /// [`since`](Self::since).
    pub quota: Option<Arc<str>>,
}

/// `slot 3, 4096 bytes, 2 handles, held 1.2s since src/main.rs:10:5, of camera 1`
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}, ", self.index)?;
        match self.len {
            Some(1) => f.write_str("1 byte")?,
            Some(len) => write!(f, "{len} bytes")?,
            None => f.write_str("being filled")?,
        }
        let plural = if self.handles == 1 { "" } else { "s" };
        let held = self.since.elapsed();
        write!(
            f,
            ", {} handle{plural}, held {held:.1?} since {}",
            self.handles, self.location
        )?;
        match &self.quota {
            Some(quota) => write!(f, ", of {}", escaped(quota)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds ago, so that only the first digit of what is shown is certain.
    #[test]
    fn a_holder_reads_as_a_line_for_a_log() {
        let since = Instant::now()
            .checked_sub(Duration::from_secs(10))
            .expect("it ran for longer");
        let location = Location::caller();
        for (len, handles, start) in [
            (Some(4096), 2, "slot 3, 4096 bytes, 2 handles, held 1"),
            (Some(1), 1, "slot 3, 1 byte, 1 handle, held 1"),
            (Some(0), 3, "slot 3, 0 bytes, 3 handles, held 1"),
            (None, 1, "slot 3, being filled, 1 handle, held 1"),
        ] {
            let said = Holder {
                index: 3,
                since,
                location,
                len,
                handles,
                quota: None,
            }
            .to_string();
            assert!(said.starts_with(start), "{said}");
            assert!(said.ends_with(&format!("s since {location}")), "{said}");
            assert_eq!(said.lines().count(), 1);
        }
    }

    /// A watchdog collects them in one task and reports them from another.
    #[test]
    fn status_and_holders_go_to_other_threads() {
        fn go_to_other_threads<T: Send + Sync + Clone + fmt::Debug + 'static>() {}
        go_to_other_threads::<State>();
        go_to_other_threads::<Status>();
        go_to_other_threads::<Holder>();
    }
}
