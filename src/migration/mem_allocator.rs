//! From DirectShow's `IMemAllocator`, with `IMemAllocatorCallbackTemp`.
//!
//! # Before
//!
//! In C++, with DirectShow's own allocator:
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
//! let mut sample = pool.get_buffer().await?; // waits while all are checked out; blocks no thread
//! sample.put_slice(b"one packet"); // panics if it does not fit
//!
//! let packet: Bytes = sample.into_bytes();
//! let clients = [packet.clone(), packet];
//! assert_eq!(pool.free_count(), 31);
//! drop(clients);
//! assert_eq!((pool.free_count(), times.load(Ordering::Relaxed)), (32, 1));
//!
//! drop(returned); // removes the callback; if it is leaked instead, it keeps only itself alive
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
//! | `GetPointer`, `SetActualDataLength` | the sample is a `[u8]` of the bytes that were written to it; [`set_len`](crate::Sample::set_len) |
//! | memory before the pointer, by `cbPrefix` | [`prepend`](crate::Sample::prepend) |
//! | `AddRef`, `Release` | `clone`, `drop` of a [`SharedSample`](crate::SharedSample) or of `Bytes` |
//! | `SetTime`, `SetMediaTime`, `SetSyncPoint`, `SetDiscontinuity`, `SetPreroll` | [`properties_mut`](crate::Sample::properties_mut) |
//! | `SetMediaType(AM_MEDIA_TYPE *)` | [`MediaType`](crate::MediaType), the name of a MIME type |
//! | `SetNotify`, `NotifyRelease` | [`on_release`](crate::Pool::on_release); or [`set_notify`](crate::Pool::set_notify) and [`NotifyRelease`](crate::NotifyRelease) |
//! | `GetFreeCount` | [`free_count`](crate::Pool::free_count) |
//! | `Decommit`, without a notification of the last release | [`decommit`](crate::Pool::decommit), [`drained`](crate::Pool::drained) |
//! | `BeginFlush`, `EndFlush` of the pin | [`set_flushing`](crate::Pool::set_flushing) |
//! | `VFW_E_NOT_COMMITTED`, `VFW_E_TIMEOUT` | [`GetBufferError`](crate::GetBufferError) |
//! | `VFW_E_ALREADY_COMMITTED`, `VFW_E_BUFFERS_OUTSTANDING`, `VFW_E_BADALIGN`, `VFW_E_SIZENOTSET` | [`SetPropertiesError`](crate::SetPropertiesError), [`CommitError`](crate::CommitError) |
//!
//! # What you gain
//!
//! - **No thread blocks** for a buffer, and a wait can be cancelled at any time.
//! - **First-in, first-out order.** `GetBuffer` waits on a semaphore, and any of the woken threads can take the buffer.
//!   Here the buffer goes to the longest-waiting task.
//! - **The reference count is automatic.** No `Release` is missing, nothing reads after one, and only the single handle
//!   of a sample can write to it.
//! - **Sends without a copy**: Rust's network crates accept `Bytes`.
//! - **No common lock** for gets and releases, and no callback runs under a lock.
//! - **No stale bytes**: a new sample is empty, and all bytes that it shows were written by you or are zero. In
//!   DirectShow, the length is what the last owner set.
//!
//! # What you lose
//!
//! - **COM.** Filters cannot use these samples, and pins cannot negotiate this allocator. Code in a filter graph must
//!   stay C++ or copy.
//! - **Custom allocators.** `IMemAllocator` is an interface, and an implementation can use the memory of a graphics
//!   card. Here the memory is the pool's own mapping. [`region`](crate::Pool::region) returns its address, so that
//!   you can register it with a device.
//! - **`AM_MEDIA_TYPE`** with its format block: send it beside the stream, or store its number with
//!   [`set_user`](crate::SampleProperties::set_user).
//! - **The time hints of `GetBuffer`**, and `AM_GBF_PREVFRAMESKIPPED`. Only video renderers use them.
//! - **Tests on Windows.** The crate is meant to run there, and it is tested only on Linux.
