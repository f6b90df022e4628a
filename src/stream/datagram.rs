//! A datagram, and how it becomes a sample.

#![forbid(unsafe_code)]

use crate::sample::exclusive::Sample;
use std::{io, net::SocketAddr};
use tokio::net::UdpSocket;

/// A datagram that a [`DatagramReceiver`](super::DatagramReceiver) received.
///
/// An empty datagram is an empty sample. It does not mean the end of the stream: UDP has no end.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use sample_pool::{Pool, stream::{Datagram, DatagramReceiver}};
/// use tokio::net::UdpSocket;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(8).size(8).align(1).build()?;
/// let socket = UdpSocket::bind("127.0.0.1:0").await?;
/// let sender = UdpSocket::bind("127.0.0.1:0").await?;
/// sender.send_to(b"8 bytes.", socket.local_addr()?).await?;
/// sender.send_to(b"some more bytes", socket.local_addr()?).await?;
///
/// let mut datagrams = DatagramReceiver::new(socket, &pool);
/// let Datagram { sample, from, truncated, .. } = datagrams.next().await.expect("it never ends")?;
/// assert_eq!((&sample[..], from, truncated), (&b"8 bytes."[..], sender.local_addr()?, false));
/// let cut = datagrams.next().await.expect("it never ends")?;
/// assert_eq!((&cut.sample[..], cut.truncated), (&b"some mor"[..], true));
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub struct Datagram {
    /// The bytes that fitted into the buffer.
    pub sample: Sample,
    /// The address that it was sent from.
    pub from: SocketAddr,
    /// Whether the datagram was larger than the buffer. The system dropped the bytes that did not fit. Use larger buffers.
    ///
    /// Redox, WASI and ESP-IDF do not report truncation. There this is `true` for every datagram that fills its buffer.
    pub truncated: bool,
}

impl Datagram {
    /// Returns the bytes and the address of the sender.
    #[must_use]
    pub fn into_parts(self) -> (Sample, SocketAddr) {
        (self.sample, self.from)
    }
}

/// Receives one datagram, or fails with `WouldBlock`.
#[cfg(not(any(target_os = "redox", target_os = "wasi", target_os = "espidf")))]
pub(super) fn try_receive(socket: &UdpSocket, mut sample: Sample) -> io::Result<Datagram> {
    let receive = || sample.receive_from(socket2::SockRef::from(socket));
    let (flags, from) = socket.try_io(tokio::io::Interest::READABLE, receive)?;
    let from = from.as_socket();
    let from = from.ok_or_else(|| io::Error::other("the sender has no IP address"))?;
    Ok(Datagram {
        sample,
        from,
        truncated: flags.is_truncated(),
    })
}

/// Receives one datagram, or fails with `WouldBlock`.
#[cfg(any(target_os = "redox", target_os = "wasi", target_os = "espidf"))]
pub(super) fn try_receive(socket: &UdpSocket, mut sample: Sample) -> io::Result<Datagram> {
    let (_, from) = socket.try_recv_buf_from(&mut sample)?;
    Ok(Datagram {
        truncated: sample.spare_capacity() == 0,
        sample,
        from,
    })
}
