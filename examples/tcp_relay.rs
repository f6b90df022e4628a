//! Relays TCP connections to another address, with a bound on the memory of all of them together.
//!
//! ```text
//! cargo run --features net --example tcp_relay -- 127.0.0.1:7000 127.0.0.1:8000
//! ```
//!
//! Both directions of every connection share one pool. A direction takes a buffer when its socket has
//! something to read, so ten thousand idle connections hold none. It holds at most two: one that is
//! being written, and one that was read meanwhile. With no buffer home it does not read, the kernel's
//! buffer fills, and the sender waits.
//!
//! Without the crate this is `tokio::io::copy_bidirectional`: two buffers of 8 KiB for each connection
//! from its beginning to its end, idle or not. Twice 10,000 of them are 160 MiB, and larger buffers, which
//! a fast link wants, multiply it. Here 256 buffers of 64 KiB are 16 MiB, for any number of connections.

use futures::{StreamExt, TryStreamExt};
use sample_pool::{
    Pool,
    stream::{ReadableFirst, SampleReader, SampleWriter},
};
use std::{io, net::SocketAddr};
use tokio::{
    net::{TcpListener, TcpStream, tcp},
    task::JoinSet,
};

/// Reads from one socket and writes to another, until the first ends; then the second is told.
async fn one_way(pool: &Pool, from: tcp::OwnedReadHalf, to: tcp::OwnedWriteHalf) -> io::Result<()> {
    SampleReader::new(pool, ReadableFirst::new(from))
        .map_ok(|sample| sample.freeze())
        .map_err(io::Error::from)
        .forward(SampleWriter::new(to, 1))
        .await
}

/// Connects a client with `upstream` until both have ended, or one of them breaks.
async fn relay(pool: Pool, client: TcpStream, upstream: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(upstream).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        one_way(&pool, from_client, to_server),
        one_way(&pool, from_server, to_client),
    )?;
    Ok(())
}

/// Relays whoever connects, until it is dropped.
pub(crate) async fn serve(
    pool: Pool,
    listener: TcpListener,
    upstream: SocketAddr,
) -> io::Result<()> {
    // Dropping it ends the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, address) = accepted?;
                let relay = relay(pool.clone(), client, upstream);
                connections.spawn(async move { (address, relay.await) });
            }
            Some(ended) = connections.join_next() => {
                if let Ok((address, Err(error))) = ended {
                    eprintln!("{address}: {error}");
                }
            }
        }
    }
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
