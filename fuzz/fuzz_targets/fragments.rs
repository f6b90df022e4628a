//! The parser of fragmented MP4 in the `live_server` example, on whatever a sender may send, cut anywhere.
//!
//! The first byte of an input says how the others are cut.

#![no_main]

mod heap;
#[path = "../../examples/live_server/src/mp4/mod.rs"]
mod mp4;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mp4::{Event, FragmentParser, Mp4Error, looks_like_mp4};

/// The most memory that one byte of a stream may cost while it is looked at: a sample of four takes 40, a box
/// of eight 24, and a vector doubles.
const MOST_MEMORY: usize = 64;
/// The most that is taken whatever the stream, as for what an error says.
const SOME_MEMORY: usize = 16 * 1024;

/// What a parser made of a stream.
#[derive(Debug, PartialEq)]
struct Parsed {
    /// Whatever it passed on, in order, of whole init segments and whole fragments.
    whole: Vec<u8>,
    /// The lengths of the fragments, and whether each begins with a sync sample.
    fragments: Vec<(usize, bool)>,
    media_types: Vec<String>,
    /// What it passed on of the fragment that was cut and whether it knows that it was, or why it ended.
    end: Result<(Vec<u8>, bool), Mp4Error>,
}

/// Parses `chunks`, and checks what must hold for each event by itself.
fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, most_memory: usize) -> Parsed {
    let mut parser = FragmentParser::new();
    let mut parsed = Parsed {
        whole: Vec::new(),
        fragments: Vec::new(),
        media_types: Vec::new(),
        end: Ok((Vec::new(), true)),
    };
    let mut open: Option<(Vec<u8>, u64)> = None;
    let mut begins_with_sync = None;
    for chunk in chunks {
        let mut chunk = Bytes::copy_from_slice(chunk);
        loop {
            let before = heap::live();
            heap::forget_the_peak();
            let event = parser.next(&mut chunk);
            assert!(heap::peak() - before <= most_memory, "a greedy step");
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    parsed.end = Err(error);
                    return parsed;
                }
            };
            match event {
                Event::Init(init) => {
                    assert!(open.is_none(), "an init segment in a fragment");
                    let printable = |byte: u8| matches!(byte, b' '..=b'~');
                    assert!(init.media_type.bytes().all(printable), "no header line");
                    assert_eq!(init.media_type.matches('"').count(), 2, "quoted");
                    parsed.whole.extend(&init.bytes);
                    parsed.media_types.push(init.media_type);
                }
                Event::Begin => {
                    assert!(!parsed.media_types.is_empty(), "a fragment of nothing");
                    assert!(open.replace((Vec::new(), 0)).is_none(), "in a fragment");
                }
                Event::Announced { bytes, media } => {
                    let (open, announced) = open.as_mut().expect("no fragment is open");
                    assert!(bytes > open.len() as u64, "reported too late");
                    *announced = bytes;
                    assert!(begins_with_sync.is_none(), "the mdat ends a fragment");
                    begins_with_sync = media;
                }
                Event::Piece(piece) => {
                    let (open, announced) = open.as_mut().expect("a piece of no fragment");
                    assert!(!piece.is_empty(), "an empty piece");
                    open.extend(&piece);
                    assert!(open.len() as u64 <= *announced, "more than was announced");
                }
                Event::End { sync } => {
                    let (fragment, announced) = open.take().expect("no fragment is open");
                    assert_eq!(fragment.len() as u64, announced, "as it was announced");
                    assert_eq!(begins_with_sync.take(), Some(sync), "with its mdat");
                    parsed.fragments.push((fragment.len(), sync));
                    parsed.whole.extend(fragment);
                }
            }
        }
        assert!(chunk.is_empty(), "it stopped before the end of a chunk");
    }
    let between = parser.is_between_fragments();
    assert!(open.is_none() || !between, "cut, and does not know it");
    parsed.end = Ok((open.map_or_else(Vec::new, |(cut, _)| cut), between));
    parsed
}

/// The stream without the indexes at the end of films, whose film does not exist.
fn without_indexes(stream: &[u8]) -> Vec<u8> {
    let mut rest = stream;
    let mut kept = Vec::new();
    let mut complete = false;
    while let Some((header, _)) = rest.split_first_chunk::<8>() {
        let short = u64::from(u32::from_be_bytes([
            header[0], header[1], header[2], header[3],
        ]));
        let long = rest[8..]
            .first_chunk()
            .map(|long| u64::from_be_bytes(*long));
        let size = match (short, long) {
            (1, Some(long)) => long,
            (short, _) => short,
        };
        // Before the moov an index would be a part of the init segment.
        let is_index = complete && header[4..] == *b"mfra";
        complete |= header[4..] == *b"moov";
        let (whole, after) = rest.split_at(rest.len().min(size.max(8) as usize));
        if !is_index {
            kept.extend(whole);
        }
        complete &= header[4..] != *b"ftyp";
        rest = after;
    }
    kept.extend(rest);
    kept
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&step, stream)) = bytes.split_first() else {
        return;
    };
    let most_memory = SOME_MEMORY + MOST_MEMORY * stream.len();
    let whole = parse([stream], most_memory);
    assert_eq!(parse(stream.chunks(1), most_memory), whole, "byte by byte");
    let step = usize::from(step) + 2;
    assert_eq!(parse(stream.chunks(step), most_memory), whole, "by {step}");
    let (front, back) = stream.split_at(step.min(stream.len()));
    assert_eq!(parse([front, back], most_memory), whole, "cut at {step}");

    let sent = without_indexes(stream);
    let mut passed = whole.whole;
    if let Ok((cut, between)) = &whole.end {
        passed.extend(cut);
        assert!(!between || passed == sent, "something is missing");
    }
    assert!(sent.starts_with(&passed), "not what was sent");

    let looks = looks_like_mp4(stream);
    for length in 0..stream.len().min(8) {
        let early = looks_like_mp4(&stream[..length]);
        assert!(early.is_none() || early == looks, "reported too early");
    }
    let refused = matches!(whole.end, Err(Mp4Error::NotMp4 { .. }));
    assert!(!refused || looks == Some(false), "it looked like one");
});
