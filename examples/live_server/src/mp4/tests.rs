//! The parser against streams that ffmpeg wrote, cut in every place, since a socket cuts them anywhere.
//!
//! `test_data/make` makes the streams anew.

mod codecs;
mod hostile;
mod refused;
mod sync_points;

use proptest::prelude::*;

use super::*;

const H264_AAC: &[u8] = include_bytes!("test_data/h264_aac.mp4");
const CMAF: &[u8] = include_bytes!("test_data/cmaf.mp4");
const EVERY_FRAME: &[u8] = include_bytes!("test_data/every_frame.mp4");
const AAC: &[u8] = include_bytes!("test_data/aac.mp4");

/// What a parser made of a stream.
#[derive(Debug, Default, PartialEq)]
struct Parsed {
    inits: Vec<InitSegment>,
    /// The whole fragments, and whether each begins with a sync sample.
    fragments: Vec<(Vec<u8>, bool)>,
    /// The sizes that each fragment was announced with, the cut one included.
    announced: Vec<Vec<u64>>,
    /// Whether it ended between two fragments, or why it could not be read on.
    end: Option<Result<bool, Mp4Error>>,
}

impl Parsed {
    fn fragments(&self) -> Vec<&[u8]> {
        let bytes = self.fragments.iter().map(|(bytes, _)| bytes.as_slice());
        bytes.collect()
    }

    fn sync(&self) -> Vec<bool> {
        self.fragments.iter().map(|&(_, sync)| sync).collect()
    }

    fn error(self) -> Mp4Error {
        match self.end {
            Some(Err(error)) => error,
            end => panic!("read to its end: {end:?}"),
        }
    }
}

/// Parses `chunks`, and checks what must hold for each event by itself.
fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Parsed {
    let mut parser = FragmentParser::new();
    let mut parsed = Parsed::default();
    let mut open: Option<Vec<u8>> = None;
    let mut begins_with_sync = None;
    for chunk in chunks {
        let mut chunk = Bytes::copy_from_slice(chunk);
        let whole = chunk.clone();
        loop {
            let event = match parser.next(&mut chunk) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    parsed.end = Some(Err(error));
                    return parsed;
                }
            };
            match event {
                Event::Init(init) => {
                    assert!(open.is_none(), "an init segment in a fragment");
                    parsed.inits.push(init);
                }
                Event::Begin => {
                    assert!(!parsed.inits.is_empty(), "a fragment of nothing");
                    assert!(open.replace(Vec::new()).is_none(), "in a fragment");
                    parsed.announced.push(Vec::new());
                }
                Event::Announced { bytes, media } => {
                    let open = open.as_ref().expect("no fragment is open");
                    assert!(begins_with_sync.is_none(), "the mdat ends a fragment");
                    begins_with_sync = media;
                    assert!(bytes > open.len() as u64, "reported too late");
                    parsed.announced.last_mut().expect("begun").push(bytes);
                }
                Event::Piece(piece) => {
                    let open = open.as_mut().expect("a piece of no fragment");
                    assert!(!piece.is_empty(), "an empty piece");
                    let is_slice = whole.as_ptr_range().contains(&piece.as_ptr());
                    assert!(is_slice || piece.len() <= LONGEST_HEADER, "a copy");
                    open.extend(&piece);
                    let announced = *parsed
                        .announced
                        .last()
                        .expect("begun")
                        .last()
                        .expect("reported");
                    assert!(open.len() as u64 <= announced, "more than was announced");
                }
                Event::End { sync } => {
                    let bytes = open.take().expect("no fragment is open");
                    let announced = parsed.announced.last().expect("begun").last();
                    assert_eq!(announced, Some(&(bytes.len() as u64)), "as announced");
                    assert_eq!(begins_with_sync.take(), Some(sync), "with its mdat");
                    parsed.fragments.push((bytes, sync));
                }
            }
        }
        assert!(chunk.is_empty(), "it stopped before the end of a chunk");
    }
    let between = parser.is_between_fragments();
    assert!(open.is_none() || !between, "cut, and does not know it");
    parsed.end = Some(Ok(between));
    parsed
}

/// Whole, and then byte by byte and cut in two at every place, with the same result.
fn in_all_cuts(stream: &[u8]) -> Parsed {
    let whole = parse([stream]);
    assert_eq!(parse(stream.chunks(1)), whole, "byte by byte");
    for cut in 1..stream.len() {
        let (front, back) = stream.split_at(cut);
        assert_eq!(parse([front, back]), whole, "cut at {cut}");
    }
    whole
}

/// The box `kind` with `content`.
fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).expect("a small box");
    [&size.to_be_bytes()[..], kind, content].concat()
}

/// The boxes of a stream, each with its code.
fn top_level(mut stream: &[u8]) -> Vec<([u8; 4], &[u8])> {
    let mut found = Vec::new();
    while let Some(header) = Header::read(stream) {
        let Size::Bytes(bytes) = header.size else {
            panic!("a box without a size");
        };
        let (whole, rest) = stream.split_at(usize::try_from(bytes).expect("a small box"));
        found.push((header.kind.0, whole));
        stream = rest;
    }
    found
}

/// The init segment and each fragment of a film of `ftyp moov (moof mdat)* mfra`.
fn parts(film: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut bytes: Vec<&[u8]> = top_level(film)
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    bytes.pop();
    let fragments = bytes[2..].chunks(2).map(|fragment| fragment.concat());
    (bytes[..2].concat(), fragments.collect())
}

#[test]
fn an_init_segment_and_fragments_are_found_wherever_the_stream_is_cut() {
    for (film, fragments) in [(H264_AAC, 2), (CMAF, 2), (EVERY_FRAME, 3), (AAC, 3)] {
        let (init, expected) = parts(film);
        assert_eq!(expected.len(), fragments);
        let parsed = in_all_cuts(film);
        assert_eq!(parsed.inits.len(), 1);
        assert_eq!(parsed.inits[0].bytes, init);
        assert_eq!(parsed.fragments(), expected);
        assert_eq!(parsed.end, Some(Ok(true)));
    }
}

/// Every byte but those of the index at the end, which is of a file that does not exist.
#[test]
fn the_stream_is_passed_on_as_it_came() {
    for film in [H264_AAC, CMAF, EVERY_FRAME, AAC] {
        let parsed = parse(film.chunks(7));
        let passed = [&parsed.inits[0].bytes[..], &parsed.fragments().concat()].concat();
        let (kind, index) = *top_level(film).last().expect("boxes");
        assert_eq!(kind, *b"mfra");
        assert_eq!(passed, film[..film.len() - index.len()]);
    }
}

/// ffmpeg puts the flags in the fragment's default, in the first sample's, or nowhere but in the track's.
#[test]
fn a_fragment_says_whether_it_can_be_the_first() {
    assert_eq!(parse([H264_AAC]).sync(), [true, true]);
    assert_eq!(parse([CMAF]).sync(), [true, true]);
    assert_eq!(parse([EVERY_FRAME]).sync(), [true, false, false]);
    assert_eq!(parse([AAC]).sync(), [true, true, true], "no video");
}

/// Only a header that is cut is put together, and here none is.
#[test]
fn nothing_is_copied_of_a_stream_in_one_chunk() {
    let mut parser = FragmentParser::new();
    let mut chunk = Bytes::from_static(H264_AAC);
    let mut pieces = 0;
    while let Some(event) = parser.next(&mut chunk).expect("a film") {
        if let Event::Piece(piece) = event {
            pieces += 1;
            assert!(H264_AAC.as_ptr_range().contains(&piece.as_ptr()));
        }
    }
    assert_eq!(pieces, 4, "one a box");
}

#[test]
fn the_end_of_a_fragment_is_reported_with_its_last_byte() {
    let (init, fragments) = parts(H264_AAC);
    let parsed = parse([init.as_slice(), &fragments[0]]);
    assert_eq!(parsed.fragments.len(), 1);
    assert_eq!(parsed.end, Some(Ok(true)));
}

/// So that a fragment that is too large is refused before its bytes come.
#[test]
fn the_size_of_a_fragment_is_reported_before_its_bytes() {
    let (init, fragments) = parts(H264_AAC);
    let moof = top_level(&fragments[0])[0].1;
    let beginning = [&init, moof, &u32::MAX.to_be_bytes(), b"mdat"].concat();
    let moof = moof.len() as u64;
    let announced = vec![vec![moof, moof + u64::from(u32::MAX)]];
    assert_eq!(in_all_cuts(&beginning).announced, announced);
}

#[test]
fn a_size_may_have_64_bits() {
    let (init, fragments) = parts(H264_AAC);
    let [(_, moof), (_, mdat)] = top_level(&fragments[0])[..] else {
        panic!("moof and mdat");
    };
    let size = (mdat.len() as u64 + 8).to_be_bytes();
    let long = [&1u32.to_be_bytes(), b"mdat", &size[..], &mdat[8..]].concat();
    let inside = top_level(&moof[8..]).into_iter().flat_map(|(kind, child)| {
        let size = (child.len() as u64 + 8).to_be_bytes();
        [&1u32.to_be_bytes(), &kind, &size[..], &child[8..]].concat()
    });
    let inside: Vec<u8> = inside.collect();
    let size = (inside.len() as u64 + 16).to_be_bytes();
    let long_moof = [&1u32.to_be_bytes(), b"moof", &size[..], &inside].concat();
    let fragment = [long_moof, long].concat();
    let parsed = in_all_cuts(&[init, fragment.clone()].concat());
    assert_eq!(parsed.fragments, [(fragment, true)]);
}

/// Live encoders put clocks, events and indexes there.
#[test]
fn boxes_around_a_moof_belong_to_its_fragment() {
    let (init, fragments) = parts(H264_AAC);
    let [(_, moof), (_, mdat)] = top_level(&fragments[0])[..] else {
        panic!("moof and mdat");
    };
    let before: Vec<u8> = [b"free", b"styp", b"prft", b"emsg", b"sidx", b"new!"]
        .iter()
        .flat_map(|kind| boxed(kind, &[7; 20]))
        .collect();
    let between = boxed(b"free", b"");
    let first = [&before, moof, &between, mdat].concat();
    let film = [init, first.clone(), fragments[1].clone()].concat();
    let parsed = in_all_cuts(&film);
    assert_eq!(parsed.fragments(), [&first, &fragments[1]]);
    assert_eq!(parsed.sync(), [true, true]);
}

/// Two films one after the other, the first with its index.
#[test]
fn a_film_may_begin_again() {
    let parsed = in_all_cuts(&[EVERY_FRAME, AAC].concat());
    assert_eq!(parsed.inits.len(), 2);
    assert_ne!(parsed.inits[0], parsed.inits[1]);
    let sync = [true, false, false, true, true, true];
    assert_eq!(parsed.sync(), sync);
}

#[test]
fn a_cut_stream_knows_that_it_is_cut() {
    let whole = parse([H264_AAC]);
    let (init, fragments) = parts(H264_AAC);
    let ends = [0, init.len(), init.len() + fragments[0].len()];
    let last = ends[2] + fragments[1].len();
    for cut in 0..H264_AAC.len() {
        let parsed = parse([&H264_AAC[..cut]]);
        let complete = parsed.fragments.len();
        assert_eq!(parsed.fragments[..], whole.fragments[..complete]);
        // Of the index nothing is missed once it is known to be one.
        let between = ends.contains(&cut) || cut == last || cut >= last + 8;
        assert_eq!(parsed.end, Some(Ok(between)), "cut at {cut}");
    }
}

#[test]
fn an_mp4_is_known_by_its_first_bytes() {
    assert_eq!(looks_like_mp4(b""), None);
    assert_eq!(looks_like_mp4(&H264_AAC[..7]), None);
    assert_eq!(looks_like_mp4(&H264_AAC[..8]), Some(true));
    assert_eq!(looks_like_mp4(H264_AAC), Some(true));
    assert_eq!(looks_like_mp4(b"\0\0\0\x18stypmsdh"), Some(true));
    assert_eq!(looks_like_mp4(b"\0\0\0\x18moov"), Some(true));
    // What is left of one that was cut, or no live stream: the error says what is wrong with it as an MP4.
    for kind in [b"moof", b"free", b"mdat", b"sidx", b"wide"] {
        let header = [b"\0\0\0\x18", &kind[..]].concat();
        assert_eq!(looks_like_mp4(&header), Some(true), "{kind:?}");
    }
    assert_eq!(looks_like_mp4(b"\0\0\0\x18nope"), Some(false));
    for other in [
        &b"\xFF"[..],
        b"\xFF\xD8\xFF",
        b"--ffmpeg\r\n",
        b"\r\n",
        b"\r",
        b"\xFF\0\0\x18ftyp",
    ] {
        assert_eq!(looks_like_mp4(other), Some(false), "{other:?}");
    }
}

proptest! {
    #[test]
    fn any_two_chunkings_give_the_same(cuts in prop::collection::vec(0..H264_AAC.len(), 0..20)) {
        let mut cuts = cuts;
        cuts.extend([0, H264_AAC.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|cut| &H264_AAC[cut[0]..cut[1]]);
        prop_assert_eq!(parse(chunks), parse([H264_AAC]));
    }
}
