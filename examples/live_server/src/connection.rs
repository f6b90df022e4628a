//! Connections that can be closed from outside, with all that is queued for them.
//!
//! A viewer that reads nothing holds the frame that was given to its connection: part of it lies in
//! the kernel, the rest in hyper's queue. Ending the response does not help, since hyper still waits
//! to write it. So every connection is wrapped: once it is closed its next read or write fails, the
//! task that drives it is woken, and hyper drops the connection and the frame.
//!
//! One that takes nothing of what is there for it is closed by a timer of its own.

use crate::limits::{PROBES, SEND_BUFFER, SILENCE, WRITE_TIME};
use axum::serve::Listener;
use futures::task::AtomicWaker;
use socket2::{SockRef, TcpKeepalive};
use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep, sleep},
};

/// Closes a connection, and knows when it last took a byte.
#[derive(Clone, Debug)]
pub(crate) struct Closer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    peer: SocketAddr,
    closed: AtomicBool,
    reading: AtomicWaker,
    writing: AtomicWaker,
    opened: Instant,
    /// Milliseconds after `opened`.
    last_taken: AtomicU64,
}

impl Closer {
    fn new(peer: SocketAddr) -> Self {
        Closer(Arc::new(Shared {
            peer,
            closed: AtomicBool::new(false),
            reading: AtomicWaker::new(),
            writing: AtomicWaker::new(),
            opened: Instant::now(),
            last_taken: AtomicU64::new(0),
        }))
    }

    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.reading.wake();
        self.0.writing.wake();
    }

    /// The other side.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// When the other side last took a byte.
    pub(crate) fn last_taken(&self) -> Instant {
        let since = Duration::from_millis(self.0.last_taken.load(Ordering::Relaxed));
        self.0.opened + since
    }

    pub(crate) fn took_bytes(&self) {
        let since = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_taken.store(since, Ordering::Relaxed);
    }

    fn check(&self, waker: &AtomicWaker, cx: &Context<'_>) -> io::Result<()> {
        // Registered before it looks, so that a close in between is not missed.
        waker.register(cx.waker());
        if self.0.closed.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

/// Accepts connections that can be closed.
#[derive(Debug)]
pub(crate) struct Connections(pub(crate) TcpListener);

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // A socket that refuses an option works without, and a connection that is gone by now is found out soon.
        let _refused = set_options(&stream);
        let connection = Connection {
            stream,
            closer: Closer::new(address),
            waiting: None,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    // Frames are written whole; waiting for more to send would only delay the last packet.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(SEND_BUFFER)?;
    let probes = TcpKeepalive::new().with_time(SILENCE).with_interval(PROBES);
    socket.set_tcp_keepalive(&probes)
}

/// A connection that can be closed.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    closer: Closer,
    /// Set while there is something that the other side does not take.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    pub(crate) fn closer(&self) -> Closer {
        self.closer.clone()
    }

    /// Writes what can be written without waiting.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_write(bytes)
    }

    fn poll_taken(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.closer.check(&self.closer.0.writing, cx)?;
        let taken = write(Pin::new(&mut self.stream), cx);
        if taken.is_ready() {
            self.waiting = None;
            if let Poll::Ready(Ok(1..)) = taken {
                self.closer.took_bytes();
            }
            return taken;
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(WRITE_TIME)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.closer.check(&self.closer.0.reading, cx)?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_taken(cx, |stream, cx| stream.poll_write(cx, from))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_taken(cx, |stream, cx| stream.poll_write_vectored(cx, from))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closer.check(&self.closer.0.writing, cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
impl Closer {
    pub(crate) fn for_tests() -> Self {
        Closer::new(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }
}
