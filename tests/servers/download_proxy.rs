//! `examples/download_proxy.rs`

#[path = "../../examples/download_proxy.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod example;

use crate::{ask, body, listener, pattern, until};
use axum::{Router, body::Body, routing::get};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use sample_pool::Pool;
use std::net::SocketAddr;
use tokio::task::JoinSet;

/// More than the system keeps for a connection that nobody reads.
const LEN: usize = 30_000_000;

/// An origin with one large file, and a proxy in front of it.
async fn proxy(pool: &Pool, tasks: &mut JoinSet<()>) -> SocketAddr {
    let (origin, origin_at) = listener().await;
    let file = get(|| async { Body::from(pattern(LEN)) });
    tasks.spawn(async move {
        let router = Router::new().route("/file", file);
        axum::serve(origin, router).await.expect("it accepts");
    });
    let (proxy, address) = listener().await;
    let served = example::serve(pool.clone(), proxy, origin_at);
    tasks.spawn(async move { served.await.expect("it accepts") });
    address
}

fn request(path: &str) -> Request<Full<bytes::Bytes>> {
    Request::get(path).body(Full::default()).expect("a request")
}

/// Back-pressure must reach the origin, and every byte the client.
#[tokio::test]
async fn a_download_is_whole_and_what_is_not_there_is_not_there() {
    let pool = Pool::builder()
        .buffers(4)
        .size(16 * 1024)
        .build()
        .expect("small");
    let mut tasks = JoinSet::new();
    let proxy = proxy(&pool, &mut tasks).await;
    let answer = ask(proxy, request("/file")).await;
    assert_eq!(answer.headers()["content-length"], LEN.to_string());
    let (status, file) = body(answer).await;
    assert_eq!(status, StatusCode::OK);
    assert!(file == pattern(LEN));
    assert_eq!(
        body(ask(proxy, request("/none")).await).await.0,
        StatusCode::NOT_FOUND
    );
    until("the buffers come home", || pool.free_count() == 4).await;
}

/// One that stalls has its two buffers and no other; when it goes, the next can come.
#[tokio::test]
async fn clients_that_stall_hold_their_own_buffers_and_one_too_many_is_told() {
    let pool = Pool::builder()
        .buffers(4)
        .size(16 * 1024)
        .build()
        .expect("small");
    let mut tasks = JoinSet::new();
    let proxy = proxy(&pool, &mut tasks).await;
    let stalled = ask(proxy, request("/file")).await;
    // It is read to where all pipes are full: both of its buffers are on their way.
    until("it has its two buffers", || pool.free_count() == 2).await;
    let (status, file) = body(ask(proxy, request("/file")).await).await;
    assert_eq!((status, file.len()), (StatusCode::OK, LEN));

    let other = ask(proxy, request("/file")).await;
    let (status, _) = body(ask(proxy, request("/file")).await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    drop(other);
    until("its buffers come home", || pool.free_count() == 2).await;
    let whole = stalled.into_body().collect().await.expect("it goes on");
    assert!(whole.to_bytes() == pattern(LEN));
    until("the buffers come home", || pool.free_count() == 4).await;
}
