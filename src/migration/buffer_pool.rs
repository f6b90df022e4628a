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
//! let mut sample = pool.get_buffer().await?; // waits in line while all are out; blocks no thread
//! sample.put_slice(b"one packet");
//!
//! let packet: Bytes = sample.into_bytes();
//! for client in [packet.clone(), packet] {
//!     assert_eq!(client, "one packet"); // there is nothing to map
//! } // the last one brings it back
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
//! | `gst_buffer_pool_config_set_params` | [`Pool::builder`](crate::Pool::builder): one number of buffers, the most there can be |
//! | `gst_buffer_pool_set_active(pool, TRUE)`, `FALSE` | [`commit`](crate::Pool::commit), [`decommit`](crate::Pool::decommit) |
//! | `gst_buffer_pool_acquire_buffer` | [`get_buffer`](crate::Pool::get_buffer), or on a thread [`blocking_get_buffer`](crate::Pool::blocking_get_buffer) |
//! | the same with `GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT`, and `GST_FLOW_EOS` | [`try_get_buffer`](crate::Pool::try_get_buffer), and `Exhausted` |
//! | `gst_buffer_pool_set_flushing` | [`set_flushing`](crate::Pool::set_flushing) |
//! | `gst_buffer_map`, `gst_buffer_fill` | the sample is a `[u8]`, and a `BufMut` |
//! | `gst_buffer_ref`, `gst_buffer_unref` | `clone`, `drop` |
//! | `gst_buffer_copy_region` | [`SharedSample::slice`](crate::SharedSample::slice), `Bytes::slice` |
//! | `gst_buffer_make_writable`, which copies if it must | [`try_into_sample`](crate::SharedSample::try_into_sample), which refuses |
//! | `GST_BUFFER_PTS`, `GST_BUFFER_DURATION` in nanoseconds | [`set_time`](crate::SampleProperties::set_time), start and stop in units of 100 |
//! | `GST_BUFFER_OFFSET`, `GST_BUFFER_OFFSET_END` | [`set_media_time`](crate::SampleProperties::set_media_time) |
//! | no `GST_BUFFER_FLAG_DELTA_UNIT` | [`set_sync_point`](crate::SampleProperties::set_sync_point) |
//! | `GST_BUFFER_FLAG_DISCONT`, `GST_BUFFER_FLAG_DECODE_ONLY` | [`set_discontinuity`](crate::SampleProperties::set_discontinuity), [`set_preroll`](crate::SampleProperties::set_preroll) |
//! | a subclass with `release_buffer` | [`on_release`](crate::Pool::on_release), which is told and cannot interfere |
//!
//! # What you gain
//!
//! - **No thread stands still** for a buffer, a wait can be given up at any time, and who came first is first.
//! - **Memory is bounded for certain.** There a buffer whose memory was changed, or is still in a slice, is thrown
//!   away when it comes back, and another made; and a most of 0 means any number.
//! - **Sends without a copy**: `Bytes` is what Rust's network crates take.
//! - **An end that can be awaited.** A pool there is inactive once the last buffer is back, and says so to
//!   nobody.
//! - **Who holds what**: [`holders`](crate::Pool::holders).
//!
//! # What you lose
//!
//! - **The pipeline.** No element can be given one of these samples, and no query negotiates this pool. At the
//!   edge of a pipeline, `appsink` for example, map the buffer and let it be the owner of `Bytes`; copy into a
//!   sample only what has to outlive it.
//! - **Memory of other kinds**: DMABuf, GL, VA. A sample is bytes in the pool's own mapping.
//! - **Buffers of several memories**, and `GstMeta` on them. A sample is one piece, with its
//!   [`SampleProperties`](crate::SampleProperties).
//! - **Growing from a minimum to a maximum.** Here all buffers have their addresses from the start; memory is
//!   taken when one is first used, and kept until the pool is decommitted.
//! - **Nanoseconds**, decode times, and caps with all their fields: [`MediaType`](crate::MediaType) is the name of a
//!   MIME type.
//! - **Subclasses** that decide what an acquire gives.
