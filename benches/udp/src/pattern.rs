//! What is in the datagrams: a number, and bytes that a viewer knows.

use crate::scenario::DATAGRAMS;
use std::io;

/// Bytes of a datagram.
pub(crate) const DATAGRAM: usize = 1200;

const NUMBER: usize = size_of::<u64>();

/// Bytes of which no two neighbours are equal.
fn filling() -> [u8; DATAGRAM - NUMBER] {
    let mut filling = [0; DATAGRAM - NUMBER];
    for (index, byte) in filling.iter_mut().enumerate() {
        *byte = (index * 7 % 251) as u8;
    }
    filling
}

/// The frame that is sent.
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    pub(crate) fn new() -> Self {
        Frame([&[0; NUMBER][..], &filling()].concat().repeat(DATAGRAMS))
    }

    /// The bytes of the frame with this number.
    pub(crate) fn numbered(&mut self, frame: u64) -> &[u8] {
        let first = frame * DATAGRAMS as u64;
        for (number, datagram) in (first..).zip(self.0.chunks_mut(DATAGRAM)) {
            datagram[..NUMBER].copy_from_slice(&number.to_be_bytes());
        }
        &self.0
    }
}

/// What a viewer expects.
pub(crate) struct Expected {
    next: u64,
    filling: [u8; DATAGRAM - NUMBER],
}

impl Expected {
    pub(crate) fn new() -> Self {
        Expected {
            next: 0,
            filling: filling(),
        }
    }

    /// Compares what was received, which may be several datagrams, and returns how many they are.
    ///
    /// A number that is missing was lost, which is no error here; one that comes late or twice is one.
    pub(crate) fn compare(&mut self, received: &[u8]) -> io::Result<u64> {
        let (datagrams, rest) = received.as_chunks::<DATAGRAM>();
        if !rest.is_empty() || datagrams.is_empty() {
            return Err(io::Error::other(format!("{} bytes", received.len())));
        }
        for datagram in datagrams {
            let (number, filling) = datagram.split_first_chunk().expect("there are more");
            let number = u64::from_be_bytes(*number);
            if number < self.next {
                let next = self.next;
                return Err(io::Error::other(format!("{number} came after {next}")));
            }
            if filling != self.filling {
                return Err(io::Error::other(format!("wrong bytes in {number}")));
            }
            self.next = number + 1;
        }
        Ok(datagrams.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the run would count what is no delivery.
    #[test]
    fn a_datagram_that_is_wrong_late_or_cut_is_an_error() {
        let mut frame = Frame::new();
        let mut expected = Expected::new();
        let first = frame.numbered(0).to_vec();
        assert_eq!(expected.compare(&first).unwrap(), DATAGRAMS as u64);
        assert!(expected.compare(&first).is_err(), "it comes twice");
        let mut second = frame.numbered(1).to_vec();
        assert!(expected.compare(&second[..DATAGRAM - 1]).is_err());
        assert!(expected.compare(&[]).is_err());
        second[DATAGRAM - 1] ^= 1;
        assert!(expected.compare(&second).is_err(), "a bit is wrong");
        // A loss is none of these.
        assert_eq!(expected.compare(frame.numbered(2)).unwrap(), 50);
    }
}
