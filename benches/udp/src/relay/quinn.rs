//! Batches through quinn-udp: up to 32 received by one call, and one call for each viewer and batch.
//!
//! Where batches are sent at once, the best that can be done with it is to take each buffer back: a `BytesMut` is frozen,
//! sent, and made a `BytesMut` again, which succeeds because nothing keeps it. So nothing is allocated or zeroed. A batch
//! that something keeps, such as the queue of a slow viewer, needs memory of its own, which quinn-udp wants initialised.
//! A copy that is as large as the batch is cheaper than 64 KiB of zeroes, and takes no more memory than the bytes. quinn,
//! the crate for QUIC, does that.

use super::{
    Sockets,
    run_of_batches::{MOST_BATCHES, fits},
    until,
};
use bytes::{Bytes, BytesMut};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use std::{
    array,
    io::{self, IoSliceMut},
    net::SocketAddr,
};
use tokio::{io::Interest, net::UdpSocket};

/// Where the bytes of a batch are while it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// In the buffer that it was received into, which is used again.
    Reused,
    /// In a copy that can be kept.
    Copied,
}

/// The largest batch.
const LARGEST: usize = 65_535;

struct Inbound {
    socket: UdpSocket,
    state: UdpSocketState,
    buffers: Vec<BytesMut>,
    about: [RecvMeta; MOST_BATCHES],
}

impl Inbound {
    /// Waits, and receives what there is. Returns how many of the buffers have a batch.
    async fn receive(&mut self) -> io::Result<usize> {
        let mut count = 0;
        while count == 0 {
            self.socket.readable().await?;
            while count < MOST_BATCHES {
                match self.receive_behind(count) {
                    Ok(received) => count += received,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(count)
    }

    /// One call, into the buffers behind the first `count`.
    fn receive_behind(&mut self, count: usize) -> io::Result<usize> {
        let buffers = self.buffers[count..].iter_mut().take(BATCH_SIZE);
        let mut slices: [_; BATCH_SIZE] = array::from_fn(|_| IoSliceMut::new(&mut []));
        let mut offered = 0;
        for (slice, buffer) in slices.iter_mut().zip(buffers) {
            *slice = IoSliceMut::new(buffer);
            offered += 1;
        }
        let (slices, about) = (&mut slices[..offered], &mut self.about[count..]);
        let socket = &self.socket;
        let receive = || self.state.recv(socket.into(), slices, about);
        socket.try_io(Interest::READABLE, receive)
    }

    /// Appends to the first of `count` batches what fits, and returns how many batches are one now.
    fn join(&mut self, first: usize, count: usize) -> usize {
        let segment = self.about[first].stride;
        let mut joined = 1;
        while first + joined < count {
            let (len, next) = (self.about[first].len, self.about[first + joined]);
            if !fits(len, segment, next.len, next.stride) {
                break;
            }
            let (before, from) = self.buffers.split_at_mut(first + joined);
            before[first][len..len + next.len].copy_from_slice(&from[0][..next.len]);
            self.about[first].len += next.len;
            joined += 1;
        }
        joined
    }
}

struct Outbound {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Outbound {
    async fn send_to_all(
        &self,
        batch: &Bytes,
        segment: usize,
        viewers: &[SocketAddr],
    ) -> io::Result<()> {
        for &viewer in viewers {
            self.send(batch, segment, viewer).await?;
        }
        Ok(())
    }

    async fn send(&self, batch: &Bytes, segment: usize, destination: SocketAddr) -> io::Result<()> {
        let transmit = Transmit {
            destination,
            ecn: None,
            contents: batch,
            segment_size: (batch.len() > segment).then_some(segment),
            src_ip: None,
        };
        let send = || self.state.try_send((&self.socket).into(), &transmit);
        // Without a wait first: there is nearly always room.
        match self.socket.try_io(Interest::WRITABLE, send) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.async_io(Interest::WRITABLE, send).await
            }
            result => result,
        }
    }
}

pub(super) async fn relay(
    sockets: Sockets,
    end: impl Future<Output = io::Result<()>>,
    memory: Memory,
) -> io::Result<()> {
    let mut inbound = Inbound {
        state: UdpSocketState::new((&sockets.inbound).into())?,
        socket: sockets.inbound,
        buffers: vec![BytesMut::zeroed(LARGEST); MOST_BATCHES],
        about: [RecvMeta::default(); MOST_BATCHES],
    };
    let outbound = Outbound {
        state: UdpSocketState::new((&sockets.outbound).into())?,
        socket: sockets.outbound,
    };
    until(end, async {
        loop {
            let count = inbound.receive().await?;
            let mut first = 0;
            while first < count {
                let joined = inbound.join(first, count);
                let RecvMeta { len, stride, .. } = inbound.about[first];
                match memory {
                    Memory::Reused => {
                        let whole = std::mem::take(&mut inbound.buffers[first]).freeze();
                        let batch = whole.slice(..len);
                        outbound
                            .send_to_all(&batch, stride, &sockets.viewers)
                            .await?;
                        drop(batch);
                        let again = whole.try_into_mut();
                        inbound.buffers[first] =
                            again.map_err(|_| io::Error::other("a batch was kept"))?;
                    }
                    Memory::Copied => {
                        let batch = Bytes::copy_from_slice(&inbound.buffers[first][..len]);
                        outbound
                            .send_to_all(&batch, stride, &sockets.viewers)
                            .await?;
                    }
                }
                first += joined;
            }
        }
    })
    .await
}
