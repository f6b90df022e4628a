//! Samples that belong to a get and were not yet returned to its caller, grouped by the call site of the get.

#![forbid(unsafe_code)]

use std::{fmt, panic::Location};

/// Samples that belong to the gets of one source line and were not yet returned by them. They are checked out and have
/// no holder.
///
/// A sample is handed to a get at the head of the queue, and its future owns the sample until the future is polled.
/// Code that does not poll the future keeps the sample from all other gets. An example is a future that is kept beside
/// a `select!` loop, where the loop body gets another sample. A get of several gathers samples one by one and keeps
/// them until it has all. If two such gets wait for samples that their own task holds, they wait for ever.
///
/// A pool records the source lines of up to 8,192 gets that were handed their samples and not polled since. Beyond
/// that number, some samples are counted without a line.
///
/// # Examples
///
/// ```
/// use futures::FutureExt;
/// use sample_pool::Pool;
///
/// let pool = Pool::builder().buffers(1).track_holders(true).build()?;
/// let held = pool.try_get_buffer()?;
/// let mut first = pool.get_buffer(); // the report names this line
/// assert!((&mut first).now_or_never().is_none()); // it is queued
/// drop(held);
/// let report = pool.report();
/// let undelivered = &report.undelivered.as_ref().expect("holders are tracked")[0];
/// assert_eq!((undelivered.handed, undelivered.gathered), (1, 0));
/// assert!(report.to_string().contains("handed to a get that was not polled since"));
/// # drop(first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The source line that made the gets.
    pub location: &'static Location<'static>,
    /// How many samples were handed to gets that were not polled since.
    pub handed: usize,
    /// How many samples were gathered for gets of several samples that wait for more.
    pub gathered: usize,
}

/// Adds up the entries of the same source line, and sorts the lines by their number of samples, largest first.
pub(crate) fn by_location(mut all: Vec<Undelivered>) -> Vec<Undelivered> {
    // Compared by value: one source line can have several `Location`s at different addresses.
    all.sort_by(|one, next| one.location.cmp(next.location));
    all.dedup_by(|next, one| {
        let same = next.location == one.location;
        if same {
            one.handed += next.handed;
            one.gathered += next.gathered;
        }
        same
    });
    all.sort_by_key(|one| std::cmp::Reverse(one.handed + one.gathered));
    all
}

/// Formats as `1 sample on the way, handed to a get that was not polled since: src/main.rs:10:5`.
impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples = self.handed + self.gathered;
        let plural = if samples == 1 { "" } else { "s" };
        write!(f, "{samples} sample{plural} on the way, ")?;
        match (self.handed, self.gathered) {
            (0, _) => f.write_str("gathered for a get that waits for more")?,
            (_, 0) => f.write_str("handed to a get that was not polled since")?,
            (handed, gathered) => write!(
                f,
                "{handed} handed to a get that was not polled since and {gathered} gathered for one that waits for more"
            )?,
        }
        write!(f, ": {}", self.location)
    }
}
