//! The datagrams of a batch, one after the other.

#![forbid(unsafe_code)]

use crate::sample::{part::SamplePart, shared::SharedSample};
use std::{fmt, iter::FusedIterator};

/// The datagrams of a [`DatagramBatch`](super::DatagramBatch), in order: an iterator of `&[u8]`,
/// [`SamplePart`] or [`SharedSample`].
///
/// Each datagram has the segment size, but for the last one, which may be shorter. An empty batch is one empty datagram.
/// Each part or shared sample holds the buffer of the batch. So does the iterator, until it has returned the last one or
/// is dropped. The last part also has the spare capacity behind the batch.
///
/// # Examples
///
/// See [`DatagramBatch::into_parts`](super::DatagramBatch::into_parts).
#[must_use = "an iterator does nothing until it is asked for an item"]
pub struct Datagrams<T> {
    rest: Option<T>,
    size: usize,
}

impl<T> Datagrams<T> {
    pub(super) fn new(bytes: T, size: usize) -> Self {
        Datagrams {
            rest: Some(bytes),
            size: size.max(1),
        }
    }
}

macro_rules! datagrams {
    ($(($($lifetime:lifetime)?) $bytes:ty => $split_to:expr;)*) => {$(
        impl$(<$lifetime>)? Iterator for Datagrams<$bytes> {
            type Item = $bytes;

            fn next(&mut self) -> Option<$bytes> {
                let rest = self.rest.as_mut()?;
                if rest.len() <= self.size {
                    return self.rest.take();
                }
                let split_to: fn(&mut $bytes, usize) -> $bytes = $split_to;
                Some(split_to(rest, self.size))
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                let count = |rest: &$bytes| rest.len().div_ceil(self.size).max(1);
                let left = self.rest.as_ref().map_or(0, count);
                (left, Some(left))
            }
        }

        impl$(<$lifetime>)? ExactSizeIterator for Datagrams<$bytes> {}
        impl$(<$lifetime>)? FusedIterator for Datagrams<$bytes> {}
    )*};
}

datagrams! {
    ('a) &'a [u8] => |rest, size| {
        let (first, behind) = rest.split_at(size);
        *rest = behind;
        first
    };
    () SamplePart => SamplePart::split_to;
    () SharedSample => SharedSample::split_to;
}

/// Prints the segment size, never the bytes.
impl<T> fmt::Debug for Datagrams<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// One too many would be an empty datagram that was never sent, and one too few would lose the last.
    #[test]
    fn there_are_as_many_datagrams_as_segments_and_the_last_may_be_short() {
        for (len, size, expected) in [
            (0, 1, &[0][..]),
            (1, 4, &[1]),
            (4, 4, &[4]),
            (5, 4, &[4, 1]),
            (8, 4, &[4, 4]),
            (9, 0, &[1; 9]),
        ] {
            let bytes = vec![7; len];
            let datagrams = Datagrams::new(&bytes[..], size);
            assert_eq!(datagrams.len(), expected.len(), "{len} / {size}");
            let lengths: Vec<usize> = datagrams.map(<[u8]>::len).collect();
            assert_eq!(lengths, expected, "{len} / {size}");
        }
    }
}
