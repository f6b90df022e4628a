//! Relays TCP connections to another address, with a bound on the memory of all of them together.
//!
//! ```text
//! cargo run --features net --example tcp_relay -- 127.0.0.1:7000 127.0.0.1:8000
//! ```
//!
//! All connections share one pool. A direction takes a buffer when its socket has something to read, so
//! ten thousand idle connections hold none. It holds at most two: one that is being written, and one that
//! was read meanwhile. With no buffer home it does not read, the kernel's buffer fills, and the sender
//! waits.
//!
//! Half of the buffers are for what goes to the servers, and half for what comes back. Many a server, an echo
//! for example, does not read while nobody takes its answers. If both directions took from the same
//! buffers, all could be on their way to such servers, and none left to take the answers with: nothing would
//! move again. As it is, answers move as long as clients read. A client or server that does not read pins two
//! buffers of the direction to it, so a relay in the open gives each write a time limit.
//!
//! Without the crate this is `tokio::io::copy_bidirectional`: two buffers of 8 KiB for each connection
//! from its beginning to its end, idle or not. Twice 10,000 of them are 160 MiB, and larger buffers, which
//! a fast link wants, multiply it. Here 256 buffers of 64 KiB are 16 MiB, for any number of connections.

use futures::{StreamExt, TryStreamExt};
use sample_pool::{
    Pool, Quota,
    stream::{ReadableFirst, SampleReader, SampleWriter},
};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream, tcp},
    task::JoinSet,
};

/// What is read into: a direction has a quota, which all connections share.
#[derive(Clone)]
struct Quotas {
    to_server: Quota,
    to_client: Quota,
}

/// Reads from one socket and writes to another, until the first ends; then the second is told.
async fn one_way(
    quota: &Quota,
    from: tcp::OwnedReadHalf,
    to: tcp::OwnedWriteHalf,
) -> io::Result<()> {
    SampleReader::new(ReadableFirst::new(from), quota)
        .map_ok(|sample| sample.freeze())
        .map_err(io::Error::from)
        .forward(SampleWriter::new(to, 1))
        .await
}

/// Connects a client with `upstream` until both have ended, or one of them breaks.
async fn relay(quotas: Quotas, client: TcpStream, upstream: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(upstream).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        one_way(&quotas.to_server, from_client, to_server),
        one_way(&quotas.to_client, from_server, to_client),
    )?;
    Ok(())
}

/// Relays whoever connects, until it is dropped.
pub(crate) async fn serve(
    pool: Pool,
    listener: TcpListener,
    upstream: SocketAddr,
) -> io::Result<()> {
    let buffers = pool.properties().buffers;
    let quotas = Quotas {
        to_server: pool.quota("to the server", buffers / 2),
        to_client: pool.quota("to the client", buffers - buffers / 2),
    };
    // Dropping it ends the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, address)) => {
                    let relay = relay(quotas.clone(), client, upstream);
                    connections.spawn(async move { (address, relay.await) });
                }
                // A client that has gone again, or too many open files, is no reason to end the others. The latter
                // lasts for a while, in which this would try again and again.
                Err(error) => {
                    eprintln!("a client could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Ok((address, Err(error))) = ended {
                    eprintln!("{address}: {}", in_full(&error));
                }
            }
        }
    }
}

/// The error and its causes, on one line: a message does not repeat that of its source.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = arguments.as_slice() else {
        return Err("which address to listen at, and which to relay to?".into());
    };
    let pool = Pool::builder().buffers(256).size(64 * 1024).build()?;
    let listener = TcpListener::bind(listen).await?;
    println!("relaying {} to {upstream}", listener.local_addr()?);
    tokio::select! {
        served = serve(pool.clone(), listener, upstream.parse()?) => served?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    println!(
        "at most {} of 256 buffers were used",
        pool.status().high_water
    );
    Ok(())
}
