//! `ReadableFirst`: a reader that is not readable takes no buffer and does not queue for one.

use super::pool;
use crate::polling::Polled;
use futures::StreamExt;
use sample_pool::{
    Sample,
    stream::{FrameReader, Lines, ReadReady, ReadSample, ReadableFirst, SampleReader},
};
use socket2::SockRef;
use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncWriteExt, Interest},
    net::{TcpListener, TcpStream, UnixStream, unix::pipe},
};

/// The end that writes, and the end that is read. The latter connected: Tokio takes an accepted socket for
/// readable until it was read once.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("it is bound");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (accepted.expect("loopback").0, client.expect("loopback"))
}

/// If it were queued, an idle connection would be handed a buffer, and return it, before connections that have
/// something to read.
#[tokio::test]
async fn an_idle_socket_is_not_queued_until_it_can_be_read() {
    let pool = pool(1, 8);
    let held = pool.try_get_buffer().expect("one is free");
    let (mut client, socket) = connection().await;
    let mut reader = SampleReader::new(ReadableFirst::new(socket), &pool);
    drop(Polled::waiting(reader.next()));
    assert_eq!(pool.status().waiting, 0);
    let (_idle, socket) = connection().await;
    let mut lines = FrameReader::new(ReadableFirst::new(socket), &pool, Lines::new());
    drop(Polled::waiting(lines.next()));
    assert_eq!(pool.status().waiting, 0);

    client.write_all(b"hello").await.expect("it is open");
    reader
        .get_ref()
        .get_ref()
        .ready(Interest::READABLE)
        .await
        .expect("it is open");
    drop(Polled::waiting(reader.next()));
    assert_eq!(pool.status().waiting, 1);
    drop(held);
    let sample = reader.next().await.expect("it is open").expect("no error");
    assert_eq!(&sample[..], b"hello");
}

/// Readiness is remembered until a read finds nothing, so the second poll takes a buffer that it does not need.
#[tokio::test]
async fn a_socket_that_was_read_empty_gives_the_buffer_back() {
    let pool = pool(1, 8);
    let (mut client, socket) = connection().await;
    let mut reader = SampleReader::new(ReadableFirst::new(socket), &pool);
    client.write_all(b"12345678").await.expect("it is open");
    drop(reader.next().await.expect("it is open").expect("no error"));
    drop(Polled::waiting(reader.next()));
    assert_eq!(pool.free_count(), 1);
    let held = pool.try_get_buffer();
    drop(Polled::waiting(reader.next()));
    assert_eq!(pool.status().waiting, 0);
    drop(held);
    drop(client);
    assert!(reader.next().await.is_none(), "the client has gone");
}

/// The provided method of `ReadReady` fills no part, so each socket must override it.
#[tokio::test]
async fn a_frame_of_a_socket_is_read_on_behind_a_held_one() {
    let pool = pool(2, 8);
    let (mut client, socket) = connection().await;
    let mut lines = FrameReader::new(ReadableFirst::new(socket), &pool, Lines::new());
    client.write_all(b"one\ntw").await.expect("it is open");
    let one = lines.next().await.expect("it is open").expect("no error");
    client.write_all(b"o\n").await.expect("it is open");
    let socket = lines.get_ref().get_ref();
    socket.peek(&mut [0]).await.expect("it arrives");
    let two = lines.next().await.expect("it is open").expect("no error");
    assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
    assert_eq!(two.as_ptr() as usize - one.as_ptr() as usize, 4);
    assert_eq!(pool.free_count(), 1);
}

/// Only has the methods that it must have.
struct SamplesOnly(TcpStream);

impl ReadReady for SamplesOnly {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(cx)
    }

    fn try_read_sample(&self, sample: &mut Sample) -> io::Result<usize> {
        self.0.try_read_buf(sample)
    }
}

/// The provided method of `ReadReady` must not look like the end of the socket.
#[tokio::test]
async fn a_frame_of_a_socket_that_fills_no_parts_is_read_on_in_another_buffer() {
    let pool = pool(2, 8);
    let (mut client, socket) = connection().await;
    let socket = ReadableFirst::new(SamplesOnly(socket));
    let mut lines = FrameReader::new(socket, &pool, Lines::new());
    client.write_all(b"one\ntw").await.expect("it is open");
    let one = lines.next().await.expect("it is open").expect("no error");
    client.write_all(b"o\n").await.expect("it is open");
    let two = lines.next().await.expect("it is open").expect("no error");
    assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
    assert_eq!(pool.free_count(), 0);
}

async fn reads<S: ReadReady + Unpin>(socket: S)
where
    ReadableFirst<S>: ReadSample,
{
    let mut reader = SampleReader::new(ReadableFirst::new(socket), &pool(1, 8));
    let sample = reader.next().await.expect("it is open").expect("no error");
    assert_eq!(&sample[..], b"hello");
    drop(sample);
    assert!(reader.next().await.is_none(), "the other end has gone");
}

/// One that waits for the wrong end, or the wrong interest, would wait for ever.
#[tokio::test]
async fn every_socket_that_it_is_made_for_is_read_to_its_end() {
    let (mut client, socket) = connection().await;
    client.write_all(b"hello").await.expect("it is open");
    drop(client);
    reads(socket).await;

    let (mut client, socket) = connection().await;
    client.write_all(b"hello").await.expect("it is open");
    drop(client);
    reads(socket.into_split().0).await;

    for halves in [false, true] {
        let (mut client, socket) = UnixStream::pair().expect("a pair");
        client.write_all(b"hello").await.expect("it is open");
        drop(client);
        match halves {
            true => reads(socket.into_split().0).await,
            false => reads(socket).await,
        }
    }

    let (mut sender, receiver) = pipe::pipe().expect("a pipe");
    sender.write_all(b"hello").await.expect("it is open");
    drop(sender);
    reads(receiver).await;
}

/// The socket can be taken back and used for something else.
#[tokio::test]
async fn the_socket_comes_back_with_all_that_was_not_read() {
    let (mut client, socket) = connection().await;
    let mut reader = SampleReader::new(ReadableFirst::new(socket), &pool(1, 5));
    client.write_all(b"hello, world").await.expect("it is open");
    drop(reader.next().await.expect("it is open").expect("no error"));
    let (source, begun) = reader.into_parts();
    assert!(begun.is_empty());
    let mut rest = [0; 7];
    let mut socket = source.into_inner();
    tokio::io::AsyncReadExt::read_exact(&mut socket, &mut rest)
        .await
        .expect("seven more");
    assert_eq!(&rest, b", world");
}

/// A stream socket with an error is readable, so waiting for readability misses no error. A datagram socket is
/// not.
#[tokio::test]
async fn an_error_of_a_socket_ends_the_wait_and_is_reported() {
    async fn is_reset<S: ReadReady + Unpin>(socket: S, reset: impl AsyncFnOnce()) {
        let pool = pool(1, 8);
        let mut reader = SampleReader::new(ReadableFirst::new(socket), &pool);
        drop(Polled::waiting(reader.next()));
        reset().await;
        let next = tokio::time::timeout(Duration::from_secs(20), reader.next());
        let error = next
            .await
            .expect("it does not hang")
            .expect("an error")
            .unwrap_err();
        assert_eq!(
            io::Error::from(error).kind(),
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(pool.free_count(), 1);
    }

    let (client, socket) = connection().await;
    is_reset(socket, async || {
        let linger = SockRef::from(&client).set_linger(Some(Duration::ZERO));
        linger.expect("it is open");
        drop(client);
    })
    .await;

    let (client, mut socket) = UnixStream::pair().expect("a pair");
    socket.write_all(b"never read").await.expect("it is open");
    is_reset(socket, async || drop(client)).await;
}
