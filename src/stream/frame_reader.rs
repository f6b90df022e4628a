//! A source of bytes as a stream of frames.

#![forbid(unsafe_code)]

use super::{
    deadline::Deadline,
    decode_frame::{DecodeFrame, Decoded, FrameError},
    frame_buffer::{FrameBuffer, NoSpace},
    read_sample::ReadSample,
};
use crate::{quota::poll_pool::PollPool, sample::shared::SharedSample};
use bytes::Bytes;
use futures::{Stream, stream::FusedStream};
use pin_project::pin_project;
use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::task::coop;

/// Reads frames: a [`Stream`] of [`SharedSample`]s, each a slice of the sample that it was read into.
///
/// One read can bring many frames. They share one buffer, which is returned to the pool when the last of them is dropped.
/// The start of the next frame stays where it is, and more is read behind it, also while the frames before it are held. It
/// is moved only in these cases:
///
/// - The frame does not fit there: to the front of the buffer if the frames before it are dropped, and otherwise to the
///   start of another buffer.
/// - The source has nothing to read meanwhile: to the heap, as described [below](#partial-frames), and from there to
///   another buffer.
/// - The source [cannot fill parts](ReadSample::poll_read_part), and frames before it are held: to another buffer.
///
/// So a caller that holds frames while it waits for the next one needs one buffer more than those that they are in.
///
/// When the pool is exhausted, the reader waits in the wait queue and reads nothing. This is backpressure for the source.
///
/// # Partial frames
///
/// **A slow sender holds no buffer that another get waits for.** While the source has nothing to read and a frame is
/// incomplete, its bytes are copied to the heap and the buffer is released. Up to 4 KiB are always copied. More are copied
/// as soon as another get is queued, in the pool or in the reader's quota: the pool wakes the reader for that. The same
/// happens when the pool drains, and while the reader waits for another buffer. When the source has more to read, the
/// reader waits for a buffer again, at the end of the queue, and copies the bytes into it. If the source can tell that it
/// is readable, as [`ReadableFirst`](super::ReadableFirst) can, it is asked before that.
///
/// This memory is limited. A reader copies less than one buffer's size, because a frame that does not fit into a buffer is
/// an error. All readers together copy less than that times their number, so limit the number of connections. A reader
/// keeps up to 4 KiB of the memory for its next frame, so a small frame allocates nothing once warm. The pool does not
/// count this memory. [`zero_on_release`](crate::Builder::zero_on_release) wipes it too.
/// [`frame_timeout`](FrameReader::frame_timeout) limits how long it is needed.
///
/// A reader releases a buffer only when it is polled. A reader that is not polled holds the buffer of the last frame that
/// it yielded, if more bytes were read behind that frame.
///
/// # Errors
///
/// The stream ends at the end of the source and after an error, with one exception: after a refusal by the pool it
/// continues when it is polled again.
///
/// # Cancel safety
///
/// Dropping the future of `next()` loses nothing: the bytes and the position in the wait queue stay in the reader.
/// Dropping the reader loses the bytes that were read and not yielded.
///
/// # Panics
///
/// If the decoder returns a frame that is not within the bytes that it was given. With
/// [`frame_timeout`](FrameReader::frame_timeout), if it is polled outside a Tokio runtime with a timer.
///
/// # Examples
///
/// See [`DecodeFrame`].
#[pin_project(project = FrameReaderProjection)]
#[must_use = "a stream does nothing until it is polled"]
pub struct FrameReader<S, D> {
    #[pin]
    source: S,
    decoder: D,
    /// The decoder may remember bytes of another source.
    restart: bool,
    buffer: FrameBuffer,
    /// How many bytes must be there before the decoder is called again.
    needed: usize,
    end: End,
    deadline: Option<Deadline>,
}

/// What has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    /// The source. The bytes that were read can still contain frames.
    Source,
    Stream,
}

impl<S: ReadSample, D: DecodeFrame> FrameReader<S, D> {
    /// Creates a reader from `source` into samples of `pool`, which is a [`&Pool`](crate::Pool) or a
    /// [`&Quota`](crate::Quota). `decoder` finds the frames in them.
    #[track_caller]
    pub fn new(source: S, pool: impl Into<PollPool>, decoder: D) -> Self {
        FrameReader {
            source,
            decoder,
            restart: true,
            buffer: FrameBuffer::new(pool.into()),
            needed: 1,
            end: End::NotYet,
            deadline: None,
        }
    }
}

impl<S, D> FrameReader<S, D> {
    /// Sets how long a frame may take to arrive. The default is no limit.
    ///
    /// The time starts when the reader first waits for the rest of a frame. If the frame is not complete when it is over,
    /// the stream ends with [`FrameError::TimedOut`]. Bytes that arrive do not restart the time, so a sender of one byte a
    /// second is caught. Time that the reader waits for a buffer counts as well, but the error comes only if the source
    /// has nothing to read when the time is over. Between two frames the time does not run: an idle connection is not
    /// closed.
    ///
    /// # Panics
    ///
    /// With a time limit, the reader panics when it waits for the rest of a frame outside a Tokio runtime with a timer.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use sample_pool::{Pool, stream::{DecodeFrame, Decoded, FrameError, FrameReader}};
    /// use std::{convert::Infallible, time::Duration};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// struct WaitQueue;
    ///
    /// impl DecodeFrame for WaitQueue {
    ///     type Error = Infallible;
    ///
    ///     fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
    ///         Ok(match bytes.iter().position(|&byte| byte == b'\n') {
    ///             Some(end) => Decoded::Frame { frame: 0..end, consumed: end + 1 },
    ///             None => Decoded::Incomplete { needed: None },
    ///         })
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().size(64).build()?;
    /// let (mut client, server) = tokio::io::duplex(64);
    /// let mut lines = FrameReader::new(server, &pool, WaitQueue).frame_timeout(Duration::from_millis(20));
    /// client.write_all(b"a line\nand no e").await?;
    /// assert_eq!(&lines.next().await.expect("one line")?[..], b"a line");
    /// let late = lines.next().await.expect("an error");
    /// assert!(matches!(late, Err(FrameError::TimedOut { bytes: 8, .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn frame_timeout(mut self, limit: Duration) -> Self {
        self.deadline = Some(Deadline::new(limit));
        self
    }

    /// Returns a reference to the source. Bytes that you read from it are missing in the frames.
    pub fn get_ref(&self) -> &S {
        &self.source
    }

    /// Returns a mutable reference to the source. Bytes that you read from it are missing in the frames.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Returns a pinned reference to the source. Bytes that you read from it are missing in the frames.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().source
    }

    /// Returns a reference to the decoder.
    pub fn decoder(&self) -> &D {
        &self.decoder
    }

    /// Returns a mutable reference to the decoder. It is [restarted](DecodeFrame::restart) before the reader uses it again,
    /// because another decoder may be put in its place.
    pub fn decoder_mut(&mut self) -> &mut D {
        self.restart = true;
        &mut self.decoder
    }

    /// Returns the source. The bytes that were read and not yielded are lost; [`into_parts`](FrameReader::into_parts)
    /// returns them.
    pub fn into_inner(self) -> S {
        self.source
    }

    /// Returns the source, the decoder, and the bytes that were read and not yielded.
    ///
    /// # Examples
    ///
    /// A protocol that has one line and then a body without frames:
    ///
    /// ```
    /// use futures::StreamExt;
    /// use sample_pool::{Pool, stream::{DecodeFrame, Decoded, FrameReader}};
    /// use std::convert::Infallible;
    ///
    /// struct WaitQueue;
    ///
    /// impl DecodeFrame for WaitQueue {
    ///     type Error = Infallible;
    ///
    ///     fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
    ///         Ok(match bytes.iter().position(|&byte| byte == b'\n') {
    ///             Some(end) => Decoded::Frame { frame: 0..end, consumed: end + 1 },
    ///             None => Decoded::Incomplete { needed: None },
    ///         })
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().size(64).build()?;
    /// let mut reader = FrameReader::new(&b"a line\nand the body"[..], &pool, WaitQueue);
    /// assert_eq!(&reader.next().await.expect("one line")?[..], b"a line");
    /// let (_source, _decoder, buffered) = reader.into_parts();
    /// assert_eq!(buffered, "and the body");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_parts(self) -> (S, D, Bytes) {
        (self.source, self.decoder, self.buffer.into_bytes())
    }

    /// Returns how many bytes were read and not yielded.
    pub fn buffered_len(&self) -> usize {
        self.buffer.bytes().len()
    }
}

impl<S: ReadSample, D: DecodeFrame> Stream for FrameReader<S, D> {
    type Item = Result<SharedSample, FrameError<D::Error>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            // Each frame, read, error and end spends budget. Frames that were read before need no read, and a source can
            // always be ready: the task would not let other tasks run.
            let proceed = ready!(coop::poll_proceed(cx));
            if *this.end == End::Stream {
                proceed.made_progress();
                return Poll::Ready(None);
            }
            let bytes = this.buffer.bytes();
            let before = bytes.len();
            if before > 0 && (before >= *this.needed || *this.end == End::Source) {
                if mem::take(this.restart) {
                    this.decoder.restart();
                }
                let decoded = match this.end {
                    End::NotYet => this.decoder.decode(bytes),
                    End::Source | End::Stream => this.decoder.decode_eof(bytes),
                };
                match decoded {
                    Ok(Decoded::Frame { frame, consumed }) => {
                        proceed.made_progress();
                        *this.needed = 1;
                        this.stop_timer();
                        return Poll::Ready(Some(Ok(this.buffer.split_frame(frame, consumed))));
                    }
                    Ok(Decoded::Incomplete { needed }) => {
                        *this.needed = needed.unwrap_or(0).max(before + 1);
                    }
                    Err(error) => return this.fail(FrameError::Decode(error)),
                }
            }
            if *this.end == End::Source {
                if before > 0 {
                    return this.fail(FrameError::UnexpectedEof { bytes: before });
                }
                *this.end = End::Stream;
                continue;
            }
            // Bytes on the heap need a buffer only when the source has more to read.
            if !this.buffer.has_space() {
                match this.source.as_mut().poll_readable(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return this.fail(error.into()),
                    Poll::Pending => return this.wait_for_source(cx),
                }
            }
            // A source is user code. What it appended counts, not what it returned.
            let in_part = this.buffer.part_with_space(*this.needed).and_then(|part| {
                let had = part.len();
                let read = this.source.as_mut().poll_read_part(cx, part);
                let appended = part.len() > had;
                match read {
                    None if !appended => None,
                    // Moving the rest now could leave a complete frame on the heap, where none can be split off.
                    read => Some((read.unwrap_or(Poll::Pending), appended)),
                }
            });
            let (read, appended) = match in_part {
                Some(in_part) => in_part,
                None => match ready!(this.buffer.poll_space(*this.needed, cx)) {
                    Ok(sample) => {
                        let had = sample.len();
                        let read = this.source.as_mut().poll_read_sample(cx, sample);
                        (read, sample.len() > had)
                    }
                    Err(NoSpace::GetBuffer(error)) => {
                        // The pool spent budget for the error. Without this, the drop of `proceed` would restore it.
                        proceed.made_progress();
                        return Poll::Ready(Some(Err(error.into())));
                    }
                    Err(NoSpace::TooLarge { buffer }) => {
                        let frame = *this.needed;
                        return this.fail(FrameError::TooLarge { frame, buffer });
                    }
                },
            };
            match read {
                Poll::Ready(Err(error)) => return this.fail(error.into()),
                Poll::Ready(Ok(_)) | Poll::Pending if appended => proceed.made_progress(),
                Poll::Ready(Ok(_)) => {
                    *this.end = End::Source;
                    this.buffer.release_if_empty();
                }
                Poll::Pending => return this.wait_for_source(cx),
            }
        }
    }
}

impl<S, D: DecodeFrame> FrameReaderProjection<'_, S, D> {
    /// The source has nothing to read, and will wake the task. Releases the buffer if another get needs it, and checks the
    /// time limit.
    fn wait_for_source<T>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, FrameError<D::Error>>>> {
        self.buffer.wait_for_source(cx);
        let bytes = self.buffer.bytes().len();
        if bytes == 0 {
            self.stop_timer();
            return Poll::Pending;
        }
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        ready!(deadline.poll(cx));
        let limit = deadline.limit();
        self.fail(FrameError::TimedOut { bytes, limit })
    }

    fn stop_timer(&mut self) {
        if let Some(deadline) = self.deadline {
            deadline.stop();
        }
    }

    /// Ends the stream with `error`, and drops the bytes that were read.
    fn fail<T>(
        &mut self,
        error: FrameError<D::Error>,
    ) -> Poll<Option<Result<T, FrameError<D::Error>>>> {
        *self.end = End::Stream;
        self.buffer.clear();
        Poll::Ready(Some(Err(error)))
    }
}

impl<S: ReadSample, D: DecodeFrame> FusedStream for FrameReader<S, D> {
    fn is_terminated(&self) -> bool {
        self.end == End::Stream
    }
}

/// Shows how many bytes were read and not yielded; never the bytes.
impl<S, D> fmt::Debug for FrameReader<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader")
            .field("buffered", &self.buffered_len())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
