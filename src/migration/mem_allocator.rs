//! From DirectShow's `IMemAllocator`, with `IMemAllocatorCallbackTemp`.
//!
//! # Before
//!
//! In C++, with the allocator that DirectShow itself makes:
//!
//! ```cpp
#![doc = include_str!("mem_allocator.cpp")]
//! ```
//!
//! # After
//!
//! ```
//! use bytes::{BufMut, Bytes};
//! use sample_pool::Pool;
//! use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::builder().buffers(32).size(1500).align(1).build()?;
//! let times = Arc::new(AtomicUsize::new(0));
//! let returned = pool.on_release({
//!     let times = times.clone();
//!     move |_pool| {
//!         times.fetch_add(1, Ordering::Relaxed);
//!     }
//! });
//!
//! let mut sample = pool.get_buffer().await?; // waits in line while all are out; blocks no thread
//! sample.put_slice(b"one packet"); // panics if it does not fit
//!
//! let packet: Bytes = sample.into_bytes();
//! let clients = [packet.clone(), packet];
//! assert_eq!(pool.free_count(), 31);
//! drop(clients);
//! assert_eq!((pool.free_count(), times.load(Ordering::Relaxed)), (32, 1));
//!
//! drop(returned); // removes the callback; forgotten, it would keep nothing alive but itself
//! pool.decommit();
//! pool.drained().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What changes
//!
//! | before | after |
//! |---|---|
//! | `SetProperties`, `Commit` | [`Pool::builder`](crate::Pool::builder); or [`set_properties`](crate::Pool::set_properties), [`commit`](crate::Pool::commit) |
//! | `GetBuffer` | [`get_buffer`](crate::Pool::get_buffer), or on a thread [`blocking_get_buffer`](crate::Pool::blocking_get_buffer) |
//! | `GetBuffer` with `AM_GBF_NOWAIT` | [`try_get_buffer`](crate::Pool::try_get_buffer) |
//! | `GetPointer`, `SetActualDataLength` | the sample is a `[u8]` as long as what was put into it; [`set_len`](crate::Sample::set_len) |
//! | memory in front of the pointer, by `cbPrefix` | [`prepend`](crate::Sample::prepend) |
//! | `AddRef`, `Release` | `clone`, `drop` of a [`SharedSample`](crate::SharedSample) or of `Bytes` |
//! | `SetTime`, `SetMediaTime`, `SetSyncPoint`, `SetDiscontinuity`, `SetPreroll` | [`properties_mut`](crate::Sample::properties_mut) |
//! | `SetMediaType(AM_MEDIA_TYPE *)` | [`MediaType`](crate::MediaType), the name of a MIME type |
//! | `SetNotify`, `NotifyRelease` | [`on_release`](crate::Pool::on_release); or [`set_notify`](crate::Pool::set_notify) and [`NotifyRelease`](crate::NotifyRelease) |
//! | `GetFreeCount` | [`free_count`](crate::Pool::free_count) |
//! | `Decommit`, and nobody is told when the last sample is back | [`decommit`](crate::Pool::decommit), [`drained`](crate::Pool::drained) |
//! | `BeginFlush`, `EndFlush` of the pin | [`set_flushing`](crate::Pool::set_flushing) |
//! | `VFW_E_NOT_COMMITTED`, `VFW_E_TIMEOUT` | [`GetBufferError`](crate::GetBufferError) |
//! | `VFW_E_ALREADY_COMMITTED`, `VFW_E_BUFFERS_OUTSTANDING`, `VFW_E_BADALIGN`, `VFW_E_SIZENOTSET` | [`SetPropertiesError`](crate::SetPropertiesError), [`CommitError`](crate::CommitError) |
//!
//! # What you gain
//!
//! - **No thread stands still** for a buffer, and a wait can be given up at any time.
//! - **A turn.** `GetBuffer` waits on a semaphore, and of all that are woken any may win; here the first in line
//!   has the buffer.
//! - **The count is kept for you.** No missing `Release`, and no read after one; writing needs the only handle.
//! - **Sends without a copy**: `Bytes` is what Rust's network crates take.
//! - **No lock in common** for a get and a release, and no callback under one.
//! - **No stale bytes**: a sample comes empty, and what it shows was written or is zero. There a length is
//!   whatever the last owner said.
//!
//! # What you lose
//!
//! - **COM.** No filter can be given one of these samples, and no pin can agree on this allocator. What has to
//!   stand in a filter graph stays C++, or copies.
//! - **Allocators of one's own.** `IMemAllocator` is an interface, behind which memory of a graphics card may
//!   stand. Here memory is the pool's own mapping; [`region`](crate::Pool::region) tells where, so that it can be
//!   registered.
//! - **`AM_MEDIA_TYPE`** with its format block: put it beside the stream, or its number into
//!   [`set_user`](crate::SampleProperties::set_user).
//! - **The hint of times in `GetBuffer`**, and `AM_GBF_PREVFRAMESKIPPED`. They meant something to video renderers.
//! - **Windows, as far as tests go.** It is meant to run there, and is tested on Linux only.
