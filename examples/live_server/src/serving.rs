//! Accepting connections, within the limits, and serving HTTP on them.
//!
//! As `axum::serve` does, which gives hyper no timer and so no limit of time for a request's headers.

use crate::{
    connection::{Closer, Connection, Connections},
    limits::{Admission, HEADER_TIME, Limits, MOST_HEADER_BYTES, MOST_HEADERS},
};
use axum::{Extension, Router, extract::ConnectInfo, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// hyper reads into a buffer of this size, so it is also the largest piece of a body.
const READ_BUFFER: usize = 64 * 1024;

/// The answer to a connection too many; nothing of its request was read.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 21\r\n\r\n\
too many connections\n";

/// Serves until the server ends, and then until every connection has had its answer. Dropping it closes them.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    limits: Limits,
    mut ending: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(MOST_HEADERS)
        .max_header_size(MOST_HEADER_BYTES)
        .max_buf_size(READ_BUFFER);
    let admission = Admission::new(limits);
    let open = GracefulShutdown::new();
    let mut connections = Connections(listener);
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = connections.accept() => accepted,
            Some(_ended) = tasks.join_next() => continue,
            // It fails when the sender is gone, which is an end as well.
            _ended = ending.wait_for(|&ending| ending) => break,
        };
        let (connection, address) = accepted;
        let Some(admitted) = admission.admit(address.ip()) else {
            refuse(&connection);
            continue;
        };
        let closer: Closer = connection.closer();
        let routes = routes.clone().layer(Extension(ConnectInfo(closer)));
        let service = TowerToHyperService::new(routes);
        let served = http.serve_connection(TokioIo::new(Box::pin(connection)), service);
        let served = open.watch(served);
        tasks.spawn(async move {
            // Whatever the client did wrong, it has its answer or is gone.
            let _failed = served.await;
            drop(admitted);
        });
    }
    drop(connections);
    open.shutdown().await;
}

/// Says why, if that can be said without waiting.
fn refuse(connection: &Connection) {
    let _written = connection.try_write(FULL);
}
