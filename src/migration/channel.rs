//! From a channel that is used as a pool: filled at the start, and each buffer is sent back.
//!
//! # Before
//!
//! Whoever drops the last handle has to send the buffer home, so there is an owner whose drop does:
//!
//! ```
//! use bytes::{BufMut, Bytes, BytesMut};
//! use tokio::sync::mpsc;
//!
//! struct Packet {
//!     buffer: BytesMut,
//!     home: mpsc::UnboundedSender<BytesMut>,
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
//!         let _nobody_wants_it = self.home.send(buffer);
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (home, mut free) = mpsc::unbounded_channel();
//! for _ in 0..32 {
//!     home.send(BytesMut::with_capacity(1500))?;
//! }
//!
//! let mut buffer = free.recv().await.expect("`home` is here");
//! buffer.put_slice(b"one packet");
//! let packet = Bytes::from_owner(Packet { buffer, home: home.clone() });
//! let clients = [packet.clone(), packet];
//! assert_eq!(free.len(), 31);
//!
//! drop(clients);
//! assert_eq!(free.len(), 32);
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
//! | `recv_many(&mut buffers, n)`, which may bring fewer | [`get_buffers_into`](crate::Pool::get_buffers_into), which brings `n` |
//! | `blocking_recv()` | [`blocking_get_buffer`](crate::Pool::blocking_get_buffer) |
//! | an owner whose drop sends | [`into_bytes`](crate::Sample::into_bytes) |
//! | `len()` of the receiver | [`free_count`](crate::Pool::free_count) |
//! | dropping the receiver: what comes later is lost | [`decommit`](crate::Pool::decommit), then [`drained`](crate::Pool::drained) |
//!
//! # What you gain
//!
//! - **Any number of tasks wait**, and each in its turn. Tokio's `mpsc` has one receiver: a second task needs a
//!   mutex round it, and then waits for the mutex.
//! - **No path on which a buffer is lost.** With a channel each way to drop a buffer before it has its owner,
//!   an error or a cancelled task for example, makes the pool one smaller for good.
//! - **The end is seen**: every waiter is told `NotCommitted`, and `drained` resolves when all are home.
//! - **Buffers stay as large as they were made**, and the lowest are used first, so that memory which is
//!   not needed is never touched. A channel uses all of them in turn.
//! - **Who holds what**, status, timeouts and requests for many.
//!
//! # What you lose
//!
//! - **A dependency** where there was none: a channel comes with Tokio. With one task that takes and few
//!   packets a second, it does the same.
//! - **Anything in it**: a channel carries buffers with what belongs to them, an encoder's state for example. A
//!   sample carries its [`SampleProperties`](crate::SampleProperties), and one number of yours in them.
//! - **Buffers of different sizes** in one channel, that grow where they must.
//! - **Taking one out**, or adding one, while it is used.
//! - **The order of the buffers.** A channel gives the one that came home first; here it is any, by
//!   preference a low one.
