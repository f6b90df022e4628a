//! What a quota account needs of its pool.
//!
//! The account is in a lower layer than the pool. So it asks a trait, which the pool's weak handle implements.

#![forbid(unsafe_code)]

use super::{
    clock::Stamp,
    node::NodeRef,
    request::{Wanted, Why},
};
use crate::values::error::GetBufferError;
use std::time::Duration;

/// The calls of an account to its pool.
pub(crate) trait QuotaPool: Send + Sync {
    /// Whether the pool serves gets now, and can ever serve this one. Returns the time, if the wait is measured.
    fn admits(&self, wanted: Wanted) -> Result<Option<Stamp>, GetBufferError>;
    /// Whether the pool serves gets. Exact for a thread that is synchronised with the last change.
    fn serves_gets(&self) -> bool;
    /// How many gets may wait for room in one quota.
    fn max_waiters(&self) -> usize;
    /// Counts a wait that begins.
    fn wait_began(&self);
    /// Counts a wait that ends.
    fn wait_ended(&self, node_ref: &NodeRef);
    /// Counts a get that was cancelled or timed out.
    fn given_up(&self, why: Why);
    /// The time since a stamp of this pool.
    fn since(&self, joined: Stamp) -> Duration;
}
