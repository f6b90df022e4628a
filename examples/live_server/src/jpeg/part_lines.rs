//! The lines between two parts of a multipart stream, and those before the first.

use super::{
    FrameError, FrameParser, State,
    walk::{HEAD, Head, MOST_STRAY},
};
use bytes::{Buf, Bytes};

/// More than any sender writes in one line.
pub(super) const LONGEST_LINE: usize = 1024;
/// More than any boundary has: the standard allows 70 bytes.
const LONGEST_BOUNDARY: usize = 256;
/// More header lines than any sender puts before a picture.
const MOST_HEADER_LINES: usize = 32;
/// More bytes than any sender puts before the first picture, or the lines of the first part.
pub(super) const LONGEST_PREAMBLE: usize = 2048;
/// So many bytes of what is refused are reported.
const MOST_FOUND: usize = 8;

/// What the headers of a part say so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Header {
    length: Option<usize>,
    /// The length may stand on the next line, which begins with a space.
    folded: bool,
}

/// A boundary without dashes that is shorter does not end a picture: its few bytes may stand in coded data behind a line
/// break. It separates lines all the same.
const SHORTEST_UNDASHED: usize = 6;

/// The line that separates two parts.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    /// Between a line break and the first of the two dashes that may follow; empty as long as none is known.
    delimiter: Bytes,
}

/// What a byte makes of a boundary of which a part was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It goes on.
    On,
    /// The boundary is complete in front of this byte.
    Whole,
    /// It is none.
    None,
}

impl Boundary {
    /// The line break and the line, and the first dash of those that follow the last boundary.
    pub(super) fn delimiter(&self) -> &Bytes {
        &self.delimiter
    }

    pub(super) fn line(&self) -> &[u8] {
        let end = self.delimiter.len().saturating_sub(1);
        self.delimiter.get(1..end).unwrap_or_default()
    }

    fn set(&mut self, line: &[u8]) {
        // No picture can end with a marker in the middle of one.
        let printable = line.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if printable && line.len() <= LONGEST_BOUNDARY {
            self.delimiter = [b"\n", line, b"-"].concat().into();
        }
    }

    /// Whether a picture whose length is not known ends with it.
    pub(super) fn ends_pictures(&self) -> bool {
        let line = self.line();
        line.starts_with(b"--") || line.len() >= SHORTEST_UNDASHED
    }

    /// What `next` makes of the first `matched` bytes of it. A line that only begins as the boundary does is none.
    pub(super) fn is_matched(&self, matched: usize, next: u8) -> Match {
        let is_next = self.delimiter.get(matched) == Some(&next);
        match self.delimiter.len() - matched {
            // Two dashes behind the last one, and white space that some senders leave there.
            0 if next == b'-' => Match::Whole,
            0 => Match::None,
            1 if matches!(next, b'\r' | b'\n' | b' ' | b'\t') => Match::Whole,
            _ if is_next => Match::On,
            _ => Match::None,
        }
    }

    /// How many of `bytes` come before the first of it, or of what may become it.
    pub(super) fn before(&self, bytes: &[u8]) -> usize {
        let is_here = |&at: &usize| {
            let mut rest = bytes[at..].iter().enumerate();
            let end = rest.find_map(|(matched, &next)| match self.is_matched(matched, next) {
                Match::On => None,
                end => Some(end),
            });
            end != Some(Match::None)
        };
        let mut breaks = (0..bytes.len()).filter(|&at| bytes[at] == b'\n');
        breaks.find(is_here).unwrap_or(bytes.len())
    }

    /// Whether `line` is this; `Some(false)` if it is the last.
    fn is(&self, line: &[u8]) -> Option<bool> {
        // Some senders say it with dashes and write it without, or the other way round.
        let bare = |line| match trim_dashes(line) {
            [] => line,
            bare => bare,
        };
        let known = self.line();
        if known.is_empty() {
            return None;
        }
        if bare(line) == bare(known) {
            return Some(true);
        }
        let last = line.strip_suffix(b"--")?;
        (bare(last) == bare(known)).then_some(false)
    }
}

fn trim_dashes(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_prefix(b"-") {
        line = rest;
    }
    line
}

/// A line in the making.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The part of it that came with earlier chunks.
    bytes: Vec<u8>,
    /// It is none: what is left of it is skipped.
    discarded: bool,
}

impl Line {
    pub(super) fn begin(&mut self, bytes: &[u8]) {
        self.bytes = bytes.to_vec();
    }

    pub(super) fn discard(&mut self) {
        self.bytes.clear();
        self.discarded = true;
    }
}

/// Whether a part's headers have begun: the boundary before them may be missing, or look like anything.
fn begins_headers(line: &[u8]) -> bool {
    let colon = line.iter().position(|&byte| byte == b':');
    let name = line[..colon.unwrap_or(0)].trim_ascii();
    [&b"content-type"[..], b"content-length"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// A length that can be one of a picture: two markers are four bytes.
fn length(value: &[u8]) -> Option<usize> {
    let value = std::str::from_utf8(value.trim_ascii()).ok()?;
    value.parse().ok().filter(|&length| length >= 4)
}

impl FrameParser {
    /// A whole line without its line break, or `None` until the rest of it has come. What is too long for one is skipped.
    pub(super) fn take_line(&mut self, chunk: &mut Bytes) -> Result<Option<Vec<u8>>, FrameError> {
        let line_break = chunk.iter().position(|&byte| byte == b'\n');
        let piece = chunk.split_to(line_break.unwrap_or(chunk.len()));
        let line = &mut self.line;
        let mut skipped = 0;
        if !line.discarded && line.bytes.len() + piece.len() > LONGEST_LINE {
            if !self.complete && matches!(self.state, State::Headers(..)) {
                return Err(self.refusal());
            }
            skipped = line.bytes.len();
            line.discard();
        }
        if line.discarded {
            skipped += piece.len();
        } else {
            line.bytes.extend_from_slice(&piece);
        }
        if line_break.is_none() {
            return self.skip(skipped).map(|()| None);
        }
        chunk.advance(1);
        let line = std::mem::take(line);
        self.skip(skipped)?;
        let is_one = !line.discarded;
        Ok(is_one.then(|| line.bytes.trim_ascii_end().to_vec()))
    }

    /// Reads a byte of what comes first: `true` if a picture begins with it.
    pub(super) fn preamble(&mut self, chunk: &mut Bytes, first: u8) -> Result<bool, FrameError> {
        let State::Preamble { passed, head } = &mut self.state else {
            return Ok(false);
        };
        if head.is_complete(first) {
            let others = self.line.bytes.len() - HEAD.len();
            return self.skip_line(others).map(|()| true);
        }
        if self.found.is_empty() && matches!(first, b'\r' | b'\n') {
            chunk.advance(1);
            return Ok(false);
        }
        if *passed == LONGEST_PREAMBLE {
            return Err(self.refusal());
        }
        *passed += 1;
        *head = head.push(first);
        if self.found.len() < MOST_FOUND {
            self.found.push(first);
        }
        chunk.advance(1);
        if first != b'\n' {
            self.line.bytes.push(first);
            return Ok(false);
        }
        let line = std::mem::take(&mut self.line.bytes);
        self.line_between(line.trim_ascii_end().to_vec())?;
        Ok(false)
    }

    /// Reads a line that stands between two parts, or before the first.
    pub(super) fn line_between(&mut self, line: Vec<u8>) -> Result<(), FrameError> {
        let before = self.before.take();
        if begins_headers(&line) {
            // The line right before is the boundary, dashes or none, unless one is known.
            match before {
                Some(before) if self.boundary.line().is_empty() || before.starts_with(b"--") => {
                    self.boundary.set(&before);
                }
                before => self.skip(before.map_or(0, |before| before.len()))?,
            }
            self.begin_headers();
            return self.header_line(&line);
        }
        self.skip(before.map_or(0, |before| before.len()))?;
        match self.boundary.is(&line) {
            Some(true) => self.begin_headers(),
            Some(false) => self.state = State::Closed,
            None if self.boundary.line().is_empty()
                && line.len() > 2
                && line.starts_with(b"--") =>
            {
                self.boundary.set(&line);
                self.begin_headers();
            }
            None if line.is_empty() => {}
            None => self.before = Some(line),
        }
        Ok(())
    }

    fn begin_headers(&mut self) {
        self.multipart = true;
        self.state = State::Headers(Header::default(), 0);
    }

    /// Reads one header line of a part: only the length matters, and the empty line that ends them.
    pub(super) fn header_line(&mut self, line: &[u8]) -> Result<(), FrameError> {
        let State::Headers(header, lines) = &mut self.state else {
            return Ok(());
        };
        if line.is_empty() {
            self.state = State::Due {
                head: Head::Nothing,
                left: header.length,
                stray: 0,
            };
            return Ok(());
        }
        if self.boundary.is(line) == Some(true) {
            *header = Header::default();
            *lines = 0;
            return Ok(());
        }
        *lines += 1;
        if *lines > MOST_HEADER_LINES {
            // No sender writes so many: this is something else.
            if !self.complete {
                return Err(self.refusal());
            }
            self.state = State::Boundary;
            return Ok(());
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if header.folded {
                header.length = length(line);
            }
            header.folded = false;
        } else if name.trim_ascii().eq_ignore_ascii_case(b"content-length") {
            let value = value.get(1..).unwrap_or_default();
            header.length = length(value);
            header.folded = value.trim_ascii().is_empty();
        } else {
            header.folded = false;
        }
        Ok(())
    }

    /// Reads a byte where a picture is due. If one begins with it and what was read before, how long it is as far as that is
    /// known.
    ///
    /// What stands before the picture is kept as a line until it is known to be none of the part: a part without a picture
    /// may be shorter than its length says, or have none, and then the boundary comes.
    pub(super) fn due(
        &mut self,
        chunk: &mut Bytes,
        first: u8,
    ) -> Result<Option<Option<usize>>, FrameError> {
        let State::Due { head, left, stray } = self.state else {
            return Ok(None);
        };
        // Some senders end the headers twice.
        if head == Head::Nothing && stray == 0 && matches!(first, b'\r' | b'\n') {
            chunk.advance(1);
            return Ok(None);
        }
        if head.is_complete(first) {
            let others = self.line.bytes.len() - HEAD.len();
            self.skip_line(others)?;
            return Ok(Some(left.map(|left| left + HEAD.len())));
        }
        // No picture: the rest is skipped, or read line by line if its length is unknown.
        if stray > MOST_STRAY || (head == Head::Nothing && left == Some(0)) {
            let Some(left) = left else {
                self.state = State::Boundary;
                return Ok(None);
            };
            self.state = match left {
                0 => State::Boundary,
                left => State::Other { left },
            };
            return self.skip_line(self.line.bytes.len()).map(|()| None);
        }
        chunk.advance(1);
        self.line.bytes.push(first);
        let next = head.push(first);
        let dropped = head.len() + 1 - next.len();
        let left = left.and_then(|left| left.checked_sub(1));
        self.state = State::Due {
            head: next,
            left,
            stray: stray.saturating_add(dropped as u8),
        };
        if first != b'\n' {
            return Ok(None);
        }
        let line = self.line.bytes.trim_ascii_end();
        if left.is_some() && self.boundary.is(line).is_none() {
            return self.skip_line(self.line.bytes.len()).map(|()| None);
        }
        let line = line.to_vec();
        self.line.bytes.clear();
        self.line_between(line).map(|()| None)
    }

    /// Skips so many bytes of the line that is read, and the one before.
    fn skip_line(&mut self, bytes: usize) -> Result<(), FrameError> {
        let before = self.before.take().map_or(0, |before| before.len());
        self.line.bytes.clear();
        self.skip(bytes + before)
    }

    /// Why a stream without a whole picture is refused.
    pub(super) fn refusal(&self) -> FrameError {
        match self.state {
            State::Preamble { .. } => FrameError::NotJpeg {
                found: self.found.clone(),
            },
            _ if self.multipart && !self.begun => FrameError::NoPictures,
            _ => FrameError::BrokenJpeg,
        }
    }
}
