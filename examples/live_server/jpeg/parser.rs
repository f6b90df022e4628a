//! Finds the frames in a live stream, whatever the chunks it arrives in.
//!
//! ffmpeg sends motion JPEG in two forms and, posting, names neither: `-f mpjpeg` is multipart, a
//! few header lines before each picture; `-f mjpeg` is one JPEG file after the other. The first
//! bytes tell them apart, since a boundary begins with `--` and a JPEG with `FF D8`.
//!
//! The parser does no input or output and keeps no picture: it says where in the chunk it was given a
//! frame begins, which bytes belong to it and where it ends. Whoever drives it copies those bytes to
//! where they shall live, once.
//!
//! A part that announces its length is believed. Everywhere else the end of a picture is found by
//! walking its markers: a search for `FF D9` alone would stop at the end of the thumbnail that cameras
//! embed in a header segment.

use std::fmt;

use bytes::{Buf, Bytes};

/// More than any sender writes in one header line.
const LONGEST_LINE: usize = 1024;
/// More header lines than any sender puts before a picture.
const MOST_HEADER_LINES: usize = 32;

/// What comes next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A frame begins; its length if the part says it beforehand.
    Begin { length: Option<usize> },
    /// The next bytes of the frame: a slice of the chunk, nothing is copied.
    Piece(Bytes),
    /// The frame is complete.
    End,
}

/// Why the stream cannot be read on. Sending it again does not help.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// Where a picture has to begin stands something else.
    NotJpeg { found: Vec<u8> },
    /// A picture began as a JPEG does, but its markers make no sense.
    BrokenJpeg,
    /// The lines between two pictures are not those of a multipart stream.
    BrokenMultipart(&'static str),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::NotJpeg { found } => {
                f.write_str("not a JPEG: a frame begins with ff d8, this one with")?;
                found.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
            FrameError::BrokenJpeg => f.write_str("not a JPEG: the markers of a frame are broken"),
            FrameError::BrokenMultipart(what) => write!(f, "broken multipart stream: {what}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Where the parser stands.
#[derive(Debug)]
enum State {
    /// Nothing but line breaks so far: the next byte tells which form this is.
    Undecided,
    /// Between two parts: a boundary line is due.
    Boundary,
    /// In the header lines of a part.
    Headers { length: Option<usize>, lines: usize },
    /// A frame is due, as soon as there is a byte of it.
    FrameDue { length: Option<usize> },
    /// In a frame whose length is known.
    Counted { passed: usize, length: usize },
    /// In a frame whose end only its markers tell.
    Walked(MarkerWalk),
    /// The frame has ended, and nobody has been told yet.
    FrameOver,
    /// The closing boundary was read: whatever follows means nothing.
    Closed,
}

/// Finds frames in the chunks of one stream. See the module's documentation.
#[derive(Debug)]
pub(crate) struct FrameParser {
    state: State,
    /// The boundary line, dashes included; empty when the stream is bare JPEG.
    boundary: Vec<u8>,
    /// The part of the current line that came with earlier chunks.
    line: Vec<u8>,
}

impl FrameParser {
    pub(crate) fn new() -> FrameParser {
        FrameParser {
            state: State::Undecided,
            boundary: Vec::new(),
            line: Vec::new(),
        }
    }

    /// The next event in `chunk`, of which it takes what it has read; `None` once it is used up.
    pub(crate) fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Event>, FrameError> {
        loop {
            // The end of a frame is told without waiting for the byte behind it, which in a live
            // stream comes a frame later.
            if let State::FrameOver = self.state {
                self.state = if self.boundary.is_empty() {
                    State::FrameDue { length: None }
                } else {
                    State::Boundary
                };
                return Ok(Some(Event::End));
            }
            let Some(&first) = chunk.first() else {
                return Ok(None);
            };
            match &mut self.state {
                State::Undecided => match first {
                    b'\r' | b'\n' => chunk.advance(1),
                    b'-' => self.state = State::Boundary,
                    _ => self.state = State::FrameDue { length: None },
                },
                State::Boundary => {
                    if let Some(line) = self.take_line(chunk)? {
                        self.boundary_line(&line)?;
                    }
                }
                State::Headers { length, lines } => {
                    let (length, lines) = (*length, *lines);
                    if let Some(line) = self.take_line(chunk)? {
                        self.state = header_line(&line, length, lines)?;
                    }
                }
                State::FrameDue { length } => {
                    let length = *length;
                    if first != 0xFF {
                        return Err(not_jpeg(chunk));
                    }
                    self.state = match length {
                        Some(length) => State::Counted { passed: 0, length },
                        None => State::Walked(MarkerWalk::Start),
                    };
                    return Ok(Some(Event::Begin { length }));
                }
                State::Counted { passed, length } => {
                    // The second byte of the frame, which may come with another chunk than the first.
                    if *passed < 2 && chunk.get(1 - *passed).is_some_and(|&byte| byte != 0xD8) {
                        return Err(not_jpeg(chunk));
                    }
                    let piece = chunk.split_to(chunk.len().min(*length - *passed));
                    *passed += piece.len();
                    if passed == length {
                        self.state = State::FrameOver;
                    }
                    return Ok(Some(Event::Piece(piece)));
                }
                State::Walked(walk) => {
                    // So many of these bytes are of the first marker, which says that this is a JPEG at all.
                    let of_start = match walk {
                        MarkerWalk::Start => 2,
                        MarkerWalk::StartCode => 1,
                        _ => 0,
                    };
                    let piece = match walk.pass(chunk) {
                        Ok(None) => chunk.split_to(chunk.len()),
                        Ok(Some(end)) => {
                            self.state = State::FrameOver;
                            chunk.split_to(end)
                        }
                        Err(BrokenMarker { at }) if at < of_start => {
                            return Err(not_jpeg(chunk));
                        }
                        Err(_) => return Err(FrameError::BrokenJpeg),
                    };
                    return Ok(Some(Event::Piece(piece)));
                }
                State::Closed => chunk.clear(),
                State::FrameOver => unreachable!("left at the top of the loop"),
            }
        }
    }

    /// Whether a stream that ends here ends cleanly: no frame is cut.
    pub(crate) fn is_between_frames(&self) -> bool {
        !matches!(self.state, State::Counted { .. } | State::Walked(_))
    }

    /// A whole line without its line break, or `None` until the rest of it has come.
    fn take_line(&mut self, chunk: &mut Bytes) -> Result<Option<Vec<u8>>, FrameError> {
        let line_break = chunk.iter().position(|&byte| byte == b'\n');
        let piece = chunk.split_to(line_break.unwrap_or(chunk.len()));
        if self.line.len() + piece.len() > LONGEST_LINE {
            return Err(FrameError::BrokenMultipart("a header line does not end"));
        }
        self.line.extend_from_slice(&piece);
        if line_break.is_none() {
            return Ok(None);
        }
        chunk.advance(1);
        let line = std::mem::take(&mut self.line);
        Ok(Some(line.trim_ascii_end().to_vec()))
    }

    /// Reads the line that separates two parts; the first one says what the others look like.
    fn boundary_line(&mut self, line: &[u8]) -> Result<(), FrameError> {
        if line.is_empty() {
            return Ok(());
        }
        if self.boundary.is_empty() {
            if line.len() < 3 || !line.starts_with(b"--") {
                return Err(FrameError::NotJpeg {
                    found: beginning(line),
                });
            }
            self.boundary = line.to_vec();
        }
        self.state = match line.strip_prefix(self.boundary.as_slice()) {
            Some(b"") => State::Headers {
                length: None,
                lines: 0,
            },
            Some(b"--") => State::Closed,
            _ => {
                return Err(FrameError::BrokenMultipart(
                    "a part ends without its boundary",
                ));
            }
        };
        Ok(())
    }
}

/// Reads one header line of a part: only the length matters, and the empty line that ends them.
fn header_line(line: &[u8], length: Option<usize>, lines: usize) -> Result<State, FrameError> {
    if line.is_empty() {
        return Ok(State::FrameDue { length });
    }
    if lines == MOST_HEADER_LINES {
        return Err(FrameError::BrokenMultipart(
            "the headers of a part do not end",
        ));
    }
    let Some(colon) = line.iter().position(|&byte| byte == b':') else {
        return Err(FrameError::BrokenMultipart("a header line has no colon"));
    };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let length = if name.eq_ignore_ascii_case(b"content-length") {
        let announced = std::str::from_utf8(value)
            .ok()
            .and_then(|value| value.parse().ok());
        match announced {
            // Two markers are four bytes: nothing shorter is a picture.
            Some(0..4) | None => {
                return Err(FrameError::BrokenMultipart(
                    "a length is not one of a picture",
                ));
            }
            known => known,
        }
    } else {
        length
    };
    Ok(State::Headers {
        length,
        lines: lines + 1,
    })
}

/// The error for a frame that begins with the bytes of `chunk`.
fn not_jpeg(chunk: &[u8]) -> FrameError {
    FrameError::NotJpeg {
        found: beginning(chunk),
    }
}

/// As many bytes as a person needs to recognise what was sent instead.
fn beginning(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(8)].to_vec()
}

/// A place in a JPEG file, between two bytes: what the next one has to be.
#[derive(Clone, Copy, Debug)]
enum MarkerWalk {
    /// The `FF` of the first marker.
    Start,
    /// The `D8` of the first marker.
    StartCode,
    /// The `FF` of a marker.
    Marker,
    /// The code of a marker, or one more `FF` to fill.
    Code,
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

/// The byte at `at` cannot stand there.
#[derive(Debug)]
struct BrokenMarker {
    at: usize,
}

impl MarkerWalk {
    /// Walks over `bytes`: `Some(n)` when the picture ends with the first `n` of them.
    fn pass(&mut self, bytes: &[u8]) -> Result<Option<usize>, BrokenMarker> {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
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
                    at += rest
                        .iter()
                        .position(|&byte| byte == 0xFF)
                        .unwrap_or(rest.len());
                    continue;
                }
                MarkerWalk::Segment { scan: true, .. } => {
                    *self = MarkerWalk::Scan;
                    continue;
                }
                MarkerWalk::Segment { scan: false, .. } => {
                    *self = MarkerWalk::Marker;
                    continue;
                }
                MarkerWalk::Scan => MarkerWalk::ScanCode,
                MarkerWalk::ScanCode if matches!(byte, 0x00 | 0xD0..=0xD7) => MarkerWalk::Scan,
                MarkerWalk::Start if byte == 0xFF => MarkerWalk::StartCode,
                MarkerWalk::StartCode if byte == 0xD8 => MarkerWalk::Marker,
                MarkerWalk::Marker if byte == 0xFF => MarkerWalk::Code,
                MarkerWalk::Start | MarkerWalk::StartCode | MarkerWalk::Marker => {
                    return Err(BrokenMarker { at });
                }
                MarkerWalk::Code | MarkerWalk::ScanCode => match byte {
                    0xFF => *self,
                    0xD9 => return Ok(Some(at + 1)),
                    0x01 | 0xD0..=0xD7 => MarkerWalk::Marker,
                    0x00 | 0x02..=0xBF | 0xD8 => return Err(BrokenMarker { at }),
                    _ => MarkerWalk::LengthHigh { scan: byte == 0xDA },
                },
                MarkerWalk::LengthHigh { scan } => MarkerWalk::LengthLow { scan, high: byte },
                MarkerWalk::LengthLow { scan, high } => {
                    // The length counts its own two bytes.
                    match usize::from(u16::from_be_bytes([high, byte])).checked_sub(2) {
                        Some(left) => MarkerWalk::Segment { scan, left },
                        None => return Err(BrokenMarker { at }),
                    }
                }
            };
            at += 1;
        }
        Ok(None)
    }
}

// By its path, because the fuzzer has this file by its path.
#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
