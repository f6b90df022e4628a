//! What a quota tells of itself.

#![forbid(unsafe_code)]

use crate::values::escape::escaped;
use std::{fmt, sync::Arc, time::Duration};

/// How much of a quota is used; see [`Quota::status`](crate::Quota::status) and [`Pool::quotas`](crate::Pool::quotas).
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
    /// As it was named.
    pub name: Arc<str>,
    /// How many samples can be charged to it at a time.
    pub limit: usize,
    /// How many are charged: those that are out, and those that gets with room for them wait for.
    pub in_use: usize,
    /// How many gets wait for room; not those that wait for a sample.
    pub waiting: usize,
    /// How long the first of them has waited; `None` if there is none, or waits are not measured: see
    /// [`Status::oldest_wait`](crate::Status::oldest_wait).
    pub oldest_wait: Option<Duration>,
}

/// `camera 1: 2 of 4, 0 waiting`. What cannot be printed of the name is escaped.
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
