//! The frame parser of the `live_server` example, on whatever a sender may send, cut anywhere.

#![no_main]

mod heap;
#[path = "../../examples/live_server/src/jpeg/parser.rs"]
mod parser;
mod stream;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use parser::{Event, FrameError, FrameParser, Skipped};
use stream::Sent;

/// The most that the parser may keep between two calls and use in one: a few lines, twice, since a vector
/// doubles. It keeps no picture, so this does not depend on the stream.
const MOST_MEMORY: usize = 8 * 1024;

/// What a parser made of a stream.
#[derive(Debug, PartialEq)]
struct Parsed {
    frames: Vec<Vec<u8>>,
    /// How it ended: the bytes of the frame that was cut off and what was skipped, or why it cannot be read on.
    end: Result<(Option<Vec<u8>>, Skipped), &'static str>,
}

/// One frame in the making.
#[derive(Debug)]
struct Open {
    announced: Option<usize>,
    bytes: Vec<u8>,
}

impl Open {
    fn complete(self) -> Vec<u8> {
        let bytes = self.bytes;
        assert!(bytes.starts_with(&[0xFF, 0xD8]), "not the start of a JPEG");
        // A length that is too small or goes beyond the next boundary is not believed.
        if self.announced != Some(bytes.len())
            && self.announced.is_none_or(|most| bytes.len() > most)
        {
            assert!(bytes.ends_with(&[0xFF, 0xD9]), "not the end of a JPEG");
        }
        bytes
    }
}

/// Parses `chunks`, and checks what must hold for each event by itself.
fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Parsed {
    let mut parser = FrameParser::new();
    let mut frames = Vec::new();
    let mut open: Option<Open> = None;
    let kept_before = heap::live();
    let mut kept_by_us = 0;
    for chunk in chunks {
        // Any copy of ours is made before the parser starts, or counted.
        let mut chunk = Bytes::copy_from_slice(chunk);
        let ours = chunk.len();
        // Its memory is freed with the chunk, and not with the last piece: that would hide what we keep of the piece.
        let _whole = chunk.clone();
        loop {
            let before = heap::live();
            heap::forget_the_peak();
            let event = parser.next(&mut chunk);
            assert!(heap::peak() - before <= MOST_MEMORY, "a greedy step");
            let kept = heap::live().saturating_sub(kept_before + kept_by_us + ours);
            assert!(kept <= MOST_MEMORY, "{kept} bytes are kept");
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    let end = Err(kind(&error));
                    return Parsed { frames, end };
                }
            };
            let before = heap::live();
            match event {
                Event::Begin { length } => {
                    let begun = Open {
                        announced: length,
                        bytes: Vec::new(),
                    };
                    assert!(open.replace(begun).is_none(), "a frame in a frame");
                }
                Event::Piece(piece) => {
                    let open = open.as_mut().expect("a piece of no frame");
                    assert!(!piece.is_empty(), "an empty piece");
                    open.bytes.extend(&piece);
                }
                Event::Abandoned => drop(open.take().expect("no frame is open")),
                Event::End => frames.push(open.take().expect("no frame is open").complete()),
            }
            kept_by_us += heap::live().saturating_sub(before);
        }
        assert!(chunk.is_empty(), "it stopped before the end of a chunk");
    }
    assert_eq!(open.is_none(), parser.is_between_frames());
    let end = match parser.finish() {
        Ok(()) => Ok((open.map(|open| open.bytes), parser.skipped())),
        Err(error) => Err(kind(&error)),
    };
    Parsed { frames, end }
}

/// What is said of an error, without the bytes of the chunk that happened to hold it.
fn kind(error: &FrameError) -> &'static str {
    assert!(!error.to_string().is_empty());
    match error {
        FrameError::NotJpeg { found } => {
            assert!(found.len() <= 8, "a whole stream in an error");
            "not a JPEG"
        }
        FrameError::BrokenJpeg => "a broken JPEG",
        FrameError::NoPictures => "no pictures",
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Sent {
        stream,
        frames,
        cuts,
    } = stream::read(bytes).expect("missing bytes are read as zeroes");
    let whole = parse([stream.as_slice()]);
    // Byte by byte, or nearly so where that would take all the time.
    let step = 1 + stream.len() / 1024 * 8;
    assert_eq!(parse(stream.chunks(step)), whole, "in steps of {step}");
    assert_eq!(parse(stream::cut(&stream, &cuts)), whole, "cut at {cuts:?}");
    if let Some(frames) = frames {
        assert_eq!(whole.frames, frames, "what was sent");
        let (cut, skipped) = whole.end.expect("there are frames");
        assert_eq!(
            (cut, skipped.pictures),
            (None, 0),
            "nothing is cut or broken"
        );
    }
});
