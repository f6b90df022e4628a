//! How frames are found in the bytes that were read.

use super::read_sample::ReadError;
use crate::error::GetBufferError;
use std::{error::Error, io, ops::Range, time::Duration};
use thiserror::Error;

/// Finds frames in bytes, where they lie.
///
/// As `tokio_util::codec::Decoder`, but a frame is a range of the bytes and not taken out of a buffer.
///
/// # Examples
///
/// Lines, without their ends:
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
    /// What can be wrong with the bytes.
    type Error: Error + 'static;

    /// Looks for the first frame. `bytes` is not empty and begins where the last frame was consumed; after
    /// [`Decoded::Incomplete`], the same bytes come again with more behind them.
    ///
    /// # Errors
    ///
    /// When the bytes are no beginning of a frame. The stream ends.
    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Self::Error>;

    /// Looks for a frame in what is left at the end of the source. The default asks
    /// [`decode`](DecodeFrame::decode).
    ///
    /// # Errors
    ///
    /// As [`decode`](DecodeFrame::decode).
    fn decode_eof(&mut self, bytes: &[u8]) -> Result<Decoded, Self::Error> {
        self.decode(bytes)
    }
}

/// What a [`DecodeFrame`] found.
///
/// # Examples
///
/// See [`DecodeFrame`].
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A frame.
    Frame {
        /// Where in the bytes it is.
        frame: Range<usize>,
        /// How many bytes it takes with all that belongs to it; at least one, and not before the frame's end.
        consumed: usize,
    },
    /// The bytes end before the frame does.
    Incomplete {
        /// How many bytes it takes to the frame's end, if that is known by now: there will be no other call
        /// before as many are there.
        needed: Option<usize>,
    },
}

/// Why a [`FrameReader`](super::FrameReader) has no frame to give.
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
    /// The pool refused a buffer, or the source failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A frame does not fit into a buffer. The stream has ended; larger buffers are the remedy.
    #[error("a frame of at least {frame} bytes does not fit into a buffer of {buffer}")]
    TooLarge {
        /// How many bytes the frame has; at least, if the decoder does not know its end.
        frame: usize,
        /// How many bytes a buffer has.
        buffer: usize,
    },
    /// The source ended in the middle of a frame.
    #[error("the source ended {bytes} bytes into a frame")]
    Unfinished {
        /// How many bytes of it had come.
        bytes: usize,
    },
    /// A frame was begun and not complete within the [time limit](super::FrameReader::frame_timeout). The stream has
    /// ended.
    #[error("{bytes} bytes into a frame, the rest did not arrive within {limit:?}")]
    TimedOut {
        /// How many bytes of it had come.
        bytes: usize,
        /// The time limit.
        limit: Duration,
    },
    /// The decoder refused the bytes. The stream has ended.
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
