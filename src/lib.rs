//! An async buffer pool for streaming servers on Tokio.
//!
//! A server awaits [`get_buffer`](Pool::get_buffer), fills the [`Sample`], freezes it and sends it to many clients as
//! [`Bytes`](bytes::Bytes), without copying. When the last reference is dropped, on any thread, the buffer returns to the
//! pool. If a task waits for a buffer, the longest-waiting task gets it. An optional callback is called. Memory is bounded,
//! producers feel backpressure, and nothing is allocated per packet.
//!
//! It is DirectShow's `IMemAllocator` with `IMemAllocatorCallbackTemp::SetNotify`, made async.
//!
//! ```
//! use bytes::{BufMut, Bytes};
//! use sample_pool::Pool;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::builder().buffers(32).size(64 * 1024).build()?;
//!
//! let mut sample = pool.get_buffer().await?; // waits while all 32 are in use
//! sample.put_slice(b"one frame");
//! let frame: Bytes = sample.into_bytes();    // no copy
//! let clients = vec![frame.clone(), frame.clone(), frame];
//!
//! assert_eq!(pool.free_count(), 31);
//! drop(clients);                             // the last reference: the buffer is free
//! assert_eq!(pool.free_count(), 32);
//! # Ok(())
//! # }
//! ```
//!
//! # When not to use it
//!
//! If buffers have very different sizes, if they are kept for long (a small slice keeps its whole buffer in use), or if
//! nothing limits how many are in use at once: then allocate. Samples do not grow.
//!
//! # Names
//!
//! | DirectShow | Tokio | here |
//! |---|---|---|
//! | `GetBuffer` | `Semaphore::acquire` | [`Pool::get_buffer`], [`Pool::blocking_get_buffer`] |
//! | `GetBuffer` with `AM_GBF_NOWAIT` | `try_acquire` | [`Pool::try_get_buffer`] |
//! | – | `acquire_owned` | [`Pool::get_buffer_owned`] |
//! | – | `acquire_many` | [`Pool::get_buffers`] |
//! | `ReleaseBuffer` | the drop of the permit | the drop of the last handle to a sample |
//! | `SetProperties`, `GetProperties` | – | [`Pool::set_properties`], [`Pool::properties`] |
//! | `Commit` | – | [`Pool::commit`] |
//! | `Decommit` | `close` | [`Pool::decommit`], [`Pool::drained`] |
//! | `SetNotify`, `NotifyRelease` | – | [`Pool::set_notify`], [`NotifyRelease`], [`Pool::released`] |
//! | `GetFreeCount` | `available_permits` | [`Pool::free_count`] |
//! | `IMediaSample`, `IMediaSample2` | – | [`Sample`], [`SharedSample`], [`SampleProperties`] |
//!
//! On purpose different from DirectShow: the length of a recycled sample starts at 0; the head of the wait queue gets the
//! sample, instead of all waiters waking; a get that may not wait leaves no waiter behind; every waiter notices a decommit
//! that is followed by a commit; the old callback is returned instead of released under the lock; memory goes back to the
//! system after a decommit.
//!
//! The module [`migration`] is for users of a semaphore and `BytesMut`, deadpool, a channel, `IMemAllocator` or
//! `GstBufferPool`.
//!
//! # Beside a pool
//!
//! | | |
//! |---|---|
//! | [`PollPool`] | a pool that is polled, for hand-written futures; and a stream of fresh samples |
//! | [`fan_out`] | one producer, many subscribers, and a limit on what they hold together; frames that are sent while they arrive |
//! | [`Quota`] | a limit for each consumer, so that none of them can take all buffers |
//! | [`Pool::priority_quota`], [`Builder::priority_buffers`] | buffers that only high-priority gets can take |
//! | [`Sample::into_part`] | several owners of disjoint ranges of one buffer: [`SamplePart`] |
//! | [`Pool::get_segments`] | several buffers for one message that is larger than a buffer: [`Segments`] |
//! | [`SharedSample::into_bytes_or_copy`] | copies a small slice, so that it does not keep its buffer in use |
#![cfg_attr(
    feature = "stream",
    doc = "| [`stream`] | adapters for readers, writers, streams and sinks |"
)]
//!
//! # Features
//!
//! No feature is on by default.
//!
//! | feature | what it adds | dependencies |
//! |---|---|---|
//! | `stream` | the module `stream`: `SampleReader`, `FrameReader`, `MessageReader`, `SampleWriter` | `pin-project`, `tokio-util` |
//! | `net` | `stream`, with `ReadableFirst`, `DatagramReceiver`, `BatchReceiver` and `DatagramSender` | Tokio's `net` and `io-util`, `socket2`, `quinn-udp` |
//! | `tracing` | events for waits, exhaustion, drains, callbacks that panic, and stalls; none in the fast path | `tracing` |
//! | `metrics` | the module `metrics`: the status of pools, quotas and fan-outs, for an exporter | `metrics` |
//!
//! # Observing a pool
//!
//! | question | answer |
//! |---|---|
//! | How many samples are in use, and how much of their memory? | [`Pool::status`] |
//! | Who holds the samples, and for how long? | [`Pool::report`] to read, [`Pool::holders`] one by one |
//! | How long do gets wait? | [`Pool::wait_histogram`] |
//! | Has a get waited for too long? | [`Pool::detect_stalls`] |
//! | The same in a log or a dashboard | the features `tracing` and `metrics` |
//!
//! With the feature `tracing`, events have the target `sample_pool` and the field `pool`, which is the pool's
//! [name](Builder::name). A subscriber may call the pool, and a subscriber that panics loses nothing.
//!
//! | level | message | fields |
//! |---|---|---|
//! | `TRACE` | a get waits | `waiter`, `wanted` |
//! | `TRACE` | a get stopped waiting | `waiter`, `how`: served, failed, cancelled or timed out |
//! | `DEBUG` | a get failed: the pool is exhausted | `wanted` |
//! | `DEBUG` | a drain began; a commit cancelled a drain; a drain ended | |
//! | `WARN` | the system did not take back the memory of a pool that has drained | `bytes`, `reason` |
//! | `DEBUG` | the system refused huge pages | `reason` |
//! | `ERROR` | a release callback panicked | |
//! | `WARN` | a get has waited too long; only from [`Pool::detect_stalls`] | `waited`, `quota`, `waiting`, `buffers`, `free`, `outstanding` |
//! | `WARN` | gets wait for a quota; follows a stall, for at most 16 quotas | `quota`, `in_use`, `limit`, `waiting` |
//! | `WARN` | samples are held while a get waits; follows a stall, for at most 16 [`CallSite`]s | `location`, `quota`, `samples`, `oldest`, `bytes_used`, `bytes_pinned`, `handles` |
//!
//! A wait for room in a [`Quota`] has no events of its own; a stall of one has.
//!
#![doc = include_str!("../docs/guarantees.md")]
// The layers: each imports only from those above it, which `scripts/layers` checks. docs/design/map.md lists all files.
//
// | | |
// |---|---|
// | `values` | plain data that users see: errors, properties, times, status |
// | `sync` | locks and atomics, the real ones or those of loom and shuttle; calls to user code; events |
// | `memory` | mapped memory |
// | `slot` | one word of the free list, the headers and tokens of its slots, and their bytes |
// | `wait` | what a get asks for, the wait queue and its nodes, quota accounts, events that futures wait for |
// | `free_list` | which slots are free: without the lock, and what the holder of the lock knows |
// | `core` | the engine that the handles of a pool share, and what is done with it: take, release, the life cycle |
// | `sample` | samples, exclusive and shared |
// | `get` | the futures of samples |
// | `quota` | a get that is limited before it begins; `PollPool` above both kinds |
// | `pool` | making and configuring a pool |
// | `fan_out` | one producer, many subscribers |
// | `observe` | what a pool tells: status, report, stalls, metrics |
// | `stream` | readers, writers, streams and sockets |
// | `migration` | guides; documentation only |
// | `checks` | loom and shuttle tests |
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod core;
mod free_list;
mod get;
mod memory;
mod observe;
mod pool;
mod quota;
mod sample;
mod slot;
mod sync;
mod values;
mod wait;

#[cfg(all(test, any(loom, shuttle)))]
mod checks;
#[cfg(doc)]
pub mod migration;

pub use core::callback::{NotifyGuard, NotifyRelease, Released};
pub use core::handle::{Pool, WeakPool};
pub use get::many::{GetBuffers, GetBuffersInto};
pub use get::one::{GetBuffer, GetBufferTimeout};
pub use get::owned::GetBufferOwned;
pub use get::segments::GetSegments;
pub use get::source::Source;
pub use observe::report::{CallSite, Report};
pub use observe::stall::Stall;
pub use observe::stall_detector::StallDetector;
pub use pool::builder::Builder;
pub use pool::configure::Drained;
pub use quota::Quota;
pub use quota::poll_pool::PollPool;
pub use sample::exclusive::Sample;
pub use sample::part::SamplePart;
pub use sample::segments::Segments;
pub use sample::shared::SharedSample;
pub use sample::shared_segments::{IntoSegments, SharedSegments};
pub use values::error::{
    BufferOverflow, BuildError, CommitError, GetBufferError, SetPropertiesError,
};
pub use values::media_type::MediaType;
pub use values::properties::Properties;
pub use values::quota_status::QuotaStatus;
pub use values::reference_time::{ReferenceTime, ReferenceTimeError};
pub use values::region::Region;
pub use values::sample_properties::SampleProperties;
pub use values::status::{Holder, State, Status};
pub use values::undelivered::Undelivered;
pub use values::wait_histogram::WaitHistogram;

pub mod fan_out;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
#[doc(inline)]
pub use observe::metrics;
#[cfg(feature = "stream")]
#[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
pub mod stream;

/// The examples of the README and the guide are compiled and run.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/guide/cookbook.md")]
    struct Cookbook;
    #[doc = include_str!("../docs/guide/exhaustion.md")]
    struct Exhaustion;
    #[doc = include_str!("../docs/guide/low-latency.md")]
    struct LowLatency;
    #[doc = include_str!("../docs/guide/parts.md")]
    struct Parts;
    #[doc = include_str!("../docs/guide/sizing.md")]
    struct Sizing;
    #[cfg(feature = "net")]
    #[doc = include_str!("../docs/guide/udp.md")]
    struct Udp;
}
