//! The relays. Each sends what comes from the source to all viewers.
//!
//! Each is one task on one thread: it receives, sends to one viewer after the other, and receives again.

mod plain;
mod pool_batches;
mod pool_single;
mod quinn;
mod run_of_batches;

use quinn::Memory;
use std::{fmt, io, net::SocketAddr, thread};
use tokio::{net::UdpSocket, runtime, sync::oneshot};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relay {
    Plain,
    Quinn,
    QuinnCopies,
    PoolBatches,
    PoolSingle,
}

impl Relay {
    pub(crate) const ALL: [Relay; 5] = [
        Relay::Plain,
        Relay::Quinn,
        Relay::QuinnCopies,
        Relay::PoolBatches,
        Relay::PoolSingle,
    ];

    pub(crate) fn argument(self) -> &'static str {
        match self {
            Relay::Plain => "plain",
            Relay::Quinn => "quinn",
            Relay::QuinnCopies => "quinn-copies",
            Relay::PoolBatches => "pool-batches",
            Relay::PoolSingle => "pool-single",
        }
    }

    pub(crate) fn from_argument(argument: &str) -> Option<Self> {
        let is_it = |relay: &Relay| relay.argument() == argument;
        Relay::ALL.into_iter().find(is_it)
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Relay::Plain => "BytesMut, one call a datagram",
            Relay::Quinn => "BytesMut, quinn-udp",
            Relay::QuinnCopies => "BytesMut, quinn-udp, a copy of each batch",
            Relay::PoolBatches => "sample-pool, batches",
            Relay::PoolSingle => "sample-pool, one call a datagram",
        })
    }
}

/// What each relay is given.
struct Sockets {
    inbound: UdpSocket,
    outbound: UdpSocket,
    viewers: Vec<SocketAddr>,
}

/// Is the process of a relay, until its standard input ends.
pub(crate) fn serve(relay: Relay) -> io::Result<()> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve_until_end(relay))
}

async fn serve_until_end(relay: Relay) -> io::Result<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let addresses: Result<Vec<SocketAddr>, _> = line.split_whitespace().map(str::parse).collect();
    let addresses = addresses.map_err(io::Error::other)?;
    let (&address, viewers) = addresses
        .split_first()
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let sockets = Sockets {
        inbound: UdpSocket::bind(address).await?,
        outbound: UdpSocket::bind(address).await?,
        viewers: viewers.to_vec(),
    };
    println!("{}", sockets.inbound.local_addr()?);
    let (ended, end) = oneshot::channel();
    thread::spawn(move || {
        // There is no second line: it returns at the end.
        let result = io::stdin().read_line(&mut String::new());
        ended.send(result.map(drop))
    });
    let end = async { end.await.map_err(io::Error::other)? };
    match relay {
        Relay::Plain => plain::relay(sockets, end).await,
        Relay::Quinn => quinn::relay(sockets, end, Memory::Reused).await,
        Relay::QuinnCopies => quinn::relay(sockets, end, Memory::Copied).await,
        Relay::PoolBatches => pool_batches::relay(sockets, end).await,
        Relay::PoolSingle => pool_single::relay(sockets, end).await,
    }
}

/// Runs the loop of a relay until the end.
async fn until(
    end: impl Future<Output = io::Result<()>>,
    relaying: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    tokio::select! {
        result = relaying => result,
        result = end => result,
    }
}
