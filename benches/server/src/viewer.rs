//! One viewer: its connection, and the frames that come over it.

use crate::{footage::Footage, reader::Reader};
use std::{
    io,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

/// As much as the kernel has for one socket at a time, more or less.
pub(crate) const PIECE: usize = 256 * 1024;

pub(crate) struct Viewer {
    stream: TcpStream,
    reader: Reader,
    last: Option<(u64, Instant)>,
}

/// A frame that is there in full, and right in every byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) number: u64,
    /// How many were left out before it.
    pub(crate) skipped: u64,
    /// The time since the one before it; the first has none.
    pub(crate) gap: Option<Duration>,
}

/// What came of an attempt to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Some,
    Nothing,
    /// By the server.
    Closed,
}

impl Viewer {
    pub(crate) async fn connect(port: u16, channel: &str) -> io::Result<Self> {
        Viewer::over(TcpSocket::new_v4()?, port, channel).await
    }

    /// With so many bytes of the kernel's for what it has not read.
    pub(crate) async fn connect_with(
        port: u16,
        channel: &str,
        receive_buffer: u32,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(receive_buffer)?;
        Viewer::over(socket, port, channel).await
    }

    async fn over(socket: TcpSocket, port: u16, channel: &str) -> io::Result<Self> {
        let mut stream = socket.connect(([127, 0, 0, 1], port).into()).await?;
        // A response that ends must be seen to end.
        let request =
            format!("GET /live/{channel} HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        Ok(Viewer {
            stream,
            reader: Reader::default(),
            last: None,
        })
    }

    /// Waits until there may be something to read.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.stream.readable().await
    }

    /// Reads as much as `into` can hold, without waiting, and tells `whole` of each frame that it completes.
    pub(crate) fn read(
        &mut self,
        into: &mut [u8],
        footage: &Footage,
        mut whole: impl FnMut(Frame),
    ) -> io::Result<Read> {
        let bytes = match self.stream.try_read(into) {
            Ok(0) => return Ok(Read::Closed),
            Ok(read) => &into[..read],
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::WouldBlock => Ok(Read::Nothing),
                    io::ErrorKind::ConnectionReset => Ok(Read::Closed),
                    _ => Err(error),
                };
            }
        };
        let mut order = Ok(());
        let last = &mut self.last;
        let read = self.reader.read(bytes, footage, |number| {
            let now = Instant::now();
            let mut frame = Frame {
                number,
                skipped: 0,
                gap: None,
            };
            if let Some((earlier, when)) = last.replace((number, now)) {
                if number <= earlier {
                    order = Err(io::Error::other(format!(
                        "frame {number} came after frame {earlier}"
                    )));
                    return;
                }
                frame.skipped = number - earlier - 1;
                frame.gap = Some(now - when);
            }
            whole(frame);
        });
        read.map_err(io::Error::other).and(order)?;
        Ok(Read::Some)
    }
}
