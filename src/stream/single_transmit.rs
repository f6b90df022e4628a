//! Sends each datagram with a call of its own, where `quinn-udp` does not compile.
//!
//! It has the functions of `gso_transmit`. With `--cfg portable_udp` it is used on Linux, too, where it is tested.

#![forbid(unsafe_code)]

use super::datagram_batch::Ecn;
use std::{io, net::SocketAddr};
use tokio::net::UdpSocket;

/// Nothing has to be known of a socket.
#[derive(Debug)]
pub(super) struct Transmitter;

impl Transmitter {
    pub(super) fn new(_socket: &UdpSocket) -> io::Result<Self> {
        Ok(Transmitter)
    }

    /// How many datagrams one call can send.
    pub(super) fn segments(&self) -> usize {
        1
    }

    /// Sends one datagram.
    pub(super) fn send(
        &self,
        socket: &UdpSocket,
        contents: &[u8],
        _segment_size: Option<usize>,
        destination: SocketAddr,
        _ecn: Ecn,
    ) -> io::Result<()> {
        socket.try_send_to(contents, destination).map(drop)
    }
}
