//! From the publisher's stream into samples.
//!
//! One copy is made here, out of quinn's chunks and into the sample. `RecvStream::read_chunk` would give the chunks
//! themselves, but each is the part of one packet, some 1,200 to 1,450 bytes with the next packet's bytes elsewhere: to put
//! a frame together, they would be copied just the same. As an `AsyncRead` the stream copies them straight into the spare
//! capacity of the sample, as many as there are under one lock of the connection. What quinn has copied before is in
//! `docs/guide/quic.md`.
//!
//! While the pool is exhausted the reader reads nothing. quinn then keeps up to its `stream_receive_window` in chunks of
//! its own, and grants the publisher no more.

use crate::Error;
use futures::StreamExt;
use quinn::RecvStream;
use sample_pool::{
    Pool,
    fan_out::FanOut,
    stream::{FrameReader, LengthDelimited},
};

/// How many bytes are before each frame, with its length. A sample must have room for them too; viewers are not sent them.
pub const LENGTH: usize = 4;

/// Reads frames into samples of `pool` until the stream ends, and sends them to all subscribers of `frames`.
///
/// # Errors
///
/// If the stream is reset, the connection is lost, or a frame has more than `frame_size` bytes. The frame that was begun
/// is dropped.
pub async fn receive_frames(
    stream: RecvStream,
    pool: &Pool,
    frames: &FanOut,
    frame_size: usize,
) -> Result<(), Error> {
    let decoder = LengthDelimited::new().max_frame_length(frame_size);
    let mut reader = FrameReader::new(stream, pool, decoder);
    while let Some(frame) = reader.next().await {
        frames.send(frame?)?;
    }
    Ok(())
}
