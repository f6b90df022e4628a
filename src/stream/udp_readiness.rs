//! When a UDP socket has something to receive: a datagram, or an error.
//!
//! Tokio's `poll_recv_ready` waits for datagrams. The system reports an ICMP error of a connected socket as readiness for
//! an *error*, which is not readable, and Tokio waits for that only in a future that borrows the socket. So the socket is
//! in an `Arc`, and that future has a clone of it. It lies in a box that is allocated once.
//!
//! # Invariants
//!
//! - **I1** The future has the only other reference to the socket. `stream::parts`

use crate::coop::spend;
use std::{
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{io::Interest, net::UdpSocket};
use tokio_util::sync::ReusableBoxFuture;

/// A UDP socket and the wait for what comes in.
pub(super) struct Incoming {
    socket: Arc<UdpSocket>,
    /// Waits for an error, from the first time that there was no datagram.
    error: Option<ReusableBoxFuture<'static, io::Result<()>>>,
}

impl Incoming {
    pub(super) fn new(socket: UdpSocket) -> Self {
        Incoming {
            socket: Arc::new(socket),
            error: None,
        }
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub(super) fn socket_mut(&mut self) -> &mut UdpSocket {
        self.error = None;
        match Arc::get_mut(&mut self.socket) {
            Some(socket) => socket,
            None => unreachable!("the future that had the other reference was dropped (I1)"),
        }
    }

    pub(super) fn into_socket(self) -> UdpSocket {
        drop(self.error);
        match Arc::into_inner(self.socket) {
            Some(socket) => socket,
            None => unreachable!("the future that had the other reference was dropped (I1)"),
        }
    }

    /// Waits until there may be a datagram, or until the socket has an error, and takes that.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Poll::Ready(result) = self.socket.poll_recv_ready(cx) {
                return Poll::Ready(result);
            }
            ready!(self.poll_error_ready(cx))?;
            // Before the error is taken, because it is gone then. The readiness stays until the next poll.
            if !spend(cx) {
                return Poll::Pending;
            }
            if let Some(error) = self.take_error() {
                return Poll::Ready(Err(error));
            }
        }
    }

    fn poll_error_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waits = match &mut self.error {
            Some(waits) => waits,
            None => self
                .error
                .insert(ReusableBoxFuture::new(error_ready(self.socket.clone()))),
        };
        let result = ready!(waits.poll(cx));
        waits.set(error_ready(self.socket.clone()));
        Poll::Ready(result)
    }

    /// Takes the error of the socket; if it has none, the socket is not ready for errors any more.
    fn take_error(&self) -> Option<io::Error> {
        let take = || match self.socket.take_error() {
            Ok(Some(error)) | Err(error) => Ok(error),
            Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
        };
        self.socket.try_io(Interest::ERROR, take).ok()
    }
}

async fn error_ready(socket: Arc<UdpSocket>) -> io::Result<()> {
    socket.ready(Interest::ERROR).await.map(drop)
}
