//! Where a JPEG begins and where it ends, by its markers.
//!
//! A search for `FF D9` alone would stop at the end of the thumbnail that cameras embed in a header segment.

/// How much of the beginning of a picture was read: `FF D8 FF`, and then the code of a marker.
///
/// A second `FF D8` takes the place of the first: decoders refuse a picture that has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Head {
    #[default]
    Nothing,
    /// `FF`.
    Fill,
    /// `FF D8`.
    Start,
    /// `FF D8 FF`.
    Marker,
}

/// What [`Head`] has read when a picture begins.
pub(super) const HEAD: &[u8] = &[0xFF, 0xD8, 0xFF];

/// The marker that a picture begins with.
pub(super) const START: &[u8] = &[0xFF, 0xD8];

/// What ends a picture.
pub(super) const END: &[u8] = &[0xFF, 0xD9];

impl Head {
    /// How many bytes may be the beginning of a picture.
    pub(super) fn len(self) -> usize {
        self as usize
    }

    /// Whether a picture begins here, if `next` is the next byte.
    pub(super) fn is_complete(self, next: u8) -> bool {
        self == Head::Marker && matches!(next, 0x01 | 0xC0..=0xCF | 0xD9..=0xFF)
    }

    /// Reads a byte with which no picture begins yet.
    pub(super) fn push(self, byte: u8) -> Head {
        match (self, byte) {
            (Head::Start, 0xFF) => Head::Marker,
            (Head::Fill | Head::Marker, 0xD8) => Head::Start,
            (_, 0xFF) => Head::Fill,
            _ => Head::Nothing,
        }
    }
}

/// More bytes that belong to no marker than any camera puts before one, or before the first. Decoders skip them.
pub(super) const MOST_STRAY: u8 = 64;

/// A place in a JPEG file, between two bytes: what the next one has to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum MarkerWalk {
    /// The `FF` of a marker, after so many bytes that belong to none.
    Marker { stray: u8 },
    /// The code of a marker, or one more `FF` to fill.
    Code { stray: u8 },
    /// The high byte of a segment's length; `scan` if coded data follows the segment.
    LengthHigh { scan: bool },
    /// The low byte of a segment's length.
    LengthLow { scan: bool, high: u8 },
    /// Inside a segment.
    Segment { scan: bool, left: usize },
    /// In coded data, where `FF` is either followed by 0 or a marker.
    Scan,
    /// After an `FF` in coded data.
    ScanCode,
}

/// What a walk came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The picture goes on behind these bytes.
    On,
    /// It ends with the first so many of them.
    Over(usize),
    /// The byte at this place is the `D8` of the next picture.
    Next(usize),
    /// The byte at this place cannot stand there.
    Broken(usize),
}

impl MarkerWalk {
    /// Goes on behind [`START`] or [`HEAD`].
    pub(super) fn behind(head: &[u8]) -> MarkerWalk {
        match head.len() {
            2 => MarkerWalk::Marker { stray: 0 },
            _ => MarkerWalk::Code { stray: 0 },
        }
    }

    /// Whether all that is missing may be the end marker.
    pub(super) fn is_in_coded_data(&self) -> bool {
        matches!(self, MarkerWalk::Scan | MarkerWalk::ScanCode)
    }

    /// Walks over `bytes`. It is of no use once it is over.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            *self = match *self {
                // Both of these skip what says nothing, which is nearly all of a picture.
                MarkerWalk::Segment { scan, left } if left > 0 => {
                    let skipped = left.min(bytes.len() - at);
                    *self = MarkerWalk::Segment {
                        scan,
                        left: left - skipped,
                    };
                    at += skipped;
                    continue;
                }
                MarkerWalk::Scan if byte != 0xFF => {
                    let rest = &bytes[at..];
                    let marker = rest.iter().position(|&byte| byte == 0xFF);
                    at += marker.unwrap_or(rest.len());
                    continue;
                }
                MarkerWalk::Segment { scan: true, .. } => {
                    *self = MarkerWalk::Scan;
                    continue;
                }
                MarkerWalk::Segment { scan: false, .. } => {
                    *self = MarkerWalk::Marker { stray: 0 };
                    continue;
                }
                MarkerWalk::Scan => MarkerWalk::ScanCode,
                // What is reserved is a damaged byte of coded data, which costs a few blocks of the picture.
                MarkerWalk::ScanCode if matches!(byte, 0x00..=0xBF | 0xD0..=0xD7) => {
                    MarkerWalk::Scan
                }
                MarkerWalk::Marker { stray } if byte == 0xFF => MarkerWalk::Code { stray },
                MarkerWalk::Marker { stray: MOST_STRAY } => return Step::Broken(at),
                MarkerWalk::Marker { stray } => MarkerWalk::Marker { stray: stray + 1 },
                MarkerWalk::Code { stray } if matches!(byte, 0x00 | 0x02..=0xBF) => match stray {
                    MOST_STRAY => return Step::Broken(at),
                    stray => MarkerWalk::Marker { stray: stray + 1 },
                },
                MarkerWalk::Code { .. } | MarkerWalk::ScanCode => match byte {
                    0xFF => *self,
                    0xD8 => return Step::Next(at),
                    0xD9 => return Step::Over(at + 1),
                    0x01 | 0xD0..=0xD7 => MarkerWalk::Marker { stray: 0 },
                    _ => MarkerWalk::LengthHigh { scan: byte == 0xDA },
                },
                MarkerWalk::LengthHigh { scan } => MarkerWalk::LengthLow { scan, high: byte },
                MarkerWalk::LengthLow { scan, high } => {
                    // The length counts its own two bytes.
                    match usize::from(u16::from_be_bytes([high, byte])).checked_sub(2) {
                        Some(left) => MarkerWalk::Segment { scan, left },
                        None => return Step::Broken(at),
                    }
                }
            };
            at += 1;
        }
        Step::On
    }
}
