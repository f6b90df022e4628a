//! What samples are filled from.

use crate::{error::GetBufferError, sample::Sample};
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
/// Every [`AsyncRead`] is one. Implement it for a source that can tell that there is something to read
/// before it is given a buffer, or that fills a buffer in a way of its own.
///
/// # Examples
///
/// A source that is no `AsyncRead`:
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
    /// Waits until it is worth while to take a buffer.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from telling.
    fn poll_readable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Appends to the sample, which has room, and says how many bytes; none is the end.
    ///
    /// While it is pending nothing was appended, and the sample of the next call may be another.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from reading; nothing was appended.
    fn poll_read_sample(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>>;
}

/// Reads into the spare bytes, which the reader never sees.
impl<R: AsyncRead> ReadSample for R {
    fn poll_read_sample(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>> {
        poll_read_buf(self, cx, sample)
    }
}

/// Why a reader has no sample to give.
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
    /// The pool refused a buffer. Nothing was lost: polling again asks again.
    #[error("no buffer to read into")]
    GetBuffer(#[from] GetBufferError),
    /// The source failed. The stream has ended.
    #[error("reading failed")]
    Io(#[from] io::Error),
}

/// The error of the source itself; or, if the pool refused a buffer, this error inside one of the
/// [kind that the refusal has](crate::GetBufferError#impl-From<GetBufferError>-for-Error).
impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> io::Error {
        match error {
            ReadError::Io(error) => error,
            ReadError::GetBuffer(refused) => io::Error::new(refused.io_kind(), error),
        }
    }
}
