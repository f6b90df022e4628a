//! A stall: what a stall detector reports about a get that has waited for too long.

#![forbid(unsafe_code)]

#[cfg(doc)]
use crate::Pool;
use crate::{observe::report::Report, values::escape::escaped};
use std::{fmt, sync::Arc, time::Duration};

/// A get that has waited for longer than the limit of a [stall detector](Pool::detect_stalls).
///
/// Its `Display` prints how long the get has waited, and then the [`Report`].
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Stall {
    /// How long the get at the head of the wait queue has waited. All others in that queue joined later.
    pub waited: Duration,
    /// The name of the [quota](crate::Quota) in which the get waits for room; `None` if it waits for a sample.
    pub quota: Option<Arc<str>>,
    /// How many gets wait in the same queue: for room in that quota, or for a sample.
    pub waiting: usize,
    /// The status of the pool shortly after the stall was noticed, and the holders of its samples if
    /// [`Builder::track_holders`](crate::Builder::track_holders) was set.
    pub report: Report,
}

/// `a get has waited for 1.0s`, or `a get has waited for 1.0s for room in camera 1`, then the report on the next lines.
impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a get has waited for {:.1?}", self.waited)?;
        if let Some(quota) = &self.quota {
            write!(f, " for room in {}", escaped(quota))?;
        }
        write!(f, "\n{}", self.report)
    }
}
