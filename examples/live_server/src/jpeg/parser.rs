//! Finds the frames in a live stream, whatever the chunks it arrives in.
//!
//! ffmpeg sends motion JPEG in two forms and, posting, names neither: `-f mpjpeg` is multipart, a
//! few header lines before each picture; `-f mjpeg` is one JPEG file after the other. What comes first tells them
//! apart: the lines of a part, or `FF D8 FF`.
//!
//! The parser does no input or output and keeps no picture: it says where in the chunk it was given a
//! frame begins, which bytes belong to it and where it ends. Its caller copies those bytes to
//! where they shall live, once.
//!
//! Cameras are careless, and one bad picture must not end a stream. What is no picture is skipped and counted
//! ([`Skipped`]), and the next picture is looked for:
//!
//! | what comes                                      | what is made of it                                          |
//! |-------------------------------------------------|-------------------------------------------------------------|
//! | anything between two pictures                   | skipped, up to `FF D8 FF`, or to the lines of a part        |
//! | a picture without an end marker                 | ends with the next picture or boundary, and gets a marker   |
//! | a picture whose markers make no sense           | abandoned; if its part has a length, passed on as it is     |
//! | two start markers                               | one of them is skipped                                      |
//! | up to 64 bytes in a part before its picture     | skipped                                                     |
//! | a length that is none of a picture              | ignored                                                     |
//! | a length that is too small                      | the picture ends where its markers say                      |
//! | a length beyond the next boundary               | the picture ends at the boundary                            |
//! | a part that is no JPEG                          | skipped                                                     |
//! | a boundary that is missing, doubled, or undashed | a line `Content-Type` or `Content-Length` begins a part too |
//! | a boundary of less than 6 bytes without dashes  | ends no picture, for a picture may have these bytes in it   |
//!
//! A stream in which no picture begins soon is refused: it is no motion JPEG.

#[path = "part_lines.rs"]
mod part_lines;
#[path = "refusal.rs"]
mod refusal;
#[path = "walk.rs"]
mod walk;

pub(crate) use refusal::{FrameError, Skipped};

use bytes::{Buf, Bytes};
use part_lines::{Boundary, Header, Line, Match};
use std::mem;
use walk::{END, HEAD, Head, MarkerWalk, START, Step};

/// How much is skipped before the first whole picture: after it, the source has time for as long as it sends some.
const MOST_BEFORE_A_PICTURE: u64 = 1 << 20;

/// What comes next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A frame begins; its length if the part says it beforehand.
    Begin { length: Option<usize> },
    /// The next bytes of the frame: a slice of the chunk, nothing is copied.
    Piece(Bytes),
    /// The frame is complete.
    End,
    /// The frame is broken: what came of it is none.
    Abandoned,
}

/// Where the parser stands.
#[derive(Debug)]
enum State {
    /// No picture and no part so far: so many bytes, of which the last may begin a picture.
    Preamble { passed: usize, head: Head },
    /// Between two pictures that stand one after the other.
    Between(Head),
    /// Between two parts: the lines of the next are due.
    Boundary,
    /// In the header lines of a part.
    Headers(Header, usize),
    /// A picture is due; how many bytes are left of its part, if that is known, and how many are in it before the picture.
    Due {
        head: Head,
        left: Option<usize>,
        stray: u8,
    },
    /// In a part that is no picture.
    Other { left: usize },
    /// In a picture.
    Picture(Picture),
    /// The picture has ended, which was not reported yet; `mend` if it lacks the end marker.
    Over { mend: bool, then: Then },
    /// The picture is broken, which was not reported yet.
    Broken(Then),
    /// The closing boundary was read: whatever follows means nothing.
    Closed,
}

/// What follows a picture.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// Another one, perhaps begun, or a boundary.
    Any(Head),
    /// Another one in the same part, begun, and how many bytes are left of it, if that is known.
    Again { left: Option<usize> },
    /// What comes of this line belongs to nothing.
    RestOfLine,
}

#[derive(Debug)]
struct Picture {
    walk: MarkerWalk,
    /// What was read before it was known to be a picture.
    head: &'static [u8],
    passed: usize,
    announced: Option<usize>,
    /// Its end marker has come, and its part goes on.
    over: bool,
    /// Its markers make no sense: its length is believed.
    lost: bool,
}

impl Picture {
    /// How many bytes of it are left by what was announced.
    fn left(&self) -> Option<usize> {
        self.announced
            .and_then(|announced| announced.checked_sub(self.passed))
            .filter(|&left| left > 0)
    }
}

/// Finds frames in the chunks of one stream. See the module's documentation.
#[derive(Debug)]
pub(crate) struct FrameParser {
    state: State,
    /// Whether there are parts.
    multipart: bool,
    boundary: Boundary,
    /// How much of the boundary was read, in a picture that may end with it.
    matched: usize,
    /// The line that is read.
    line: Line,
    /// The line before, if it says nothing by itself.
    before: Option<Vec<u8>>,
    /// What came first, line breaks not counted: as many bytes as a person needs to recognise it.
    found: Vec<u8>,
    skipped: Skipped,
    begun: bool,
    complete: bool,
}

impl FrameParser {
    pub(crate) fn new() -> FrameParser {
        FrameParser {
            state: State::Preamble {
                passed: 0,
                head: Head::Nothing,
            },
            multipart: false,
            boundary: Boundary::default(),
            matched: 0,
            line: Line::default(),
            before: None,
            found: Vec::new(),
            skipped: Skipped::default(),
            begun: false,
            complete: false,
        }
    }

    /// What was skipped so far.
    pub(crate) fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// Whether a stream that ends here ends cleanly: no frame is cut.
    pub(crate) fn is_between_frames(&self) -> bool {
        !matches!(self.state, State::Picture(_))
    }

    /// Says that the stream has ended: was it motion JPEG?
    pub(crate) fn finish(&self) -> Result<(), FrameError> {
        match self.state {
            State::Preamble { .. } if self.found.is_empty() => Ok(()),
            _ if self.complete || !self.is_between_frames() => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    /// The next event in `chunk`, of which it takes what it has read; `None` once it is used up.
    pub(crate) fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Event>, FrameError> {
        loop {
            // The end of a frame is reported without waiting for the byte behind it, which in a live
            // stream comes a frame later.
            if let Some(event) = self.due_event() {
                return Ok(Some(event));
            }
            let Some(&first) = chunk.first() else {
                return Ok(None);
            };
            match &mut self.state {
                State::Preamble { .. } => {
                    if self.preamble(chunk, first)? {
                        return Ok(Some(self.begin(None, HEAD)));
                    }
                }
                State::Between(head) if head.is_complete(first) => {
                    return Ok(Some(self.begin(None, HEAD)));
                }
                State::Between(head) => {
                    let (before, mut count) = (head.len(), 1);
                    if *head == Head::Nothing && first != 0xFF {
                        let fill = chunk.iter().position(|&byte| byte == 0xFF);
                        count = fill.unwrap_or(chunk.len());
                    } else {
                        *head = head.push(first);
                    }
                    let held = head.len();
                    chunk.advance(count);
                    self.skip(before + count - held)?;
                }
                State::Boundary => {
                    if let Some(line) = self.take_line(chunk)? {
                        self.line_between(line)?;
                    }
                }
                State::Headers(..) => {
                    if let Some(line) = self.take_line(chunk)? {
                        self.header_line(&line)?;
                    }
                }
                State::Due { .. } => {
                    if let Some(length) = self.due(chunk, first)? {
                        return Ok(Some(self.begin(length, HEAD)));
                    }
                }
                State::Other { left } => {
                    let count = chunk.len().min(*left);
                    *left -= count;
                    if *left == 0 {
                        self.state = State::Boundary;
                    }
                    chunk.advance(count);
                    self.skip(count)?;
                }
                State::Picture(_) => {
                    if let Some(piece) = self.picture(chunk)? {
                        return Ok(Some(Event::Piece(piece)));
                    }
                }
                State::Closed => chunk.clear(),
                State::Over { .. } | State::Broken(_) => {
                    unreachable!("left at the top of the loop")
                }
            }
        }
    }

    /// What is reported before another byte is read.
    fn due_event(&mut self) -> Option<Event> {
        let (event, then) = match self.state {
            // The head of a picture was taken before it was known to be one.
            State::Picture(ref mut picture) if picture.passed == 0 => {
                picture.passed = picture.head.len();
                return Some(Event::Piece(Bytes::from_static(picture.head)));
            }
            // What a part begins with is a picture or none, so that there is no need to see more of it.
            State::Due {
                head: Head::Start,
                left,
                stray: 0,
            } => {
                let length = left.map(|left| left + START.len());
                return Some(self.begin(length, START));
            }
            State::Over { mend: true, then } => {
                self.state = State::Over { mend: false, then };
                return Some(Event::Piece(Bytes::from_static(END)));
            }
            State::Over { mend: false, then } => (Event::End, then),
            State::Broken(then) => (Event::Abandoned, then),
            _ => return None,
        };
        self.complete |= event == Event::End;
        self.state = match then {
            Then::Any(head) if !self.multipart => State::Between(head),
            Then::Again { left } => State::Due {
                head: Head::Start,
                left,
                stray: 0,
            },
            Then::Any(_) | Then::RestOfLine => State::Boundary,
        };
        if matches!(then, Then::RestOfLine) {
            self.line.discard();
        }
        Some(event)
    }

    /// Begins a picture of which `head` was read.
    fn begin(&mut self, announced: Option<usize>, head: &'static [u8]) -> Event {
        self.begun = true;
        self.matched = 0;
        self.line.begin(&[]);
        self.state = State::Picture(Picture {
            walk: MarkerWalk::behind(head),
            head,
            passed: 0,
            announced,
            over: false,
            lost: false,
        });
        Event::Begin { length: announced }
    }

    /// Reads on in a picture; what of the chunk belongs to it.
    fn picture(&mut self, chunk: &mut Bytes) -> Result<Option<Bytes>, FrameError> {
        let State::Picture(picture) = &mut self.state else {
            return Ok(None);
        };
        let left = picture.left();
        let mut most = left.unwrap_or(usize::MAX);
        // A part may end with its boundary alone, unless its length says where.
        let bounded = self.boundary.ends_pictures() && (picture.over || left.is_none());
        if bounded && self.matched > 0 {
            let whole = self.boundary.line().len() + 1;
            loop {
                // A length that ends right behind the boundary is not believed either.
                if self.matched == most && self.matched >= whole {
                    return self.ends_with_boundary().map(|()| None);
                }
                if self.matched == most {
                    break;
                }
                let Some(&next) = chunk.first() else {
                    return Ok(None);
                };
                match self.boundary.is_matched(self.matched, next) {
                    Match::On => {
                        self.matched += 1;
                        chunk.advance(1);
                    }
                    Match::Whole => return self.ends_with_boundary().map(|()| None),
                    Match::None => break,
                }
            }
            let delimiter = self.boundary.delimiter();
            let mut held = delimiter.slice(..mem::take(&mut self.matched));
            let piece = self.pass(&mut held, usize::MAX)?;
            if let (Some(b'\n'), State::Broken(then)) = (held.first(), &mut self.state) {
                // The line that the picture broke in ends here, and what is behind the line break begins the next one: it may
                // be a header of the next part, as it is when no chunk ends in it.
                *then = Then::Any(Head::Nothing);
                self.line.begin(&held[1..]);
                return Ok(piece);
            }
            // What of it belongs to no picture is no line either.
            return self.skip(held.len()).map(|()| piece);
        }
        most = most.min(chunk.len());
        if bounded {
            most = self.boundary.before(&chunk[..most]);
            if most == 0 && left != Some(1) {
                self.matched = 1;
                chunk.advance(1);
                return Ok(None);
            }
        }
        self.pass(chunk, most.max(1))
    }

    /// Takes what belongs to the picture of the first `most` bytes.
    fn pass(&mut self, bytes: &mut Bytes, most: usize) -> Result<Option<Bytes>, FrameError> {
        let State::Picture(picture) = &mut self.state else {
            return Ok(None);
        };
        let most = most.min(bytes.len());
        let believed = picture.left().is_some();
        let step = match picture.over || picture.lost {
            true => Step::On,
            false => picture.walk.pass(&bytes[..most]),
        };
        let (mut count, mut next, mut restarts) = (most, None, false);
        match step {
            Step::On => {}
            Step::Over(end) => {
                picture.over = true;
                count = end;
            }
            // Two start markers: the second is as good as the first.
            Step::Next(at) if picture.passed + at <= HEAD.len() && self.multipart => {
                (count, restarts) = (at, true);
                let left = picture.left().and_then(|left| left.checked_sub(at + 1));
                next = Some(State::Broken(Then::Again { left }));
            }
            Step::Next(_) | Step::Broken(_) if believed => picture.lost = true,
            Step::Next(at) => {
                let mend = picture.walk.is_in_coded_data();
                let then = match self.multipart {
                    true => Then::RestOfLine,
                    false => Then::Any(Head::Start),
                };
                (count, restarts) = (at, true);
                next = Some(match mend {
                    true => State::Over { mend, then },
                    false => State::Broken(then),
                });
            }
            Step::Broken(at) => {
                count = at;
                let then = match self.multipart {
                    true => Then::RestOfLine,
                    false => Then::Any(Head::Nothing),
                };
                next = Some(State::Broken(then));
            }
        }
        picture.passed += count;
        // The first byte of the next one's start marker was taken for a byte of this one.
        let passed = picture.passed - usize::from(restarts);
        if picture.left().is_none() && (picture.over || picture.lost) {
            let then = Then::Any(Head::Nothing);
            next = next.or(Some(State::Over { mend: false, then }));
        }
        let piece = bytes.split_to(count);
        if restarts {
            // The start marker: its first byte ended this picture, as one that fills.
            bytes.advance(1);
        }
        match next {
            Some(State::Broken(then)) => {
                self.state = State::Broken(then);
                self.abandon(passed)?;
                return Ok(None);
            }
            Some(state) => self.state = state,
            None => {}
        }
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// The boundary that ends a picture was read, but for what follows in its line.
    fn ends_with_boundary(&mut self) -> Result<(), FrameError> {
        let State::Picture(picture) = &self.state else {
            return Ok(());
        };
        let (whole, passed) = (picture.over, picture.passed);
        let mend = picture.walk.is_in_coded_data();
        let then = Then::Any(Head::Nothing);
        // Behind it one dash may have been read.
        self.line.begin(&self.boundary.delimiter()[1..self.matched]);
        if whole || mend {
            let mend = !whole;
            self.state = State::Over { mend, then };
            return Ok(());
        }
        self.state = State::Broken(then);
        self.abandon(passed)
    }

    /// Counts a picture of which so many bytes came.
    fn abandon(&mut self, passed: usize) -> Result<(), FrameError> {
        // A start marker alone is none.
        self.skipped.pictures += u64::from(passed > START.len());
        self.skip(passed)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), FrameError> {
        self.skipped.bytes += bytes as u64;
        if !self.complete && self.skipped.bytes > MOST_BEFORE_A_PICTURE {
            return Err(self.refusal());
        }
        Ok(())
    }
}

// By its path, because the fuzzer has this file by its path.
#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
