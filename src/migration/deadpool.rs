//! From deadpool, or another pool of objects with buffers in it.
//!
//! # Before
//!
//! deadpool's `unmanaged` pool is the one for things that need no manager, as buffers do not. Its `Object`
//! cannot be frozen, so it becomes the owner of the `Bytes`:
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
//! buffer.clear(); // as the last one left it
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
//! sample.put_slice(b"one packet"); // it comes empty
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
//! | `close()`, which is for good | [`decommit`](crate::Pool::decommit), and [`commit`](crate::Pool::commit) again |
//! | `add`, `remove`, `Object::take` | after a drain, [`set_properties`](crate::Pool::set_properties) |
//!
//! # What you gain
//!
//! - **A buffer comes empty.** Nobody sees what the last owner left, not even by
//!   [`set_len`](crate::Sample::set_len), whose new bytes are zero.
//! - **Buffers stay as large as they were made.** A `BytesMut` in a pool grows with the largest packet that
//!   it ever held, and keeps that.
//! - **Slices.** [`SharedSample`](crate::SharedSample) and `Bytes` can be sliced and cloned; the buffer is home
//!   after the last of them.
//! - **An end that can be awaited**: [`drained`](crate::Pool::drained). In deadpool, buffers that come home after
//!   `close` are dropped, and nobody is told of the last.
//! - **Many at once**, in line with all others: [`get_buffers`](crate::Pool::get_buffers).
//! - **Who holds what**, and a callback at each release.
//! - **No mutex and no counter that all threads write**, where neither is needed.
//!
//! # What you lose
//!
//! - **Pools of other things.** Keep deadpool for connections: this crate hands out memory.
//! - **Managers**: no hook makes, checks or recycles an object. There is nothing to check in memory, and
//!   [`zero_on_release`](crate::Builder::zero_on_release) is the one thing that could be done to it.
//! - **A pool whose size changes** while it is used: `add`, `remove`, and `resize` of the managed one. Here the
//!   number changes when all are home.
//! - **Taking one out** for good. A sample always returns.
//! - **Buffers that grow.** What does not fit has to be refused, or two sizes of pools made.
//! - **Other runtimes' timers.** [`get_buffer_timeout`](crate::Pool::get_buffer_timeout) needs Tokio's once it has to
//!   wait, and so do [`detect_stalls`](crate::Pool::detect_stalls) and the metrics that are recorded in intervals; deadpool can be
//!   told to use that of smol. The other futures here work on any executor.
