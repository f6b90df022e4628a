//! From a `Semaphore` and a new `BytesMut` for each packet.
//!
//! # Before
//!
//! The permit has to live as long as the `Bytes` that the packet becomes. So one owner holds both:
//!
//! ```
//! use bytes::{BufMut, Bytes, BytesMut};
//! use std::sync::Arc;
//! use tokio::sync::{OwnedSemaphorePermit, Semaphore};
//!
//! struct Counted {
//!     bytes: BytesMut,
//!     _permit: OwnedSemaphorePermit,
//! }
//!
//! impl AsRef<[u8]> for Counted {
//!     fn as_ref(&self) -> &[u8] {
//!         &self.bytes
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let permits = Arc::new(Semaphore::new(32));
//!
//! let permit = permits.clone().acquire_owned().await?;
//! let mut bytes = BytesMut::with_capacity(1500);
//! bytes.put_slice(b"one packet");
//! let packet = Bytes::from_owner(Counted { bytes, _permit: permit });
//! let clients = [packet.clone(), packet];
//! assert_eq!(permits.available_permits(), 31);
//!
//! drop(clients);
//! assert_eq!(permits.available_permits(), 32);
//! # Ok(())
//! # }
//! ```
//!
//! # After
//!
//! ```
//! use bytes::{BufMut, Bytes};
//! use sample_pool::Pool;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::builder().buffers(32).size(1500).build()?;
//!
//! let mut sample = pool.get_buffer().await?;
//! sample.put_slice(b"one packet");
//! let packet: Bytes = sample.into_bytes();
//! let clients = [packet.clone(), packet];
//! assert_eq!(pool.free_count(), 31);
//!
//! drop(clients);
//! assert_eq!(pool.free_count(), 32);
//! # Ok(())
//! # }
//! ```
//!
//! # What changes
//!
//! | before | after |
//! |---|---|
//! | `acquire_owned().await`, then `BytesMut::with_capacity` | [`get_buffer`](crate::Pool::get_buffer) |
//! | `try_acquire_owned()` | [`try_get_buffer`](crate::Pool::try_get_buffer) |
//! | `timeout(limit, ..acquire_owned())` | [`get_buffer_timeout`](crate::Pool::get_buffer_timeout) |
//! | `acquire_many_owned(n)` | [`get_buffers`](crate::Pool::get_buffers) |
//! | `freeze`, and an owner for the permit | [`into_bytes`](crate::Sample::into_bytes) |
//! | `available_permits()` | [`free_count`](crate::Pool::free_count), [`status`](crate::Pool::status) |
//! | `close()`, which cannot be undone | [`decommit`](crate::Pool::decommit), and [`commit`](crate::Pool::commit) again |
//! | acquiring all permits, to wait for the end | [`drained`](crate::Pool::drained) |
//! | `BytesMut` to be filled | [`Sample`](crate::Sample): `BufMut`, `io::Write`, `&mut [u8]`; it does not grow |
//!
//! # What you gain
//!
//! - **The bytes are the permit.** No code can keep a slice and drop the permit. With a semaphore that silently breaks
//!   the bound on memory.
//! - **The memory is bounded, not only the number of packets.** A `BytesMut` grows when more bytes are written to it.
//! - **The only allocation is the small owner** that every `Bytes::from_owner` makes. This matters most with large
//!   buffers: an allocator returns those to the system, and their pages fault again at the next use.
//! - **Holders**: [`holders`](crate::Pool::holders) returns the call site and the time of each get whose sample is
//!   outstanding.
//! - **A callback at each release**, if you set one: [`on_release`](crate::Pool::on_release).
//! - **No cache line that all threads write.** The permits of a semaphore are one shared counter.
//!
//! # What you lose
//!
//! - **Any size.** A packet of 100 bytes takes a whole buffer, and a packet that is larger than a buffer does not fit:
//!   `put_slice` panics where `BytesMut` would grow. Check [`spare_capacity`](crate::Sample::spare_capacity), or use
//!   `stream::SampleReader`, which checks it (feature `stream`).
//! - **`BytesMut` itself**: no `reserve`. `split_to`, `split_off` and `unsplit` need [`into_part`](crate::Sample::into_part). A codec of
//!   `tokio_util::codec` requires a `BytesMut` and cannot use a sample. `stream::FrameReader` has its own trait, whose
//!   methods get slices.
//! - **Permits for other things**, such as bytes or requests. A pool counts only its buffers.
//! - **Idle memory returns** to the allocator at once, for other uses. A pool keeps the memory that it has touched
//!   until it is decommitted, and heap profilers do not see that memory: it is one mapping.
//! - **A single task with small buffers** is as fast with an allocator, which still has the last buffer in its cache.
