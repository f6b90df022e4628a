//! What the frames hold: the same for a number on each call, and different for each number.

const BLOCK_SLACK: usize = 4096;

/// What the server takes for the beginning of a picture.
const JPEG_START: [u8; 2] = [0xFF, 0xD8];
const HEAD: usize = JPEG_START.len() + size_of::<u64>();

#[derive(Debug)]
pub(crate) struct Footage {
    frame_bytes: usize,
    block: Vec<u8>,
}

impl Footage {
    pub(crate) fn new(frame_bytes: usize) -> Self {
        // Xorshift: what matters is that no two places look alike.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let block = std::iter::repeat_with(next).take(frame_bytes + BLOCK_SLACK);
        Footage {
            frame_bytes,
            block: block.collect(),
        }
    }

    pub(crate) fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// Frame `number` in two pieces that follow one another.
    fn pieces(&self, number: u64) -> ([u8; HEAD], &[u8]) {
        let mut head = [0; HEAD];
        head[..JPEG_START.len()].copy_from_slice(&JPEG_START);
        head[JPEG_START.len()..].copy_from_slice(&number.to_be_bytes());
        let from = (number % BLOCK_SLACK as u64) as usize;
        (head, &self.block[from..from + self.frame_bytes - HEAD])
    }

    pub(crate) fn append(&self, number: u64, to: &mut Vec<u8>) {
        let (head, rest) = self.pieces(number);
        to.extend_from_slice(&head);
        to.extend_from_slice(rest);
    }

    /// Whether `piece` is what frame `number` has from byte `at` on.
    pub(crate) fn agrees(&self, number: u64, at: usize, piece: &[u8]) -> bool {
        let (head, rest) = self.pieces(number);
        let in_head = HEAD.saturating_sub(at).min(piece.len());
        let (first, last) = piece.split_at(in_head);
        first == &head[HEAD.min(at)..][..in_head]
            && rest
                .get((at + in_head).saturating_sub(HEAD)..)
                .is_some_and(|rest| rest.starts_with(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_agrees_with_itself_however_it_is_cut_and_with_nothing_else() {
        let footage = Footage::new(300);
        let mut frame = Vec::new();
        footage.append(7, &mut frame);
        assert_eq!(frame.len(), 300);
        for cut in 0..=300 {
            assert!(footage.agrees(7, 0, &frame[..cut]));
            assert!(footage.agrees(7, cut, &frame[cut..]));
            assert!(
                cut == 300 || !footage.agrees(8, cut.max(10), &frame[cut.max(10)..]) || cut < 10
            );
        }
        for at in 0..300 {
            let mut wrong = frame.clone();
            wrong[at] ^= 1;
            assert!(!footage.agrees(7, 0, &wrong), "byte {at}");
        }
        frame.push(0);
        assert!(!footage.agrees(7, 0, &frame), "it is longer than a frame");
    }
}
