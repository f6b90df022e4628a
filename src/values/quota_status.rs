//! The status of a quota.

#![forbid(unsafe_code)]

use crate::values::escape::escaped;
use std::{fmt, sync::Arc, time::Duration};

/// How much of a quota is in use.
///
/// [`Quota::status`](crate::Quota::status) returns it for one quota, and [`Pool::quotas`](crate::Pool::quotas) for all
/// quotas of a pool.
///
/// # Examples
///
/// ```
/// let pool = sample_pool::Pool::builder().build()?;
/// let status = pool.quota("camera 1", 4).status();
/// assert_eq!((&*status.name, status.limit, status.in_use), ("camera 1", 4, 0));
/// # Ok::<(), sample_pool::BuildError>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaStatus {
    /// The name of the quota.
    pub name: Arc<str>,
    /// How many samples can be in use at a time.
    pub limit: usize,
    /// How many samples are in use: those that are checked out, and those that a get already has room for in the quota
    /// and still waits for in the pool's queue.
    pub in_use: usize,
    /// How many gets wait for room in the quota. Gets that wait for a sample are not counted.
    pub waiting: usize,
    /// How long the longest-waiting of these gets has waited.
    ///
    /// `None` if no get waits for room, or if waits are not measured; see
    /// [`Status::oldest_wait`](crate::Status::oldest_wait).
    pub oldest_wait: Option<Duration>,
}

/// Formats as `camera 1: 2 of 4, 0 waiting`. Unprintable characters in the name are escaped.
impl fmt::Display for QuotaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let QuotaStatus {
            name,
            limit,
            in_use,
            waiting,
            oldest_wait,
        } = self;
        let name = escaped(name);
        write!(f, "{name}: {in_use} of {limit}, {waiting} waiting")?;
        match oldest_wait {
            Some(oldest) => write!(f, ", the first for {oldest:.1?}"),
            None => Ok(()),
        }
    }
}
