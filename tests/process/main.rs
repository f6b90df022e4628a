//! What concerns a whole process: its memory, what the system refuses it, a subscriber that is there for good.
//!
//! A binary of its own, so that other tests neither disturb the process's figures nor meet its limits. Tests that change
//! the process, or that no other may run beside at all, run themselves again in a child.

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
