//! From GStreamer's `GstBufferPool`.
//!
//! # Before
//!
//! In C:
//!
//! ```c
#![doc = include_str!("buffer_pool.c")]
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
//! let mut sample = pool.get_buffer().await?; // waits while all are checked out; blocks no thread
//! sample.put_slice(b"one packet");
//!
//! let packet: Bytes = sample.into_bytes();
//! for client in [packet.clone(), packet] {
//!     assert_eq!(client, "one packet"); // there is nothing to map
//! } // the drop of the last one returns the buffer
//!
//! pool.decommit(); // waiting gets return `NotCommitted`
//! pool.drained().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What changes
//!
//! | before | after |
//! |---|---|
//! | `gst_buffer_pool_config_set_params` | [`Pool::builder`](crate::Pool::builder): one number of buffers, which is the maximum |
//! | `gst_buffer_pool_set_active(pool, TRUE)`, `FALSE` | [`commit`](crate::Pool::commit), [`decommit`](crate::Pool::decommit) |
//! | `gst_buffer_pool_acquire_buffer` | [`get_buffer`](crate::Pool::get_buffer), or on a thread [`blocking_get_buffer`](crate::Pool::blocking_get_buffer) |
//! | the same with `GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT`, and `GST_FLOW_EOS` | [`try_get_buffer`](crate::Pool::try_get_buffer), and `Exhausted` |
//! | `gst_buffer_pool_set_flushing` | [`set_flushing`](crate::Pool::set_flushing) |
//! | `gst_buffer_map`, `gst_buffer_fill` | the sample is a `[u8]`, and a `BufMut` |
//! | `gst_buffer_ref`, `gst_buffer_unref` | `clone`, `drop` |
//! | `gst_buffer_copy_region` | [`SharedSample::slice`](crate::SharedSample::slice), `Bytes::slice` |
//! | `gst_buffer_make_writable`, which copies if it must | [`try_into_sample`](crate::SharedSample::try_into_sample), which fails instead |
//! | `GST_BUFFER_PTS`, `GST_BUFFER_DURATION` in nanoseconds | [`set_time`](crate::SampleProperties::set_time), start and stop in units of 100 nanoseconds |
//! | `GST_BUFFER_OFFSET`, `GST_BUFFER_OFFSET_END` | [`set_media_time`](crate::SampleProperties::set_media_time) |
//! | no `GST_BUFFER_FLAG_DELTA_UNIT` | [`set_sync_point`](crate::SampleProperties::set_sync_point) |
//! | `GST_BUFFER_FLAG_DISCONT`, `GST_BUFFER_FLAG_DECODE_ONLY` | [`set_discontinuity`](crate::SampleProperties::set_discontinuity), [`set_preroll`](crate::SampleProperties::set_preroll) |
//! | a subclass with `release_buffer` | [`on_release`](crate::Pool::on_release), which is called after the release and cannot change it |
//!
//! # What you gain
//!
//! - **No thread blocks** for a buffer, a wait can be cancelled at any time, and waiters are served in first-in,
//!   first-out order.
//! - **Memory is always bounded.** A `GstBufferPool` frees a returned buffer whose memory was changed or is still in a
//!   slice, and allocates another. A maximum of 0 there means no limit.
//! - **Sends without a copy**: Rust's network crates accept `Bytes`.
//! - **Shutdown can be awaited.** A `GstBufferPool` becomes inactive when the last buffer is returned, and notifies no
//!   one.
//! - **Holders**: [`holders`](crate::Pool::holders) returns who holds each sample.
//!
//! # What you lose
//!
//! - **The pipeline.** GStreamer elements cannot use these samples, and no allocation query can negotiate this pool. At
//!   the edge of a pipeline, for example at an `appsink`, map the `GstBuffer` and make it the owner of `Bytes`. Copy
//!   into a sample only the data that must outlive the `GstBuffer`.
//! - **Memory of other kinds**: DMABuf, GL, VA. A sample is bytes in the pool's own mapping.
//! - **Buffers of several memories**, and `GstMeta` on them. A sample is one contiguous block, with its
//!   [`SampleProperties`](crate::SampleProperties).
//! - **Growth from a minimum to a maximum.** In this pool all buffers have addresses from the start. The memory of a
//!   buffer is taken at its first use, and kept until the pool is decommitted.
//! - **Nanoseconds**, decode times, and caps with all their fields: a [`MediaType`](crate::MediaType) is only the
//!   name of a MIME type.
//! - **Subclasses** that decide which buffer an acquire returns.
