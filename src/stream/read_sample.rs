//! The source of bytes that a reader fills samples from.

#![forbid(unsafe_code)]

use crate::{sample::exclusive::Sample, values::error::GetBufferError};
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

    /// Appends bytes to the sample and returns how many; zero is the end of the source.
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
