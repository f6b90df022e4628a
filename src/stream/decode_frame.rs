//! The decoder of a frame reader, and the errors of both.

#![forbid(unsafe_code)]

use super::read_sample::ReadError;
use crate::values::error::GetBufferError;
use std::{error::Error, io, ops::Range, time::Duration};
use thiserror::Error;

/// Finds frames in bytes, without moving them.
///
/// Like `tokio_util::codec::Decoder`, but a frame is a range of the bytes instead of bytes that are split off a buffer.
///
/// # Examples
///
/// Lines without their line ends:
///
/// ```
/// use futures::StreamExt;
/// use sample_pool::{Pool, stream::{DecodeFrame, Decoded, FrameReader}};
/// use std::convert::Infallible;
///
/// struct Lines;
///
/// impl DecodeFrame for Lines {
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
/// let pool = Pool::builder().buffers(2).size(64).build()?;
/// let mut lines = FrameReader::new(&b"one\ntwo\n"[..], &pool, Lines);
/// let one = lines.next().await.expect("two lines")?;
/// let two = lines.next().await.expect("two lines")?;
/// assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
/// assert_eq!(pool.free_count(), 1); // both are slices of one sample
/// # Ok(())
/// # }
/// ```
pub trait DecodeFrame {
    /// The error for bytes that are not valid.
    type Error: Error + 'static;

    /// Looks for the first frame in `bytes`.
    ///
    /// `bytes` is not empty and starts after the bytes that the last frame consumed. After [`Decoded::Incomplete`], the
    /// next call gets the same bytes with more appended, unless [`restart`](DecodeFrame::restart) is called before it.
    ///
    /// # Errors
    ///
    /// If the bytes are not the start of a frame. The stream ends with this error.
    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Self::Error>;

    /// Looks for a frame in the bytes that are left at the end of the source.
    ///
    /// The provided method calls [`decode`](DecodeFrame::decode).
    ///
    /// # Errors
    ///
    /// As [`decode`](DecodeFrame::decode).
    fn decode_eof(&mut self, bytes: &[u8]) -> Result<Decoded, Self::Error> {
        self.decode(bytes)
    }

    /// Returns where an incomplete frame lies, if its start tells that.
    ///
    /// A [`MessageReader`](super::MessageReader) calls it for a frame that does not fit into a buffer, with the bytes for
    /// which [`decode`](DecodeFrame::decode) has returned [`Incomplete`](Decoded::Incomplete). The range ends behind these
    /// bytes, and at most at the number of bytes that `decode` needs; those between the two are consumed with the frame.
    /// The reader panics if it does not.
    ///
    /// The provided method returns `None`. Then a frame that does not fit into a buffer is an error. A
    /// [`FrameReader`](super::FrameReader) does not call it.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::stream::{DecodeFrame, Decoded, LengthDelimited};
    ///
    /// let mut decoder = LengthDelimited::new();
    /// let start = b"\0\x0f\x42\x40the first of a million bytes";
    /// assert_eq!(decoder.decode(start)?, Decoded::Incomplete { needed: Some(1_000_004) });
    /// assert_eq!(decoder.frame_range(start), Some(4..1_000_004));
    /// # Ok::<(), sample_pool::stream::LengthError>(())
    /// ```
    fn frame_range(&mut self, bytes: &[u8]) -> Option<Range<usize>> {
        let _ = bytes;
        None
    }

    /// Forgets what earlier calls found in the bytes of an incomplete frame: the next call may get other bytes.
    ///
    /// A [`FrameReader`](super::FrameReader) calls it before it first uses a decoder, and again after a call of
    /// [`decoder_mut`](super::FrameReader::decoder_mut), because the decoder may have been used for another source. A
    /// [`MessageReader`](super::MessageReader) also calls it after each frame that did not fit into a buffer: the decoder
    /// saw the start of that frame, and not its end. The provided method does nothing. Implement it for a decoder that remembers something about an incomplete frame, such
    /// as how many bytes it has searched. What the decoder knows from complete frames it may keep.
    fn restart(&mut self) {}
}

/// The result of a [`DecodeFrame`].
///
/// # Examples
///
/// See [`DecodeFrame`].
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A frame.
    Frame {
        /// The range of the frame in the bytes.
        frame: Range<usize>,
        /// How many bytes to consume, from the start of the bytes: at least one, and at least up to the end of the frame.
        consumed: usize,
    },
    /// The bytes end before the frame does.
    Incomplete {
        /// How many bytes there must be up to the end of the frame, if that is known. The decoder is not called again
        /// before so many bytes are there.
        needed: Option<usize>,
    },
}

/// The error of a [`FrameReader`](super::FrameReader).
///
/// # Examples
///
/// ```
/// use sample_pool::stream::FrameError;
/// use std::convert::Infallible;
///
/// let error = FrameError::<Infallible>::TooLarge { frame: 70_000, buffer: 65_536 };
/// assert_eq!(
///     error.to_string(),
///     "a frame of at least 70000 bytes does not fit into a buffer of 65536"
/// );
/// ```
#[non_exhaustive]
#[derive(Debug, Error)]
pub enum FrameError<E: Error + 'static> {
    /// The pool refused a buffer, or the source failed. After a refusal by the pool, polling again tries again.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A frame does not fit into a buffer. The stream has ended. Use larger buffers, or a
    /// [`MessageReader`](super::MessageReader).
    #[error("a frame of at least {frame} bytes does not fit into a buffer of {buffer}")]
    TooLarge {
        /// How many bytes the frame has, or at least has if the decoder does not know its end.
        frame: usize,
        /// The size of a buffer in bytes.
        buffer: usize,
    },
    /// A frame of a [`MessageReader`](super::MessageReader) needs more buffers than the pool has or the quota allows. The
    /// stream has ended. Use more or larger buffers, or let the decoder refuse such frames:
    /// [`max_frame_length`](super::LengthDelimited::max_frame_length).
    #[error("a frame of {frame} bytes needs more buffers than the pool has or the quota allows")]
    TooManyBuffers {
        /// How many bytes the frame has.
        frame: usize,
    },
    /// The source ended in the middle of a frame. The stream has ended.
    #[error("the source ended {bytes} bytes into a frame")]
    UnexpectedEof {
        /// How many bytes of the frame were read.
        bytes: usize,
    },
    /// A frame was not complete within the [time limit](super::FrameReader::frame_timeout). The stream has ended.
    #[error("{bytes} bytes into a frame, the rest did not arrive within {limit:?}")]
    TimedOut {
        /// How many bytes of the frame were read.
        bytes: usize,
        /// The time limit.
        limit: Duration,
    },
    /// The decoder returned an error. The stream has ended. The text of this error does not repeat the decoder's: print its
    /// [`source`](Error::source) too.
    #[error("decoding failed")]
    Decode(#[source] E),
}

impl<E: Error + 'static> From<io::Error> for FrameError<E> {
    fn from(error: io::Error) -> Self {
        FrameError::Read(error.into())
    }
}

impl<E: Error + 'static> From<GetBufferError> for FrameError<E> {
    fn from(error: GetBufferError) -> Self {
        FrameError::Read(error.into())
    }
}
