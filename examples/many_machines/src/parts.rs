//! A payload that the broker would refuse, in several messages.
//!
//! The broker says in its greeting how large a message may be, headers and payload together: 1 MiB unless it is
//! configured otherwise. What is larger goes in parts, which are slices of the same memory.

use crate::label::{MOST_HEADER_BYTES, Place};
use bytes::Bytes;

/// How many bytes of payload fit a message, if the broker takes messages of `most` bytes. `None` if that is not
/// enough for the headers and something to go with them.
#[must_use]
pub fn room(most: usize) -> Option<usize> {
    most.checked_sub(MOST_HEADER_BYTES).filter(|&room| room > 0)
}

/// Cuts a payload into parts of at most `room` bytes, which is not zero. `None` if they are too many to count.
///
/// An empty payload is one part, or its receiver would wait for ever.
#[must_use]
pub fn cut(payload: &Bytes, room: usize) -> Option<impl Iterator<Item = (Place, Bytes)> + use<>> {
    let of = u16::try_from(payload.len().div_ceil(room).max(1)).ok()?;
    let payload = payload.clone();
    Some((0..of).map(move |index| {
        let from = usize::from(index) * room;
        let part = payload.slice(from..payload.len().min(from + room));
        (Place { index, of }, part)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_together_are_the_payload_and_none_is_larger_than_the_room() {
        for length in [0, 1, 9, 10, 11, 20, 25] {
            let payload: Bytes = (0..length).collect();
            let parts: Vec<_> = cut(&payload, 10).expect("they can be counted").collect();
            let joined: Vec<u8> = parts.iter().flat_map(|(_, part)| part.to_vec()).collect();
            assert_eq!(joined, payload);
            assert_eq!(parts.len(), usize::from(length).div_ceil(10).max(1));
            for (at, (place, part)) in parts.iter().enumerate() {
                assert_eq!(usize::from(place.index), at);
                assert_eq!(place.is_last(), at + 1 == parts.len());
                assert!(part.len() <= 10);
            }
        }
    }

    /// A copy would be half of the work again.
    #[test]
    fn parts_are_slices_of_the_payload() {
        let payload = Bytes::from(vec![0; 25]);
        let parts = cut(&payload, 10).expect("they can be counted");
        for (place, part) in parts {
            let expected = payload.as_ptr().wrapping_add(usize::from(place.index) * 10);
            assert_eq!(part.as_ptr(), expected);
        }
    }

    #[test]
    fn what_cannot_be_cut_is_reported() {
        assert_eq!(room(1 << 20), Some((1 << 20) - MOST_HEADER_BYTES));
        assert_eq!(room(MOST_HEADER_BYTES), None);
        assert_eq!(room(0), None);
        assert!(cut(&Bytes::from(vec![0; 70_000]), 1).is_none());
    }
}
