//! The stream adapters: reading, writing, framing and datagrams, one file for each.

#![deny(unsafe_code)]

mod batch_waits;
mod batches;
mod begun_frames;
mod begun_samples;
mod datagrams;
mod decoders;
mod ended_samples;
mod frames;
#[cfg(all(target_os = "linux", not(portable_udp)))]
mod joined_batches;
mod masked_frames;
mod message_sources;
mod messages;
#[cfg(all(target_os = "linux", not(portable_udp)))]
mod network;
mod parts;
mod readable_first;
mod reader;
mod script;
mod self_deadlock;
mod sending;
mod shown;
mod sockets;
mod user_code;
mod writer;

use sample_pool::Pool;

fn pool(buffers: usize, size: usize) -> Pool {
    Pool::builder()
        .buffers(buffers)
        .size(size)
        .align(1)
        .build()
        .expect("small")
}
