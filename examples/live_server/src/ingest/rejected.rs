//! Why a source was turned away.

use crate::{
    channel::Unavailable,
    jpeg::parser::FrameError,
    mp4::{Mp4Error, SHORTER},
};
use sample_pool::stream::ReadError;
use std::{error::Error, fmt, io, time::Duration};

#[derive(Debug)]
pub(crate) enum Rejected {
    /// Neither of what the server understands, or motion JPEG that is broken.
    NotFrames(FrameError),
    /// There was no body, or nothing in it.
    Empty,
    /// It ended before the first of these was whole.
    NothingWhole(&'static str),
    /// MP4 that cannot be passed on.
    BrokenMp4(Mp4Error),
    /// What does not fit: what it is, how many bytes it has as far as that is known, and how many it may have.
    TooLarge {
        what: &'static str,
        bytes: Option<u64>,
        most: u64,
    },
    /// No frame was finished for so long.
    TooSlow(Duration),
    /// No fragment was finished for so long.
    TooSlowFragment(Duration),
    /// It may not feed this channel.
    Unavailable(Unavailable),
    /// The server ends.
    Ending,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejected::NotFrames(error) => error.fmt(f),
            Rejected::Empty => f.write_str(
                "nothing was sent: a stream needs the header Content-Length, or Transfer-Encoding: chunked",
            ),
            Rejected::NothingWhole(what) => {
                write!(f, "nothing can be shown: the stream ended before its first {what} was whole")
            }
            Rejected::BrokenMp4(error) => error.fmt(f),
            Rejected::TooLarge { what, bytes, most } => {
                match bytes {
                    Some(bytes) => write!(f, "a {what} of {bytes} bytes")?,
                    None => write!(f, "a {what} of more than {most} bytes")?,
                }
                write!(f, ", and there is room for {most}; see --size")?;
                match *what {
                    "fragment" => write!(f, ", or cut it shorter: ffmpeg's {SHORTER}"),
                    _ => Ok(()),
                }
            }
            Rejected::TooSlow(limit) => {
                let seconds = limit.as_secs();
                write!(f, "no frame was finished for {seconds} s; see --source-timeout")
            }
            Rejected::TooSlowFragment(limit) => write!(
                f,
                "no fragment was finished for {} s; frag_keyframe cuts at key frames alone, and sound without video never: ffmpeg needs {SHORTER}",
                limit.as_secs()
            ),
            Rejected::Unavailable(unavailable) => unavailable.fmt(f),
            Rejected::Ending => f.write_str("the server is ending"),
        }
    }
}

impl From<FrameError> for Rejected {
    fn from(error: FrameError) -> Self {
        Rejected::NotFrames(error)
    }
}

impl From<Mp4Error> for Rejected {
    fn from(error: Mp4Error) -> Self {
        Rejected::BrokenMp4(error)
    }
}

impl From<Unavailable> for Rejected {
    fn from(unavailable: Unavailable) -> Self {
        Rejected::Unavailable(unavailable)
    }
}

impl Error for Rejected {}

/// What [`frames`](super::frames) refused. No other error comes of it.
impl From<io::Error> for Rejected {
    fn from(error: io::Error) -> Self {
        error.downcast().unwrap_or(Rejected::Ending)
    }
}

/// Or the pool is decommitted.
impl From<ReadError> for Rejected {
    fn from(error: ReadError) -> Self {
        io::Error::from(error).into()
    }
}
