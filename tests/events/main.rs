//! Events, and the names in them.
//!
//! These tests are a binary of their own. When a thread without a subscriber is the first to reach an event's
//! call site, `tracing` disables that call site for the whole process, and the subscriber of another thread
//! does not get the event. So each test here that can cause an event has a subscriber, and no other tests run
//! in this process.

#[cfg(feature = "tracing")]
#[path = "../it/entry_points.rs"]
mod entry_points;
#[path = "../it/polling.rs"]
mod polling;
#[cfg(feature = "tracing")]
mod recorder;

#[cfg(feature = "tracing")]
mod events;
mod names;
