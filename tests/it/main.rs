//! The promises of the pool, one module for each.
//!
//! They are one binary because each binary links the library and its dependencies again. The tests share a
//! process, and `cargo test` runs them on several threads: no test may change the state of the whole process,
//! or count what others do at the same time. Tests that must do so are in binaries of their own, and the heads
//! of those say why: `allocator`, `events` and `process`.

mod entry_points;
mod polling;
mod wakers;

mod arriving_frames;
mod arriving_frames_model;
mod auto_traits;
mod broadcast;
mod bytes;
mod callbacks;
mod cancellation;
mod closed_fan_out;
mod cooperative_budget;
mod edges;
mod errors;
mod fan_out;
mod fifo;
mod filling;
mod forgotten;
mod held_bytes;
mod holders;
mod into_bytes_or_copy;
mod lifecycle;
mod lifetime;
mod many;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "metrics")]
mod metrics_of_several;
mod model;
mod moved_futures;
mod notify;
mod panics;
mod parts;
mod poll_pool;
mod priority_buffers;
mod properties;
mod quotas;
mod reentrancy;
mod refusals;
mod release_all;
mod release_order;
mod removed_callbacks;
mod report;
mod sample_properties;
mod second_waker;
mod segments;
#[cfg(feature = "net")]
mod servers;
mod sharing;
mod stale_bytes;
mod stall_detector;
mod stall_detector_paused;
mod status;
mod storms;
#[cfg(feature = "net")]
mod stream;
mod stress;
mod subscriber_stream;
mod unwinding;
mod up_to;
mod waits;
mod waits_paused;
