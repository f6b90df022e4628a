//! Why a stream of fragmented MP4 cannot be read on.

use std::fmt;

use super::boxes::Kind;

/// What makes ffmpeg write what is asked for, all of it: without the last its fragments may be too large, and with the cover
/// of an album nothing plays.
const HOW: &str = "ffmpeg needs -map 0:V? -map 0:a? -movflags frag_keyframe+empty_moov+default_base_moof -frag_duration 500000";
/// What keeps the cover of an album out of the moov.
const NO_COVER: &str = "-map 0:V? -map 0:a? leaves out the cover of an album";
/// What makes its fragments short, whatever their bit rate: a time in microseconds.
pub(crate) const SHORTER: &str = "-frag_duration 500000";

/// Why the stream cannot be read on. Sending it again does not help.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mp4Error {
    /// The first box is none that a film begins with.
    NotMp4 { found: [u8; 8] },
    /// Neither a box nor the beginning of one, so many bytes into the stream.
    NotABox { at: u64, found: [u8; 8] },
    /// A box says that it is shorter than its own header.
    TooSmall { kind: Kind, bytes: u64 },
    /// A box says that it ends with the file.
    ToTheEnd { kind: Kind },
    /// What has to be kept is larger than may be kept.
    TooLarge {
        what: &'static str,
        bytes: u64,
        most: u64,
    },
    /// An ordinary film: one index for all of it.
    NotFragmented,
    /// A fragment, but no `moov` before it.
    NoInit,
    /// Media without a `moof` of its own.
    StrayMedia,
    /// A box where it cannot stand.
    Misplaced { kind: Kind, place: &'static str },
    /// The places in a fragment are counted from the beginning of the stream.
    AbsoluteOffsets,
    /// A `moov` without a track.
    NoTrack,
    /// A `moov` that cannot be read, and why.
    BrokenMoov(String),
    /// A `moof` that cannot be read, and why.
    BrokenMoof(String),
}

impl fmt::Display for Mp4Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mp4Error::NotMp4 { found } => {
                f.write_str("not an MP4: it begins with ftyp, styp or moov, this one with")?;
                in_hexadecimal(f, found)
            }
            Mp4Error::NotABox { at, found } => {
                write!(f, "not a box at byte {at}, but")?;
                in_hexadecimal(f, found)
            }
            Mp4Error::TooSmall { kind, bytes } => write!(
                f,
                "broken MP4: the box {kind} says that it has {bytes} bytes, less than its header"
            ),
            // ffmpeg goes back to write a size, and cannot if its buffer has been sent by then.
            Mp4Error::ToTheEnd { kind } if kind.0 == *b"moov" => write!(
                f,
                "the moov has no size: ffmpeg cannot write one that is larger than its buffer to a live stream; {NO_COVER}"
            ),
            Mp4Error::ToTheEnd { kind } => write!(
                f,
                "the box {kind} goes on to the end of the file, which a live stream does not have: {HOW}, and delay_moov for AC-3"
            ),
            Mp4Error::TooLarge { what, bytes, most } => {
                write!(
                    f,
                    "the {what} has {bytes} bytes, and the most are {most}; "
                )?;
                match *what {
                    "moof" => write!(f, "that of a short fragment is small: ffmpeg needs {SHORTER}"),
                    _ => write!(
                        f,
                        "that of a fragmented MP4 without the cover of an album is small: {HOW}"
                    ),
                }
            }
            Mp4Error::NotFragmented => write!(f, "the MP4 is not fragmented: {HOW}"),
            Mp4Error::NoInit => f.write_str(
                "MP4 without ftyp and moov: the stream begins with a fragment, and its init segment has to come first",
            ),
            Mp4Error::StrayMedia => write!(
                f,
                "an mdat without a moof before it: a fragment is one moof and one mdat; {HOW}"
            ),
            Mp4Error::Misplaced { kind, place } => {
                write!(f, "broken MP4: the box {kind} cannot stand {place}")
            }
            Mp4Error::AbsoluteOffsets => write!(
                f,
                "a fragment counts its offsets from the beginning of the stream, which who joins later has not got: {HOW}"
            ),
            Mp4Error::NoTrack => f.write_str("the MP4 has no track in its moov"),
            Mp4Error::BrokenMoov(why) => write!(f, "the moov cannot be read: {why}"),
            Mp4Error::BrokenMoof(why) => write!(f, "the moof cannot be read: {why}"),
        }
    }
}

fn in_hexadecimal(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
}

impl std::error::Error for Mp4Error {}
