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
    /// Opens the channel with its first frame.
    pub(crate) fn open(port: u16, footage: Arc<Footage>) -> io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"POST /ingest/cam HTTP/1.1\r\nHost: load\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let mut source = Source {
            stream,
            footage,
            sent: 0,
            chunk: Vec::new(),
        };
        source.send()?;
        Ok(source)
    }

    fn send(&mut self) -> io::Result<()> {
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
        self.footage.append(self.sent + 1, &mut self.chunk);
        self.chunk.extend_from_slice(tail);
        self.chunk.extend_from_slice(b"\r\n");
        self.stream.write_all(&self.chunk)?;
        self.sent += 1;
        Ok(())
    }

    /// Sends until it is told to stop, and gives the number of frames that the server has read.
    pub(crate) fn run(mut self, due: &Due, stop: &AtomicBool) -> io::Result<u64> {
        let mut next = Instant::now();
        while !stop.load(Ordering::Relaxed) {
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
}
