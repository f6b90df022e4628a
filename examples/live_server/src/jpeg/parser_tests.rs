//! The frame parser against streams cut in every place, since a socket cuts them anywhere.

use super::{
    part_lines::{LONGEST_LINE, LONGEST_PREAMBLE},
    *,
};

/// A picture with everything in it that has misled a parser: a thumbnail in a header segment, a
/// stuffed zero, restart markers, fill bytes and a second scan.
fn picture(tag: u8) -> Vec<u8> {
    let mut jpeg = vec![0xFF, 0xD8];
    jpeg.extend([
        0xFF, 0xE1, 0x00, 0x0A, 0xFF, 0xD8, b'-', b'-', b'\r', b'\n', 0xFF, 0xD9,
    ]);
    jpeg.extend([0xFF, 0xFF, 0xDB, 0x00, 0x03, tag]);
    jpeg.extend([
        0xFF, 0xDA, 0x00, 0x03, 0x01, tag, 0xFF, 0x00, b'\n', 0xFF, 0xD3, 0x5A,
    ]);
    jpeg.extend([0xFF, 0xC4, 0x00, 0x02]);
    jpeg.extend([0xFF, 0xDA, 0x00, 0x02, tag, 0xFF, 0xFF, 0xD9]);
    jpeg
}

fn part(jpeg: &[u8], announce: bool) -> Vec<u8> {
    let mut part = b"--ffmpeg\r\nContent-type: image/jpeg\r\n".to_vec();
    if announce {
        part.extend(format!("Content-length: {}\r\n", jpeg.len()).bytes());
    }
    part.extend(b"\r\n");
    part.extend(jpeg);
    part.extend(b"\r\n");
    part
}

/// The frames in `chunks`, and whether the stream ended between two of them.
fn frames<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<Vec<u8>>, bool), FrameError> {
    let (frames, clean, _) = read(chunks)?;
    Ok((frames, clean))
}

/// The same, and what was skipped.
fn read<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<Vec<u8>>, bool, Skipped), FrameError> {
    let mut parser = FrameParser::new();
    let mut frames = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    for chunk in chunks {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while let Some(event) = parser.next(&mut chunk)? {
            match event {
                Event::Begin { .. } => {
                    assert!(open.replace(Vec::new()).is_none(), "a frame in a frame")
                }
                Event::Piece(piece) => open.as_mut().expect("a piece of no frame").extend(piece),
                Event::End => frames.push(open.take().expect("the end of no frame")),
                Event::Abandoned => drop(open.take().expect("no frame is broken")),
            }
        }
        assert!(
            chunk.is_empty(),
            "the parser stopped before the end of a chunk"
        );
    }
    assert_eq!(open.is_none(), parser.is_between_frames());
    parser.finish()?;
    Ok((frames, parser.is_between_frames(), parser.skipped()))
}

/// Whole, byte by byte, and cut in two at every place.
fn in_all_cuts(stream: &[u8], check: impl Fn(Result<(Vec<Vec<u8>>, bool), FrameError>)) {
    let whole = read([stream]);
    check(frames([stream]));
    assert_eq!(read(stream.chunks(1)), whole, "byte by byte");
    for cut in 1..stream.len() {
        let cut_in_two = read([&stream[..cut], &stream[cut..]]);
        assert_eq!(cut_in_two, whole, "cut at {cut}");
    }
}

/// A search for the end marker would stop inside the thumbnail.
#[test]
fn bare_pictures_are_separated_wherever_the_stream_is_cut() {
    let pictures = vec![picture(1), picture(2), picture(3)];
    in_all_cuts(&pictures.concat(), |found| {
        assert_eq!(found, Ok((pictures.clone(), true)))
    });
}

#[test]
fn parts_that_announce_their_length_are_separated_wherever_the_stream_is_cut() {
    let pictures = vec![picture(1), picture(2)];
    let mut stream: Vec<u8> = pictures
        .iter()
        .flat_map(|picture| part(picture, true))
        .collect();
    stream.extend(b"--ffmpeg\r\n");
    in_all_cuts(&stream, |found| {
        assert_eq!(found, Ok((pictures.clone(), true)))
    });
}

/// Some cameras send no length: the markers must then tell where the picture ends.
#[test]
fn parts_without_a_length_are_separated_wherever_the_stream_is_cut() {
    let pictures = vec![picture(1), picture(2)];
    let mut stream = b"\r\n".to_vec();
    stream.extend(pictures.iter().flat_map(|picture| part(picture, false)));
    // Whatever follows means nothing, also what could be one more part.
    stream.extend(b"--ffmpeg--\r\n");
    stream.extend(part(&picture(3), false));
    in_all_cuts(&stream, |found| {
        assert_eq!(found, Ok((pictures.clone(), true)))
    });
}

/// What comes after the last byte of a live frame comes a frame later: waiting for it would delay every one.
#[test]
fn a_frame_ends_with_its_last_byte_and_not_with_the_next_frame() {
    for (announce, whole) in [
        (true, part(&picture(7), true)),
        (false, part(&picture(7), false)),
    ] {
        let without_line_break = &whole[..whole.len() - 2];
        assert_eq!(
            frames([without_line_break]),
            Ok((vec![picture(7)], true)),
            "announced: {announce}"
        );
    }
}

/// The length lets the server refuse a frame before a byte of it was read.
#[test]
fn the_announced_length_is_reported_before_the_frame() {
    let length = Some(picture(1).len());
    for (said, length) in [
        (format!("Content-Length: {}", picture(1).len()), length),
        (format!("Content-Length:\r\n {}", picture(1).len()), length),
        ("Content-Length: 3".to_owned(), None),
    ] {
        let lines = format!("--ffmpeg\r\n{said}\r\n\r\n");
        let mut chunk = Bytes::from([lines.as_bytes(), &picture(1)].concat());
        let begin = FrameParser::new().next(&mut chunk);
        assert_eq!(begin, Ok(Some(Event::Begin { length })), "{said}");
    }
}

/// A buffer is taken at the beginning of a frame, so headers alone must not begin one.
#[test]
fn the_headers_of_a_part_do_not_begin_a_frame() {
    let mut parser = FrameParser::new();
    let mut chunk = Bytes::from_static(b"--ffmpeg\r\nContent-length: 900\r\n\r\n");
    assert_eq!(parser.next(&mut chunk), Ok(None));
    assert!(parser.is_between_frames());
}

#[test]
fn a_cut_frame_is_not_a_frame() {
    let stream = [picture(1), picture(2)[..9].to_vec()].concat();
    assert_eq!(frames([stream.as_slice()]), Ok((vec![picture(1)], false)));
    let stream = [
        part(&picture(1), true),
        part(&picture(2), true)[..70].to_vec(),
    ]
    .concat();
    assert_eq!(frames([stream.as_slice()]), Ok((vec![picture(1)], false)));
}

#[test]
fn what_is_not_a_jpeg_is_refused_with_its_first_bytes() {
    let png = b"\x89PNG\r\n\x1a\n and so on";
    let not_jpeg = |found: &[u8]| {
        let found = found.to_vec();
        Err(FrameError::NotJpeg { found })
    };
    in_all_cuts(png, |found| assert_eq!(found, not_jpeg(&png[..8])));
    assert_eq!(
        FrameError::NotJpeg {
            found: png[..4].to_vec()
        }
        .to_string(),
        "not a JPEG: a frame begins with ff d8 ff, this one with 89 50 4e 47"
    );
    in_all_cuts(b"\r\n\xFF\xFBnot a picture but MP3", |found| {
        assert_eq!(found, not_jpeg(b"\xFF\xFBnot a "));
    });
    in_all_cuts(&part(b"\xFF\xFBnot a picture but MP3", true), |found| {
        assert_eq!(found, Err(FrameError::NoPictures));
    });
    in_all_cuts(b"-one dash only\r\n\r\n", |found| {
        assert_eq!(found, not_jpeg(b"-one das"));
    });
    // The byte behind the first marker is wrong.
    in_all_cuts(&[0xFF, 0xD8, 0xFE, 0xFF], |found| {
        assert_eq!(found, not_jpeg(&[0xFF, 0xD8, 0xFE, 0xFF]));
    });
}

/// Otherwise a source that sends any bytes would keep a channel, and the server would look for pictures in it.
#[test]
fn a_stream_in_which_no_picture_begins_soon_is_refused_without_waiting_for_its_end() {
    let refused = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let mut parser = FrameParser::new();
        chunks.map(Bytes::copy_from_slice).find_map(|mut chunk| {
            loop {
                match parser.next(&mut chunk) {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            }
        })
    };
    let text = [b'x'; LONGEST_PREAMBLE + 1];
    for step in [1, 100, text.len()] {
        let found = refused(&mut text.chunks(step));
        assert!(matches!(found, Some(FrameError::NotJpeg { .. })));
    }
    let megabyte = vec![0x55; 1 << 20];
    let broken = [0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x01];
    let found = refused(&mut [&broken[..], &megabyte].into_iter());
    assert_eq!(found, Some(FrameError::BrokenJpeg));
    let sound = b"--b\r\nContent-Type: audio/basic\r\n\r\n";
    let found = refused(&mut [&sound[..], &megabyte, b"."].into_iter());
    assert_eq!(found, Some(FrameError::NoPictures));
    // Headers that do not end, or are no lines at all.
    let headers = [&b"--b\r\n"[..], &b"a: b\r\n".repeat(100)].concat();
    assert_eq!(
        refused(&mut headers.chunks(7)),
        Some(FrameError::NoPictures)
    );
    let long = [&b"--b\r\n"[..], &[b'a'; LONGEST_LINE + 1]].concat();
    assert_eq!(refused(&mut long.chunks(7)), Some(FrameError::NoPictures));
    // Behind a picture there may be anything, as long as the source has time.
    assert_eq!(
        refused(&mut [&picture(1)[..], &megabyte, b"."].into_iter()),
        None
    );
}

#[test]
fn a_stream_of_which_all_pictures_are_broken_is_refused() {
    let broken_markers = [0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x01, 0x00, 0x00];
    in_all_cuts(&broken_markers, |found| {
        assert_eq!(found, Err(FrameError::BrokenJpeg))
    });
}

#[test]
fn nothing_is_no_frame() {
    assert_eq!(frames([&b""[..], b"\r\n"]), Ok((vec![], true)));
}

#[path = "careless_cameras.rs"]
mod careless_cameras;
