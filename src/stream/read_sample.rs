//! The source of bytes that a reader fills samples from.

#![forbid(unsafe_code)]

use crate::{
    sample::{exclusive::Sample, part::SamplePart},
    values::error::GetBufferError,
};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use thiserror::Error;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// A source of bytes that are read into samples.
///
/// Every [`AsyncRead`] implements it. Implement it for a source that can tell without a buffer whether there is
/// something to read, or that fills a buffer in another way.
///
/// # Examples
///
/// A source that is not an `AsyncRead`:
///
/// ```
/// use bytes::BufMut;
/// use futures::StreamExt;
/// use sample_pool::{Pool, Sample, stream::{ReadSample, SampleReader}};
/// use std::{io, pin::Pin, task::{Context, Poll}};
///
/// struct Ticks(u32);
///
/// impl ReadSample for Ticks {
///     fn poll_read_sample(
///         mut self: Pin<&mut Self>,
///         _cx: &mut Context<'_>,
///         sample: &mut Sample,
///     ) -> Poll<io::Result<usize>> {
///         self.0 += 1;
///         sample.put_u32(self.0);
///         Poll::Ready(Ok(4))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().size(64).build()?;
/// let mut ticks = SampleReader::new(Ticks(6), &pool);
/// let tick = ticks.next().await.expect("endless")?;
/// assert_eq!(&tick[..], 7u32.to_be_bytes());
/// # Ok(())
/// # }
/// ```
pub trait ReadSample {
    /// Waits until there may be something to read.
    ///
    /// A reader calls it before it gets a buffer. The provided method is always ready.
    ///
    /// # Errors
    ///
    /// The error of the source. The stream ends with it.
    fn poll_readable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Appends bytes to the sample and returns how many; zero is the end of the source, unless the source
    /// [ends the sample](ReadSample::ends_sample).
    ///
    /// The sample has spare capacity. When it returns `Pending`, nothing was appended, and the next call may be given
    /// another sample.
    ///
    /// # Errors
    ///
    /// The error of the source. Nothing was appended, and the stream ends.
    fn poll_read_sample(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>>;

    /// Returns `true` if the sample ends with the bytes that the last read appended, although it is not full.
    ///
    /// A [`SampleReader`](super::SampleReader) that [fills buffers](super::SampleReader::fill_buffers) asks after each
    /// read, and then yields the sample. So a source that knows where a message ends puts each message into a sample of
    /// its own, however many reads it takes. Such a sample is exclusive, so a header can be
    /// [put in front](Sample::prepend). A message that is larger than a buffer goes on in the next sample. A read that
    /// ends the sample may append nothing; if the sample is empty, nothing is yielded. The provided method returns
    /// `false`. A [`FrameReader`](super::FrameReader) does not ask.
    ///
    /// # Examples
    ///
    /// The chunks of an HTTP body, of which each line gets a sample of its own and a length in front:
    ///
    /// ```
    /// use bytes::{BufMut, Bytes};
    /// use futures::{Stream, StreamExt};
    /// use sample_pool::{Pool, Sample, stream::{ReadSample, SampleReader}};
    /// use std::{io, pin::Pin, task::{Context, Poll, ready}};
    ///
    /// struct Lines<B> {
    ///     body: B,
    ///     chunk: Bytes,
    ///     ends: bool,
    /// }
    ///
    /// impl<B: Stream<Item = io::Result<Bytes>> + Unpin> ReadSample for Lines<B> {
    ///     /// Takes no buffer before there are bytes for it.
    ///     fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    ///         while self.chunk.is_empty() {
    ///             match ready!(self.body.poll_next_unpin(cx)) {
    ///                 Some(chunk) => self.chunk = chunk?,
    ///                 None => break,
    ///             }
    ///         }
    ///         Poll::Ready(Ok(()))
    ///     }
    ///
    ///     fn poll_read_sample(
    ///         mut self: Pin<&mut Self>,
    ///         cx: &mut Context<'_>,
    ///         sample: &mut Sample,
    ///     ) -> Poll<io::Result<usize>> {
    ///         ready!(self.as_mut().poll_readable(cx))?;
    ///         let line_end = self.chunk.iter().position(|&byte| byte == b'\n');
    ///         let rest = line_end.map_or(self.chunk.len(), |at| at + 1);
    ///         let bytes = rest.min(sample.spare_capacity());
    ///         sample.put(self.chunk.split_to(bytes)); // the only copy
    ///         self.ends = line_end.is_some() && bytes == rest;
    ///         Poll::Ready(Ok(bytes))
    ///     }
    ///
    ///     fn ends_sample(&self) -> bool {
    ///         self.ends
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().size(64).prefix(1).build()?;
    /// let body = futures::stream::iter(["on", "e\ntwo", "\nthe rest"].map(|chunk| Ok(chunk.into())));
    /// let lines = Lines { body, chunk: Bytes::new(), ends: false };
    /// let mut lines = SampleReader::new(lines, &pool).fill_buffers(true);
    /// for expected in ["\x04one\n", "\x04two\n", "\x08the rest"] {
    ///     let mut line = lines.next().await.expect("three lines")?;
    ///     let length = u8::try_from(line.len())?;
    ///     line.prepend(&[length])?;
    ///     assert_eq!(&line[..], expected.as_bytes());
    /// }
    /// assert!(lines.next().await.is_none());
    /// # Ok(())
    /// # }
    /// ```
    fn ends_sample(&self) -> bool {
        false
    }

    /// Appends bytes to a part, as [`poll_read_sample`](ReadSample::poll_read_sample) does to a sample.
    ///
    /// A [`FrameReader`](super::FrameReader) calls it to read behind frames that are still held, in the same buffer. The
    /// provided method returns `None`: the source fills whole samples only, for example because it sets their
    /// properties, which those of a part cannot be. Then the reader moves the start of the next frame to another buffer.
    /// `None` means that nothing was appended.
    ///
    /// # Errors
    ///
    /// As [`poll_read_sample`](ReadSample::poll_read_sample).
    fn poll_read_part(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        part: &mut SamplePart,
    ) -> Option<Poll<io::Result<usize>>> {
        let _ = (cx, part);
        None
    }
}

/// Reads into the spare capacity. The `AsyncRead` is not shown the bytes that were there before.
impl<R: AsyncRead> ReadSample for R {
    fn poll_read_sample(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>> {
        poll_read_buf(self, cx, sample)
    }

    fn poll_read_part(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        part: &mut SamplePart,
    ) -> Option<Poll<io::Result<usize>>> {
        Some(poll_read_buf(self, cx, part))
    }
}

/// The error of a reader.
///
/// # Examples
///
/// ```
/// use sample_pool::{GetBufferError, stream::ReadError};
/// use std::{error::Error, io};
///
/// let refused = ReadError::from(GetBufferError::Flushing);
/// assert_eq!(refused.to_string(), "no buffer to read into");
/// assert_eq!(refused.source().unwrap().to_string(), "the pool is flushing");
/// assert_eq!(io::Error::from(refused).kind(), io::ErrorKind::BrokenPipe);
/// ```
#[non_exhaustive]
#[derive(Debug, Error)]
pub enum ReadError {
    /// The pool refused a buffer. Nothing was lost, and polling again tries again.
    #[error("no buffer to read into")]
    GetBuffer(#[from] GetBufferError),
    /// The source failed. The stream has ended.
    #[error("reading failed")]
    Io(#[from] io::Error),
}

/// Returns the error of the source itself. If the pool refused a buffer, this error is wrapped in an `io::Error` of the
/// [kind of the refusal](crate::GetBufferError#impl-From<GetBufferError>-for-Error).
impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> io::Error {
        match error {
            ReadError::Io(error) => error,
            ReadError::GetBuffer(refused) => io::Error::new(refused.io_kind(), error),
        }
    }
}
