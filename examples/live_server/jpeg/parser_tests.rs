//! The frame parser against streams cut in every place, since a socket cuts them anywhere.

use super::*;

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
            }
        }
        assert!(
            chunk.is_empty(),
            "the parser stopped before the end of a chunk"
        );
    }
    assert_eq!(open.is_none(), parser.is_between_frames());
    Ok((frames, parser.is_between_frames()))
}

/// Whole, byte by byte, and cut in two at every place.
fn in_all_cuts(stream: &[u8], check: impl Fn(Result<(Vec<Vec<u8>>, bool), FrameError>)) {
    check(frames([stream]));
    check(frames(stream.chunks(1)));
    for cut in 1..stream.len() {
        check(frames([&stream[..cut], &stream[cut..]]));
    }
}

/// A search for the end marker would stop inside the thumbnail.
#[test]
fn bare_pictures_are_told_apart_wherever_the_stream_is_cut() {
    let pictures = vec![picture(1), picture(2), picture(3)];
    in_all_cuts(&pictures.concat(), |found| {
        assert_eq!(found, Ok((pictures.clone(), true)))
    });
}

#[test]
fn parts_that_announce_their_length_are_told_apart_wherever_the_stream_is_cut() {
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
fn parts_without_a_length_are_told_apart_wherever_the_stream_is_cut() {
    let pictures = vec![picture(1), picture(2)];
    let mut stream = b"\r\n".to_vec();
    stream.extend(pictures.iter().flat_map(|picture| part(picture, false)));
    stream.extend(b"--ffmpeg--\r\nwhatever follows means nothing");
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
fn the_announced_length_is_told_before_the_frame() {
    let stream = part(&picture(1), true);
    let mut parser = FrameParser::new();
    let mut chunk = Bytes::from(stream);
    assert_eq!(
        parser.next(&mut chunk),
        Ok(Some(Event::Begin {
            length: Some(picture(1).len())
        }))
    );
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
    assert_eq!(
        frames([&png[..]]),
        Err(FrameError::NotJpeg {
            found: png[..8].to_vec()
        })
    );
    assert_eq!(
        FrameError::NotJpeg {
            found: png[..4].to_vec()
        }
        .to_string(),
        "not a JPEG: a frame begins with ff d8, this one with 89 50 4e 47"
    );
    in_all_cuts(b"\xFF\xFBnot a picture but MP3", |found| {
        assert!(
            matches!(found, Err(FrameError::NotJpeg { .. })),
            "{found:?}"
        );
    });
    in_all_cuts(&part(b"\xFF\xFBnot a picture but MP3", true), |found| {
        assert!(
            matches!(found, Err(FrameError::NotJpeg { .. })),
            "{found:?}"
        );
    });
    in_all_cuts(b"-one dash only\r\n\r\n", |found| {
        assert!(
            matches!(found, Err(FrameError::NotJpeg { .. })),
            "{found:?}"
        );
    });
}

#[test]
fn broken_streams_are_refused_and_not_guessed_at() {
    let broken_markers = [0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x01, 0x00, 0x00];
    in_all_cuts(&broken_markers, |found| {
        assert_eq!(found, Err(FrameError::BrokenJpeg))
    });

    // The byte behind the first marker is wrong, wherever the chunk begins that it came with.
    in_all_cuts(&[0xFF, 0xD8, 0xFE, 0xFF], |found| {
        assert_eq!(found, Err(FrameError::BrokenJpeg))
    });

    let mut wrong_length = part(&picture(1), true);
    wrong_length.splice(wrong_length.len() - 2.., *b"more than was announced\r\n");
    in_all_cuts(&wrong_length, |found| {
        assert_eq!(
            found,
            Err(FrameError::BrokenMultipart(
                "a part ends without its boundary"
            ))
        );
    });

    for length in ["-1", "0", "many", "99999999999999999999999"] {
        let stream = format!("--b\r\nContent-Length: {length}\r\n\r\n");
        assert!(
            matches!(
                frames([stream.as_bytes()]),
                Err(FrameError::BrokenMultipart(_))
            ),
            "{length}"
        );
    }

    // Without these limits a sender could make the server keep headers for ever.
    let endless_line = [b'-'; LONGEST_LINE + 1];
    assert!(matches!(
        frames(endless_line.chunks(100)),
        Err(FrameError::BrokenMultipart(_))
    ));
    let endless_headers = [
        "--b\r\n".to_owned(),
        "A: b\r\n".repeat(MOST_HEADER_LINES + 1),
    ]
    .concat();
    assert!(matches!(
        frames([endless_headers.as_bytes()]),
        Err(FrameError::BrokenMultipart(_))
    ));
}

#[test]
fn nothing_is_no_frame() {
    assert_eq!(frames([&b""[..], b"\r\n"]), Ok((vec![], true)));
}
