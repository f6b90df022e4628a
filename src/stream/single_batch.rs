//! What [`BatchReceiver`](super::BatchReceiver) does where the system does not join datagrams: one for each call.
//!
//! It has the functions of `kernel_batch`. With `--cfg portable_udp` it is used on Linux, too, where it is tested.

#![forbid(unsafe_code)]

use super::{
    datagram::{Datagram, try_receive},
    datagram_batch::DatagramBatch,
};
use crate::sample::exclusive::Sample;
use std::io;
use tokio::net::UdpSocket;

/// How many messages one call receives at most.
pub(super) const MAX_MESSAGES: usize = 1;

/// How many datagrams the system joins at most.
pub(super) const MAX_SEGMENTS: usize = 1;

/// Nothing is written beside the bytes.
pub(super) struct MessageInfos;

impl MessageInfos {
    pub(super) fn new() -> Self {
        MessageInfos
    }
}

/// Receives one datagram into the last sample, and takes that out of `samples`.
pub(super) fn receive(
    socket: &UdpSocket,
    samples: &mut Vec<Sample>,
    _places: &mut MessageInfos,
    mut received: impl FnMut(DatagramBatch),
) -> io::Result<usize> {
    let Some(sample) = samples.pop() else {
        return Ok(0);
    };
    let Datagram {
        sample,
        from,
        truncated,
    } = try_receive(socket, sample)?;
    received(DatagramBatch {
        segment_size: sample.len().max(1),
        sample,
        from,
        to: None,
        ecn: None,
        truncated,
    });
    Ok(1)
}

/// Returns whether the system joins datagrams.
pub(super) fn set_gro(_socket: &UdpSocket, _on: bool) -> bool {
    false
}

/// The address that a datagram was sent to is not known here.
pub(super) fn report_to(_socket: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The ECN mark of a datagram is not known here.
pub(super) fn report_ecn(_socket: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
