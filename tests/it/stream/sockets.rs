//! What the tests of UDP share: sockets and receivers on loopback, and options of sockets.

#![allow(unsafe_code, reason = "options that no dependency of the tests reads")]

use futures::StreamExt;
use sample_pool::{
    Pool,
    stream::{BatchReceiver, DatagramBatch},
};
use std::{future::Future, net::SocketAddr, time::Duration};
use tokio::net::UdpSocket;

/// The result of `wait`, which must resolve soon.
pub(super) async fn soon<T>(wait: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, wait)
        .await
        .expect("it does not hang")
}

pub(super) async fn bound(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).await.expect("loopback");
    let address = socket.local_addr().expect("it is bound");
    (socket, address)
}

pub(super) async fn loopback() -> (UdpSocket, SocketAddr) {
    bound("127.0.0.1:0").await
}

/// A socket connected to an address at which no socket listens.
pub(super) async fn refused() -> UdpSocket {
    let (socket, (gone, address)) = (loopback().await.0, loopback().await);
    socket.connect(address).await.expect("an address");
    drop(gone);
    socket
}

pub(super) async fn receiver(pool: &Pool, datagram_size: usize) -> (BatchReceiver, SocketAddr) {
    let (socket, address) = loopback().await;
    (BatchReceiver::new(socket, pool, datagram_size), address)
}

pub(super) async fn next(receiver: &mut BatchReceiver) -> DatagramBatch {
    let next = soon(receiver.next()).await.expect("endless");
    next.expect("no error")
}

/// Receives until there are `count` datagrams, by `next` or by `receive_many`.
pub(super) async fn datagrams(
    receiver: &mut BatchReceiver,
    count: usize,
    many: bool,
) -> Vec<DatagramBatch> {
    let mut batches = Vec::new();
    let mut found = 0;
    while found < count {
        let before = batches.len();
        match many {
            true => {
                let received = soon(receiver.receive_many(&mut batches, count)).await;
                assert_eq!(received.expect("no error"), batches.len() - before);
            }
            false => batches.push(next(receiver).await),
        }
        let lengths = batches[before..]
            .iter()
            .map(|batch| batch.datagrams().len());
        found += lengths.sum::<usize>();
    }
    assert_eq!(found, count);
    batches
}

/// Bytes of which no two neighbours are equal.
pub(super) fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|number| (number % 251) as u8).collect()
}

/// The value of an option of a socket.
#[cfg(all(target_os = "linux", not(portable_udp)))]
pub(super) fn option(socket: &UdpSocket, level: i32, name: i32) -> i32 {
    use std::os::fd::AsRawFd;
    let (mut value, mut size) = (0_i32, 4);
    let (fd, at) = (socket.as_raw_fd(), (&raw mut value).cast());
    // SAFETY: value and size are on this stack frame, and the size is that of the value.
    let status = unsafe { libc::getsockopt(fd, level, name, at, &raw mut size) };
    assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
    value
}

/// Sets an option of a socket.
#[cfg(all(target_os = "linux", not(portable_udp)))]
pub(super) fn set_option(socket: &UdpSocket, level: i32, name: i32, value: i32) {
    use std::os::fd::AsRawFd;
    let (fd, at) = (socket.as_raw_fd(), (&raw const value).cast());
    // SAFETY: the value is on this stack frame, and has this size.
    let status = unsafe { libc::setsockopt(fd, level, name, at, 4) };
    assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
}
