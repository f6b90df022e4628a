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
//! # Guarantees
//!
//! The README names the tests that hold each, and where threads meet the models.
//!
//! 1. **First come, first served**, by first poll. While anyone is in line nobody overtakes: no new
//!    get, no `try_get_buffer`, no `get_buffers`. A large request at the front is filled as samples
//!    come home. A future that was not polled has no place; one that ran out of Tokio's cooperative
//!    budget keeps it.
//! 2. **No lost wake-up.** No sample is home while someone waits, but for the instant of handing it
//!    over.
//! 3. **Cancel safe.** Dropping a future in any state loses neither a sample nor anyone's place. A
//!    sample that it was handed goes to the next in line.
//! 4. **No trace.** Gets that failed, timed out or were cancelled do not slow later ones.
//! 5. **The cooperative budget.** A task that always finds a buffer cannot starve others.
//! 6. **No allocation** per get, release, freeze, clone or slice, waiting or not, once as many have
//!    waited before. `into_bytes` makes one small one, `get_buffers` its `Vec`; `released` and
//!    `drained` may allocate.
//! 7. **The order of a release.** The sample is reset; it is home, or in the hands of the first in
//!    line, who is woken; a drain that it was the last of completes; [`released`](Pool::released)
//!    futures are told; the callback runs, once, on the releasing thread; if nothing is left of the
//!    pool, it is freed.
//! 8. **No foreign code under a lock.** Wakers, callbacks and their drops may call whatever does not
//!    wait. Their panics skip nothing; those of callbacks are counted.
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
//! are intended to work, those without `madvise` without giving memory back.
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
//! # The modules, from the ground up
//!
//! | | |
//! |---|---|
//! | `sync`, `foreign`, `stripe` | locks and atomics, std's or loom's; foreign code; which stripe a thread is at |
//! | `error`, `properties`, `reference_time`, `media_type`, `sample_properties`, `status`, `region_info` | plain values |
//! | `word` | one word of the free list: the protocol of get and release without a lock |
//! | `raw` | the room of `unsafe`: mappings, slots, bytes, waiters' nodes, the counted handle |
//! | `free_list` | which slots are home; beneath it `ledger`, what the holder of the lock knows |
//! | `line`, `signal`, `handles` | who waits for samples, who for events, and who keeps the pool alive |
//! | `engine` | all of the above in one place |
//! | `lifecycle`, `acquire`, `release`, `notify`, `watch` | what is done with it |
//! | `sample`, `shared`, `get`, `get_many`, `pool`, `builder` | the public face |
//! | `models` | the loom models |

#![deny(unsafe_code)]
mod acquire;
mod builder;
mod engine;
mod error;
mod foreign;
mod free_list;
mod get;
mod get_many;
mod handles;
mod lifecycle;
mod line;
mod media_type;
mod notify;
mod pool;
mod properties;
mod raw;
mod reference_time;
mod region_info;
mod release;
mod sample;
mod sample_properties;
mod shared;
mod signal;
mod status;
mod stripe;
mod sync;
mod watch;
mod word;

pub use builder::Builder;
pub use error::{BufferOverflow, BuildError, CommitError, GetBufferError, SetPropertiesError};
pub use get::{GetBuffer, GetBufferOwned, GetBufferTimeout};
pub use get_many::{GetBuffers, GetBuffersInto};
pub use media_type::MediaType;
pub use notify::{NotifyGuard, NotifyRelease, Released};
pub use pool::Drained;
pub use properties::Properties;
pub use raw::handle::{Pool, WeakPool};
pub use reference_time::{ReferenceTime, ReferenceTimeError};
pub use region_info::Region;
pub use sample::Sample;
pub use sample_properties::SampleProperties;
pub use shared::SharedSample;
pub use status::{Holder, State, Status};

#[cfg(all(test, loom))]
mod models;

/// The README's example, so that it stays true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
