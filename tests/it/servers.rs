//! The servers among the examples, each with real clients, and each with more clients than it has buffers.

#![forbid(unsafe_code)]

mod download_proxy;
mod motion_jpeg;
mod tcp_relay;
mod udp_fan_out;
mod upload_to_disk;

use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// After this time a test fails. Nothing here takes a tenth of it.
const LIMIT: Duration = Duration::from_secs(30);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("it does not hang")
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// Bytes whose values depend on their position.
fn pattern(len: usize) -> Vec<u8> {
    let mut bytes = (0..251).collect::<Vec<u8>>().repeat(len / 251 + 1);
    bytes.truncate(len);
    bytes
}

/// Waits until a condition holds that another task establishes.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let is_so = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LIMIT, is_so)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

/// Sends a request over a connection of its own, and returns the response before its body was read.
async fn ask(
    server: SocketAddr,
    request: Request<Full<bytes::Bytes>>,
) -> hyper::Response<Incoming> {
    let socket = TcpStream::connect(server).await.expect("loopback");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
        .await
        .expect("HTTP");
    tokio::spawn(connection);
    within(sender.send_request(request))
        .await
        .expect("an answer")
}

async fn body(answer: hyper::Response<Incoming>) -> (StatusCode, bytes::Bytes) {
    let status = answer.status();
    let body = within(answer.into_body().collect())
        .await
        .expect("a whole body");
    (status, body.to_bytes())
}
