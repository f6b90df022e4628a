//! A stall: what a watch tells of a get that has waited for too long.

#![forbid(unsafe_code)]

#[cfg(doc)]
use crate::Pool;
use crate::{observe::report::Report, values::escape::escaped};
use std::{fmt, sync::Arc, time::Duration};

/// A get has waited for longer than a [watch](Pool::detect_stalls) allows.
///
/// Printed, it says for how long, and then what the [`Report`] says.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Stall {
    /// How long the first in line has waited. All others in line joined after it.
    pub waited: Duration,
    /// The name of the [quota](crate::Quota) in which it waits for room; `None` if it waits for a sample.
    pub quota: Option<Arc<str>>,
    /// How many gets wait in the same line: for room in that quota, or for a sample.
    pub waiting: usize,
    /// How the pool stands at this moment, and who holds its samples if
    /// [`Builder::track_holders`](crate::Builder::track_holders) was set.
    pub report: Report,
}

/// `a get has waited for 1.0s`, or `a get has waited for 1.0s for room in camera 1`, and the report in the
/// lines after it.
impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a get has waited for {:.1?}", self.waited)?;
        if let Some(quota) = &self.quota {
            write!(f, " for room in {}", escaped(quota))?;
        }
        write!(f, "\n{}", self.report)
    }
}
