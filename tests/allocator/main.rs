//! What the pool allocates, and what it keeps allocated.
//!
//! These tests are a binary of their own because it has a counting allocator. The allocator counts per thread,
//! or for the threads that take part, so the tests here may run at the same time.

#[cfg(feature = "stream")]
mod adapting;
mod counting;
#[path = "../it/polling.rs"]
mod polling;

mod allocations;
mod gone;
