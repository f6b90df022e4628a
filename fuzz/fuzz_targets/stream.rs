//! Streams for the frame parser: bytes as they are, or pictures that a sender could have sent.

use arbitrary::{Result, Unstructured};

/// What separates two parts.
const BOUNDARY: &[u8] = b"\n--ffmpeg";

/// Twice what the parser may keep.
const LONGEST_REPEATED: usize = 16 * 1024;

/// What is sent, and where it is cut on its way.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) stream: Vec<u8>,
    /// The pictures in it; `None` if it is not known.
    pub(crate) frames: Option<Vec<Vec<u8>>>,
    pub(crate) cuts: Vec<usize>,
}

/// Makes a stream of the fuzzer's bytes.
pub(crate) fn read(bytes: &[u8]) -> Result<Sent> {
    let mut bytes = Unstructured::new(bytes);
    let form: u8 = bytes.arbitrary()?;
    let cuts = (0..form >> 4)
        .map(|_| Ok(bytes.arbitrary::<u8>()?.into()))
        .collect::<Result<_>>()?;
    if form & 3 == 0 {
        // Limits are reached by repetition, which the fuzzer would take long to come by.
        let times = if form & 8 != 0 { 256 } else { 1 };
        // Behind a boundary, what has no line break is one long line.
        let before: &[u8] = if form & 12 == 8 { b"--b\r\n" } else { b"" };
        let mut stream = [before, &bytes.take_rest().repeat(times)].concat();
        stream.truncate(LONGEST_REPEATED);
        return Ok(Sent {
            stream,
            frames: None,
            cuts,
        });
    }
    let mut frames = Vec::new();
    while !bytes.is_empty() && frames.len() < 8 {
        frames.push(picture(&mut bytes)?);
    }
    let stream = match form & 3 {
        1 if form & 4 == 0 => frames.concat(),
        1 => padded(&frames),
        announce => multipart(&frames, announce == 2),
    };
    // Where no length says more, a boundary ends a part wherever it stands.
    let is_cut = |frame: &Vec<u8>| frame.windows(BOUNDARY.len()).any(|bytes| bytes == BOUNDARY);
    let known = form & 3 != 3 || !frames.iter().any(is_cut);
    Ok(Sent {
        stream,
        frames: (known && !frames.is_empty()).then_some(frames),
        cuts,
    })
}

/// `stream` in pieces, each as long as its number says, and the rest.
pub(crate) fn cut<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    for &length in cuts {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

fn payload(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length: usize = bytes.int_in_range(0..=40)?;
    Ok(bytes.bytes(length.min(bytes.len()))?.to_vec())
}

/// A JPEG file by its grammar, with everything in it that looks like the end and is not.
fn picture(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut jpeg = vec![0xFF, 0xD8];
    for _ in 0..bytes.int_in_range(1..=6)? {
        // More FF than one are allowed before a marker.
        let fill = bytes.int_in_range(1..=3)?;
        jpeg.extend(std::iter::repeat_n(0xFF, fill));
        match bytes.int_in_range(0..=4)? {
            0 => jpeg.push(0x01),
            1 => {
                segment(&mut jpeg, 0xDA, &payload(bytes)?);
                scan(&mut jpeg, &payload(bytes)?);
            }
            _ => {
                let code = 0xE0 + bytes.int_in_range(0..=14)?;
                segment(&mut jpeg, code, &payload(bytes)?);
            }
        }
    }
    jpeg.extend([0xFF, 0xD9]);
    Ok(jpeg)
}

fn segment(jpeg: &mut Vec<u8>, code: u8, payload: &[u8]) {
    jpeg.push(code);
    let length = u16::try_from(payload.len() + 2).expect("short");
    jpeg.extend(length.to_be_bytes());
    jpeg.extend(payload);
}

/// Coded data, where FF is followed by a zero, or by the number of a restart.
fn scan(jpeg: &mut Vec<u8>, data: &[u8]) {
    for &byte in data {
        jpeg.push(byte);
        if byte == 0xFF {
            jpeg.push(0x00);
        } else if byte == 0xD0 {
            jpeg.extend([0xFF, 0xD0]);
        }
    }
}

/// Behind each picture what cameras leave there: zeroes, line breaks, a second end marker, and a start marker of nothing.
fn padded(pictures: &[Vec<u8>]) -> Vec<u8> {
    let padding = b"\0\0\r\n--ffmpeg\r\n\xff\xd9\xff\xd8\0\xff";
    let padding = (0..pictures.len()).map(|index| &padding[..(index * 7 + 5) % padding.len()]);
    let padded = pictures.iter().zip(padding);
    padded
        .flat_map(|(picture, padding)| [picture, padding].concat())
        .collect()
}

fn multipart(pictures: &[Vec<u8>], announce: bool) -> Vec<u8> {
    let mut stream = Vec::new();
    for picture in pictures {
        stream.extend(b"--ffmpeg\r\nContent-type: image/jpeg\r\n");
        if announce {
            stream.extend(format!("Content-length: {}\r\n", picture.len()).bytes());
        }
        stream.extend(b"\r\n");
        stream.extend(picture);
        stream.extend(b"\r\n");
    }
    stream.extend(b"--ffmpeg--\r\n");
    stream
}
