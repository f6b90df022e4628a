//! The headers of a message: which bytes of which frame it carries.
//!
//! ```text
//! subject        live.cam
//! Live-Origin    18235f3ab2c41d07      who publishes; another one after its restart
//! Live-Stream    3                     another one when the origin follows the channel anew
//! Live-Kind      jpeg | mp4 | init     a picture, a fragment, or the init segment of a stream's fragments
//!                removed               none of these: the origin has removed the channel; no bytes
//! Live-Sequence  1042                  the number of the frame in its channel
//! Live-Piece     0/2                   this piece of so many: a fragment is one or more samples of the origin's pool
//! Live-Part      1/3                   this part of the piece: a piece can be larger than a message may be
//! Live-Sync      1                     the frame can be shown without another
//! Live-Time      14203310              when it came to the origin, in units of 100 ns
//! ```
//!
//! The payload is the bytes, as they are. All headers are there, but for the time, which may be unknown.

use async_nats::{HeaderMap, header::HeaderValue};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// More than the headers of a message take, on the wire; they count against the broker's limit.
pub const MOST_HEADER_BYTES: usize = 512;

const ORIGIN: &str = "Live-Origin";
const STREAM: &str = "Live-Stream";
const KIND: &str = "Live-Kind";
const SEQUENCE: &str = "Live-Sequence";
const PIECE: &str = "Live-Piece";
const PART: &str = "Live-Part";
const SYNC: &str = "Live-Sync";
const TIME: &str = "Live-Time";

/// What a message says of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The process that publishes.
    pub origin: u64,
    /// Counted by the origin: fragments can be played with the init segment of the same stream, and no other.
    pub stream: u64,
    /// What the payload is a part of.
    pub kind: Kind,
    /// The number of the frame in its channel.
    pub sequence: u64,
    /// The place of the piece in its frame.
    pub piece: Place,
    /// The place of the payload in its piece.
    pub part: Place,
    /// Whether the frame can be shown without another.
    pub sync: bool,
    /// When it came to the origin, in units of 100 ns.
    pub time: Option<i64>,
}

/// What an origin publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A picture.
    Jpeg,
    /// A fragment.
    Mp4,
    /// An init segment.
    Init,
    /// The channel is removed, and nothing more of it comes from this origin.
    Removed,
}

/// One of several, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which of them.
    pub index: u16,
    /// How many there are.
    pub of: u16,
}

impl Place {
    /// All there is.
    pub const ONLY: Place = Place { index: 0, of: 1 };

    /// Whether none follows.
    #[must_use]
    pub fn is_last(self) -> bool {
        self.index + 1 == self.of
    }
}

/// Why a message is not one of an origin's.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Nonsense {
    /// A header that each message has.
    #[error("no header {0}")]
    Missing(&'static str),
    /// A header with a value that no origin writes.
    #[error("{name} cannot be {value:?}")]
    Unreadable {
        /// The header.
        name: &'static str,
        /// What it holds.
        value: String,
    },
}

impl Label {
    /// What says that the origin has removed the channel.
    #[must_use]
    pub fn removal(origin: u64) -> Self {
        Label {
            origin,
            stream: 0,
            kind: Kind::Removed,
            sequence: 0,
            piece: Place::ONLY,
            part: Place::ONLY,
            sync: true,
            time: None,
        }
    }

    /// The headers of the message.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, format!("{:016x}", self.origin));
        headers.insert(STREAM, HeaderValue::from(self.stream));
        headers.insert(KIND, self.kind.to_string());
        headers.insert(SEQUENCE, HeaderValue::from(self.sequence));
        headers.insert(PIECE, self.piece.to_string());
        headers.insert(PART, self.part.to_string());
        headers.insert(SYNC, if self.sync { "1" } else { "0" });
        if let Some(time) = self.time {
            headers.insert(TIME, HeaderValue::from(time));
        }
        headers
    }

    /// What the headers of a message say.
    ///
    /// # Errors
    ///
    /// If a header is missing, or cannot be what an origin writes.
    pub fn read(headers: &HeaderMap) -> Result<Self, Nonsense> {
        let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
        let flag = |text: &str| match text {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        };
        Ok(Label {
            origin: read(headers, ORIGIN, hexadecimal)?,
            stream: read(headers, STREAM, parsed)?,
            kind: read(headers, KIND, parsed)?,
            sequence: read(headers, SEQUENCE, parsed)?,
            piece: read(headers, PIECE, parsed)?,
            part: read(headers, PART, parsed)?,
            sync: read(headers, SYNC, flag)?,
            time: match headers.get(TIME) {
                Some(_) => Some(read(headers, TIME, parsed)?),
                None => None,
            },
        })
    }
}

fn read<T>(
    headers: &HeaderMap,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Nonsense> {
    let value = headers.get(name).ok_or(Nonsense::Missing(name))?.as_str();
    parse(value).ok_or_else(|| Nonsense::Unreadable {
        name,
        value: value.to_owned(),
    })
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Jpeg => "jpeg",
            Kind::Mp4 => "mp4",
            Kind::Init => "init",
            Kind::Removed => "removed",
        })
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "jpeg" => Ok(Kind::Jpeg),
            "mp4" => Ok(Kind::Mp4),
            "init" => Ok(Kind::Init),
            "removed" => Ok(Kind::Removed),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (index, of) = text.split_once('/').ok_or(())?;
        let place = Place {
            index: index.parse().map_err(|_unreadable| ())?,
            of: of.parse().map_err(|_unreadable| ())?,
        };
        if place.index < place.of {
            Ok(place)
        } else {
            Err(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label {
            origin: 0xBEEF,
            stream: 7,
            kind: Kind::Mp4,
            sequence: 1042,
            piece: Place { index: 1, of: 3 },
            part: Place { index: 0, of: 2 },
            sync: true,
            time: Some(14_203_310),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for kind in [Kind::Jpeg, Kind::Mp4, Kind::Init, Kind::Removed] {
            for (sync, time) in [(true, None), (false, Some(-1)), (true, Some(i64::MAX))] {
                let label = Label {
                    kind,
                    sync,
                    time,
                    ..label()
                };
                assert_eq!(Label::read(&label.headers()), Ok(label));
            }
        }
    }

    /// Or a payload that is cut to what is left would be refused by the broker.
    #[test]
    fn the_longest_headers_take_less_than_is_kept_for_them() {
        let longest = Place {
            index: u16::MAX - 1,
            of: u16::MAX,
        };
        let headers = Label {
            origin: u64::MAX,
            stream: u64::MAX,
            kind: Kind::Jpeg,
            sequence: u64::MAX,
            piece: longest,
            part: longest,
            sync: true,
            time: Some(i64::MIN),
        }
        .headers();
        let lines = headers.iter().flat_map(|(name, values)| {
            let name = name.to_string().len();
            values.iter().map(move |value| name + value.as_str().len())
        });
        let wire: usize = lines.map(|line| line + ": \r\n".len()).sum();
        let wire = wire + "NATS/1.0\r\n\r\n".len();
        assert!(wire <= MOST_HEADER_BYTES, "{wire}");
    }

    #[test]
    fn a_missing_header_is_named() {
        for name in [ORIGIN, STREAM, KIND, SEQUENCE, PIECE, PART, SYNC] {
            let complete = label().headers();
            let rest = complete
                .iter()
                .filter(|(other, _)| other.to_string() != name);
            let rest = rest.map(|(other, values)| (other.clone(), values[0].clone()));
            let rest: HeaderMap = rest.collect();
            assert_eq!(Label::read(&rest), Err(Nonsense::Missing(name)));
        }
    }

    #[test]
    fn what_no_origin_writes_is_refused() {
        for (name, value) in [
            (ORIGIN, "the first"),
            (ORIGIN, ""),
            (STREAM, "-1"),
            (KIND, "gif"),
            (SEQUENCE, "18446744073709551616"),
            (PIECE, "3/3"),
            (PIECE, "0/0"),
            (PIECE, "1"),
            (PART, "1/70000"),
            (PART, "a/b"),
            (SYNC, "yes"),
            (TIME, "noon"),
        ] {
            let mut headers = label().headers();
            headers.insert(name, value);
            let value = value.to_owned();
            assert_eq!(
                Label::read(&headers),
                Err(Nonsense::Unreadable { name, value })
            );
        }
    }
}
