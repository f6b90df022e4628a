//! `examples/download_proxy.rs`

#[path = "../../../examples/download_proxy.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod example;

use super::{ask, body, listener, pattern, until};
use axum::{Router, body::Body, routing::get};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use sample_pool::Pool;
use std::net::SocketAddr;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};

/// More than the system buffers for a connection that is not read.
const LEN: usize = 30_000_000;

/// The part of [`LARGE`] that two buffers hold.
const SHORT: usize = 2 * LARGE;

/// More than the system buffers for a connection with small socket buffers.
const LARGE: usize = 192 * 1024;

/// An origin with a large file and a short one, and a proxy for it.
async fn proxy(pool: &Pool, listening: TcpListener, tasks: &mut JoinSet<()>) {
    let (origin, origin_at) = listener().await;
    let file = get(|| async { Body::from(pattern(LEN)) });
    let short = get(|| async { Body::from(pattern(SHORT)) });
    tasks.spawn(async move {
        let router = Router::new().route("/file", file).route("/short", short);
        axum::serve(origin, router).await.expect("it accepts");
    });
    let served = example::serve(pool.clone(), listening, origin_at);
    tasks.spawn(async move { served.await.expect("it accepts") });
}

fn request(path: &str) -> Request<Full<bytes::Bytes>> {
    Request::get(path).body(Full::default()).expect("a request")
}

/// Backpressure must reach the origin, and every byte must reach the client.
#[tokio::test]
async fn a_download_is_whole_and_what_is_not_there_is_not_there() {
    let pool = Pool::builder()
        .buffers(4)
        .size(16 * 1024)
        .build()
        .expect("small");
    let mut tasks = JoinSet::new();
    let (listener, proxy) = listener().await;
    self::proxy(&pool, listener, &mut tasks).await;
    let answer = ask(proxy, request("/file")).await;
    assert_eq!(answer.headers()["content-length"], LEN.to_string());
    let (status, file) = body(answer).await;
    assert_eq!(status, StatusCode::OK);
    assert!(file == pattern(LEN));
    assert_eq!(
        body(ask(proxy, request("/none")).await).await.0,
        StatusCode::NOT_FOUND
    );
    until("the buffers come back", || pool.free_count() == 4).await;
}

/// A client that stalls has its two buffers and no other. When it disconnects, the next can start.
#[tokio::test]
async fn clients_that_stall_hold_their_own_buffers_and_one_too_many_is_refused() {
    let pool = Pool::builder()
        .buffers(4)
        .size(16 * 1024)
        .build()
        .expect("small");
    let mut tasks = JoinSet::new();
    let (listener, proxy) = listener().await;
    self::proxy(&pool, listener, &mut tasks).await;
    let stalled = ask(proxy, request("/file")).await;
    // The origin is read until all pipes are full: both buffers are being sent.
    until("it has its two buffers", || pool.free_count() == 2).await;
    let (status, file) = body(ask(proxy, request("/file")).await).await;
    assert_eq!((status, file.len()), (StatusCode::OK, LEN));

    let other = ask(proxy, request("/file")).await;
    let (status, _) = body(ask(proxy, request("/file")).await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    drop(other);
    until("its buffers come back", || pool.free_count() == 2).await;
    let whole = stalled.into_body().collect().await.expect("it goes on");
    assert!(whole.to_bytes() == pattern(LEN));
    until("the buffers come back", || pool.free_count() == 4).await;
}

/// A client that sends a request and reads nothing, with small socket buffers.
async fn deaf(proxy: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a descriptor");
    socket.set_recv_buffer_size(4096).expect("it is new");
    let mut client = socket.connect(proxy).await.expect("loopback");
    let asked = b"GET /short HTTP/1.1\r\nhost: proxy\r\n\r\n";
    client.write_all(asked).await.expect("it is open");
    client
}

/// hyper has read and dropped all bodies, and holds the bytes.
#[tokio::test]
async fn clients_that_stall_near_the_end_count_and_one_too_many_is_refused() {
    let pool = Pool::builder()
        .buffers(4)
        .size(LARGE)
        .build()
        .expect("small");
    let mut tasks = JoinSet::new();
    let listening = TcpSocket::new_v4().expect("a descriptor");
    listening.set_send_buffer_size(4096).expect("it is new");
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    listening.bind(anywhere).expect("loopback");
    let listening = listening.listen(16).expect("it is bound");
    let address = listening.local_addr().expect("it is bound");
    proxy(&pool, listening, &mut tasks).await;
    let (first, second) = (deaf(address).await, deaf(address).await);
    until("both have all of it", || {
        pool.status().bytes_used == 2 * SHORT
    })
    .await;

    let one_too_many = ask(address, request("/short")).await;
    assert_eq!(one_too_many.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(first);
    until("its buffers come back", || pool.free_count() == 2).await;
    let (status, short) = body(ask(address, request("/short")).await).await;
    assert_eq!(status, StatusCode::OK);
    assert!(short == pattern(SHORT));
    drop(second);
    until("the buffers come back", || pool.free_count() == 4).await;
}
