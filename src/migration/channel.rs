//! From a channel that is used as a pool: it is filled at the start, and each buffer is sent back.
//!
//! # Before
//!
//! The drop of the last handle has to send the buffer back, so the buffer has an owner whose drop does that:
//!
//! ```
//! use bytes::{BufMut, Bytes, BytesMut};
//! use tokio::sync::mpsc;
//!
//! struct Packet {
//!     buffer: BytesMut,
//!     free: mpsc::UnboundedSender<BytesMut>,
//! }
//!
//! impl AsRef<[u8]> for Packet {
//!     fn as_ref(&self) -> &[u8] {
//!         &self.buffer
//!     }
//! }
//!
//! impl Drop for Packet {
//!     fn drop(&mut self) {
//!         let mut buffer = std::mem::take(&mut self.buffer);
//!         buffer.clear();
//!         let _closed = self.free.send(buffer);
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (sender, mut receiver) = mpsc::unbounded_channel();
//! for _ in 0..32 {
//!     sender.send(BytesMut::with_capacity(1500))?;
//! }
//!
//! let mut buffer = receiver.recv().await.expect("`sender` is not dropped");
//! buffer.put_slice(b"one packet");
//! let packet = Bytes::from_owner(Packet { buffer, free: sender.clone() });
//! let clients = [packet.clone(), packet];
//! assert_eq!(receiver.len(), 31);
//!
//! drop(clients);
//! assert_eq!(receiver.len(), 32);
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
//! | filling the channel at the start | [`Pool::builder`](crate::Pool::builder) |
//! | `recv().await` | [`get_buffer`](crate::Pool::get_buffer) |
//! | `try_recv()` | [`try_get_buffer`](crate::Pool::try_get_buffer) |
//! | `recv_many(&mut buffers, n)`, which can return fewer | [`get_buffers_into`](crate::Pool::get_buffers_into), which waits for all `n` |
//! | `blocking_recv()` | [`blocking_get_buffer`](crate::Pool::blocking_get_buffer) |
//! | an owner whose drop sends | [`into_bytes`](crate::Sample::into_bytes) |
//! | `len()` of the receiver | [`free_count`](crate::Pool::free_count) |
//! | dropping the receiver: buffers sent later are lost | [`decommit`](crate::Pool::decommit), then [`drained`](crate::Pool::drained) |
//!
//! # What you gain
//!
//! - **Any number of tasks wait**, and they are served in first-in, first-out order. Tokio's `mpsc` has one receiver. A
//!   second task needs a mutex around the receiver, and then waits for the mutex.
//! - **No buffer is lost.** With a channel, a buffer that is dropped before it has its owner, because of an error or a
//!   cancelled task for example, makes the pool smaller for ever.
//! - **Shutdown is visible**: every waiter gets `NotCommitted`, and `drained` resolves when all buffers are free.
//! - **Buffers keep their size**, and the lowest free buffer is preferred, so memory that is not needed is never
//!   touched. A channel uses all buffers in rotation.
//! - **Holders**, status, timeouts and requests for several buffers.
//!
//! # What you lose
//!
//! - **No extra dependency**: a channel comes with Tokio. With one task that gets buffers and few packets a second, a
//!   channel does the same.
//! - **Other data with the buffer**: a channel can carry an encoder's state beside its buffer, for example. A sample
//!   carries its [`SampleProperties`](crate::SampleProperties), and one user number in them.
//! - **Buffers of different sizes** in one channel, which grow when they must.
//! - **Removing or adding a buffer** while the pool is used.
//! - **The order of the buffers.** A channel returns the buffer that was sent back first. The pool returns any free
//!   buffer, and prefers a low one.
