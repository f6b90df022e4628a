//! Which bytes of a frame the next system call sends, and whether it sends several datagrams.

#![forbid(unsafe_code)]

use std::io;

/// What fits into one IPv4 packet: 65,535 bytes without the headers of IP and UDP.
const MOST_BYTES: usize = 65_507;

/// Segmentation by the system (GSO) on one socket.
///
/// | `most` | `refused` | the next call sends |
/// |--------|-----------|---------------------|
/// | > 1    | no        | up to `most` datagrams |
/// | > 1    | yes       | one: if the system takes it, segmentation was the reason of the refusal, and ends |
/// | 1      | no        | one |
#[derive(Debug)]
pub(super) struct Segmentation {
    most: usize,
    refused: bool,
}

/// How much of a frame was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// In bytes.
    pub(super) sent: usize,
    /// Whether a datagram was sent. An empty frame is one, too.
    pub(super) begun: bool,
}

impl Segmentation {
    /// `most` is how many datagrams one call can send, at least 1.
    pub(super) fn new(most: usize) -> Self {
        Segmentation {
            most: most.max(1),
            refused: false,
        }
    }

    /// How many datagrams one call sends at most.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Sends the first datagrams of `bytes` with one call of `send`, or two if the first is refused. Returns how many bytes
    /// were sent.
    ///
    /// `send` is given bytes, and the size of a segment if they are several datagrams.
    ///
    /// A device without segmentation fails with `EIO`, or with `EINVAL`. The latter has other reasons, too: a segment that
    /// is larger than the MTU, on older systems, or an address that cannot be sent to. So the same bytes are sent as a single
    /// datagram, and only if the system takes that, segmentation is not used any more.
    pub(super) fn send_next(
        &mut self,
        bytes: &[u8],
        segment_size: usize,
        mut send: impl FnMut(&[u8], Option<usize>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let fitting = (MOST_BYTES / segment_size).min(self.most);
        let several = &bytes[..bytes.len().min(fitting * segment_size)];
        if several.len() > segment_size && !self.refused {
            match send(several, Some(segment_size)) {
                Err(error) if is_refusal(&error) => self.refused = true,
                result => return result.map(|()| several.len()),
            }
        }
        let single = &bytes[..bytes.len().min(segment_size)];
        match send(single, None) {
            Ok(()) => {
                if self.refused {
                    *self = Segmentation::new(1);
                }
                Ok(single.len())
            }
            // The question is still open.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            Err(error) => {
                self.refused = false;
                Err(error)
            }
        }
    }
}

fn is_refusal(error: &io::Error) -> bool {
    /// The same number on every system that has it, and `std` has no kind for it.
    const EIO: i32 = 5;
    error.kind() == io::ErrorKind::InvalidInput || error.raw_os_error() == Some(EIO)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// Of one packet, from the RFCs of IP and UDP.
    const PAYLOAD: usize = 65_507;
    const EIO: i32 = 5;
    const EINVAL: i32 = 22;
    const EMSGSIZE: i32 = 90;
    const EAGAIN: i32 = 11;

    /// A socket that answers each call by `answer`, which is given the bytes and whether they are several datagrams. Sends
    /// `frame` from the first byte until it is sent, or to the first error. Returns the datagrams, and the error.
    fn run(
        segmentation: &mut Segmentation,
        frame: &[u8],
        size: usize,
        answer: impl Fn(&[u8], bool) -> Option<i32>,
    ) -> (Vec<Vec<u8>>, Option<i32>) {
        let mut sent = 0;
        let mut datagrams = Vec::new();
        loop {
            let result = segmentation.send_next(&frame[sent..], size, |bytes, segment| {
                let refusal = answer(bytes, segment.is_some());
                if let Some(number) = refusal {
                    return Err(io::Error::from_raw_os_error(number));
                }
                assert!(bytes.len() <= PAYLOAD);
                match segment {
                    Some(size) => datagrams.extend(bytes.chunks(size).map(<[u8]>::to_vec)),
                    None => datagrams.push(bytes.to_vec()),
                }
                Ok(())
            });
            match result {
                Ok(count) => sent += count,
                Err(error) => return (datagrams, error.raw_os_error()),
            }
            if sent == frame.len() {
                return (datagrams, None);
            }
        }
    }

    fn cut(frame: &[u8], size: usize) -> Vec<Vec<u8>> {
        match frame {
            [] => vec![Vec::new()],
            frame => frame.chunks(size).map(<[u8]>::to_vec).collect(),
        }
    }

    /// The datagrams are the same, however many go into one call.
    #[test]
    fn a_frame_of_any_size_is_cut_at_the_segment_size_and_nowhere_else() {
        let frame: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        for len in [0, 1, 1199, 1200, 1201, 65_507, 76_800, 76_801, 200_000] {
            // 53 * 1236 is one byte more than fits.
            for size in [1200, 1236, 700, 40_000, 65_507, 300_000] {
                for most in [0, 1, 2, 64] {
                    let mut segmentation = Segmentation::new(most);
                    let refuse_large =
                        |bytes: &[u8], _| (bytes.len() > PAYLOAD).then_some(EMSGSIZE);
                    let (datagrams, error) =
                        run(&mut segmentation, &frame[..len], size, refuse_large);
                    if size > PAYLOAD && len > PAYLOAD {
                        assert_eq!(error, Some(EMSGSIZE), "{len} / {size}");
                        continue;
                    }
                    assert_eq!(error, None);
                    assert!(
                        datagrams == cut(&frame[..len], size),
                        "{len} / {size}, {most}"
                    );
                }
            }
        }
    }

    /// A virtual network device may take segments from the stack and refuse them for an encrypted route.
    #[test]
    fn a_socket_whose_segments_are_refused_sends_each_datagram_once_and_by_itself_from_then_on() {
        for number in [EIO, EINVAL] {
            for refused_from in [0, 1, 5] {
                let mut segmentation = Segmentation::new(4);
                let frame = [7; 100];
                let calls = std::cell::Cell::new(0);
                let refuse = |_: &[u8], several: bool| {
                    calls.set(calls.get() + 1);
                    (several && calls.get() > refused_from).then_some(number)
                };
                let (datagrams, error) = run(&mut segmentation, &frame, 3, refuse);
                assert_eq!(error, None);
                assert_eq!(datagrams, cut(&frame, 3));
                assert_eq!(segmentation.most(), 1);
                let never = |_: &[u8], several: bool| several.then_some(EIO);
                calls.set(0);
                let (datagrams, _) = run(&mut segmentation, &frame, 3, |bytes, several| {
                    assert!(!several, "it does not try again");
                    never(bytes, several)
                });
                assert_eq!(datagrams, cut(&frame, 3));
            }
        }
    }

    /// One frame with segments that are too large, or one bad address, must not make all later frames slow.
    #[test]
    fn a_refusal_that_has_another_reason_is_returned_and_segmentation_goes_on() {
        for (several, single) in [(EINVAL, EMSGSIZE), (EINVAL, EINVAL), (EMSGSIZE, EMSGSIZE)] {
            let mut segmentation = Segmentation::new(4);
            let refuse = |_: &[u8], is_several| Some(if is_several { several } else { single });
            let (datagrams, error) = run(&mut segmentation, &[7; 100], 30, refuse);
            assert_eq!((datagrams.len(), error), (0, Some(single)));
            assert_eq!(segmentation.most(), 4);
            let one_call = |_: &[u8], several: bool| (!several).then_some(EIO);
            let (datagrams, error) = run(&mut segmentation, &[7; 100], 30, one_call);
            assert_eq!((datagrams, error), (cut(&[7; 100], 30), None));
        }
    }

    /// The caller waits and calls again: it must neither skip bytes nor conclude that segmentation is possible.
    #[test]
    fn a_full_socket_after_a_refusal_leaves_the_question_open() {
        let mut segmentation = Segmentation::new(4);
        let full = |_: &[u8], several| Some(if several { EINVAL } else { EAGAIN });
        let (datagrams, error) = run(&mut segmentation, &[7; 100], 30, full);
        assert_eq!((datagrams.len(), error), (0, Some(EAGAIN)));
        let single = |_: &[u8], several: bool| {
            assert!(!several);
            None
        };
        let (datagrams, error) = run(&mut segmentation, &[7; 100], 30, single);
        assert_eq!((datagrams, error), (cut(&[7; 100], 30), None));
        assert_eq!(segmentation.most(), 1);
    }
}
