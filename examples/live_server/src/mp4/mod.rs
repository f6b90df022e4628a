//! Finds the init segment and the fragments in a live stream of fragmented MP4, whatever the chunks it
//! arrives in.
//!
//! ```text
//! ftyp … moov   [styp prft emsg sidx free …] moof … mdat   [ … ] moof … mdat   mfra
//! init segment  fragment                                   fragment            dropped
//! ```
//!
//! A fragment is one `moof` and the one `mdat` that follows it, with all boxes that stand before and between
//! them. So its end is known with its last byte, and not with the first byte of the next one, which in a
//! live stream comes a fragment later. A second `mdat` without a `moof` of its own is an error. A film may
//! begin again after a whole fragment, with another init segment.
//!
//! The parser does no input or output and keeps no media: it gives the bytes of a fragment as slices of the
//! chunk that they came in. All of them, headers included, are the input byte for byte; only a header that a
//! chunk cuts is put together first. It collects the init segment and each `moof`, which it looks into, and
//! both are bounded.
//!
//! | file          | idea                                                      |
//! |---------------|-----------------------------------------------------------|
//! | `mod`         | the boxes of the stream, one after the other              |
//! | `boxes`       | a header, and the boxes in a box                          |
//! | `init`        | the tracks                                                |
//! | `codecs`      | what a player needs to know of a track                    |
//! | `fragment`    | what a fragment has of each track                         |
//! | `sync_points` | which fragments a viewer can begin with                   |
//! | `error`       | the errors that a sender gets                             |

mod boxes;
mod codecs;
mod error;
mod fragment;
mod init;
mod sync_points;

use bytes::Bytes;

use boxes::{Header, LONGEST_HEADER, Size};
pub(crate) use error::Mp4Error;
#[allow(unused_imports, reason = "the fuzzer has this module and no ingest")]
pub(crate) use error::SHORTER;
pub(crate) use init::InitSegment;
use sync_points::SyncPoints;

/// The largest init segment. One with H.264 and AAC has less than 2 KiB; a picture that is a film's cover stands in it. It
/// fits into one message of a broker's that takes a MiB, as `examples/many_machines` needs it.
pub(crate) const LARGEST_INIT: u64 = 1_000_000;
/// The largest `moof`. Each sample takes 16 bytes of one at the most.
pub(crate) const LARGEST_MOOF: u64 = 256 * 1024;

/// What comes next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The init segment is complete: ftyp … moov.
    Init(InitSegment),
    /// A fragment begins, with the first byte of its first box.
    Begin,
    /// The fragment will be at least this many bytes long: reported as soon as a box header says so, before its
    /// bytes. `media` once its `mdat` is announced, with which it ends: then it has exactly so many bytes, and it is known
    /// whether it begins with a sample that can be shown without another.
    Announced { bytes: u64, media: Option<bool> },
    /// The next bytes of the fragment: a slice of the chunk.
    Piece(Bytes),
    /// The fragment is complete. Whether it begins with a sample that can be shown without another.
    End { sync: bool },
}

/// Which boxes have gone before.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// None, of a stream or of an init segment.
    Start,
    /// The beginning of an init segment.
    Init,
    /// A whole init segment or a whole fragment.
    Between,
    /// The beginning of a fragment, but not its `moof`.
    BeforeMoof,
    /// The `moof` of a fragment, but not its `mdat`.
    AfterMoof { sync: bool },
}

/// What is due.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A header.
    Header,
    /// To say that a box of a fragment comes.
    Announce(Part, u64),
    /// The rest of a box, header and all.
    Pass(Part, u64),
    /// To say that a fragment is complete.
    End { sync: bool },
}

/// What a box is a part of.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The init segment; `last` if it is the `moov`.
    Init { last: bool },
    /// A fragment, which it says nothing of.
    Other,
    /// A fragment, which it describes. Its content begins after a header of this length.
    Moof { header: usize },
    /// A fragment, of which it is the last.
    Mdat { sync: bool },
    /// Nothing: an index of the whole stream, which a live stream does not have.
    Dropped,
}

/// Finds fragments in the chunks of one stream. See the module's documentation.
#[derive(Debug)]
pub(crate) struct FragmentParser {
    place: Place,
    step: Step,
    /// A header of which a part came with earlier chunks.
    held: Vec<u8>,
    /// The init segment or the `moof`, as far as it has come.
    collected: Vec<u8>,
    /// The bytes of the fragment up to the end of the box.
    announced: u64,
    /// Where in the stream the next header or piece begins.
    at: u64,
    sync_points: SyncPoints,
}

impl FragmentParser {
    pub(crate) fn new() -> FragmentParser {
        FragmentParser {
            place: Place::Start,
            step: Step::Header,
            held: Vec::new(),
            collected: Vec::new(),
            announced: 0,
            at: 0,
            sync_points: SyncPoints::default(),
        }
    }

    /// The next event in `chunk`, of which it takes what it has read; `None` once it is used up.
    pub(crate) fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Event>, Mp4Error> {
        loop {
            match self.step {
                Step::End { sync } => {
                    self.step = Step::Header;
                    return Ok(Some(Event::End { sync }));
                }
                Step::Announce(part, bytes) => {
                    self.announced = self.announced.saturating_add(bytes);
                    self.step = Step::Pass(part, bytes);
                    let bytes = self.announced;
                    let media = match part {
                        Part::Mdat { sync } => Some(sync),
                        _ => None,
                    };
                    return Ok(Some(Event::Announced { bytes, media }));
                }
                Step::Header => {
                    let Some(header) = self.header(chunk) else {
                        return Ok(None);
                    };
                    if let Some(event) = self.begin(header)? {
                        return Ok(Some(event));
                    }
                }
                Step::Pass(part, left) => {
                    let Some(piece) = self.piece(chunk, left) else {
                        return Ok(None);
                    };
                    if let Some(event) = self.pass(part, left - piece.len() as u64, piece)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    /// Whether a stream that ends here ends cleanly: no init segment and no fragment is cut.
    pub(crate) fn is_between_fragments(&self) -> bool {
        let whole = matches!(self.place, Place::Start | Place::Between);
        // An index that is dropped may be cut.
        let at_end = matches!(self.step, Step::Header | Step::Pass(Part::Dropped, _));
        whole && at_end && self.held.is_empty()
    }

    /// The header that is due, if all of it has come. What was held of it before stays a part of the box.
    fn header(&mut self, chunk: &mut Bytes) -> Option<Header> {
        if self.held.is_empty() {
            if let Some(whole) = Header::read(chunk) {
                return Some(whole);
            }
        }
        loop {
            if let Some(whole) = Header::read(&self.held) {
                return Some(whole);
            }
            let missing = Header::length(&self.held) - self.held.len();
            let piece = chunk.split_to(missing.min(chunk.len()));
            if piece.is_empty() {
                return None;
            }
            self.held.reserve_exact(LONGEST_HEADER - self.held.len());
            self.held.extend_from_slice(&piece);
        }
    }

    /// The next bytes of a box of which `left` are missing.
    fn piece(&mut self, chunk: &mut Bytes, left: u64) -> Option<Bytes> {
        let piece = if self.held.is_empty() {
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            chunk.split_to(most.min(chunk.len()))
        } else {
            Bytes::from(std::mem::take(&mut self.held))
        };
        self.at += piece.len() as u64;
        (!piece.is_empty()).then_some(piece)
    }

    /// Begins the box of `header`, if it may stand here.
    fn begin(&mut self, header: Header) -> Result<Option<Event>, Mp4Error> {
        let kind = header.kind;
        // What is no film at all has no sizes either.
        if let (Place::Start, false) = (self.place, boxes::is_known(&kind.0)) {
            return Err(Mp4Error::NotMp4 {
                found: header.beginning,
            });
        }
        if !header.is_plausible() {
            let (at, found) = (self.at, header.beginning);
            return Err(Mp4Error::NotABox { at, found });
        }
        let bytes = match header.size {
            Size::Bytes(bytes) => bytes,
            Size::TooSmall(bytes) => return Err(Mp4Error::TooSmall { kind, bytes }),
            Size::ToTheEnd => return Err(Mp4Error::ToTheEnd { kind }),
        };
        let part = self.part(header)?;
        match part {
            Part::Init { .. } => {
                let all = (self.collected.len() as u64).saturating_add(bytes);
                bounded("init segment", all, LARGEST_INIT)?;
                self.place = Place::Init;
            }
            Part::Moof { .. } => bounded("moof", bytes, LARGEST_MOOF)?,
            Part::Other | Part::Mdat { .. } | Part::Dropped => {}
        }
        if let Part::Init { .. } | Part::Dropped = part {
            self.step = Step::Pass(part, bytes);
            return Ok(None);
        }
        self.step = Step::Announce(part, bytes);
        if let Place::Between = self.place {
            self.place = Place::BeforeMoof;
            self.announced = 0;
            return Ok(Some(Event::Begin));
        }
        Ok(None)
    }

    /// What the box of `header` is a part of.
    fn part(&self, header: Header) -> Result<Part, Mp4Error> {
        let kind = header.kind;
        let place = self.place;
        let misplaced = |place| Err(Mp4Error::Misplaced { kind, place });
        Ok(match (&kind.0, place) {
            (b"moof", Place::Start | Place::Init) => return Err(Mp4Error::NoInit),
            (b"mdat", Place::Start | Place::Init) => return Err(Mp4Error::NotFragmented),
            (b"moov", Place::Start | Place::Init | Place::Between) => Part::Init { last: true },
            (_, Place::Start | Place::Init) | (b"ftyp", Place::Between) => {
                Part::Init { last: false }
            }
            (b"moof", Place::Between | Place::BeforeMoof) => Part::Moof {
                header: header.length,
            },
            (b"moof", Place::AfterMoof { .. }) => {
                return misplaced("between a moof and its mdat");
            }
            (b"mdat", Place::AfterMoof { sync }) => Part::Mdat { sync },
            (b"mdat", _) => return Err(Mp4Error::StrayMedia),
            (b"ftyp" | b"moov" | b"mfra", Place::BeforeMoof | Place::AfterMoof { .. }) => {
                return misplaced("in a fragment");
            }
            (b"mfra", Place::Between) => Part::Dropped,
            _ => Part::Other,
        })
    }

    /// Passes a piece of a box of which `left` bytes are missing then.
    fn pass(&mut self, part: Part, left: u64, piece: Bytes) -> Result<Option<Event>, Mp4Error> {
        self.step = match left {
            0 => Step::Header,
            left => Step::Pass(part, left),
        };
        if let Part::Init { .. } | Part::Moof { .. } = part {
            self.collected.extend_from_slice(&piece);
        }
        match part {
            Part::Init { last: true } if left == 0 => {
                let init = InitSegment::parse(std::mem::take(&mut self.collected).into())?;
                self.sync_points = SyncPoints::new(init.tracks.clone());
                self.place = Place::Between;
                return Ok(Some(Event::Init(init)));
            }
            Part::Init { .. } | Part::Dropped => return Ok(None),
            Part::Moof { header } if left == 0 => {
                let moof = std::mem::take(&mut self.collected);
                let runs = fragment::runs(&moof[header..], &self.sync_points.tracks)?;
                let sync = self.sync_points.begins_with_sync(&runs);
                self.place = Place::AfterMoof { sync };
            }
            Part::Mdat { sync } if left == 0 => {
                self.place = Place::Between;
                self.step = Step::End { sync };
            }
            Part::Moof { .. } | Part::Mdat { .. } | Part::Other => {}
        }
        Ok(Some(Event::Piece(piece)))
    }
}

/// Whether a stream that begins so is an MP4; `None` until there is enough of it to tell.
pub(crate) fn looks_like_mp4(beginning: &[u8]) -> Option<bool> {
    match beginning {
        // The size of the first box is small; no JPEG and no header line begins with a 0.
        [1..=255, ..] => Some(false),
        [0, _, _, _, kind @ ..] => Some(boxes::is_known(kind.first_chunk()?)),
        _ => None,
    }
}

/// Refuses what is larger than may be kept.
fn bounded(what: &'static str, bytes: u64, most: u64) -> Result<(), Mp4Error> {
    if bytes > most {
        return Err(Mp4Error::TooLarge { what, bytes, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
