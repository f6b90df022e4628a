//! Sends frames as datagrams, many with one system call.

#![forbid(unsafe_code)]

use super::{
    datagram_batch::Ecn,
    segmentation::{Progress, Segmentation},
    system_transmit::Transmitter,
};
use crate::sync::coop::spend;
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{io::Interest, net::UdpSocket};
use tokio_util::sync::ReusableBoxFuture;

/// Sends frames from a UDP socket, cut into datagrams of one size. The system does the cutting, where it can.
///
/// A frame of 60 kB is 50 datagrams of 1,200 bytes. With segmentation by the system (GSO, on Linux; USO on Windows) one
/// system call sends all of them, from the sample, without a copy into packets. To send one frame to many viewers, call
/// [`send_to`](DatagramSender::send_to) for each. [`DatagramSink`](super::DatagramSink) is a sink over it.
///
/// One call sends at most [`max_segments`](DatagramSender::max_segments) datagrams and at most 65,507 bytes, which is an
/// IPv4 packet. A larger frame takes several calls. It pays from some ten datagrams on.
///
/// Some devices and routes refuse such a call with `EIO` or `EINVAL`. Then the same bytes are sent as single datagrams, and
/// if that succeeds, this sender sends single datagrams from then on. Nothing is lost or sent twice by that. On systems
/// without segmentation it always does so.
///
/// It waits when the socket's buffer is full, and does not pace: a large frame leaves as one burst, which can overrun the
/// buffers of a slow link. Send smaller frames, with pauses, there.
///
/// # Options of the socket
///
/// [`new`](DatagramSender::new) uses the crate `quinn-udp`, which sets the options that QUIC needs:
///
/// - It forbids fragmentation (`IP_MTU_DISCOVER` or `IPV6_MTU_DISCOVER` to `PROBE`, and `IPV6_DONTFRAG`). A datagram that is
///   larger than the MTU of the device fails with `EMSGSIZE`, and one that is larger than that of the path is lost.
/// - It asks for addresses and ECN marks of received datagrams (`IP_PKTINFO` or `IPV6_RECVPKTINFO`; `IP_RECVTOS` and
///   `IPV6_RECVTCLASS`), which has no effect on receivers that do not look at them.
/// - It makes the socket non-blocking, which Tokio's sockets are.
/// - On Linux it also sets `UDP_GRO`, which this type sets back to what it was. On Windows it asks for joined datagrams: do
///   not receive from that socket with something else.
///
/// Redox, WASI and ESP-IDF have no `quinn-udp`. There no option is set, and the system may fragment a large datagram.
///
/// Each datagram carries the type of service (or traffic class) with the [ECN mark](DatagramSender::set_ecn) and otherwise
/// zeroes: a DSCP that was set on the socket by `IP_TOS` is not used.
///
/// # Examples
///
/// One frame to all viewers:
///
/// ```
/// use bytes::BufMut;
/// use sample_pool::{Pool, stream::DatagramSender};
/// use tokio::net::UdpSocket;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let viewer = UdpSocket::bind("127.0.0.1:0").await?;
/// # let viewers = [viewer.local_addr()?];
/// let pool = Pool::builder().buffers(8).size(65_536).build()?;
/// let mut sender = DatagramSender::new(UdpSocket::bind("127.0.0.1:0").await?)?;
///
/// let mut frame = pool.get_buffer().await?;
/// frame.put_bytes(7, 3000);
/// for viewer in viewers {
///     if let Err(error) = sender.send_to(&frame, 1200, viewer).await {
///         eprintln!("{error}: {}", error.source);
///     }
/// }
/// # let mut lengths = Vec::new();
/// # for _ in 0..3 {
/// #     lengths.push(viewer.recv_from(&mut [0; 2000]).await?.0);
/// # }
/// # assert_eq!(lengths, [1200, 1200, 600]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DatagramSender {
    socket: Arc<UdpSocket>,
    transmitter: Transmitter,
    segmentation: Segmentation,
    ecn: Ecn,
    /// The wait for room in the socket's buffer, from the first time that it was full.
    writable: Option<ReusableBoxFuture<'static, io::Result<()>>>,
}

impl DatagramSender {
    /// Creates a sender on `socket`, which is a `UdpSocket` or an `Arc<UdpSocket>`.
    ///
    /// It sets [options of the socket](DatagramSender#options-of-the-socket), and makes some system calls to learn what the
    /// system can do: make one sender for each socket, not for each frame. Several senders of one socket do not disturb
    /// each other.
    ///
    /// # Errors
    ///
    /// Those of the system, if it refuses an option.
    ///
    /// # Examples
    ///
    /// See [`DatagramSender`].
    pub fn new(socket: impl Into<Arc<UdpSocket>>) -> io::Result<Self> {
        let socket = socket.into();
        let transmitter = Transmitter::new(&socket)?;
        Ok(DatagramSender {
            segmentation: Segmentation::new(transmitter.segments()),
            transmitter,
            socket,
            ecn: Ecn::NotEct,
            writable: None,
        })
    }

    /// Returns how many datagrams one system call sends at most; 1 if the system has no segmentation, or refused it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::stream::DatagramSender;
    /// # use tokio::net::UdpSocket;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let sender = DatagramSender::new(UdpSocket::bind("127.0.0.1:0").await?)?;
    /// assert!(sender.max_segments() >= 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn max_segments(&self) -> usize {
        self.segmentation.most()
    }

    /// Sets the ECN mark of all further datagrams. It has no effect on Redox, WASI and ESP-IDF, and none on IPv4 after the
    /// system has once refused a datagram of this sender with `EINVAL`: `quinn-udp` then takes the mark for the reason.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::stream::{DatagramSender, Ecn};
    /// # use tokio::net::UdpSocket;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let mut sender = DatagramSender::new(UdpSocket::bind("127.0.0.1:0").await?)?;
    /// sender.set_ecn(Ecn::Ect1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_ecn(&mut self, ecn: Ecn) {
        self.ecn = ecn;
    }

    /// Returns the socket, for example to receive from it.
    #[must_use]
    pub fn get_ref(&self) -> &Arc<UdpSocket> {
        &self.socket
    }

    /// Returns the socket. Its options stay set.
    #[must_use]
    pub fn into_inner(self) -> Arc<UdpSocket> {
        self.socket
    }

    /// Sends what `progress` has left of a frame.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        frame: &[u8],
        segment_size: usize,
        to: SocketAddr,
        progress: &mut Progress,
    ) -> Poll<io::Result<()>> {
        loop {
            // A frame of a user's type may have become shorter since the last poll.
            let rest = frame.get(progress.sent..).unwrap_or_default();
            if rest.is_empty() && progress.begun {
                return Poll::Ready(Ok(()));
            }
            // A socket may always have room, and a frame be as large as memory.
            if !spend(cx) {
                return Poll::Pending;
            }
            let (socket, ecn) = (&*self.socket, self.ecn);
            let transmitter = &self.transmitter;
            let send = |bytes: &[u8], segment| transmitter.send(socket, bytes, segment, to, ecn);
            match self.segmentation.send_next(rest, segment_size, send) {
                Ok(sent) => {
                    progress.sent += sent;
                    progress.begun = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_writable(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Waits until there may be room. Tokio's `poll_send_ready` wakes one task for each socket, and a socket can have several
    /// senders. So the future owns a reference to the socket, in a box that is allocated once.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wait = match &mut self.writable {
            Some(wait) => wait,
            None => self
                .writable
                .insert(ReusableBoxFuture::new(writable(self.socket.clone()))),
        };
        let result = ready!(wait.poll(cx));
        wait.set(writable(self.socket.clone()));
        Poll::Ready(result)
    }
}

async fn writable(socket: Arc<UdpSocket>) -> io::Result<()> {
    socket.ready(Interest::WRITABLE).await.map(drop)
}
