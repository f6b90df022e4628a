//! What a sample in a channel's fan-out is: a picture, or a piece of a fragment.
//!
//! A picture is one sample. A fragment of MP4 may be larger than a buffer and is as many as it takes, one after the other.
//! How many these are is known before the first of them is given to viewers. The sample's own properties say which it is, as
//! DirectShow's do: the media time is its number in the stream.

use sample_pool::SampleProperties;

/// The place of a sample among those that make up a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The number of the picture or fragment in its channel; the first is 1.
    pub(crate) sequence: u64,
    /// Which piece of it this is, counted from 0.
    pub(crate) index: u16,
    /// How many pieces it has.
    pub(crate) pieces: u16,
    /// How many bytes in front of it are the header of a part, and not the sender's.
    pub(crate) header: u16,
}

impl Piece {
    /// A frame in one piece.
    pub(crate) fn whole(sequence: u64) -> Self {
        Piece {
            sequence,
            index: 0,
            pieces: 1,
            header: 0,
        }
    }

    pub(crate) fn of(properties: &SampleProperties) -> Self {
        let [index, pieces, header] = [0, 16, 32].map(|shift| (properties.user() >> shift) as u16);
        Piece {
            sequence: properties.media_start().unwrap_or(0).unsigned_abs(),
            index,
            pieces,
            header,
        }
    }

    pub(crate) fn write(self, properties: &mut SampleProperties) {
        // A channel would have to run for billions of years.
        let sequence = i64::try_from(self.sequence).unwrap_or(i64::MAX);
        properties.set_media_time(Some(sequence), Some(sequence.saturating_add(1)));
        let [index, pieces, header] = [self.index, self.pieces, self.header].map(u64::from);
        properties.set_user(index | pieces << 16 | header << 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let pool = sample_pool::Pool::builder().build().unwrap();
        let mut sample = pool.try_get_buffer().unwrap();
        let piece = Piece {
            sequence: 1 << 40,
            index: 3,
            pieces: 0x1234,
            header: 191,
        };
        piece.write(sample.properties_mut());
        assert_eq!(Piece::of(sample.properties()), piece);
        Piece::whole(7).write(sample.properties_mut());
        assert_eq!(Piece::of(sample.properties()), Piece::whole(7));
    }
}
