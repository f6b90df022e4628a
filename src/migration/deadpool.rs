//! From deadpool, or from another object pool that contains buffers.
//!
//! # Before
//!
//! deadpool's `unmanaged` pool is for objects that need no manager, such as buffers. Its `Object` cannot be frozen,
//! so it becomes the owner of the `Bytes`:
//!
//! ```
//! use bytes::{BufMut, Bytes, BytesMut};
//! use deadpool::unmanaged::{Object, Pool};
//!
//! struct Packet(Object<BytesMut>);
//!
//! impl AsRef<[u8]> for Packet {
//!     fn as_ref(&self) -> &[u8] {
//!         &self.0
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let buffers: Vec<_> = (0..32).map(|_| BytesMut::with_capacity(1500)).collect();
//! let pool = Pool::from(buffers);
//!
//! let mut buffer = pool.get().await?;
//! buffer.clear(); // it still has the bytes of its last user
//! buffer.put_slice(b"one packet");
//! let packet = Bytes::from_owner(Packet(buffer));
//! let clients = [packet.clone(), packet];
//! assert_eq!(pool.status().available, 31);
//!
//! drop(clients);
//! assert_eq!(pool.status().available, 32);
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
//! sample.put_slice(b"one packet"); // it is empty at first
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
//! | `Pool::from(buffers)` | [`Pool::builder`](crate::Pool::builder) |
//! | `get()` | [`get_buffer`](crate::Pool::get_buffer) |
//! | `try_get()`, whose error is `Timeout` | [`try_get_buffer`](crate::Pool::try_get_buffer), whose error is `Exhausted` |
//! | `timeout_get(Some(limit))`, or a limit in the `PoolConfig` | [`get_buffer_timeout`](crate::Pool::get_buffer_timeout), at each call |
//! | `Object<BytesMut>` | [`Sample`](crate::Sample) |
//! | an owner for `Bytes::from_owner` | [`into_bytes`](crate::Sample::into_bytes) |
//! | `status().available` | [`free_count`](crate::Pool::free_count) |
//! | `status().waiting`, which an unmanaged pool does not count | [`status().waiting`](crate::Status::waiting) |
//! | `close()`, which cannot be undone | [`decommit`](crate::Pool::decommit), and [`commit`](crate::Pool::commit) again |
//! | `add`, `remove`, `Object::take` | after a drain, [`set_properties`](crate::Pool::set_properties) |
//!
//! # What you gain
//!
//! - **A new sample is empty.** The bytes of the last owner cannot be seen, not even with
//!   [`set_len`](crate::Sample::set_len), whose new bytes are zero.
//! - **Buffers keep their size.** A `BytesMut` in a pool grows to the largest packet that it ever held, and stays that
//!   large.
//! - **Slices.** [`SharedSample`](crate::SharedSample) and `Bytes` can be sliced and cloned. The buffer is returned
//!   when the last of them is dropped.
//! - **Shutdown can be awaited**: [`drained`](crate::Pool::drained). deadpool drops the buffers that are returned after
//!   `close`, and gives no notification of the last one.
//! - **Several buffers at once**, in the same wait queue: [`get_buffers`](crate::Pool::get_buffers).
//! - **Holders**, and a callback at each release.
//! - **No mutex and no counter that all threads write**, on paths that need neither.
//!
//! # What you lose
//!
//! - **Pools of other objects.** Keep deadpool for connections: this crate pools only memory.
//! - **Managers**: no hook creates, checks or recycles an object. Memory needs no check, and the only useful recycling
//!   step is [`zero_on_release`](crate::Builder::zero_on_release).
//! - **A pool whose size changes** while it is used: `add`, `remove`, and `resize` of the managed pool. Here the number
//!   of buffers changes only when all are free.
//! - **Removing an object** from the pool for ever. A sample is always returned.
//! - **Buffers that grow.** Refuse data that does not fit, or use two pools of different sizes.
//! - **Timers of other runtimes.** [`get_buffer_timeout`](crate::Pool::get_buffer_timeout) needs Tokio's timer when it
//!   waits, and so do [`detect_stalls`](crate::Pool::detect_stalls) and the metrics that are recorded at intervals.
//!   deadpool can use the timer of smol. The other futures of this crate work on any executor.
