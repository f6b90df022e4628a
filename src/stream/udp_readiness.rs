//! Waits until a UDP socket has something to receive: a datagram or an error.
//!
//! Tokio's `poll_recv_ready` waits for datagrams only. The system reports an ICMP error of a connected socket as *error*
//! readiness, not as readable, and Tokio waits for that only in a future that borrows the socket. So the socket is in an
//! `Arc`, and the future owns a clone of it. The future is in a box that is allocated once.
//!
//! # Invariants
//!
//! - **I1** The future owns the only other reference to the socket. `stream::parts`

#![forbid(unsafe_code)]

use crate::sync::coop::spend;
use futures::FutureExt;
use std::{
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{io::Interest, net::UdpSocket};
use tokio_util::sync::ReusableBoxFuture;

/// A UDP socket that can be polled for datagrams and errors.
pub(super) struct UdpReadiness {
    socket: Arc<UdpSocket>,
    /// The wait for an error, from the first time that there was no datagram.
    error: Option<ReusableBoxFuture<'static, io::Result<()>>>,
}

impl UdpReadiness {
    pub(super) fn new(socket: UdpSocket) -> Self {
        UdpReadiness {
            socket: Arc::new(socket),
            error: None,
        }
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub(super) fn socket_mut(&mut self) -> &mut UdpSocket {
        // Drops the future, so that this is the only reference (I1).
        self.error = None;
        match Arc::get_mut(&mut self.socket) {
            Some(socket) => socket,
            None => unreachable!("the future that owned the other reference was dropped (I1)"),
        }
    }

    pub(super) fn into_socket(self) -> UdpSocket {
        drop(self.error);
        match Arc::into_inner(self.socket) {
            Some(socket) => socket,
            None => unreachable!("the future that owned the other reference was dropped (I1)"),
        }
    }

    /// Waits until there may be a datagram, or until the socket has an error, which is taken and returned.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Poll::Ready(result) = self.socket.poll_recv_ready(cx) {
                return Poll::Ready(result);
            }
            ready!(self.poll_error_ready(cx))?;
            // Before the error is taken: after that only this poll could return it. The readiness stays until the next poll.
            if !spend(cx) {
                return Poll::Pending;
            }
            if let Some(error) = self.take_error() {
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Returns the error of a socket that reported `WouldBlock` because it was shut down for reading. Such a socket is ready
    /// for ever, so a receiver would try again and again.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if it was shut down.
    pub(super) fn check_open(&self) -> io::Result<()> {
        let ready = self.socket.ready(Interest::READABLE).now_or_never();
        match ready {
            Some(Ok(ready)) if ready.is_read_closed() => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the socket was shut down for reading",
            )),
            _ => Ok(()),
        }
    }

    fn poll_error_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wait = match &mut self.error {
            Some(wait) => wait,
            None => self
                .error
                .insert(ReusableBoxFuture::new(error_ready(self.socket.clone()))),
        };
        let result = ready!(wait.poll(cx));
        wait.set(error_ready(self.socket.clone()));
        Poll::Ready(result)
    }

    /// Takes the error of the socket. If it has none, its error readiness is cleared.
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
