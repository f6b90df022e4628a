//! A source of bytes as a stream of frames of any size.
//!
//! | `begun`                | the bytes of the frame                  | left by                                              |
//! |------------------------|-----------------------------------------|------------------------------------------------------|
//! | `None`                 | with the [`ReadFrames`]                 | the start of a frame that is larger than a buffer: waiting |
//! | waiting, no segments   | with the [`ReadFrames`], in a buffer or on the heap | the buffers for all of it: filling       |
//! | filling, with segments | in the segments                         | the last byte: `None`                                |
//!
//! While it waits it holds no buffer: readers that held one could wait for each other for ever.

#![forbid(unsafe_code)]

use super::{
    deadline::Deadline,
    decode_frame::{DecodeFrame, FrameError},
    read_frames::{Found, ReadFrames, ReadFramesProjection},
    read_sample::{ReadError, ReadSample},
};
use crate::{
    quota::poll_pool::PollPool,
    sample::{segments::Segments, shared_segments::SharedSegments},
    values::error::GetBufferError,
};
use bytes::{Buf, Bytes, buf::Chain};
use futures::{Stream, stream::FusedStream};
use pin_project::pin_project;
use std::{
    error::Error,
    fmt,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::task::coop;

/// Reads frames of any size: a [`Stream`] of [`SharedSegments`].
///
/// It is a [`FrameReader`](super::FrameReader) for protocols in which a frame can be larger than a buffer. A frame that
/// fits into a buffer is one segment: a slice of the sample that it was read into, as with a `FrameReader`. A frame that
/// does not fit gets as many buffers as it needs, all at once, and is read into them.
///
/// The decoder must tell the length of a frame from its start, and where the frame lies:
/// [`frame_range`](DecodeFrame::frame_range). [`LengthDelimited`](super::LengthDelimited) does. With a decoder that does
/// not, such as [`Lines`](super::Lines), a frame that is larger than a buffer is an error.
///
/// # Buffers
///
/// **The reader holds no buffer while it waits for those of a large frame.** It waits in the queue for all of them
/// ([`get_segments`](crate::Pool::get_segments)). The start of the frame was read into another buffer by then. It is copied
/// into the first segment, and that buffer is released. If the reader has to wait, the start is copied to the heap first.
/// So a large frame costs one or two copies of its start, which is less than one buffer, and readers that wait need less
/// than one buffer's size of heap each. The rest of the frame is not copied. Each large frame makes two small allocations,
/// for the lists of its buffers.
///
/// **A large frame keeps its buffers until it is complete**, also if its sender pauses while another get waits or the pool
/// drains: it is too large to copy. Limit it:
///
/// - in size: by the decoder, as [`max_frame_length`](super::LengthDelimited::max_frame_length) does, so that a sender
///   cannot announce more than you want to hold;
/// - in number: by a [`Quota`](crate::Quota) for the readers of large frames, which leaves buffers to others;
/// - in time: by [`frame_timeout`](MessageReader::frame_timeout).
///
/// A caller that holds a message while it waits for the next one needs buffers for both. If the pool or the quota has not
/// so many, it waits for itself for ever, without an error.
///
/// Everything else is as with a [`FrameReader`](super::FrameReader#partial-frames).
///
/// # Errors
///
/// The stream ends at the end of the source and after an error, except after a refusal by the pool: it continues when it
/// is polled again. [`TooManyBuffers`](FrameError::TooManyBuffers) ends it: a frame needs more buffers than the pool has
/// or the quota allows.
///
/// # Cancel safety
///
/// Dropping the future of `next()` loses nothing: the bytes and the position in the wait queue stay in the reader. While
/// the reader is not polled it can be handed the buffers of a large frame, which other gets then wait for. Drop a reader
/// that you do not poll again: that loses the bytes that were read and not yielded, and releases all its buffers.
///
/// # Panics
///
/// As a [`FrameReader`](super::FrameReader).
///
/// # Examples
///
/// ```
/// use bytes::Buf;
/// use futures::StreamExt;
/// use sample_pool::{Pool, stream::{LengthDelimited, MessageReader}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(4).size(64).build()?;
/// let mut sent = 150u32.to_be_bytes().to_vec();
/// sent.extend([7; 150]);
/// sent.extend(b"\0\0\0\x05small");
///
/// let mut messages = MessageReader::new(&sent[..], &pool, LengthDelimited::new());
/// let large = messages.next().await.expect("two messages")?;
/// assert_eq!((large.len(), large.iter().count()), (150, 3));
/// drop(large);
/// let mut small = messages.next().await.expect("two messages")?;
/// assert_eq!(small.copy_to_bytes(5), "small"); // no copy: it is one segment
/// # Ok(())
/// # }
/// ```
#[pin_project]
#[must_use = "a stream does nothing until it is polled"]
pub struct MessageReader<S, D> {
    #[pin]
    frames: ReadFrames<S, D>,
    begun: Option<Begun>,
}

/// A frame that is larger than a buffer.
struct Begun {
    /// Where the frame lies in the bytes.
    range: Range<usize>,
    /// How many bytes it has with what is before it and behind it.
    len: usize,
    /// `None` while the reader waits for them.
    segments: Option<Segments>,
}

impl<S: ReadSample, D: DecodeFrame> MessageReader<S, D> {
    /// Creates a reader from `source` into samples of `pool`, which is a [`&Pool`](crate::Pool) or a
    /// [`&Quota`](crate::Quota). `decoder` finds the frames in them.
    #[track_caller]
    pub fn new(source: S, pool: impl Into<PollPool>, decoder: D) -> Self {
        MessageReader {
            frames: ReadFrames::new(source, pool.into(), decoder),
            begun: None,
        }
    }
}

impl<S, D> MessageReader<S, D> {
    /// Sets how long a frame may take to arrive, as [`FrameReader::frame_timeout`](super::FrameReader::frame_timeout). The
    /// default is no limit.
    ///
    /// # Panics
    ///
    /// With a time limit, the reader panics when it waits for the rest of a frame outside a Tokio runtime with a timer.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use sample_pool::{Pool, stream::{FrameError, LengthDelimited, MessageReader}};
    /// use std::time::Duration;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(4).size(64).build()?;
    /// let (mut client, server) = tokio::io::duplex(64);
    /// let mut messages = MessageReader::new(server, &pool, LengthDelimited::new());
    /// messages = messages.frame_timeout(Duration::from_millis(20));
    /// client.write_all(b"\0\0\0\xc8a few of 200 bytes").await?;
    /// let late = messages.next().await.expect("an error");
    /// assert!(matches!(late, Err(FrameError::TimedOut { bytes: 22, .. })));
    /// assert_eq!(pool.free_count(), 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn frame_timeout(mut self, limit: Duration) -> Self {
        self.frames.deadline = Some(Deadline::new(limit));
        self
    }

    /// Returns a reference to the source. Bytes that you read from it are missing in the frames.
    pub fn get_ref(&self) -> &S {
        &self.frames.source
    }

    /// Returns a mutable reference to the source. Bytes that you read from it are missing in the frames.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.frames.source
    }

    /// Returns a pinned reference to the source. Bytes that you read from it are missing in the frames.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().frames.project().source
    }

    /// Returns a reference to the decoder.
    pub fn decoder(&self) -> &D {
        &self.frames.decoder
    }

    /// Returns a mutable reference to the decoder. It is [restarted](DecodeFrame::restart) before the reader uses it again,
    /// because another decoder may be put in its place.
    pub fn decoder_mut(&mut self) -> &mut D {
        self.frames.decoder_mut()
    }

    /// Returns the source. The bytes that were read and not yielded are lost;
    /// [`into_parts`](MessageReader::into_parts) returns them.
    pub fn into_inner(self) -> S {
        self.frames.source
    }

    /// Returns the source, the decoder, and the bytes that were read and not yielded, in one [`Buf`].
    ///
    /// # Examples
    ///
    /// A connection that changes its protocol after one message:
    ///
    /// ```
    /// use bytes::Buf;
    /// use futures::StreamExt;
    /// use sample_pool::{Pool, stream::{LengthDelimited, MessageReader}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(4).size(64).build()?;
    /// let sent = &b"\0\0\0\x05helloand the rest"[..];
    /// let mut messages = MessageReader::new(sent, &pool, LengthDelimited::new());
    /// assert_eq!(messages.next().await.expect("a message")?.len(), 5);
    /// let (_source, _decoder, mut buffered) = messages.into_parts();
    /// assert_eq!(buffered.copy_to_bytes(buffered.remaining()), "and the rest");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_parts(self) -> (S, D, Chain<SharedSegments, Bytes>) {
        let segments = self.begun.and_then(|begun| begun.segments);
        let frames = self.frames;
        let begun = segments.unwrap_or_default().freeze();
        let buffered = begun.chain(frames.buffer.into_bytes());
        (frames.source, frames.decoder, buffered)
    }

    /// Returns how many bytes were read and not yielded.
    pub fn buffered_len(&self) -> usize {
        let segments = self
            .begun
            .as_ref()
            .and_then(|begun| begun.segments.as_ref());
        self.frames.buffer.bytes().len() + segments.map_or(0, Segments::len)
    }
}

impl<S: ReadSample, D: DecodeFrame> Stream for MessageReader<S, D> {
    type Item = Result<SharedSegments, FrameError<D::Error>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if let Some(begun) = this.begun {
                let mut frames = this.frames.as_mut().project();
                let error = match ready!(begun.poll_read(&mut frames, cx)) {
                    Ok(()) => {
                        let begun = this.begun.take();
                        return Poll::Ready(begun.map(|begun| Ok(begun.complete(&mut frames))));
                    }
                    Err(error) => error,
                };
                if may_pass(&error) {
                    return Poll::Ready(Some(Err(error)));
                }
                *this.begun = None;
                return frames.fail(error);
            }
            let found = match ready!(this.frames.as_mut().poll_found(cx)) {
                Some(Ok(found)) => found,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            match found {
                Found::Frame(part) => return Poll::Ready(Some(Ok(part.freeze().into()))),
                Found::TooLarge { frame, buffer } => {
                    let mut frames = this.frames.as_mut().project();
                    let Some(range) = frames.decoder.frame_range(frames.buffer.bytes()) else {
                        return frames.fail(FrameError::TooLarge { frame, buffer });
                    };
                    *this.begun = Some(Begun::new(range, frame));
                }
            }
        }
    }
}

/// Whether the pool has refused for a while only.
fn may_pass<E: Error + 'static>(error: &FrameError<E>) -> bool {
    matches!(error, FrameError::Read(ReadError::GetBuffer(_)))
}

impl Begun {
    fn new(range: Range<usize>, len: usize) -> Self {
        // A decoder is user code.
        assert!(
            range.start <= range.end && range.end <= len,
            "a frame from {} to {} of {len} bytes",
            range.start,
            range.end
        );
        Begun {
            range,
            len,
            segments: None,
        }
    }

    /// Gets the segments, and reads into them until all bytes are there.
    fn poll_read<S: ReadSample, D: DecodeFrame>(
        &mut self,
        frames: &mut ReadFramesProjection<'_, S, D>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), FrameError<D::Error>>> {
        let segments = match &mut self.segments {
            Some(segments) => segments,
            none => {
                let got = ready!(frames.buffer.poll_segments(self.len, cx));
                none.insert(got.map_err(|refused| match refused {
                    // The next try would fail too, and only the frame explains the number.
                    GetBufferError::TooMany => FrameError::TooManyBuffers {
                        frame: self.range.len(),
                    },
                    refused => refused.into(),
                })?)
            }
        };
        loop {
            let bytes = segments.len();
            if bytes >= self.len {
                return Poll::Ready(Ok(()));
            }
            // Each read spends budget: a source can always be ready, and the task would not let other tasks run.
            let proceed = ready!(coop::poll_proceed(cx));
            // Before the read, and not behind it: a source that panicked may have filled a sample.
            segments.pass_full();
            let Some(sample) = segments.filling() else {
                // There was one. A source is user code, and can put another sample in the place of the one that it fills.
                let (frame, buffer) = (self.len, bytes);
                return Poll::Ready(Err(FrameError::TooLarge { frame, buffer }));
            };
            // The last sample may take bytes behind the frame. What the source appended counts, not what it returned.
            let had = sample.len();
            let read = frames.source.as_mut().poll_read_sample(cx, sample);
            let appended = sample.len() > had;
            match read {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Ready(Ok(_)) | Poll::Pending if appended => proceed.made_progress(),
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(FrameError::UnexpectedEof { bytes })),
                Poll::Pending => return frames.poll_late(bytes, cx).map(Err),
            }
        }
    }

    /// The frame. What was read behind it is left to `frames`.
    fn complete<S: ReadSample, D: DecodeFrame>(
        self,
        frames: &mut ReadFramesProjection<'_, S, D>,
    ) -> SharedSegments {
        let segments = self.segments.unwrap_or_default();
        let (mut frame, rest) = segments.freeze_first(self.len);
        frames.go_on_with(rest);
        frame.advance(self.range.start);
        frame.truncate(self.range.len());
        frame
    }
}

impl<S: ReadSample, D: DecodeFrame> FusedStream for MessageReader<S, D> {
    fn is_terminated(&self) -> bool {
        self.frames.is_terminated()
    }
}

/// Shows how many bytes were read and not yielded; never the bytes.
impl<S, D> fmt::Debug for MessageReader<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader")
            .field("buffered", &self.buffered_len())
            .field("is_terminated", &self.frames.is_terminated())
            .finish_non_exhaustive()
    }
}
