//! One call for each datagram that is received, and one for each that is sent.

use super::{Sockets, until};
use crate::pattern::DATAGRAM;
use bytes::BytesMut;
use std::io;

/// Datagrams of one block of memory.
const BLOCK: usize = 64;

pub(super) async fn relay(
    sockets: Sockets,
    end: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let Sockets {
        inbound,
        outbound,
        viewers,
    } = sockets;
    let mut buffer = BytesMut::with_capacity(BLOCK * DATAGRAM);
    until(end, async {
        loop {
            // All that was frozen is dropped again, so this uses the same block once more.
            if buffer.capacity() < DATAGRAM {
                buffer.reserve(BLOCK * DATAGRAM);
            }
            inbound.recv_buf_from(&mut buffer).await?;
            let datagram = buffer.split().freeze();
            for viewer in &viewers {
                outbound.send_to(&datagram, viewer).await?;
            }
        }
    })
    .await
}
