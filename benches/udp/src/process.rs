//! A relay in a process of its own, and the CPU time that it has used.

use crate::{network::Network, relay::Relay};
use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Stdio},
};

/// Ends the process when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    pub(crate) fn start(
        network: &Network,
        relay: Relay,
        viewers: &[SocketAddr],
    ) -> io::Result<Self> {
        let program = env::current_exe()?;
        let program = program.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        let child = network
            .at_relay(program)
            .args(["--relay", relay.argument()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut process = Process {
            address: SocketAddr::new(network.relay_address(), 0),
            child,
        };
        let stdin = process.child.stdin.as_mut().expect("it is piped");
        let addresses: Vec<String> = viewers.iter().map(SocketAddr::to_string).collect();
        writeln!(stdin, "{} {}", process.address, addresses.join(" "))?;
        let stdout = process.child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        process.address = line.trim().parse().map_err(io::Error::other)?;
        Ok(process)
    }

    /// The time that all its threads have run so far, user and kernel.
    pub(crate) fn cpu_seconds(&self) -> io::Result<f64> {
        let mut nanoseconds = 0.0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let line = fs::read_to_string(thread?.path().join("schedstat"))?;
            let first = line.split(' ').next().unwrap_or_default();
            nanoseconds += first.parse::<f64>().map_err(io::Error::other)?;
        }
        Ok(nanoseconds / 1e9)
    }

    /// Ends it, and fails if it failed.
    pub(crate) fn end(mut self) -> io::Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("the relay ended with {status}"))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("the process of a relay: {error}");
        }
    }
}
