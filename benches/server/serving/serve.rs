//! The life of a server that is measured: the example's without its test pattern, whose encoder would
//! use more of the CPU than all the rest, and with standard input in place of signals.

use crate::{
    channel::Channels,
    free,
    limits::{END_TIME, Limits, SOURCE_TIMEOUT},
    memory,
    server::{self, Server},
    serving, status,
    viewers::Viewers,
};
use std::{
    io,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch, task, time};

/// All viewers come from this machine, and there are up to 1,000.
const LIMITS: Limits = Limits {
    connections: 1100,
    per_address: 1100,
};

/// Serves frames of up to `size` bytes until standard input ends. Prints the port that it listens on
/// and, at the end, how many buffers are free, where that is known.
pub fn serve(buffers: usize, size: usize) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(buffers, size))
}

async fn run(buffers: usize, size: usize) -> io::Result<()> {
    let pool = memory::pool(buffers, size).map_err(io::Error::other)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());

    let (end, ending) = watch::channel(false);
    let viewers = Viewers::new(buffers);
    let server = Server {
        channels: Channels::new(&pool, viewers.hold_limit()),
        viewers,
        most: size,
        epoch: Instant::now(),
        ending: ending.clone(),
        token: None,
        source_timeout: SOURCE_TIMEOUT,
        pool,
    };
    let routes = server::router(server.clone()).merge(status::router(server.clone()));
    let mut serving = task::spawn(serving::serve(listener, routes, LIMITS, ending));

    // The process that started this one holds the other end, so it never outlives the measurement.
    task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    end.send_replace(true);
    server.channels.end();
    if time::timeout(END_TIME, &mut serving).await.is_err() {
        serving.abort();
    }
    match free_at_the_end(&server, buffers).await {
        Some(free) => println!("{free} of {buffers}"),
        None => println!("unknown"),
    }
    Ok(())
}

/// How many buffers are free, once all are or the limit is over.
async fn free_at_the_end(server: &Server, buffers: usize) -> Option<usize> {
    let limit = Instant::now() + END_TIME;
    while free(&server.pool)? < buffers && Instant::now() < limit {
        time::sleep(Duration::from_millis(1)).await;
    }
    free(&server.pool)
}
