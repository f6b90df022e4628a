//! Sockets that take a buffer only when there is something to read.

use super::read_sample::ReadSample;
use crate::sample::Sample;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::net::{TcpStream, tcp};
#[cfg(unix)]
use tokio::net::{UnixStream, unix};
use tokio::task::coop;

/// A socket that tells when it can be read, and is then read without waiting.
///
/// Implemented for Tokio's stream sockets, their owned read halves, and the receiving end of a pipe. For a
/// foreign file descriptor, implement it over `tokio::io::unix::AsyncFd`. A stream socket becomes readable when it has an
/// error; a descriptor that does not, as a datagram socket, has to be waited for with `Interest::ERROR` as well.
///
/// # Examples
///
/// See [`ReadableFirst`].
pub trait ReadReady {
    /// Waits until there is something to read, or the end, or an error. It may be wrong.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Appends what is there to the sample; zero bytes are the end.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing, after which
    /// [`poll_read_ready`](ReadReady::poll_read_ready) waits; otherwise those of the socket.
    fn try_read_sample(&self, sample: &mut Sample) -> io::Result<usize>;
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

/// Reads a socket *readable first*: an idle connection takes no buffer, and no place in line.
///
/// A [`ReadSample`], so it goes into a [`SampleReader`](super::SampleReader) or a
/// [`FrameReader`](super::FrameReader) in place of the socket itself. Without it they would take a
/// buffer to learn that there is nothing to read, and bring it home; with many idle connections on a
/// small pool that is a queue for nothing.
///
/// Tokio takes a connection that it has just accepted for readable, because it often is. If it is not,
/// the first poll does as others do: it takes a buffer, and brings it home.
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
    /// Reads from `socket`.
    pub fn new(socket: S) -> Self {
        ReadableFirst { socket }
    }
}

impl<S> ReadableFirst<S> {
    /// The socket.
    pub fn get_ref(&self) -> &S {
        &self.socket
    }

    /// The socket, to be written to for example. Bytes that are read from it are missing in the samples.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// The socket. Nothing was read from it that was not given out.
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
        loop {
            // A foreign socket may say for ever that it is ready, and then has nothing.
            let proceed = ready!(coop::poll_proceed(cx));
            match self.socket.try_read_sample(sample) {
                // It was not readable after all, or is not any more.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_read_ready(cx))?;
                    proceed.made_progress();
                }
                result => return Poll::Ready(result),
            }
        }
    }
}
