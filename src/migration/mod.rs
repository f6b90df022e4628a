//! Coming from what is used in this pool's place today: before and after, gained and lost.
//!
//! | you have | the guide |
//! |---|---|
//! | a `Semaphore` beside a fresh `BytesMut` for each packet | [`semaphore`] |
//! | deadpool, or another pool of objects | [`deadpool`] |
//! | a channel, into which each buffer is put back | [`channel`] |
//! | DirectShow's `IMemAllocator` | [`mem_allocator`] |
//! | GStreamer's `GstBufferPool` | [`buffer_pool`] |
//!
//! Every guide does the same task twice: 32 buffers of 1500 bytes, of which one is filled and sent to two
//! clients, and is home when both have let go of it. Both programs are compiled by the checks of this
//! repository, and all but the one for Windows are run. What DirectShow's callers know by name is in the
//! [table of names](crate#directshows-names).
//!
//! This module is documentation and nothing else: it is not compiled into your program.

#![forbid(unsafe_code)]

pub mod buffer_pool;
pub mod channel;
pub mod deadpool;
pub mod mem_allocator;
pub mod semaphore;
