//! What the pool allocates, and what it keeps of it.
//!
//! A binary of its own: its allocator counts. It counts for each thread apart, or for the threads that take part, so the
//! tests here may run side by side.

#[cfg(feature = "stream")]
mod adapting;
mod counting;
#[path = "../it/polling.rs"]
mod polling;

mod allocations;
mod gone;
