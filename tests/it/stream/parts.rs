//! The parts of an adapter can be borrowed, and are returned when the adapter is taken apart.

use super::{
    pool,
    script::{Script, Step},
};
use crate::polling::{Polled, at_once};
use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt, stream::FusedStream};
use sample_pool::{
    PollPool,
    stream::{
        DatagramReceiver, DecodeFrame, Decoded, FrameReader, Lines, MessageReader, ReadableFirst,
        SampleReader, SampleWriter,
    },
};
use std::convert::Infallible;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Counts its frames of two bytes.
#[derive(Default)]
struct Twos(usize);

impl DecodeFrame for Twos {
    type Error = Infallible;

    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
        if bytes.len() < 2 {
            return Ok(Decoded::Incomplete { needed: Some(2) });
        }
        self.0 += 1;
        Ok(Decoded::Frame {
            frame: 0..2,
            consumed: 2,
        })
    }
}

/// A protocol may change within a connection, and then needs the source and all bytes after the last frame.
#[test]
fn a_frame_reader_gives_back_its_source_its_decoder_and_every_byte_not_yielded() {
    let pool = pool(1, 5);
    let steps = || [Step::Bytes(b"aabbc"), Step::Pending, Step::Bytes(b"d")];
    let mut reader = FrameReader::new(Script::new(steps()), &pool, Twos::default());
    assert_eq!(reader.get_mut().left(), 3);
    reader.decoder_mut().0 = 40;

    let (source, _, buffered) = FrameReader::new(Script::new([]), &pool, Twos(0)).into_parts();
    assert_eq!((source.left(), buffered), (0, Bytes::new()));

    // The rest of the sample with the frames.
    let first = reader.next().now_or_never().unwrap().unwrap().unwrap();
    assert_eq!(&first[..], b"aa");
    let (source, decoder, buffered) = reader.into_parts();
    assert_eq!((source.left(), decoder.0), (2, 41));
    assert_eq!(buffered, "bbc");
    assert_eq!(pool.free_count(), 0, "nothing was copied");
    drop((first, buffered));
    assert_eq!(pool.free_count(), 1);

    // A sample that is being filled.
    let source = Script::new([Step::Bytes(b"x"), Step::Pending]);
    let mut reader = FrameReader::new(source, &pool, Twos(0));
    drop(Polled::waiting(reader.next()));
    assert_eq!(reader.into_parts().2, "x");
    assert_eq!(pool.free_count(), 1);

    // Bytes that wait for a buffer.
    let mut reader = FrameReader::new(Script::new(steps()), &pool, Twos(0));
    let frames = [(); 2].map(|()| reader.next().now_or_never().unwrap().unwrap().unwrap());
    drop(Polled::waiting(reader.next()));
    assert_eq!(reader.into_parts().2, "c");
    drop(frames);

    let reader = FrameReader::new(Script::new(steps()), &pool, Twos(0));
    assert_eq!(reader.into_inner().left(), 3);
}

/// A connection that is passed on must lose nothing that was read or must still be written.
#[test]
fn a_reader_and_a_writer_give_back_what_they_adapt_and_what_they_hold() {
    let pool = pool(1, 8);
    let mut reader = SampleReader::new(&b"bytes"[..], &pool).fill_buffers(true);
    *reader.get_mut() = b"other";
    assert_eq!(reader.get_ref(), b"other");
    assert_eq!(reader.into_inner(), b"other");

    let mut writer = SampleWriter::new(Vec::new(), 2);
    at_once(writer.feed(Bytes::from("queued"))).unwrap();
    writer.get_mut().extend_from_slice(b"direct");
    let (written, queued) = writer.into_parts();
    assert_eq!(written, b"direct");
    assert_eq!(queued, ["queued"]);
}

/// A server stops receiving, and continues to use the socket.
#[tokio::test]
async fn a_receiver_and_a_socket_that_is_read_when_ready_give_back_their_sockets() {
    let pool = pool(1, 8);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut receiver = DatagramReceiver::new(socket, &pool);
    assert_eq!(receiver.get_mut().local_addr().unwrap(), address);
    assert_eq!(receiver.get_ref().local_addr().unwrap(), address);
    assert!(!receiver.is_terminated());
    let (socket, mut samples) = receiver.into_parts();
    assert_eq!(socket.local_addr().unwrap(), address);
    assert!(samples.next().await.unwrap().is_ok());
    let socket = DatagramReceiver::new(socket, &pool).into_inner();
    assert_eq!(socket.local_addr().unwrap(), address);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut socket = ReadableFirst::new(TcpStream::connect(address).await.unwrap());
    assert_eq!(socket.get_mut().peer_addr().unwrap(), address);
    assert_eq!(socket.into_inner().peer_addr().unwrap(), address);
}

/// A `select!` loop calls it before each iteration.
#[test]
fn a_polled_pool_never_ends() {
    let pool = pool(1, 8);
    let mut samples = PollPool::new(&pool);
    assert!(!samples.is_terminated());
    pool.decommit();
    assert!(at_once(samples.next()).unwrap().is_err());
    assert!(!samples.is_terminated());
}

/// Terminated too early, a `select!` loop would leave out the last item; never terminated, it would run for ever.
#[test]
fn a_reader_is_terminated_after_its_end_and_not_before() {
    fn check<T>(mut reader: impl FusedStream<Item = T> + Unpin) {
        assert!(!reader.is_terminated());
        assert!(at_once(reader.next()).is_some());
        assert!(!reader.is_terminated());
        assert!(at_once(reader.next()).is_none());
        assert!(reader.is_terminated());
    }
    let pool = pool(1, 8);
    check(SampleReader::new(&b"line"[..], &pool));
    check(FrameReader::new(&b"line"[..], &pool, Lines::new()));
    check(MessageReader::new(&b"line"[..], &pool, Lines::new()));
}
