//! Guides for migration from other pools: the code before and after, what you gain and what you lose.
//!
//! | you have | the guide |
//! |---|---|
//! | a `Semaphore` beside a fresh `BytesMut` for each packet | [`semaphore`] |
//! | deadpool, or another pool of objects | [`deadpool`] |
//! | a channel that each buffer is sent back into | [`channel`] |
//! | DirectShow's `IMemAllocator` | [`mem_allocator`] |
//! | GStreamer's `GstBufferPool` | [`buffer_pool`] |
//!
//! Each guide shows the same task twice: there are 32 buffers of 1500 bytes, one of them is filled and sent to two
//! clients, and it is free again when both have dropped it. The checks of this repository compile both programs, and
//! run all of them except the one for Windows. The [table of names](crate#directshows-names) lists DirectShow's
//! names.
//!
//! This module is only documentation. It is not compiled into your program.

#![forbid(unsafe_code)]

pub mod buffer_pool;
pub mod channel;
pub mod deadpool;
pub mod mem_allocator;
pub mod semaphore;
