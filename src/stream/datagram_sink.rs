//! A sink of frames that are sent as datagrams.

#![forbid(unsafe_code)]

use super::{datagram_sender::DatagramSender, segmentation::Progress, send_to::SendError};
use futures::Sink;
use std::{
    fmt,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Sends frames with their addresses: a [`Sink`] over a [`DatagramSender`].
///
/// An item is a [`SharedSample`](crate::SharedSample), [`Bytes`](bytes::Bytes) or another type with bytes, and the address
/// that it is sent to, as for `UdpFramed` of tokio-util. It is sent as [`DatagramSender::send_to`] sends it, and dropped
/// when the system has taken it. One item is stored; the sink is ready for the next when it was sent.
///
/// # Errors
///
/// The [`SendError`] of the stored item, which names its address. The item is dropped, and the sink can be used further.
/// `feed` returns the error of the item before, `send` also that of its own.
///
/// # Cancel safety
///
/// Dropping the future of `feed` or `send` can lose its item, as with every sink. An item that is stored stays stored, and
/// the next poll continues to send it. Dropping the sink loses it.
///
/// # Examples
///
/// ```
/// use bytes::BufMut;
/// use futures::SinkExt;
/// use sample_pool::{Pool, stream::{DatagramSender, DatagramSink}};
/// use tokio::net::UdpSocket;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let viewers = [UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?];
/// let pool = Pool::builder().buffers(1).build()?;
/// let sender = DatagramSender::new(UdpSocket::bind("127.0.0.1:0").await?)?;
/// let mut sink = DatagramSink::new(sender, 1200);
///
/// let mut frame = pool.get_buffer().await?;
/// frame.put_slice(b"to all");
/// let frame = frame.freeze();
/// for viewer in &viewers {
///     sink.feed((frame.clone(), viewer.local_addr()?)).await?;
/// }
/// sink.flush().await?;
/// drop(frame);
/// assert_eq!(pool.free_count(), 1);
/// # let mut received = [0; 100];
/// # assert_eq!(viewers[1].recv(&mut received).await?, 6);
/// # Ok(())
/// # }
/// ```
#[must_use = "a sink does nothing until it is polled"]
pub struct DatagramSink<B> {
    sender: DatagramSender,
    segment_size: usize,
    stored: Option<Stored<B>>,
}

struct Stored<B> {
    frame: B,
    segment_size: usize,
    to: SocketAddr,
    progress: Progress,
}

impl<B> DatagramSink<B> {
    /// Creates a sink that cuts frames into datagrams of `segment_size` bytes.
    ///
    /// # Panics
    ///
    /// If `segment_size` is zero.
    pub fn new(sender: DatagramSender, segment_size: usize) -> Self {
        assert!(segment_size > 0, "the segment size must not be zero");
        DatagramSink {
            sender,
            segment_size,
            stored: None,
        }
    }

    /// Sets the size of the datagrams of all further items.
    ///
    /// # Panics
    ///
    /// If `segment_size` is zero.
    pub fn set_segment_size(&mut self, segment_size: usize) {
        assert!(segment_size > 0, "the segment size must not be zero");
        self.segment_size = segment_size;
    }

    /// Returns a reference to the sender.
    pub fn get_ref(&self) -> &DatagramSender {
        &self.sender
    }

    /// Returns a mutable reference to the sender. What you send with it can come between the datagrams of the stored item.
    pub fn get_mut(&mut self) -> &mut DatagramSender {
        &mut self.sender
    }

    /// Returns the sender. The stored item is dropped, if there is one.
    pub fn into_inner(self) -> DatagramSender {
        self.sender
    }
}

// Neither the frame nor the sender is ever pinned.
impl<B> Unpin for DatagramSink<B> {}

impl<B: AsRef<[u8]>> Sink<(B, SocketAddr)> for DatagramSink<B> {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_flush(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, (frame, to): (B, SocketAddr)) -> Result<(), SendError> {
        assert!(
            self.stored.is_none(),
            "`start_send` was called before the sink was ready"
        );
        self.stored = Some(Stored {
            frame,
            segment_size: self.segment_size,
            to,
            progress: Progress::default(),
        });
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let this = &mut *self;
        let Some(stored) = &mut this.stored else {
            return Poll::Ready(Ok(()));
        };
        let (size, to) = (stored.segment_size, stored.to);
        let (frame, progress) = (stored.frame.as_ref(), &mut stored.progress);
        let result = ready!(this.sender.poll_send(cx, frame, size, to, progress));
        let sent = progress.sent;
        this.stored = None;
        Poll::Ready(result.map_err(|source| SendError { to, sent, source }))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_flush(cx)
    }
}

/// Shows whether an item is stored; never the bytes.
impl<B> fmt::Debug for DatagramSink<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramSink")
            .field("sender", &self.sender)
            .field("segment_size", &self.segment_size)
            .field("stored", &self.stored.is_some())
            .finish_non_exhaustive()
    }
}
