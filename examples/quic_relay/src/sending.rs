//! From samples into the streams of one viewer.
//!
//! Each frame has a stream of its own. On one stream for all frames, every byte must arrive in order: a frame that is out
//! of date could not be given up, a lost packet would delay all frames behind it, and the samples of a viewer that reads
//! nothing would be free only when its connection is closed. A stream for each frame is reset alone, its sample is free at
//! once, and the viewer goes on with the newest frame. The order is that of the streams' ids.
//!
//! A sample counts as held by the viewer until quinn drops its `Bytes`, which is when the viewer has acknowledged the last
//! byte. So the subscriber's own limit bounds the frames in flight, and a viewer that is slower skips frames by itself.

use futures::{StreamExt, stream::FuturesUnordered};
use quinn::{Connection, ConnectionError, SendStream, WriteError};
use sample_pool::fan_out::{Delivery, Subscriber};
use std::time::Duration;
use tokio::time::sleep;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The viewer acknowledged all of it.
    Acknowledged,
    /// The viewer does not want it.
    Stopped,
    /// It was reset, because it was out of date or because another viewer needed its sample.
    Reset,
}

/// A stream that is reset when it is dropped, unless all of it was acknowledged.
///
/// quinn finishes a stream that is dropped, and keeps its bytes until they are acknowledged. On a connection that is lost
/// they never are, and quinn keeps them until the last handle to that connection is dropped and it has drained.
struct FrameStream(SendStream);

impl Drop for FrameStream {
    fn drop(&mut self) {
        // Fails for a stream that is through, which holds nothing.
        let _ended = self.0.reset(crate::LATE);
    }
}

/// Writes a frame without a copy: quinn keeps the sample itself, for retransmissions, until it is acknowledged.
///
/// # Errors
///
/// If the viewer does not want it, or the connection was lost.
pub async fn write_frame(stream: &mut SendStream, frame: Delivery) -> Result<(), WriteError> {
    stream.write_chunk(frame.into_bytes()).await?;
    Ok(stream.finish()?)
}

/// Sends a frame on a stream of its own, which is reset after `lifetime`.
///
/// # Errors
///
/// If the connection was lost.
///
/// # Cancel safety
///
/// If the future is dropped, the stream is reset, and the sample is not held any more.
pub async fn send_frame(
    stream: SendStream,
    frame: Delivery,
    lifetime: Duration,
) -> Result<Outcome, WriteError> {
    let mut stream = FrameStream(stream);
    let reclaim_requested = frame.reclaim_requested();
    let acknowledged = async {
        write_frame(&mut stream.0, frame).await?;
        Ok(stream.0.stopped().await?)
    };
    tokio::select! {
        result = acknowledged => match result {
            Ok(None) => Ok(Outcome::Acknowledged),
            Ok(Some(_)) | Err(WriteError::Stopped(_)) => Ok(Outcome::Stopped),
            Err(error) => Err(error),
        },
        () = reclaim_requested => Ok(Outcome::Reset),
        () = sleep(lifetime) => Ok(Outcome::Reset),
    }
}

/// Sends frames to a viewer until they end or it is gone. The connection is not closed.
///
/// # Errors
///
/// If the connection was lost.
pub async fn send_frames(
    connection: &Connection,
    mut frames: Subscriber,
    lifetime: Duration,
) -> Result<(), ConnectionError> {
    let mut in_flight = FuturesUnordered::new();
    let mut stream = None;
    let mut is_ended = false;
    while !is_ended || !in_flight.is_empty() {
        tokio::select! {
            // What became of it does not matter to those that follow. A lost connection is seen below.
            Some(_outcome) = in_flight.next() => {}
            next = next_frame(connection, &mut stream, &mut frames), if !is_ended => match next? {
                Some((stream, frame)) => in_flight.push(send_frame(stream, frame, lifetime)),
                None => is_ended = true,
            },
            lost = connection.closed() => return Err(lost),
        }
    }
    Ok(())
}

/// Waits for a stream and then for a frame. Cancel safe: the stream is kept in `opened`.
///
/// In this order a viewer that grants no streams holds no sample meanwhile, and gets the newest frame afterwards.
async fn next_frame(
    connection: &Connection,
    opened: &mut Option<SendStream>,
    frames: &mut Subscriber,
) -> Result<Option<(SendStream, Delivery)>, ConnectionError> {
    if opened.is_none() {
        *opened = Some(connection.open_uni().await?);
    }
    let frame = frames.recv().await;
    Ok(frame.and_then(|frame| Some((opened.take()?, frame))))
}
