//! Relays TCP connections to another address, with a bound on the memory of all of them together.
//!
//! ```text
//! cargo run --features net --example tcp_relay -- 127.0.0.1:7000 127.0.0.1:8000
//! ```
//!
//! All connections share one pool. Each direction of a connection takes a buffer when its socket is readable,
//! so ten thousand idle connections hold none. A direction holds at most two: one that is being written, and
//! the next one, which is being read at the same time. When no buffer is free it does not read, the kernel's
//! receive buffer fills up, and the sender waits.
//!
//! Half of the buffers are for the direction to the servers, and half for the direction to the clients. Many a
//! server, an echo server for example, stops reading while its responses are not read. If both directions
//! shared all buffers, every buffer could hold bytes for such a server, and none would be left to read a
//! response into: a deadlock. With two quotas, responses move as long as clients read. A client or server that
//! does not read pins two buffers of the direction to it, so a relay on the internet needs a timeout for each
//! write.
//!
//! Without this crate one uses `tokio::io::copy_bidirectional`: two buffers of 8 KiB for each connection for as
//! long as it is open, idle or not. For 10,000 connections these are 160 MiB, and more with the larger buffers
//! that a fast link needs. Here 256 buffers of 64 KiB are 16 MiB, for any number of connections.

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

/// The quota of each direction, which all connections share.
#[derive(Clone)]
struct Quotas {
    to_server: Quota,
    to_client: Quota,
}

/// Reads from one socket and writes to the other until the first is at its end; then shuts the second down.
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

/// Relays between a client and `upstream` until both directions have ended, or one of them fails.
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

/// Relays all connections that it accepts, until the future is dropped.
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
    // Dropping the set aborts the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, address)) => {
                    let relay = relay(quotas.clone(), client, upstream);
                    connections.spawn(async move { (address, relay.await) });
                }
                // The client may have disconnected already, or too many files are open: neither is a reason to
                // end the other connections. The second lasts for a while, and without a pause this loop would
                // spin.
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

/// The error and its sources on one line. No message repeats the message of its source.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = arguments.as_slice() else {
        return Err("usage: tcp_relay LISTEN_ADDRESS UPSTREAM_ADDRESS".into());
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
