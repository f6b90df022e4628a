//! A source of bytes as a stream of frames.

#![forbid(unsafe_code)]

use super::{
    deadline::Deadline,
    decode_frame::{DecodeFrame, FrameError},
    read_frames::{Found, ReadFrames},
    read_sample::ReadSample,
};
use crate::{
    quota::poll_pool::PollPool,
    sample::{part::SamplePart, shared::SharedSample},
};
use bytes::Bytes;
use futures::{Stream, stream::FusedStream};
use pin_project::pin_project;
use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// Reads frames: a [`Stream`] of [`SharedSample`]s, each a slice of the sample that it was read into.
///
/// [`next_part`](FrameReader::next_part) returns frames that can be changed in place. A
/// [`MessageReader`](super::MessageReader) reads frames that are larger than a buffer.
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
/// is readable, as `ReadableFirst` (feature `net`) can, it is asked before that.
///
/// A pause of the source costs two copies of what has arrived of the frame, to the heap and back, and a get that waits in
/// its turn.
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
#[pin_project]
#[must_use = "a stream does nothing until it is polled"]
pub struct FrameReader<S, D> {
    #[pin]
    frames: ReadFrames<S, D>,
}

impl<S: ReadSample, D: DecodeFrame> FrameReader<S, D> {
    /// Creates a reader from `source` into samples of `pool`, which is a [`&Pool`](crate::Pool) or a
    /// [`&Quota`](crate::Quota). `decoder` finds the frames in them.
    #[track_caller]
    pub fn new(source: S, pool: impl Into<PollPool>, decoder: D) -> Self {
        FrameReader {
            frames: ReadFrames::new(source, pool.into(), decoder),
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
    /// struct FirstLine;
    ///
    /// impl DecodeFrame for FirstLine {
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
    /// let mut lines = FrameReader::new(server, &pool, FirstLine).frame_timeout(Duration::from_millis(20));
    /// client.write_all(b"a line\nand no e").await?;
    /// assert_eq!(&lines.next().await.expect("one line")?[..], b"a line");
    /// let late = lines.next().await.expect("an error");
    /// assert!(matches!(late, Err(FrameError::TimedOut { bytes: 8, .. })));
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

    /// Returns the source. The bytes that were read and not yielded are lost; [`into_parts`](FrameReader::into_parts)
    /// returns them.
    pub fn into_inner(self) -> S {
        self.frames.source
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
    /// struct FirstLine;
    ///
    /// impl DecodeFrame for FirstLine {
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
    /// let mut reader = FrameReader::new(&b"a line\nand the body"[..], &pool, FirstLine);
    /// assert_eq!(&reader.next().await.expect("one line")?[..], b"a line");
    /// let (_source, _decoder, buffered) = reader.into_parts();
    /// assert_eq!(buffered, "and the body");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_parts(self) -> (S, D, Bytes) {
        let frames = self.frames;
        (frames.source, frames.decoder, frames.buffer.into_bytes())
    }

    /// Returns how many bytes were read and not yielded.
    pub fn buffered_len(&self) -> usize {
        self.frames.buffer.bytes().len()
    }
}

impl<S: ReadSample, D: DecodeFrame> FrameReader<S, D> {
    /// As [`next_part`](FrameReader::next_part), polled.
    ///
    /// # Errors
    ///
    /// As the stream; `None` is its end.
    ///
    /// # Examples
    ///
    /// A stream of parts, for the combinators of `StreamExt`:
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    /// use sample_pool::{Pool, stream::{FrameReader, Lines}};
    /// use std::pin::Pin;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(2).size(64).build()?;
    /// let mut reader = FrameReader::new(&b"one\ntwo\n"[..], &pool, Lines::new());
    /// let mut parts = stream::poll_fn(move |cx| Pin::new(&mut reader).poll_next_part(cx));
    /// let mut one = parts.next().await.expect("two lines")?;
    /// one.make_ascii_uppercase();
    /// assert_eq!(&one[..], b"ONE");
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_next_part(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<SamplePart, FrameError<D::Error>>>> {
        let mut frames = self.project().frames;
        let found = match ready!(frames.as_mut().poll_found(cx)) {
            Some(Ok(found)) => found,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        match found {
            Found::Frame(part) => Poll::Ready(Some(Ok(part))),
            Found::TooLarge { frame, buffer } => {
                let error = FrameError::TooLarge { frame, buffer };
                frames.project().fail(error)
            }
        }
    }

    /// Returns the next frame as a [`SamplePart`], which its owner can change in place. `None` at the end of the stream.
    ///
    /// For protocols that mask, encrypt or compress their frames: the frame is changed where it was read, frozen, and sent
    /// on, without a copy. More is read behind it in the same buffer meanwhile. The part has the bytes of the frame alone,
    /// so for a header that is needed too, the decoder returns it as the beginning of the frame. The part has spare
    /// capacity only if the decoder [consumes](super::Decoded::Frame) more than the frame.
    ///
    /// Frames that are read as parts and those of the stream can be mixed.
    ///
    /// # Errors
    ///
    /// As the stream.
    ///
    /// # Cancel safety
    ///
    /// As the stream: dropping the future loses nothing.
    ///
    /// # Panics
    ///
    /// As the stream.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{Pool, stream::{FrameReader, LengthDelimited}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(2).size(64).build()?;
    /// let decoder = LengthDelimited::new().length_field_length(1);
    /// let mut frames = FrameReader::new(&b"\x03one\x03two"[..], &pool, decoder);
    /// while let Some(part) = frames.next_part().await {
    ///     let mut part = part?;
    ///     part.make_ascii_uppercase();
    ///     let frame = part.freeze(); // to many readers
    ///     assert!(frame == *b"ONE" || frame == *b"TWO");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_part(&mut self) -> Option<Result<SamplePart, FrameError<D::Error>>>
    where
        S: Unpin,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next_part(cx)).await
    }
}

impl<S: ReadSample, D: DecodeFrame> Stream for FrameReader<S, D> {
    type Item = Result<SharedSample, FrameError<D::Error>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_part(cx).map_ok(SamplePart::freeze)
    }
}

impl<S: ReadSample, D: DecodeFrame> FusedStream for FrameReader<S, D> {
    fn is_terminated(&self) -> bool {
        self.frames.is_terminated()
    }
}

/// Shows how many bytes were read and not yielded; never the bytes.
impl<S, D> fmt::Debug for FrameReader<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader")
            .field("buffered", &self.buffered_len())
            .field("is_terminated", &self.frames.is_terminated())
            .finish_non_exhaustive()
    }
}
