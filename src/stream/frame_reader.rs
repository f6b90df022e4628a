//! Frames that are slices of the samples that they were read into.

use super::{
    decode_frame::{DecodeFrame, Decoded, FrameError},
    read_sample::ReadSample,
    unparsed::{NoRoom, Unparsed},
};
use crate::{poll_pool::PollPool, shared::SharedSample};
use bytes::Bytes;
use futures::{Stream, stream::FusedStream};
use pin_project::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::task::coop;

/// Reads frames: a [`Stream`] of [`SharedSample`]s, each a slice of the sample that it was read into.
///
/// One read can bring many frames, and they share one buffer, which goes home with the last of them. The
/// beginning of a frame stays where it is if the frames before it are gone, and is otherwise moved to
/// the start of another buffer. It is moved as well when there is no room behind it. So at most one
/// frame per buffer is copied, and of that only what was read; over the heap if no other buffer is home, or if it
/// is moved within its own. That memory, a buffer's size at most, is kept until the reader is dropped, is not
/// counted by the pool, and is not wiped by [`zero_on_release`](crate::Builder::zero_on_release).
///
/// With no buffer home it waits in line, reads nothing meanwhile, and so slows the source down. It holds
/// no buffer but for the frames that are in it, or the beginning of one.
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
/// When the decoder tells of a frame that is not within the bytes that it was shown.
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
        }
    }
}

impl<S, D> FrameReader<S, D> {
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
            if before == 0 {
                if let Err(error) = ready!(this.source.as_mut().poll_readable(cx)) {
                    return this.fail(error.into());
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
            match this.source.as_mut().poll_read_sample(cx, sample) {
                Poll::Ready(Ok(0)) => {
                    *this.end = End::Source;
                    this.unparsed.let_go_if_empty();
                }
                Poll::Ready(Ok(_)) => proceed.made_progress(),
                Poll::Ready(Err(error)) => return this.fail(error.into()),
                Poll::Pending => {
                    this.unparsed.let_go_if_empty();
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<S, D: DecodeFrame> FrameReaderProjection<'_, S, D> {
    /// Ends the stream, and lets go of what was read.
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
