//! The status of a pool, for monitoring: its state, how busy it is, and who holds its samples.
//!
//! None of these types is a consistent snapshot. The numbers are read one after the other while samples are taken and
//! returned, because stopping the pool to count would make it slower. Each field says how far its number can be off.

#![forbid(unsafe_code)]

use crate::values::escape::escaped;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The state of a pool in its life cycle.
///
/// | state          | left by                                                                    |
/// |----------------|----------------------------------------------------------------------------|
/// | `Unconfigured` | `set_properties`: `Configured`                                             |
/// | `Configured`   | `commit`: `Committed`                                                      |
/// | `Committed`    | `decommit`: `Draining`, or `Configured` if no sample is outstanding        |
/// | `Draining`     | return of the last sample: `Configured`; `commit`: `Committed` again       |
///
/// Flushing is not a state; see [`Pool::is_flushing`](crate::Pool::is_flushing).
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
    /// The pool is new: all properties are zero.
    Unconfigured,
    /// The pool has properties, and every get fails. Memory that it had is given back to the system.
    Configured,
    /// The pool has memory, and gets return samples.
    Committed,
    /// The pool is decommitted, and samples are still outstanding. They stay fully usable.
    Draining,
}

/// How busy a pool is and was: gauges of this moment, and totals since the pool was made.
///
/// Not a consistent snapshot: the numbers are read one after the other while samples are taken and returned, so they
/// can disagree with each other. If no other thread uses the pool at the time, all are exact. The cost of reading grows
/// with the number of buffers. Neither a decommit nor new properties reset the totals.
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
    /// The state of the pool. It may have changed since, and the other fields may belong to the state before or after
    /// it.
    pub state: State,
    /// How many buffers the pool has. It is wrong only if properties are set at the same time.
    pub buffers: usize,
    /// How many samples are free. A sample that is taken or returned during the count may be counted or not.
    pub free: usize,
    /// How many samples are checked out. It has the same uncertainty as [`free`](Self::free). It includes samples
    /// that were handed to a waiter that was not polled since, and samples that are gathered for a request for
    /// several.
    pub outstanding: usize,
    /// How many of the [`free`](Self::free) samples are kept for quotas of high priority; see
    /// [`Builder::priority_buffers`](crate::Builder::priority_buffers). It was exact at the moment of the read.
    pub priority_free: usize,
    /// How many bytes the samples that users hold contain, prepended bytes included.
    ///
    /// For a sample that is being filled or taken at the moment, it may be the length of shortly before. The pool does
    /// not know how much of a sample a slice or a [`Bytes`](bytes::Bytes) shows. It counts the whole sample, so this is
    /// an upper bound, and the bytes that are really in use can be far fewer. Samples in [parts](crate::SamplePart) are
    /// the exception: what was written before the sample became a part is counted, and what a part writes is not counted
    /// before that part is frozen.
    pub bytes_used: usize,
    /// How many bytes of buffers the outstanding samples occupy: [`outstanding`] times
    /// [`Region::stride`](crate::Region::stride), which includes the prefix and the bytes that the alignment added.
    ///
    /// It has the same uncertainty as [`outstanding`]. It is read at another moment than
    /// [`bytes_used`](Self::bytes_used), which may be larger for an instant. The difference between the two is pinned
    /// and not used. A pool whose clients keep small slices pins many times what it uses.
    ///
    /// [`outstanding`]: Self::outstanding
    pub bytes_pinned: usize,
    /// How many bytes of buffers the system refused to take back when the pool drained.
    ///
    /// At most this many bytes are still in memory although the pool is not committed. Zero if the system took them
    /// back, and while the pool is committed. With the feature `tracing`, an event contains the reason.
    pub memory_kept: usize,
    /// How many gets are in the pool's wait queue, gets of high priority included. Gets that wait for room in a
    /// [quota](crate::Quota) are not counted.
    ///
    /// A get that joins or leaves during the call may be counted or not. A future that was never polled is not queued.
    pub waiting: usize,
    /// How many distinct slots were used since the last commit: this many buffers would have been enough.
    ///
    /// It is never below the true peak of outstanding samples, and it can be above the peak: low slots are only
    /// preferred, and under contention a get can take a higher slot while a lower one is free.
    pub high_water: usize,
    /// How long the head of the wait queue has waited: the longest wait that has not ended.
    ///
    /// It has the same uncertainty as [`waiting`](Self::waiting). `None` if no get is queued, or if waits are not
    /// measured. They are measured with [`Builder::measure_waits`](crate::Builder::measure_waits), and while a
    /// [stall detector](crate::Pool::detect_stalls) runs.
    pub oldest_wait: Option<Duration>,
    /// How many samples were taken in total. A sample that is being taken may be missing or be counted early.
    pub acquired: u64,
    /// How many samples were returned in total.
    ///
    /// It has the same uncertainty as [`acquired`](Self::acquired) and is read at another moment, so the difference of
    /// the two need not be [`outstanding`](Self::outstanding).
    pub released: u64,
    /// How many waits began, for a sample or for room in a [quota](crate::Quota), with any outcome. A get through a
    /// quota that waits for both counts twice. A wait that just began may be missing. A blocking get that takes a sample
    /// before it joins the queue did not wait.
    pub waited: u64,
    /// The total duration of the waits that ended; `None` without
    /// [`Builder::measure_waits`](crate::Builder::measure_waits). A wait ends, and is added, when its get is polled and
    /// returns the outcome, or when it is dropped.
    pub wait_time: Option<Duration>,
    /// The duration of the longest wait that ended; `None` without
    /// [`Builder::measure_waits`](crate::Builder::measure_waits). Waits that have not ended are not included.
    pub max_wait: Option<Duration>,
    /// How many gets failed because they may not wait and no sample was available at once.
    ///
    /// Such a get can also fail while samples are being returned or handed to waiters, and if its quota has no room. So
    /// this can be more than the number of times that no sample was free.
    pub exhausted: u64,
    /// How many gets timed out, in the wait queue or while they waited for room in a quota. A timeout is counted when
    /// the future is polled after it, so the count can lag.
    pub timed_out: u64,
    /// How many gets were cancelled: dropped in the wait queue, while they waited for room in a quota, or after a
    /// sample was handed to them and before the poll that returns it. A get that returned a sample or an error does
    /// not count.
    pub cancelled: u64,
    /// How many release callbacks panicked. Only panics that unwind are counted. The release completes in each case.
    pub callback_panics: u64,
}

/// Who holds a sample: the call site of the get, and the time since then.
///
/// Recorded only with [`Builder::track_holders`](crate::Builder::track_holders). It is read while samples are taken and
/// returned, so the sample may already be free or have another holder.
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
    /// The slot number, as [`Sample::index`](crate::Sample::index) returns it. Always right.
    pub index: usize,
    /// When the sample was taken. If the holder changed during the call, this may be the time of the previous holder.
    pub since: Instant,
    /// The source line of the get, not of a later freeze, clone or send. It has the same uncertainty as
    /// [`since`](Self::since).
    pub location: &'static Location<'static>,
    /// How many bytes the sample contains; a slice may show fewer. `None` until the sample is frozen or in parts, because
    /// the number can change at any moment. [`Status::bytes_used`] counts the bytes of such a sample too. The number of a
    /// sample in parts grows as parts are frozen.
    pub len: Option<usize>,
    /// How many handles to the sample exist: one until it is frozen, then its clones, slices and parts. It may be out
    /// of date at once. A [`Bytes`](bytes::Bytes) counts once, together with all its own clones.
    pub handles: usize,
    /// The name of the [quota](crate::Quota) that the sample counts against, if any. It has the same uncertainty as
    /// [`since`](Self::since).
    pub quota: Option<Arc<str>>,
}

/// Formats as `slot 3, 4096 bytes, 2 handles, held 1.2s since src/main.rs:10:5, of camera 1`.
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

    /// Taken ten seconds ago, so only the first digit of the printed duration is certain.
    #[test]
    fn a_holder_reads_as_a_line_for_a_log() {
        let since = Instant::now()
            .checked_sub(Duration::from_secs(10))
            .expect("the clock is above ten seconds");
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

    /// A watchdog reads them in one task and reports them from another.
    #[test]
    fn status_and_holders_go_to_other_threads() {
        fn go_to_other_threads<T: Send + Sync + Clone + fmt::Debug + 'static>() {}
        go_to_other_threads::<State>();
        go_to_other_threads::<Status>();
        go_to_other_threads::<Holder>();
    }
}
