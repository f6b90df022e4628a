//! Sockets for which a reader takes a buffer only when there is something to read.

#![forbid(unsafe_code)]

use super::read_sample::ReadSample;
use crate::sample::{exclusive::Sample, part::SamplePart};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::net::{TcpStream, tcp};
#[cfg(unix)]
use tokio::net::{UnixStream, unix};
use tokio::task::coop;

/// A socket that reports when it is readable, and is then read without waiting.
///
/// It is implemented for Tokio's stream sockets, their owned read halves, and the receiving end of a pipe. For another
/// file descriptor, implement it with `tokio::io::unix::AsyncFd`. A stream socket becomes readable when it has an error.
/// A descriptor that does not, such as a datagram socket, must be waited for with `Interest::ERROR` as well.
///
/// # Examples
///
/// See [`ReadableFirst`].
pub trait ReadReady {
    /// Waits until there is something to read, or the end, or an error. It may be ready although there is nothing.
    ///
    /// # Errors
    ///
    /// The errors of the socket.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Appends the bytes that are there to the sample and returns how many; zero is the end.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing to read. Then
    /// [`poll_read_ready`](ReadReady::poll_read_ready) must wait. Otherwise the errors of the socket.
    fn try_read_sample(&self, sample: &mut Sample) -> io::Result<usize>;

    /// Appends the bytes that are there to a part, as [`try_read_sample`](ReadReady::try_read_sample) does to a sample.
    ///
    /// The provided method returns `None`, which means that nothing was appended: see [`ReadSample::poll_read_part`].
    ///
    /// # Errors
    ///
    /// As [`try_read_sample`](ReadReady::try_read_sample).
    fn try_read_part(&self, part: &mut SamplePart) -> Option<io::Result<usize>> {
        let _ = part;
        None
    }
}

macro_rules! ready_sockets {
    ($($(#[$attribute:meta])* $socket:ty => |$name:ident| $stream:expr;)*) => {$(
        $(#[$attribute])*
        impl ReadReady for $socket {
            fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $name = self;
                $stream.poll_read_ready(cx)
            }

            fn try_read_sample(&self, sample: &mut Sample) -> io::Result<usize> {
                self.try_read_buf(sample)
            }

            fn try_read_part(&self, part: &mut SamplePart) -> Option<io::Result<usize>> {
                Some(self.try_read_buf(part))
            }
        }
    )*};
}

ready_sockets! {
    TcpStream => |socket| socket;
    tcp::OwnedReadHalf => |half| AsRef::<TcpStream>::as_ref(half);
    #[cfg(unix)]
    UnixStream => |socket| socket;
    #[cfg(unix)]
    unix::OwnedReadHalf => |half| AsRef::<UnixStream>::as_ref(half);
    #[cfg(unix)]
    unix::pipe::Receiver => |pipe| pipe;
}

/// Waits until a socket is readable before a buffer is taken: an idle connection takes no buffer and is not queued.
///
/// It is a [`ReadSample`]. Give it to a [`SampleReader`](super::SampleReader) or a [`FrameReader`](super::FrameReader) in
/// place of the socket. Without it they take a buffer, find that there is nothing to read, and return the buffer to the
/// pool. With many idle connections on a small pool, these gets fill the wait queue for nothing.
///
/// Tokio reports a connection that was just accepted as readable, because it often is. If it is not, the first poll takes
/// a buffer and returns it to the pool.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use sample_pool::{Pool, stream::{ReadableFirst, SampleReader}};
/// use tokio::{io::AsyncWriteExt, net::{TcpListener, TcpStream}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(2).build()?;
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (socket, _) = listener.accept().await?;
///
/// let mut samples = SampleReader::new(ReadableFirst::new(socket), &pool);
/// client.write_all(b"hello").await?;
/// let sample = samples.next().await.expect("it is open")?;
/// assert!(b"hello".starts_with(&sample));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadableFirst<S> {
    socket: S,
}

impl<S: ReadReady> ReadableFirst<S> {
    /// Creates a source that reads from `socket`.
    pub fn new(socket: S) -> Self {
        ReadableFirst { socket }
    }
}

impl<S> ReadableFirst<S> {
    /// Returns a reference to the socket.
    pub fn get_ref(&self) -> &S {
        &self.socket
    }

    /// Returns a mutable reference to the socket, for example to write to it. Bytes that you read from it are missing in
    /// the samples.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// Returns the socket. Every byte that was read from it is in a sample.
    pub fn into_inner(self) -> S {
        self.socket
    }
}

impl<S: ReadReady + Unpin> ReadSample for ReadableFirst<S> {
    fn poll_readable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_read_ready(cx)
    }

    fn poll_read_sample(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>> {
        let socket = &self.socket;
        let read = poll_read(socket, cx, || Some(socket.try_read_sample(sample)));
        read.expect("the socket fills samples")
    }

    fn poll_read_part(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        part: &mut SamplePart,
    ) -> Option<Poll<io::Result<usize>>> {
        let socket = &self.socket;
        poll_read(socket, cx, || socket.try_read_part(part))
    }
}

/// Reads until there is nothing more to read; `None` if `read` returns that it cannot.
fn poll_read(
    socket: &impl ReadReady,
    cx: &mut Context<'_>,
    mut read: impl FnMut() -> Option<io::Result<usize>>,
) -> Option<Poll<io::Result<usize>>> {
    loop {
        // A socket is user code. It may be ready at each poll and never have anything to read.
        let Poll::Ready(proceed) = coop::poll_proceed(cx) else {
            return Some(Poll::Pending);
        };
        match read()? {
            // The readiness was wrong or is outdated.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match socket.poll_read_ready(cx) {
                    Poll::Ready(Ok(())) => proceed.made_progress(),
                    Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                    Poll::Pending => return Some(Poll::Pending),
                }
            }
            result => return Some(Poll::Ready(result)),
        }
    }
}
