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
//! [`moving_in`] has before and after, gained and lost, for those who come from a semaphore and `BytesMut`,
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
//! | `TRACE` | a get waits in line | `seat`, `wanted` |
//! | `TRACE` | a get waits no more | `seat`, `how`: served, failed, cancelled or timed out |
//! | `DEBUG` | a get that may not wait found too few samples | `wanted` |
//! | `DEBUG` | a drain began; a commit cancelled a drain; a drain ended | |
//! | `ERROR` | a release callback panicked | |
//! | `WARN` | a get has waited for long; from [`Pool::detect_stalls`] alone | `waited`, `quota`, `waiting`, `buffers`, `free`, `outstanding` |
//! | `WARN` | gets wait for room in a quota; after the event of a long wait, for at most 16 quotas | `quota`, `in_use`, `limit`, `waiting` |
//! | `WARN` | samples are held, while a get waits; after the event of a long wait, for at most 16 [`CallSite`]s | `location`, `quota`, `samples`, `oldest`, `bytes_used`, `bytes_pinned`, `handles` |
//!
//! Waits for room in a [`Quota`] begin and end without an event; those that are too long are told.

// The modules, from the ground up:
//
// | | |
// |---|---|
// | `sync`, `foreign`, `stripe` | locks and atomics, the real ones or those of a model; foreign code; which stripe a thread is at |
// | `error`, `properties`, `reference_time`, `media_type`, `sample_properties`, `status`, `region_info` | plain values |
// | `clock`, `wait_histogram` | the clock that waits are measured by, and how long they took |
// | `wiped` | copies that are overwritten when they are dropped |
// | `word` | one word of the free list: the protocol of get and release without a lock |
// | `raw` | the room of `unsafe`: mappings, slots, bytes, waiters' nodes, the counted handle |
// | `free_list` | which slots are home; beneath it `ledger`, what the holder of the lock knows |
// | `line`, `reclaim`, `reserve`, `signal`, `handles` | who waits for samples, who is asked for one, what is kept for whom, who waits for events, and who keeps the pool alive |
// | `engine` | all of the above in one place |
// | `lifecycle`, `take`, `acquire`, `release`, `notify`, `watch`, `watches` | what is done with it |
// | `report`, `undelivered`, `watch_waits`, `trace`, `metrics` | what it tells: to people, of long waits, to a log, to an exporter |
// | `sample`, `shared`, `get`, `get_many`, `get_owned`, `pool`, `builder` | the public face |
// | `quota` | a get with a bound before it; `account`, how much is charged and who waits for room |
// | `poll_pool`, `fan_out`, `stream` | what is built on it, with no knowledge of what is beneath |
// | `models`, `scenes` | what must hold when threads meet: loom models, and larger scenes for shuttle |

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod acquire;
mod builder;
mod clock;
mod convert;
mod coop;
mod engine;
mod error;
mod escape;
mod foreign;
mod free_list;
mod get;
mod get_many;
mod get_owned;
mod handles;
mod lifecycle;
mod line;
mod look;
mod media_type;
mod notify;
mod poll_pool;
mod pool;
mod properties;
mod quota;
mod quota_pool;
mod raw;
mod reclaim;
mod reference_time;
mod region_info;
mod registration;
mod release;
mod report;
mod request;
mod reserve;
mod sample;
mod sample_properties;
mod shared;
mod signal;
mod source;
mod stall;
#[cfg(feature = "tracing")]
mod stall_event;
mod status;
mod stripe;
mod sync;
mod take;
#[cfg(feature = "tracing")]
mod trace;
#[cfg(not(feature = "tracing"))]
#[path = "trace/silent.rs"]
mod trace;
mod undelivered;
mod wait_times;
mod waiting;
mod waits;
mod watch;
mod watch_waits;
mod watches;
mod wiped;
mod word;

pub use builder::Builder;
pub use error::{BufferOverflow, BuildError, CommitError, GetBufferError, SetPropertiesError};
pub use get::{GetBuffer, GetBufferTimeout};
pub use get_many::{GetBuffers, GetBuffersInto};
pub use get_owned::GetBufferOwned;
pub use media_type::MediaType;
pub use notify::{NotifyGuard, NotifyRelease, Released};
pub use poll_pool::PollPool;
pub use pool::Drained;
pub use properties::Properties;
pub use quota::{Quota, QuotaStatus};
pub use raw::handle::{Pool, WeakPool};
pub use reference_time::{ReferenceTime, ReferenceTimeError};
pub use region_info::Region;
pub use report::{CallSite, Report};
pub use sample::Sample;
pub use sample_properties::SampleProperties;
pub use shared::SharedSample;
pub use source::Source;
pub use stall::Stall;
pub use status::{Holder, State, Status};
pub use undelivered::Undelivered;
pub use wait_times::WaitHistogram;
pub use watch_waits::StallDetector;

pub mod fan_out;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
#[cfg(doc)]
pub mod moving_in;
#[cfg(feature = "stream")]
#[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
pub mod stream;

#[cfg(all(test, any(loom, shuttle)))]
mod driven;
#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, shuttle))]
mod scenes;

/// The README's example, so that it stays true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
