//! From a `Semaphore` and a fresh `BytesMut` for each packet.
//!
//! # Before
//!
//! The permit has to live as long as the bytes, which are `Bytes` by then. So both go into an owner:
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
//! | `freeze`, and an owner round the permit | [`into_bytes`](crate::Sample::into_bytes) |
//! | `available_permits()` | [`free_count`](crate::Pool::free_count), [`status`](crate::Pool::status) |
//! | `close()`, which is for good | [`decommit`](crate::Pool::decommit), and [`commit`](crate::Pool::commit) again |
//! | acquiring all permits, to wait for the end | [`drained`](crate::Pool::drained) |
//! | `BytesMut` to be filled | [`Sample`](crate::Sample): `BufMut`, `io::Write`, `&mut [u8]`; it does not grow |
//!
//! # What you gain
//!
//! - **The bytes are their own permit.** Nobody can keep a slice and let the permit go, which is how a bound
//!   on memory is lost without a sign.
//! - **Memory is bounded, and not only a number.** A `BytesMut` grows when more is put into it.
//! - **Nothing is allocated but the small owner** that every `Bytes::from_owner` makes. With large buffers
//!   that is the most of it: an allocator gives those back to the system, and has them faulted in again.
//! - **Who holds what** is told: [`holders`](crate::Pool::holders) names the call site, and since when.
//! - **A release calls you**, if you want it: [`on_release`](crate::Pool::on_release).
//! - **No line that all threads write.** A permit is a counter that they all share.
//!
//! # What you lose
//!
//! - **Any size.** A packet of 100 bytes takes a whole buffer, and one that is larger than that does not fit: `put_slice`
//!   panics where `BytesMut` would grow. Look at [`spare_capacity`](crate::Sample::spare_capacity), or take
//!   `stream::SampleReader`, which looks for you (feature `stream`).
//! - **`BytesMut` itself**: no `split_to` of what is still being filled, no `reserve`, no `unsplit`. A codec
//!   of `tokio_util::codec` wants one and cannot be given a sample; `stream::FrameReader` has a trait of its
//!   own, which is given slices.
//! - **A permit can count anything**: bytes instead of buffers, or requests. A pool counts its buffers.
//! - **Idle memory goes back** to the allocator at once, for others to use. A pool keeps what it has touched
//!   until it is decommitted, and no heap profiler sees it: it is one mapping.
//! - **A single task with small buffers** is served as fast by the allocator, which has the last one still in
//!   its cache.
