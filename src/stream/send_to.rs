//! The future that sends one frame, and its error.

#![forbid(unsafe_code)]

use super::{datagram_sender::DatagramSender, segmentation::Progress};
use futures::future::FusedFuture;
use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};
use thiserror::Error;

/// The future of [`DatagramSender::send_to`].
#[must_use = "a future does nothing until it is awaited"]
pub struct SendTo<'a> {
    sender: &'a mut DatagramSender,
    frame: &'a [u8],
    segment_size: usize,
    to: SocketAddr,
    progress: Progress,
    done: bool,
}

/// A frame was not sent, or not all of it.
///
/// # Examples
///
/// A segment that is larger than any UDP datagram can be:
///
/// ```
/// use sample_pool::stream::DatagramSender;
/// use tokio::net::UdpSocket;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let socket = UdpSocket::bind("127.0.0.1:0").await?;
/// let to = socket.local_addr()?;
/// let mut sender = DatagramSender::new(socket)?;
/// let error = sender.send_to(&[7; 70_000], 70_000, to).await.unwrap_err();
/// assert_eq!(error.to_string(), format!("sending to {to} failed after 0 bytes"));
/// # #[cfg(target_os = "linux")]
/// assert_eq!(error.source.raw_os_error(), Some(90)); // EMSGSIZE
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Debug, Error)]
#[error("sending to {to} failed after {sent} bytes")]
pub struct SendError {
    /// The address that the frame was for.
    pub to: SocketAddr,
    /// How many bytes of the frame were sent: a multiple of the segment size. A frame that begins there is the rest.
    pub sent: usize,
    /// Why it failed.
    pub source: io::Error,
}

/// Returns the error of the socket itself.
impl From<SendError> for io::Error {
    fn from(error: SendError) -> io::Error {
        error.source
    }
}

impl DatagramSender {
    /// Sends `frame` to `to`, as datagrams of `segment_size` bytes, of which the last may be shorter.
    ///
    /// A frame that is not longer than a segment is one datagram. So is an empty frame: an empty datagram. On a connected
    /// socket, `to` is the address that it is connected to. A [`SharedSample`](crate::SharedSample) or
    /// [`Bytes`](bytes::Bytes) is passed by reference, so one frame is sent to many addresses without a copy.
    ///
    /// It resolves when the system has taken all datagrams. That does not mean that any arrived.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the error of the socket, and with how much was sent before it. For example:
    ///
    /// - `EMSGSIZE`: a segment is larger than the MTU of the device. Nothing was sent.
    /// - [`ConnectionRefused`](io::ErrorKind::ConnectionRefused), on a connected socket: an ICMP message reports that an
    ///   earlier datagram found the port closed. The system sends nothing in a call that returns it, and returns it once.
    ///   The rest can be sent after it.
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown) or
    ///   [`NetworkUnreachable`](io::ErrorKind::NetworkUnreachable): the device is down.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe for a frame of several system calls: a dropped future may have sent the first part of the frame, and
    /// it is not known how much. A frame that one call sends was sent completely or not at all. The sender can be used
    /// further.
    ///
    /// # Panics
    ///
    /// If `segment_size` is zero, or if the future is polled after it has completed.
    ///
    /// # Examples
    ///
    /// See [`DatagramSender`].
    pub fn send_to<'a>(
        &'a mut self,
        frame: &'a [u8],
        segment_size: usize,
        to: SocketAddr,
    ) -> SendTo<'a> {
        assert!(segment_size > 0, "the segment size must not be zero");
        SendTo {
            sender: self,
            frame,
            segment_size,
            to,
            progress: Progress::default(),
            done: false,
        }
    }
}

impl Future for SendTo<'_> {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        assert!(!this.done, "a send was polled after it had resolved");
        let (frame, size, to) = (this.frame, this.segment_size, this.to);
        let progress = &mut this.progress;
        let result = ready!(this.sender.poll_send(cx, frame, size, to, progress));
        this.done = true;
        let sent = this.progress.sent;
        Poll::Ready(result.map_err(|source| SendError { to, sent, source }))
    }
}

impl FusedFuture for SendTo<'_> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl fmt::Debug for SendTo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendTo")
            .field("to", &self.to)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}
