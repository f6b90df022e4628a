//! Events, and the names in them.
//!
//! A binary of its own: a subscriber of one thread is not told of events whose call sites another thread met first while
//! it had no subscriber, since `tracing` switches such a call site off for the whole process. So each test here that can
//! cause an event has a subscriber, and no other test runs beside them.

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
