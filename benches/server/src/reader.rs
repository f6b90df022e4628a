//! Reads what the server sends to a viewer, and compares every byte of every frame.
//!
//! The response is chunked, and one part of it is one chunk, so between two pictures there are only
//! lines: of the response's head, of the chunks' frame, and of the part's header.

use crate::footage::Footage;

const LONGEST_LINE: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    length: Option<usize>,
    sequence: Option<u64>,
    picture: Option<Picture>,
}

#[derive(Debug)]
struct Picture {
    sequence: u64,
    at: usize,
}

/// What was received is not what was sent.
pub(crate) type Wrong = String;

impl Reader {
    /// Reads on, and tells `whole` the number of each frame that is complete.
    pub(crate) fn read(
        &mut self,
        mut bytes: &[u8],
        footage: &Footage,
        mut whole: impl FnMut(u64),
    ) -> Result<(), Wrong> {
        while !bytes.is_empty() {
            if let Some(picture) = &mut self.picture {
                let left = footage.frame_bytes() - picture.at;
                let (piece, rest) = bytes.split_at(left.min(bytes.len()));
                if !footage.agrees(picture.sequence, picture.at, piece) {
                    let Picture { sequence, at } = picture;
                    return Err(format!(
                        "frame {sequence} is not what was sent, in the {} bytes from {at}",
                        piece.len()
                    ));
                }
                picture.at += piece.len();
                bytes = rest;
                if picture.at == footage.frame_bytes() {
                    whole(picture.sequence);
                    self.picture = None;
                }
                continue;
            }
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            self.line.extend_from_slice(piece);
            bytes = rest;
            if self.line.len() > LONGEST_LINE {
                return Err(
                    "a line does not end: something else stands between two frames".to_owned(),
                );
            }
            if end.is_some() {
                self.end_line(footage)?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self, footage: &Footage) -> Result<(), Wrong> {
        let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        self.line.clear();
        if let Some(status) = line
            .strip_prefix("HTTP/1.1 ")
            .filter(|status| !status.starts_with("200"))
        {
            return Err(format!("the server answers {status}"));
        }
        if let Some(length) = line.strip_prefix("Content-Length: ") {
            self.length = length.parse().ok();
        }
        if let Some(sequence) = line.strip_prefix("X-Sequence: ") {
            self.sequence = sequence.parse().ok();
        }
        // An empty line ends a header, and a chunk.
        if line.is_empty()
            && let (Some(length), Some(sequence)) = (self.length.take(), self.sequence.take())
        {
            if length != footage.frame_bytes() {
                return Err(format!(
                    "frame {sequence} has {length} bytes instead of {}",
                    footage.frame_bytes()
                ));
            }
            self.picture = Some(Picture { sequence, at: 0 });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(footage: &Footage) -> Vec<u8> {
        let mut all = b"HTTP/1.1 200 OK\r\ncontent-type: x\r\n\r\n9\r\n--frame\r\n\r\n".to_vec();
        for sequence in [3, 4, 9] {
            all.extend(format!("99\r\nContent-Type: image/jpeg\r\nContent-Length: 99\r\nX-Sequence: {sequence}\r\n\r\n").bytes());
            footage.append(sequence, &mut all);
            all.extend(b"\r\n--frame\r\n\r\n");
        }
        all
    }

    fn read_in_pieces(all: &[u8], size: usize, footage: &Footage) -> Result<Vec<u64>, Wrong> {
        let (mut reader, mut seen) = (Reader::default(), Vec::new());
        for piece in all.chunks(size) {
            reader.read(piece, footage, |sequence| seen.push(sequence))?;
        }
        Ok(seen)
    }

    #[test]
    fn frames_are_found_in_pieces_of_any_size() {
        let footage = Footage::new(99);
        let all = response(&footage);
        for size in 1..all.len() {
            assert_eq!(read_in_pieces(&all, size, &footage), Ok(vec![3, 4, 9]));
        }
    }

    #[test]
    fn a_changed_byte_another_length_and_a_refusal_are_reported() {
        let footage = Footage::new(99);
        let mut all = response(&footage);
        let in_the_last = all.len() - 40;
        all[in_the_last] ^= 1;
        let said = read_in_pieces(&all, 1000, &footage).unwrap_err();
        assert!(said.starts_with("frame 9 is not what was sent"), "{said}");
        let said = read_in_pieces(&response(&footage), 7, &Footage::new(98)).unwrap_err();
        assert_eq!(said, "frame 3 has 99 bytes instead of 98");
        let said = read_in_pieces(b"HTTP/1.1 404 Not Found\r\n", 7, &footage).unwrap_err();
        assert_eq!(said, "the server answers 404 Not Found");
    }
}
