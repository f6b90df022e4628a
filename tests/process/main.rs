//! What concerns a whole process: its memory, the limits of the system, a global subscriber.
//!
//! These tests are a binary of their own, so that other tests neither disturb the figures of the process nor
//! meet its limits. A test that changes the process, or that must run alone, runs itself again in a child.

#[cfg(any(target_os = "linux", feature = "tracing"))]
mod child;
#[cfg(target_os = "linux")]
#[path = "../it/polling.rs"]
mod polling;
#[cfg(feature = "tracing")]
#[path = "../events/recorder.rs"]
mod recorder;

#[cfg(feature = "tracing")]
mod events_in_events;
#[cfg(target_os = "linux")]
mod locked_memory;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod refused_memory;
#[cfg(target_os = "linux")]
mod secrets;
