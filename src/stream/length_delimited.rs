//! The decoder of frames with their length before them.

#![forbid(unsafe_code)]

use super::decode_frame::{DecodeFrame, Decoded};
use std::ops::Range;
use thiserror::Error;

/// Decodes frames that have their length before them, as a number of one to eight bytes.
///
/// The settings are those of `tokio_util`'s `LengthDelimitedCodec`, with the same defaults: a number of four bytes, big
/// endian, at the start, which counts the bytes that follow it. The frame is what follows the number. A frame has at
/// most 8 MiB. In a [`FrameReader`](super::FrameReader) it must fit into a buffer together with what is before it; in a
/// [`MessageReader`](super::MessageReader) it can be larger. One thing differs: `tokio_util` compares the
/// number with [`max_frame_length`](LengthDelimited::max_frame_length) before it adds
/// [`length_adjustment`](LengthDelimited::length_adjustment), and this decoder compares the sum.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use sample_pool::{Pool, stream::{FrameReader, LengthDelimited}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).size(64).build()?;
/// let decoder = LengthDelimited::new().length_field_length(2);
/// let mut frames = FrameReader::new(&b"\0\x03one\0\x03two"[..], &pool, decoder);
/// assert_eq!(&frames.next().await.expect("two frames")?[..], b"one");
/// assert_eq!(&frames.next().await.expect("two frames")?[..], b"two");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LengthDelimited {
    offset: usize,
    length: usize,
    little_endian: bool,
    adjustment: i64,
    skip: Option<usize>,
    max_frame_length: usize,
}

/// The error of [`LengthDelimited`].
///
/// # Examples
///
/// ```
/// use sample_pool::stream::{DecodeFrame, LengthDelimited, LengthError};
///
/// let mut decoder = LengthDelimited::new().max_frame_length(3);
/// let error = decoder.decode(b"\0\0\0\x04").unwrap_err();
/// assert_eq!(error, LengthError::TooLong { length: 4, limit: 3 });
/// assert_eq!(error.to_string(), "a frame is longer than `max_frame_length`, 3 bytes: the length before it is 4");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LengthError {
    /// The frame is longer than [`max_frame_length`](LengthDelimited::max_frame_length).
    #[error(
        "a frame is longer than `max_frame_length`, {limit} bytes: the length before it is {length}"
    )]
    TooLong {
        /// The number before the frame.
        length: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// With [`length_adjustment`](LengthDelimited::length_adjustment) the length is less than zero, or the frame and what
    /// is skipped before it have no bytes at all.
    #[error("the length {length} of a frame is too small")]
    TooSmall {
        /// The number before the frame.
        length: u64,
    },
}

impl LengthDelimited {
    /// Creates a decoder with the defaults.
    ///
    /// # Examples
    ///
    /// See [`LengthDelimited`].
    #[must_use]
    pub fn new() -> Self {
        LengthDelimited {
            offset: 0,
            length: 4,
            little_endian: false,
            adjustment: 0,
            skip: None,
            max_frame_length: 8 * 1024 * 1024,
        }
    }

    /// Sets how many bytes the number has. The default is 4.
    ///
    /// # Panics
    ///
    /// If it is not from 1 to 8.
    ///
    /// # Examples
    ///
    /// See [`LengthDelimited`].
    #[must_use]
    pub fn length_field_length(mut self, bytes: usize) -> Self {
        assert!(
            (1..=8).contains(&bytes),
            "a length has from 1 to 8 bytes, not {bytes}"
        );
        self.length = bytes;
        self
    }

    /// Sets how many bytes are before the number. The default is 0.
    ///
    /// # Examples
    ///
    /// A byte for the kind is before the length, and part of the frame:
    ///
    /// ```
    /// use sample_pool::stream::{DecodeFrame, Decoded, LengthDelimited};
    ///
    /// let decoder = LengthDelimited::new().length_field_offset(1).length_field_length(1);
    /// let mut decoder = decoder.num_skip(0).length_adjustment(2);
    /// let decoded = decoder.decode(b"k\x04body")?;
    /// assert_eq!(decoded, Decoded::Frame { frame: 0..6, consumed: 6 });
    /// # Ok::<(), sample_pool::stream::LengthError>(())
    /// ```
    #[must_use]
    pub fn length_field_offset(mut self, bytes: usize) -> Self {
        self.offset = bytes;
        self
    }

    /// Sets what is added to the number. The default is 0. A negative one is for numbers that count themselves.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::stream::{DecodeFrame, Decoded, LengthDelimited};
    ///
    /// let mut decoder = LengthDelimited::new().length_field_length(1).length_adjustment(-1);
    /// let decoded = decoder.decode(b"\x05four")?;
    /// assert_eq!(decoded, Decoded::Frame { frame: 1..5, consumed: 5 });
    /// # Ok::<(), sample_pool::stream::LengthError>(())
    /// ```
    #[must_use]
    pub fn length_adjustment(mut self, bytes: i64) -> Self {
        self.adjustment = bytes;
        self
    }

    /// Sets how many bytes before the frame are skipped. The default is all up to the end of the number.
    ///
    /// # Examples
    ///
    /// See [`length_field_offset`](LengthDelimited::length_field_offset).
    #[must_use]
    pub fn num_skip(mut self, bytes: usize) -> Self {
        self.skip = Some(bytes);
        self
    }

    /// Makes the number little endian. The default is big endian.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::stream::{DecodeFrame, Decoded, LengthDelimited};
    ///
    /// let mut decoder = LengthDelimited::new().length_field_length(2).little_endian();
    /// let decoded = decoder.decode(b"\x04\0four")?;
    /// assert_eq!(decoded, Decoded::Frame { frame: 2..6, consumed: 6 });
    /// # Ok::<(), sample_pool::stream::LengthError>(())
    /// ```
    #[must_use]
    pub fn little_endian(mut self) -> Self {
        self.little_endian = true;
        self
    }

    /// Sets how many bytes a frame may have, without those that are skipped. The default is 8 MiB.
    ///
    /// # Examples
    ///
    /// See [`LengthError`].
    #[must_use]
    pub fn max_frame_length(mut self, bytes: usize) -> Self {
        self.max_frame_length = bytes;
        self
    }

    /// How many bytes there are up to the end of the number.
    fn head(&self) -> usize {
        self.offset.saturating_add(self.length)
    }

    /// Where the frame lies. `None` if not all of the number is there.
    fn frame(&self, bytes: &[u8]) -> Result<Option<Range<usize>>, LengthError> {
        let limit = self.max_frame_length;
        let head = self.head();
        let Some(number) = bytes.get(self.offset..head) else {
            return Ok(None);
        };
        let length = self.number(number);
        // The sum of both is within an `i128`, whatever the sender wrote.
        let frame = i128::from(length) + i128::from(self.adjustment);
        let frame = u128::try_from(frame).map_err(|_| LengthError::TooSmall { length })?;
        let frame = match usize::try_from(frame) {
            Ok(frame) if frame <= limit => frame,
            _ => return Err(LengthError::TooLong { length, limit }),
        };
        let skip = self.skip.unwrap_or(head);
        let end = skip
            .checked_add(frame)
            .ok_or(LengthError::TooLong { length, limit })?;
        match end {
            0 => Err(LengthError::TooSmall { length }),
            _ => Ok(Some(skip..end)),
        }
    }

    /// The number in these bytes.
    fn number(&self, bytes: &[u8]) -> u64 {
        let append = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        match self.little_endian {
            true => bytes.iter().rev().fold(0, append),
            false => bytes.iter().fold(0, append),
        }
    }
}

impl Default for LengthDelimited {
    fn default() -> Self {
        LengthDelimited::new()
    }
}

impl DecodeFrame for LengthDelimited {
    type Error = LengthError;

    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, LengthError> {
        let Some(frame) = self.frame(bytes)? else {
            let head = self.head();
            return Ok(Decoded::Incomplete { needed: Some(head) });
        };
        let consumed = frame.end;
        Ok(match consumed {
            end if bytes.len() < end => Decoded::Incomplete { needed: Some(end) },
            _ => Decoded::Frame { frame, consumed },
        })
    }

    fn frame_range(&mut self, bytes: &[u8]) -> Option<Range<usize>> {
        self.frame(bytes).ok().flatten()
    }
}
