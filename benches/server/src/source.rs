//! What a camera does: one frame after the other, in a POST that does not end.

use crate::{footage::Footage, scenario::UNDER_WAY};
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    thread,
    time::{Duration, Instant},
};

/// How long the server, or all viewers together, may keep the source waiting.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Source {
    stream: TcpStream,
    footage: Arc<Footage>,
    /// The number of its first frame.
    first: u64,
    sent: u64,
    chunk: Vec<u8>,
}

/// When the next frame is due.
pub(crate) enum Due {
    Each(Duration),
    /// When all viewers have an earlier one; each message stands for one frame.
    Received(Receiver<()>),
}

impl Source {
    /// Opens a channel with a frame, to which the server gives the number `first`.
    pub(crate) fn open(
        port: u16,
        channel: &str,
        footage: Arc<Footage>,
        first: u64,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(
            stream,
            "POST /ingest/{channel} HTTP/1.1\r\nHost: load\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        )?;
        let mut source = Source {
            stream,
            footage,
            first,
            sent: 0,
            chunk: Vec::new(),
        };
        source.send()?;
        Ok(source)
    }

    fn send(&mut self) -> io::Result<()> {
        self.prepare()?;
        self.stream.write_all(&self.chunk)?;
        self.sent += 1;
        Ok(())
    }

    /// The next frame as it goes over the wire.
    fn prepare(&mut self) -> io::Result<()> {
        let length = self.footage.frame_bytes();
        let header =
            format!("--load\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
        let tail = b"\r\n";
        self.chunk.clear();
        write!(
            self.chunk,
            "{:x}\r\n{header}",
            header.len() + length + tail.len()
        )?;
        self.footage.append(self.first + self.sent, &mut self.chunk);
        self.chunk.extend_from_slice(tail);
        self.chunk.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Sends until it is over.
    pub(crate) fn send_until(
        &mut self,
        due: &Due,
        mut over: impl FnMut() -> bool,
    ) -> io::Result<()> {
        let mut next = Instant::now();
        while !over() {
            match due {
                Due::Each(interval) => {
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                    // One that is late does not make up for it with a burst, which a camera never sends.
                    next = (next + *interval).max(Instant::now());
                }
                Due::Received(received) => {
                    if self.sent >= UNDER_WAY {
                        let stuck =
                            |_late| io::Error::other("a frame did not reach all viewers in time");
                        received.recv_timeout(LIMIT).map_err(stuck)?;
                    }
                }
            }
            self.send()?;
        }
        Ok(())
    }

    /// Ends as a camera that is switched off, and gives the number of frames that the server has read.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.stream.write_all(b"0\r\n\r\n")?;
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer)?;
        let expected = format!("{} frames\n", self.sent);
        match answer.split_once("\r\n\r\n") {
            Some((_, said)) if said == expected => Ok(self.sent),
            _ => Err(io::Error::other(format!(
                "{} frames were sent, and the server says: {answer}",
                self.sent
            ))),
        }
    }

    /// Ends in the middle of a frame, as a camera whose plug is pulled, and gives the number of whole ones.
    pub(crate) fn vanish(mut self) -> io::Result<u64> {
        self.prepare()?;
        self.stream.write_all(&self.chunk[..self.chunk.len() / 2])?;
        Ok(self.sent)
    }

    /// Sends until it is stopped, and gives the number of frames that the server has read.
    pub(crate) fn run(mut self, due: &Due, stop: &AtomicBool) -> io::Result<u64> {
        self.send_until(due, || stop.load(Ordering::Relaxed))?;
        self.finish()
    }
}
