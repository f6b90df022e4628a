//! Sends through `quinn-udp`, which has the system cut many datagrams out of one buffer where it can (GSO).

#![forbid(unsafe_code)]

use super::datagram_batch::Ecn;
#[cfg(target_os = "linux")]
use super::system_batch;
use quinn_udp::{EcnCodepoint, Transmit, UdpSocketState};
use std::{io, net::SocketAddr};
use tokio::{io::Interest, net::UdpSocket};

/// What is known of a socket that is sent from.
#[derive(Debug)]
pub(super) struct Transmitter(UdpSocketState);

impl Transmitter {
    pub(super) fn new(socket: &UdpSocket) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        let joins = system_batch::gro(socket);
        let state = UdpSocketState::new(socket.into());
        // It was switched on for quinn's receiver. Any other would take several datagrams for one.
        #[cfg(target_os = "linux")]
        system_batch::set_gro(socket, joins);
        state.map(Transmitter)
    }

    /// How many datagrams one call can send.
    pub(super) fn segments(&self) -> usize {
        self.0.max_gso_segments()
    }

    /// Sends one datagram, or several of `segment_size`.
    pub(super) fn send(
        &self,
        socket: &UdpSocket,
        contents: &[u8],
        segment_size: Option<usize>,
        destination: SocketAddr,
        ecn: Ecn,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination,
            ecn: match ecn {
                Ecn::NotEct => None,
                Ecn::Ect1 => Some(EcnCodepoint::Ect1),
                Ecn::Ect0 => Some(EcnCodepoint::Ect0),
                Ecn::Ce => Some(EcnCodepoint::Ce),
            },
            contents,
            segment_size,
            src_ip: None,
        };
        let send = || self.0.try_send(socket.into(), &transmit);
        socket.try_io(Interest::WRITABLE, send)
    }
}
