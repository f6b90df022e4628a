//! Samples that a get has and no user yet, by the line that asks for them.

#![forbid(unsafe_code)]

use std::{fmt, panic::Location};

/// Samples that wait for a get which one line of the program made. They are out, and have no holder.
///
/// A get is handed its samples when it is first in the queue, and its future has them until it is polled. Code that
/// does not poll it keeps them from all others: for example a future that is kept beside a `select!` loop, which then
/// asks for another sample inside it. A get of several gathers samples one by one, and keeps them until it has
/// all; two of them that wait for what the task itself holds do so for ever.
///
/// A pool knows the lines of up to 8,192 gets that were handed their samples and not polled since. Beyond that some of
/// their samples are counted as on the way without a line.
///
/// # Examples
///
/// ```
/// use futures::FutureExt;
/// use sample_pool::Pool;
///
/// let pool = Pool::builder().buffers(1).track_holders(true).build()?;
/// let held = pool.try_get_buffer()?;
/// let mut first = pool.get_buffer(); // the line that the report names
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
    /// The line that made the get.
    pub location: &'static Location<'static>,
    /// How many samples were handed to gets that were not polled since.
    pub handed: usize,
    /// How many samples were gathered for gets of several that wait for more.
    pub gathered: usize,
}

/// Adds up those of the same line of the program; the line with the most samples comes first.
pub(crate) fn by_location(mut all: Vec<Undelivered>) -> Vec<Undelivered> {
    // By value: a line can have several addresses.
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

/// `1 sample on the way, handed to a get that was not polled since: src/main.rs:10:5`
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
