//! What of a stream is in no frame, and why a stream is refused.

use std::fmt;

/// What was in the stream and in no frame, line breaks and the headers of parts not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) bytes: u64,
    /// Frames that were abandoned.
    pub(crate) pictures: u64,
}

#[allow(
    dead_code,
    reason = "the fuzzer, which has this file too, asks for nothing but the whole"
)]
impl Skipped {
    /// What was skipped since it was this much.
    pub(crate) fn since(self, before: Skipped) -> Skipped {
        Skipped {
            bytes: self.bytes - before.bytes,
            pictures: self.pictures - before.pictures,
        }
    }

    pub(crate) fn add(&mut self, more: Skipped) {
        self.bytes += more.bytes;
        self.pictures += more.pictures;
    }
}

/// Why the stream cannot be read on. Sending it again does not help.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// Where the first picture has to begin stands something else.
    NotJpeg { found: Vec<u8> },
    /// A picture began as a JPEG does, but its markers make no sense, and no other came.
    BrokenJpeg,
    /// There are parts, and no picture in them.
    NoPictures,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::NotJpeg { found } => {
                f.write_str("not a JPEG: a frame begins with ff d8 ff, this one with")?;
                found.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
            FrameError::BrokenJpeg => f.write_str("not a JPEG: the markers of a frame are broken"),
            FrameError::NoPictures => {
                f.write_str("not a JPEG: no part of the multipart stream is a picture")
            }
        }
    }
}

impl std::error::Error for FrameError {}
