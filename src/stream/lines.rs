//! The decoder of lines.

#![forbid(unsafe_code)]

use super::decode_frame::{DecodeFrame, Decoded};
use std::mem;
use thiserror::Error;

/// Decodes lines: each frame is a line without its end, which is `\n` or `\r\n`.
///
/// At the end of the source, what follows the last line end is a line too, unless it is empty. The bytes need not be
/// UTF-8. A line and its end must fit into a buffer, and a last line without an end must be shorter than the buffer.
/// [`max_length`](Lines::max_length) sets a lower limit.
///
/// It is like `tokio_util`'s `LinesCodec`, except:
///
/// - A lone `\r` at the end of the source is an empty line.
/// - A line that is too long ends the stream.
/// - The limit does not count the `\r` of a line end.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use sample_pool::{Pool, stream::{FrameReader, Lines}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).size(64).build()?;
/// let mut lines = FrameReader::new(&b"one\r\n\ntwo"[..], &pool, Lines::new());
/// assert_eq!(&lines.next().await.expect("three lines")?[..], b"one");
/// assert_eq!(&lines.next().await.expect("three lines")?[..], b"");
/// assert_eq!(&lines.next().await.expect("three lines")?[..], b"two");
/// assert!(lines.next().await.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Lines {
    max_length: usize,
    /// How many of the bytes that the last call got were searched for a line end, and have none.
    searched: usize,
}

/// The error of [`Lines`]: a line is longer than [`max_length`](Lines::max_length).
///
/// # Examples
///
/// ```
/// use sample_pool::stream::{DecodeFrame, Lines};
///
/// let error = Lines::new().max_length(3).decode(b"four").unwrap_err();
/// assert_eq!(error.to_string(), "a line is longer than 3 bytes");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a line is longer than {limit} bytes")]
#[non_exhaustive]
pub struct LineTooLong {
    /// The limit in bytes.
    pub limit: usize,
}

impl Lines {
    /// Creates a decoder without a limit of its own.
    ///
    /// # Examples
    ///
    /// See [`Lines`].
    #[must_use]
    pub fn new() -> Self {
        Lines {
            max_length: usize::MAX,
            searched: 0,
        }
    }

    /// Sets how many bytes a line may have, without its end. A longer one is an error, also if its end has not arrived.
    ///
    /// # Examples
    ///
    /// See [`LineTooLong`].
    #[must_use]
    pub fn max_length(mut self, bytes: usize) -> Self {
        self.max_length = bytes;
        self
    }

    /// The line of `len` bytes, which may end with the first byte of a line end.
    fn line(&self, bytes: &[u8], len: usize, consumed: usize) -> Result<Decoded, LineTooLong> {
        let len = len - usize::from(bytes[..len].ends_with(b"\r"));
        if len > self.max_length {
            return Err(self.too_long());
        }
        Ok(Decoded::Frame {
            frame: 0..len,
            consumed,
        })
    }

    fn too_long(&self) -> LineTooLong {
        LineTooLong {
            limit: self.max_length,
        }
    }
}

/// A clone has the same limit, and starts with a line.
impl Clone for Lines {
    fn clone(&self) -> Self {
        // The clone gets other bytes, which were not searched.
        Lines::new().max_length(self.max_length)
    }
}

impl Default for Lines {
    fn default() -> Self {
        Lines::new()
    }
}

impl DecodeFrame for Lines {
    type Error = LineTooLong;

    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, LineTooLong> {
        // Remembered only if the line is incomplete: after a line or an error, the next call gets other bytes.
        let mut searched = mem::take(&mut self.searched);
        if searched > bytes.len() {
            // The caller passes other bytes than those of the last call.
            searched = 0;
        }
        // What was searched before is not searched again: the time for a line that arrives byte by byte would be
        // quadratic.
        if let Some(at) = bytes[searched..].iter().position(|&byte| byte == b'\n') {
            let len = searched + at;
            return self.line(bytes, len, len + 1);
        }
        // The last byte may be the first one of a line end.
        let least = bytes.len() - usize::from(bytes.ends_with(b"\r"));
        if least > self.max_length {
            return Err(self.too_long());
        }
        self.searched = bytes.len();
        Ok(Decoded::Incomplete { needed: None })
    }

    fn decode_eof(&mut self, bytes: &[u8]) -> Result<Decoded, LineTooLong> {
        match self.decode(bytes)? {
            Decoded::Incomplete { .. } => {
                self.searched = 0;
                self.line(bytes, bytes.len(), bytes.len())
            }
            line @ Decoded::Frame { .. } => Ok(line),
        }
    }

    fn restart(&mut self) {
        self.searched = 0;
    }
}
