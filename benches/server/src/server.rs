//! The server that is measured, in a process of its own.

use crate::contender::Contender;
use serde::Deserialize;
use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};
use usage::Usage;

/// How many frames can be in memory at once: the example's default.
pub(crate) const BUFFERS: usize = 128;

const ANSWER_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    child: Child,
    says: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

/// What it answers to `/status`.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    channels: Vec<Channel>,
    /// How many buffers are free, if that is known.
    pub(crate) free: Option<usize>,
    pub(crate) closed_viewers: u64,
    pub(crate) usage: Usage,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Channel {
    name: String,
    /// Whether it has a source.
    pub(crate) live: bool,
    /// The number of its newest frame.
    pub(crate) sequence: u64,
}

impl Status {
    /// How many frames it has read so far.
    pub(crate) fn frames(&self) -> u64 {
        self.channels.iter().map(|channel| channel.sequence).sum()
    }

    pub(crate) fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }
}

impl Server {
    /// Starts this program once more, as a server for frames of up to `size` bytes.
    pub(crate) fn start(contender: Contender, size: usize) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args([
                "serve",
                contender.argument(),
                &BUFFERS.to_string(),
                &size.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut server = Server {
            child,
            says: BufReader::new(stdout),
            port: 0,
        };
        let port = server.line()?;
        server.port = port
            .parse()
            .map_err(|_not_a_port| io::Error::other(format!("no port: {port}")))?;
        Ok(server)
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Lets it end, and gives how many buffers were free then: `None` if that is not known.
    pub(crate) fn end(mut self) -> io::Result<Option<usize>> {
        drop(self.child.stdin.take());
        let said = self.line()?;
        let ended = self.child.wait()?;
        if !ended.success() {
            return Err(io::Error::other(format!("the server: {ended}")));
        }
        Ok(said
            .split_once(" of ")
            .and_then(|(free, _)| free.parse().ok()))
    }
}

/// It must not outlive the measurement that failed.
impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // Either fails if it has ended meanwhile.
            let _ended = self.child.kill();
            let _ended = self.child.wait();
        }
    }
}

pub(crate) fn status(port: u16) -> io::Result<Status> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).map_err(|error| io::Error::other(format!("{error}: {answer}")))
}
