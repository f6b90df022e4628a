//! A picture as it is sent: a part of a `multipart/x-mixed-replace` response in one buffer.
//!
//! ```text
//!  headroom                      the sample's bytes          room kept at the end
//!  Content-Type: … \r\n\r\n      JPEG                        \r\n--frame\r\n
//! ```
//!
//! The part's header is put in front of the picture, into the sample's headroom, and the boundary that
//! ends it behind. So a picture is one piece of memory for all viewers, and a viewer's connection queues
//! one chunk for it. The boundary comes at the end rather than before the next frame because browsers
//! show a picture when they see it.

use crate::piece::Piece;
use bytes::{BufMut, Bytes};
use sample_pool::{Sample, fan_out::Delivery};

/// The line that separates two parts.
pub(crate) const BOUNDARY: &str = "--frame\r\n";

/// The content type of a stream of parts.
pub(crate) const CONTENT_TYPE: &str = "multipart/x-mixed-replace; boundary=frame";

const TAIL: &[u8] = b"\r\n--frame\r\n";

/// More than the header of a part ever takes.
pub(crate) const HEADROOM: usize = 192;

/// What a part needs behind the picture.
pub(crate) const TAILROOM: usize = TAIL.len();

/// Makes a part of a sample that holds a JPEG.
pub(crate) fn make_part(sample: &mut Sample, sequence: u64) {
    let length = sample.len();
    let millis = sample
        .properties()
        .start()
        .map_or(0, |start| start.as_millis());
    let header = format!(
        "Content-Type: image/jpeg\r\nContent-Length: {length}\r\nX-Timestamp: {}.{:03}\r\nX-Sequence: {sequence}\r\n\r\n",
        millis / 1000,
        millis % 1000,
    );
    sample
        .prepend(header.as_bytes())
        .expect("the headroom is larger than any header");
    sample.put_slice(TAIL);
    let piece = Piece {
        // For users who want the picture alone.
        header: u16::try_from(header.len()).expect("it is shorter than the headroom"),
        ..Piece::whole(sequence)
    };
    piece.write(sample.properties_mut());
}

/// The part without the boundary behind it: nothing follows.
pub(crate) fn last_part(frame: Delivery) -> Bytes {
    let part = frame.into_bytes();
    part.slice(..part.len() - BOUNDARY.len())
}

/// The picture alone.
pub(crate) fn jpeg(frame: Delivery) -> Bytes {
    let header = usize::from(Piece::of(frame.properties()).header);
    let part = frame.into_bytes();
    part.slice(header..part.len() - TAIL.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use sample_pool::{Pool, ReferenceTime, fan_out::FanOut};

    #[test]
    fn a_part_says_its_length_time_and_number_and_keeps_the_picture_as_it_was() {
        let pool = Pool::builder().size(1024 + TAILROOM).prefix(HEADROOM);
        let pool = pool.build().unwrap();
        let mut sample = pool.try_get_buffer().unwrap();
        sample.put_bytes(0xAB, 1024);
        let time = ReferenceTime(61_234 * 10_000);
        sample.properties_mut().set_time(Some(time), None);
        make_part(&mut sample, u64::MAX);
        let channel = FanOut::new(1, 1);
        channel.send(sample.freeze()).unwrap();
        // As each viewer takes it.
        let take = || {
            let frame = channel.subscribe(1).recv().now_or_never().flatten();
            frame.expect("it was sent")
        };
        let picture = jpeg(take());
        assert_eq!(picture, vec![0xAB; 1024]);
        let part = take().into_bytes();
        let header = part.len() - picture.len() - TAIL.len();
        let header = std::str::from_utf8(&part[..header]).unwrap();
        assert!(header.contains("Content-Length: 1024\r\n"));
        assert!(header.contains("X-Timestamp: 61.234\r\n"));
        assert!(header.ends_with("X-Sequence: 18446744073709551615\r\n\r\n"));
        assert!(part.ends_with(b"\r\n--frame\r\n"));
        assert!(last_part(take()).ends_with(b"\xab\r\n"));
        assert!(pool.properties().prefix >= header.len());
    }
}
