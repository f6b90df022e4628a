//! The loop of the readers of frames: read, decode, and split the frame off.
//!
//! A [`FrameReader`](super::FrameReader) and a [`MessageReader`](super::MessageReader) differ only in what they do with a
//! frame that does not fit into a buffer.

#![forbid(unsafe_code)]

use super::{
    deadline::Deadline,
    decode_frame::{DecodeFrame, Decoded, FrameError},
    frame_buffer::{FrameBuffer, NoSpace},
    read_sample::ReadSample,
};
use crate::{quota::poll_pool::PollPool, sample::part::SamplePart};
use pin_project::pin_project;
use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::task::coop;

/// The state of a reader of frames.
#[pin_project(project = ReadFramesProjection)]
pub(super) struct ReadFrames<S, D> {
    #[pin]
    pub(super) source: S,
    pub(super) decoder: D,
    /// The decoder may remember other bytes than those that it gets next.
    pub(super) restart: bool,
    pub(super) buffer: FrameBuffer,
    /// How many bytes must be there before the decoder is called again.
    needed: usize,
    end: End,
    pub(super) deadline: Option<Deadline>,
}

/// What has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    /// The source. The bytes that were read can still contain frames.
    Source,
    Stream,
}

/// What was found in the bytes that were read.
pub(super) enum Found {
    /// A frame, exclusive and without the bytes before and behind it.
    Frame(SamplePart),
    /// The start of a frame that has at least `frame` bytes, which is more than a buffer has.
    TooLarge { frame: usize, buffer: usize },
}

impl<S, D> ReadFrames<S, D> {
    pub(super) fn new(source: S, pool: PollPool, decoder: D) -> Self {
        ReadFrames {
            source,
            decoder,
            restart: true,
            buffer: FrameBuffer::new(pool),
            needed: 1,
            end: End::NotYet,
            deadline: None,
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.end == End::Stream
    }

    pub(super) fn decoder_mut(&mut self) -> &mut D {
        self.restart = true;
        &mut self.decoder
    }
}

impl<S: ReadSample, D: DecodeFrame> ReadFrames<S, D> {
    /// Reads until there is a frame, or the start of one that does not fit into a buffer. Nothing has changed for the latter:
    /// the caller gets its buffers elsewhere, or [fails](ReadFramesProjection::fail).
    pub(super) fn poll_found(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Found, FrameError<D::Error>>>> {
        let mut this = self.project();
        loop {
            // Each frame, read, error and end spends budget. Frames that were read before need no read, and a source can
            // always be ready: the task would not let other tasks run.
            let proceed = ready!(coop::poll_proceed(cx));
            if *this.end == End::Stream {
                proceed.made_progress();
                return Poll::Ready(None);
            }
            if *this.restart {
                // Another decoder can find a frame in the bytes that are there. Frames are split off buffers only.
                match ready!(this.buffer.poll_leave_heap(cx)) {
                    Ok(()) => {}
                    Err(NoSpace::GetBuffer(error)) => {
                        proceed.made_progress();
                        return Poll::Ready(Some(Err(error.into())));
                    }
                    Err(NoSpace::TooLarge { buffer }) => {
                        let frame = this.buffer.bytes().len();
                        return this.fail(FrameError::TooLarge { frame, buffer });
                    }
                }
                *this.needed = 1;
            }
            match this.decode() {
                Ok(Some(part)) => {
                    proceed.made_progress();
                    return Poll::Ready(Some(Ok(Found::Frame(part))));
                }
                Ok(None) => {}
                Err(error) => return this.fail(error),
            }
            if *this.end == End::Source {
                let bytes = this.buffer.bytes().len();
                if bytes > 0 {
                    return this.fail(FrameError::UnexpectedEof { bytes });
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
                        return Poll::Ready(Some(Ok(Found::TooLarge { frame, buffer })));
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

impl<S, D: DecodeFrame> ReadFramesProjection<'_, S, D> {
    /// Decodes the next frame, if enough bytes for one are there.
    fn decode(&mut self) -> Result<Option<SamplePart>, FrameError<D::Error>> {
        let bytes = self.buffer.bytes();
        let there = bytes.len();
        if there == 0 || (there < *self.needed && *self.end != End::Source) {
            return Ok(None);
        }
        if mem::take(self.restart) {
            self.decoder.restart();
        }
        let decoded = match self.end {
            End::NotYet => self.decoder.decode(bytes),
            End::Source | End::Stream => self.decoder.decode_eof(bytes),
        };
        match decoded.map_err(FrameError::Decode)? {
            Decoded::Frame { frame, consumed } => {
                *self.needed = 1;
                self.stop_timer();
                Ok(Some(self.buffer.split_frame(frame, consumed)))
            }
            Decoded::Incomplete { needed } => {
                *self.needed = needed.unwrap_or(0).max(there + 1);
                Ok(None)
            }
        }
    }

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
        let late = ready!(self.poll_late(bytes, cx));
        self.fail(late)
    }

    /// Resolves to an error when the time is over in which the rest of a frame must arrive. `bytes` of it have been read.
    pub(super) fn poll_late(
        &mut self,
        bytes: usize,
        cx: &mut Context<'_>,
    ) -> Poll<FrameError<D::Error>> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        ready!(deadline.poll(cx));
        let limit = deadline.limit();
        Poll::Ready(FrameError::TimedOut { bytes, limit })
    }

    /// A frame is complete that was read elsewhere, and that the decoder saw the start of. `rest` was read behind it.
    pub(super) fn go_on_with(&mut self, rest: Option<SamplePart>) {
        *self.restart = true;
        *self.needed = 1;
        self.stop_timer();
        self.buffer.set_rest(rest);
    }

    fn stop_timer(&mut self) {
        if let Some(deadline) = self.deadline {
            deadline.stop();
        }
    }

    /// Ends the stream with `error`, and drops the bytes that were read.
    pub(super) fn fail<T>(
        &mut self,
        error: FrameError<D::Error>,
    ) -> Poll<Option<Result<T, FrameError<D::Error>>>> {
        *self.end = End::Stream;
        self.buffer.clear();
        Poll::Ready(Some(Err(error)))
    }
}
