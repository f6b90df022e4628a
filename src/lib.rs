//! An async buffer pool for streaming servers on Tokio.
//!
//! A server awaits [`get_buffer`](Pool::get_buffer), fills the [`Sample`], freezes it and sends it to
//! many clients as [`Bytes`](bytes::Bytes), without copying. When the last reference is gone, wherever
//! that happens, the buffer is home again, the first in line has it and is woken, and an optional
//! callback is called. Memory is bounded, producers feel back-pressure, and nothing is allocated per
//! packet.
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
//! let mut sample = pool.get_buffer().await?; // waits while all 32 are out
//! sample.put_slice(b"one frame");
//! let frame: Bytes = sample.into_bytes();    // no copy
//! let clients = vec![frame.clone(), frame.clone(), frame];
//!
//! assert_eq!(pool.free_count(), 31);
//! drop(clients);                             // the last reference: it is home
//! assert_eq!(pool.free_count(), 32);
//! # Ok(())
//! # }
//! ```
//!
//! # When not to use it
//!
//! When buffers are of very different sizes, when they are kept for long (a small slice keeps a whole
//! buffer out), or when nothing bounds how many must be out at once: then allocate. Samples do not
//! grow.
//!
//! # Coming from something else
//!
//! [`migration`] has before and after, gained and lost, for those who come from a semaphore and `BytesMut`,
//! deadpool, a channel, `IMemAllocator` or `GstBufferPool`.
//!
//! # Guarantees
//!
//! The README names the tests that hold each of them and, where threads meet, the models.
//!
//! 1. **First come, first served**, by first poll. While anyone is in line nobody overtakes: no new
//!    get, no `try_get_buffer`, no `get_buffers`. A large request at the front is filled as samples
//!    come home. A future that was not polled has no place; one that ran out of Tokio's cooperative
//!    budget keeps it. The one exception is asked for: quotas of [high priority](Pool::priority_quota).
//! 2. **No lost wake-up.** No sample is home while someone is in line who may have it, but for the instant
//!    of handing it over; those of the [reserve](Builder::priority_buffers) are for high priority.
//! 3. **Cancel safe.** Dropping a future in any state loses neither a sample nor anyone's place. A
//!    sample that it was handed goes to the next in line.
//! 4. **No trace.** Gets that failed, timed out or were cancelled do not slow later ones.
//! 5. **The cooperative budget.** A task that always gets a buffer, or always an error, cannot
//!    starve others.
//! 6. **No allocation** per get, release, freeze, clone or slice, waiting or not, once as many have
//!    waited before. (Of a crowd, the pool keeps what 8192 waiters need and each quota what 1024 need; the rest is
//!    freed as the crowd leaves.) `into_bytes` makes one small one, `get_buffers` its `Vec`; `released` and
//!    `drained` may allocate.
//! 7. **The order of a release.** The sample is reset; it is home, or in the hands of the first in
//!    line, who is woken; a drain that it was the last of completes; [`released`](Pool::released)
//!    futures are told; the callback runs, once, on the releasing thread; if nothing is left of the
//!    pool, it is freed.
//! 8. **No foreign code under a lock.** Wakers, callbacks and their drops may call whatever does not
//!    wait. Their panics skip nothing; those of callbacks are counted. Wake-ups of [`fan_out`] are Tokio's, where a
//!    waker that panics can leave others asleep.
//! 9. **Register, then look.** A release after `set_notify` returned calls the new callback or its
//!    successor; one after `released` was called resolves it.
//! 10. **Decommit never waits for samples.** They stay usable; whoever brings the last one home
//!     completes it, and physical memory goes back to the system. Everyone who waits gets
//!     [`NotCommitted`](GetBufferError::NotCommitted), even if `commit` follows at once.
//! 11. **Samples outlive the pool's handles**, on any thread, in or outside a runtime; the last one
//!     frees the pool, once.
//! 12. **A sample returns only when the last handle to any of its bytes is gone**: clones, slices,
//!     `Bytes`. Returning twice, returning to another pool, and use after return do not compile.
//! 13. **No stale bytes.** Through the safe API nobody reads a byte that an earlier owner of the buffer
//!     wrote.
//! 14. **Lazily backed memory.** One contiguous mapping; many buffers cost address space, and memory
//!     only once used; low buffers are preferred.
//! 15. **Nothing shared in the common path.** A get and a release are one atomic read-modify-write each,
//!     of a cache line that busy threads do not share.
//!
//! They need `panic = "unwind"` where they speak of panics. Linux on x86-64 is tested; other platforms
//! are intended to work, those without `madvise` without giving memory back, which [`Status::memory_kept`] says.
//!
//! # DirectShow's names
//!
//! | DirectShow | here |
//! |---|---|
//! | `SetProperties`, `GetProperties` | [`Pool::set_properties`], [`Pool::properties`] |
//! | `Commit`, `Decommit` | [`Pool::commit`], [`Pool::decommit`], [`Pool::drained`] |
//! | `GetBuffer` | [`Pool::get_buffer`], [`Pool::blocking_get_buffer`] |
//! | `GetBuffer` with `AM_GBF_NOWAIT` | [`Pool::try_get_buffer`] |
//! | `ReleaseBuffer` | dropping the last handle to a sample |
//! | `SetNotify`, `NotifyRelease` | [`Pool::set_notify`], [`NotifyRelease`] |
//! | `GetFreeCount` | [`Pool::free_count`] |
//! | `IMediaSample`, `IMediaSample2` | [`Sample`], [`SharedSample`], [`SampleProperties`] |
//!
//! On purpose not as there: a recycled sample's length starts at 0; the first in line gets the sample
//! instead of everyone waking; a get that may not wait leaves nothing behind; a quick decommit and
//! commit is missed by nobody; the old callback is given back instead of released under the lock;
//! memory goes back to the system after a decommit.
//!
//! # Beside a pool
//!
//! | | |
//! |---|---|
//! | [`PollPool`] | a pool to be polled, for futures written by hand; and a stream of fresh samples |
//! | [`fan_out`] | one producer, many subscribers, and a bound on what they hold together |
//! | [`Quota`] | a bound for each consumer, so that one of them cannot take all the buffers |
//! | [`Builder::priority_buffers`] | buffers that are kept for what must not fail |
//! | [`SharedSample::into_bytes_or_copy`] | a sparse slice is copied, so that it does not keep its buffer out |
#![cfg_attr(
    feature = "stream",
    doc = "| [`stream`] | samples where readers, writers, streams and sinks are used |"
)]
//!
//! # Features
//!
//! None is on unless it is asked for.
//!
//! | feature | what it brings | which depends on |
//! |---|---|---|
//! | `stream` | the module `stream`: `SampleReader`, `FrameReader`, `SampleWriter` | `pin-project`, `tokio-util` |
//! | `net` | in it, `ReadableFirst` and `DatagramReceiver`; and all of `stream` | Tokio's `net` and `io-util`, `socket2` |
//! | `tracing` | events for waits, exhaustion, drains, callbacks that panic and waits that are too long; none on a hit | `tracing` |
//! | `metrics` | the module `metrics`: what the pool says of itself, for an exporter | `metrics` |
//!
//! # Seeing what it does
//!
//! | to see | ask |
//! |---|---|
//! | how busy it is, and how much memory is held and not used | [`Pool::status`] |
//! | who holds the samples, and for how long | [`Pool::report`] to read, [`Pool::holders`] one by one |
//! | how long gets wait | [`Pool::wait_histogram`] |
//! | that a get has waited for too long, when it happens | [`Pool::detect_stalls`] |
//! | all of it in a log or a dashboard | the features `tracing` and `metrics` |
//!
//! With the feature `tracing`, events have the target `sample_pool` and the field `pool`, with the pool's
//! [name](Builder::name). A subscriber may call back into the pool, and one that panics loses nothing.
//!
//! | level | message | fields |
//! |---|---|---|
//! | `TRACE` | a get waits | `waiter`, `wanted` |
//! | `TRACE` | a get stopped waiting | `waiter`, `how`: served, failed, cancelled or timed out |
//! | `DEBUG` | a get failed: the pool is exhausted | `wanted` |
//! | `DEBUG` | a drain began; a commit cancelled a drain; a drain ended | |
//! | `ERROR` | a release callback panicked | |
//! | `WARN` | a get has waited too long; from [`Pool::detect_stalls`] alone | `waited`, `quota`, `waiting`, `buffers`, `free`, `outstanding` |
//! | `WARN` | gets wait for a quota; after the event of a long wait, for at most 16 quotas | `quota`, `in_use`, `limit`, `waiting` |
//! | `WARN` | samples are held while a get waits; after the event of a long wait, for at most 16 [`CallSite`]s | `location`, `quota`, `samples`, `oldest`, `bytes_used`, `bytes_pinned`, `handles` |
//!
//! Waits for room in a [`Quota`] begin and end without an event; those that are too long are told.

// The layers: each imports only from those above it, which `scripts/layers` checks.
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
pub use get::source::Source;
pub use observe::report::{CallSite, Report};
pub use observe::stall::Stall;
pub use observe::stall_detector::StallDetector;
pub use pool::builder::Builder;
pub use pool::configure::Drained;
pub use quota::Quota;
pub use quota::poll_pool::PollPool;
pub use sample::exclusive::Sample;
pub use sample::shared::SharedSample;
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

/// The README's example, so that it stays true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
