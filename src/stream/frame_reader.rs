//! Frames that are slices of the samples that they were read into.

use super::{
    deadline::Deadline,
    decode_frame::{DecodeFrame, Decoded, FrameError},
    frame_buffer::{NoRoom, Unparsed},
    read_sample::ReadSample,
};
use crate::{poll_pool::PollPool, shared::SharedSample};
use bytes::Bytes;
use futures::{Stream, stream::FusedStream};
use pin_project::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::task::coop;

/// Reads frames: a [`Stream`] of [`SharedSample`]s, each a slice of the sample that it was read into.
///
/// One read can bring many frames, and they share one buffer, which is returned to the pool with the last of them. The
/// beginning of a frame stays where it is if the frames before it are dropped, and is otherwise moved to
/// the start of another buffer. It is moved to the front of its own when there is no room behind it.
///
/// When the pool is exhausted the reader waits in the queue, reads nothing meanwhile, and so slows the source down.
///
/// # A frame that was begun
///
/// **A slow sender keeps no buffer that another get waits for.** While the source has nothing to read and a frame is
/// incomplete, its bytes are set aside on the heap and the buffer is released. Up to 4 KiB always are. More than
/// that are as soon as another get is queued, in the pool or in the reader's quota: the pool wakes the reader for that.
/// The same happens when the pool drains, and while the reader waits for another buffer. When the source has more, the
/// reader waits for a buffer again, at the end of the queue, and copies the bytes into it. A source that can tell, as
/// [`ReadableFirst`](super::ReadableFirst) can, is asked first.
///
/// This memory is bounded. A reader sets aside less than one buffer's size, because a frame that does not fit into a
/// buffer is an error. All readers together set aside less than that times their number, so limit the number of
/// connections. Of the memory, a reader keeps up to 4 KiB for its next frame, so a small frame costs no allocation
/// once it is warm. The pool does not count it. [`zero_on_release`](crate::Builder::zero_on_release) wipes it too.
/// [`frame_timeout`](FrameReader::frame_timeout) limits for how long.
///
/// A reader must be polled to release anything. One that is not polled keeps the buffer of the frame that it yielded
/// last if more was read behind it.
///
/// The stream ends at the end of the source and after an error, with one exception: when the pool
/// refuses, it goes on when it is polled again.
///
/// # Cancel safety
///
/// Dropping the future of `next()` loses nothing: what was read, and a place in line, stay in the
/// reader. Dropping the reader loses what was read and not given out.
///
/// # Panics
///
/// When the decoder says that there is a frame which is not within the bytes that it was shown. With
/// [`frame_timeout`](FrameReader::frame_timeout), outside a Tokio runtime with a timer.
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
    unparsed: Unparsed,
    /// How many bytes must be there before it is worth while to decode again.
    needed: usize,
    end: End,
    deadline: Option<Deadline>,
}

/// How far the source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    /// There is no more to read; what is there may hold frames.
    Source,
    Stream,
}

impl<S: ReadSample, D: DecodeFrame> FrameReader<S, D> {
    /// Reads `source` into samples of `pool`, a [`&Pool`](crate::Pool) or a [`&Quota`](crate::Quota), and
    /// finds frames there with `decoder`.
    #[track_caller]
    pub fn new(source: S, pool: impl Into<PollPool>, decoder: D) -> Self {
        FrameReader {
            source,
            decoder,
            unparsed: Unparsed::new(pool.into()),
            needed: 1,
            end: End::NotYet,
            deadline: None,
        }
    }
}

impl<S, D> FrameReader<S, D> {
    /// How long a frame may take to arrive, from when the reader first waits for the rest of it. Otherwise, and by
    /// default, it may take for ever.
    ///
    /// A frame whose rest is late ends the stream with [`FrameError::TimedOut`]. Bytes that arrive do not set the
    /// clock back, so a sender of one byte a second is not let through. Time that the reader waits for a buffer counts
    /// as well, but a frame is late only if the source has nothing to read when the time is over. Between two frames
    /// the clock stands still: an idle connection is not closed.
    ///
    /// # Panics
    ///
    /// With a time limit, the reader must be polled in a Tokio runtime with a timer: it panics otherwise, when it waits
    /// for the rest of a frame.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use sample_pool::{Pool, stream::{DecodeFrame, Decoded, FrameError, FrameReader}};
    /// use std::{convert::Infallible, time::Duration};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// struct Line;
    ///
    /// impl DecodeFrame for Line {
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
    /// let mut lines = FrameReader::new(server, &pool, Line).frame_timeout(Duration::from_millis(20));
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

    /// The source. Bytes that are read from it here are missing in the frames.
    pub fn get_ref(&self) -> &S {
        &self.source
    }

    /// The source. Bytes that are read from it here are missing in the frames.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// The source, pinned. Bytes that are read from it here are missing in the frames.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().source
    }

    /// The decoder.
    pub fn decoder(&self) -> &D {
        &self.decoder
    }

    /// The decoder.
    pub fn decoder_mut(&mut self) -> &mut D {
        &mut self.decoder
    }

    /// The source. Bytes that were read and not yielded are lost; [`into_parts`](FrameReader::into_parts) returns them.
    pub fn into_inner(self) -> S {
        self.source
    }

    /// The source, the decoder, and the bytes that were read and not yielded.
    ///
    /// # Examples
    ///
    /// A protocol that goes on without frames after its first line:
    ///
    /// ```
    /// use futures::StreamExt;
    /// use sample_pool::{Pool, stream::{DecodeFrame, Decoded, FrameReader}};
    /// use std::convert::Infallible;
    ///
    /// struct Line;
    ///
    /// impl DecodeFrame for Line {
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
    /// let mut reader = FrameReader::new(&b"a line\nand the body"[..], &pool, Line);
    /// assert_eq!(&reader.next().await.expect("one line")?[..], b"a line");
    /// let (_source, _decoder, unparsed) = reader.into_parts();
    /// assert_eq!(unparsed, "and the body");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_parts(self) -> (S, D, Bytes) {
        (self.source, self.decoder, self.unparsed.into_bytes())
    }

    /// How many bytes were read and not given out.
    pub fn unparsed(&self) -> usize {
        self.unparsed.bytes().len()
    }
}

impl<S: ReadSample, D: DecodeFrame> Stream for FrameReader<S, D> {
    type Item = Result<SharedSample, FrameError<D::Error>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            // Each frame, read, error and end spends some budget. Frames that are there already cost no read, and a
            // source may always be ready: both could otherwise keep the task's thread.
            let proceed = ready!(coop::poll_proceed(cx));
            if *this.end == End::Stream {
                proceed.made_progress();
                return Poll::Ready(None);
            }
            let bytes = this.unparsed.bytes();
            let before = bytes.len();
            if before > 0 && (before >= *this.needed || *this.end == End::Source) {
                let decoded = match this.end {
                    End::NotYet => this.decoder.decode(bytes),
                    End::Source | End::Stream => this.decoder.decode_eof(bytes),
                };
                match decoded {
                    Ok(Decoded::Frame { frame, consumed }) => {
                        proceed.made_progress();
                        *this.needed = 1;
                        this.stop_the_clock();
                        return Poll::Ready(Some(Ok(this.unparsed.cut(frame, consumed))));
                    }
                    Ok(Decoded::Incomplete { needed }) => {
                        *this.needed = needed.unwrap_or(0).max(before + 1);
                    }
                    Err(error) => return this.fail(FrameError::Decode(error)),
                }
            }
            if *this.end == End::Source {
                if before > 0 {
                    return this.fail(FrameError::Unfinished { bytes: before });
                }
                *this.end = End::Stream;
                continue;
            }
            // What was set aside needs a buffer again when there is more of it, and not before.
            if !this.unparsed.has_room() {
                match this.source.as_mut().poll_readable(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return this.fail(error.into()),
                    Poll::Pending => return this.wait_for_source(cx),
                }
            }
            let sample = match ready!(this.unparsed.poll_room(*this.needed, cx)) {
                Ok(sample) => sample,
                Err(NoRoom::GetBuffer(error)) => {
                    // Dropped without it, it would give back what the pool has spent.
                    proceed.made_progress();
                    return Poll::Ready(Some(Err(error.into())));
                }
                Err(NoRoom::TooLarge { buffer }) => {
                    let frame = *this.needed;
                    return this.fail(FrameError::TooLarge { frame, buffer });
                }
            };
            let had = sample.len();
            let read = this.source.as_mut().poll_read_sample(cx, sample);
            // A source is foreign. What counts is what it appended, not what it says.
            let appended = sample.len() > had;
            match read {
                Poll::Ready(Err(error)) => return this.fail(error.into()),
                Poll::Ready(Ok(_)) | Poll::Pending if appended => proceed.made_progress(),
                Poll::Ready(Ok(_)) => {
                    *this.end = End::Source;
                    this.unparsed.let_go_if_empty();
                }
                Poll::Pending => return this.wait_for_source(cx),
            }
        }
    }
}

impl<S, D: DecodeFrame> FrameReaderProjection<'_, S, D> {
    /// The source has nothing to read, and wakes the task when it has.
    fn wait_for_source<T>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, FrameError<D::Error>>>> {
        self.unparsed.wait_for_source(cx);
        let bytes = self.unparsed.bytes().len();
        if bytes == 0 {
            self.stop_the_clock();
            return Poll::Pending;
        }
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        ready!(deadline.poll(cx));
        let limit = deadline.limit();
        self.fail(FrameError::TimedOut { bytes, limit })
    }

    fn stop_the_clock(&mut self) {
        if let Some(deadline) = self.deadline {
            deadline.stop();
        }
    }

    /// Ends the stream, and drops what was read.
    fn fail<T>(
        &mut self,
        error: FrameError<D::Error>,
    ) -> Poll<Option<Result<T, FrameError<D::Error>>>> {
        *self.end = End::Stream;
        self.unparsed.clear();
        Poll::Ready(Some(Err(error)))
    }
}

impl<S: ReadSample, D: DecodeFrame> FusedStream for FrameReader<S, D> {
    fn is_terminated(&self) -> bool {
        self.end == End::Stream
    }
}

/// Says how much was read and not given out; never prints the bytes.
impl<S, D> fmt::Debug for FrameReader<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader")
            .field("unparsed", &self.unparsed())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
