//! The sinks: a socket for each viewer, and a count of what came.

use crate::{pattern::Expected, scenario::Cut};
use nix::sys::socket::{setsockopt, sockopt::UdpGroSegment};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::UdpSocket, sync::Notify, task::JoinSet, time::timeout};

/// Without a datagram for so long, what is missing is lost.
const SILENCE: Duration = Duration::from_secs(2);

/// What all viewers received.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    datagrams: AtomicU64,
    /// What did not come while the source waited for it.
    missing: AtomicU64,
    progress: Notify,
}

impl Arrivals {
    pub(crate) fn datagrams(&self) -> u64 {
        self.datagrams.load(Ordering::Relaxed)
    }

    /// Waits until so many datagrams have come or are lost.
    pub(crate) async fn wait(&self, deliveries: u64) {
        loop {
            let come = self.datagrams() + self.missing.load(Ordering::Relaxed);
            if come >= deliveries {
                return;
            }
            // It keeps a notification from before this wait.
            if timeout(SILENCE, self.progress.notified()).await.is_err() {
                let missing = deliveries - self.datagrams();
                self.missing.store(missing, Ordering::Relaxed);
            }
        }
    }

    fn add(&self, datagrams: u64) {
        self.datagrams.fetch_add(datagrams, Ordering::Relaxed);
        self.progress.notify_one();
    }
}

pub(crate) struct Viewers {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) arrivals: Arc<Arrivals>,
    tasks: JoinSet<io::Result<()>>,
}

impl Viewers {
    pub(crate) async fn new(count: usize, address: IpAddr, cut: Cut) -> io::Result<Self> {
        let mut viewers = Viewers {
            addresses: Vec::with_capacity(count),
            arrivals: Arc::default(),
            tasks: JoinSet::new(),
        };
        // One for all: between two waits only one viewer receives.
        let buffer = Arc::new(Mutex::new(vec![0; 65_536]));
        for _ in 0..count {
            let socket = UdpSocket::bind((address, 0)).await?;
            setsockopt(&socket, UdpGroSegment, &(cut == Cut::Nowhere))?;
            viewers.addresses.push(socket.local_addr()?);
            let arrivals = viewers.arrivals.clone();
            viewers.tasks.spawn(watch(socket, arrivals, buffer.clone()));
        }
        Ok(viewers)
    }

    /// Returns the first error of a viewer.
    pub(crate) async fn failure(&mut self) -> io::Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => error.into(),
            Some(Ok(Ok(()))) | None => io::Error::other("a viewer ended"),
        }
    }
}

/// Receives and compares, until there is an error.
async fn watch(
    socket: UdpSocket,
    arrivals: Arc<Arrivals>,
    buffer: Arc<Mutex<Vec<u8>>>,
) -> io::Result<()> {
    let mut expected = Expected::new();
    loop {
        socket.readable().await?;
        let mut buffer = buffer.lock().expect("no viewer panics");
        let mut datagrams = 0;
        loop {
            match socket.try_recv(&mut buffer) {
                Ok(len) => datagrams += expected.compare(&buffer[..len])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        arrivals.add(datagrams);
    }
}
