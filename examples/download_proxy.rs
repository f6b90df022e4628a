//! An HTTP proxy for downloads with a fixed bound on memory, however slow its clients are.
//!
//! ```text
//! cargo run --features net --example download_proxy -- 127.0.0.1:8080 127.0.0.1:8000
//! curl -O http://127.0.0.1:8080/large.iso
//! ```
//!
//! The proxy reads the body of the origin's response into buffers of 64 KiB, and sends the same buffers to the
//! client as the body of its own response. Each download has a quota of two buffers: one is being sent to the
//! client, and one is being filled. The proxy runs as many downloads at once as there are pairs of buffers, and
//! answers a further request with status 503. A download keeps its permit until its last byte is written. The
//! end of the body would be too early: hyper drops a body when it has read its end, and may still have both
//! buffers to write to a client that does not read. So no download waits for the buffers of another, and one
//! number bounds the memory.
//!
//! hyper reads the origin into a buffer of its own, so each byte is copied once. Without this crate, the proxy
//! would pass hyper's chunks on without that copy. But for a client that does not read, hyper keeps hundreds of
//! KiB queued, and a thousand such clients keep a thousand times as much. To bound that memory, one needs
//! permits, buffers, and code that returns both to where they came from: this is the pool.

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Request, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::TryStreamExt;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use sample_pool::{Pool, SharedSample, stream::SampleReader};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::io::StreamReader;

/// The number of buffers of a download.
const EACH: usize = 2;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
struct Proxy {
    pool: Pool,
    downloads: Arc<Semaphore>,
    origin: SocketAddr,
}

/// Bytes of a download, and the download's permit.
struct Part {
    /// Declared before the permit, so it is dropped first: when the permit is free, so are the buffers.
    sample: SharedSample,
    _place: Arc<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.sample
    }
}

/// Requests from the origin what the client requested.
async fn ask(origin: SocketAddr, uri: Uri) -> Result<hyper::Response<Incoming>, Error> {
    let socket = TokioIo::new(TcpStream::connect(origin).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(socket).await?;
    // The task ends when the response has been read or dropped.
    tokio::spawn(connection);
    let request = Request::get(uri)
        .header(header::HOST, origin.to_string())
        .body(Empty::<Bytes>::new())?;
    Ok(sender.send_request(request).await?)
}

async fn download(State(proxy): State<Proxy>, uri: Uri) -> Response {
    let Ok(place) = proxy.downloads.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many downloads\n").into_response();
    };
    let path = uri.path().to_owned();
    let answer = match ask(proxy.origin, uri).await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
    };
    let status = answer.status();
    let mut headers = HeaderMap::new();
    for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE] {
        if let Some(value) = answer.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let chunks = answer
        .into_body()
        .into_data_stream()
        .map_err(io::Error::other);
    // With a limit of two, the third buffer is not read before the client has taken the first.
    let two = proxy.pool.quota(path, EACH);
    let samples = SampleReader::new(StreamReader::new(chunks), &two).fill_buffers(true);
    let place = Arc::new(place);
    let parts = samples.map_ok(move |sample| {
        Bytes::from_owner(Part {
            sample: sample.freeze(),
            _place: place.clone(),
        })
    });
    (status, headers, Body::from_stream(parts)).into_response()
}

/// Serves until the future is dropped.
pub(crate) async fn serve(pool: Pool, listener: TcpListener, origin: SocketAddr) -> io::Result<()> {
    let downloads = Arc::new(Semaphore::new(pool.properties().buffers / EACH));
    let proxy = Proxy {
        pool,
        downloads,
        origin,
    };
    axum::serve(listener, Router::new().fallback(download).with_state(proxy)).await
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, origin] = arguments.as_slice() else {
        return Err("usage: download_proxy LISTEN_ADDRESS ORIGIN_ADDRESS".into());
    };
    let pool = Pool::builder().buffers(256).size(64 * 1024).build()?;
    let listener = TcpListener::bind(listen).await?;
    let origin: SocketAddr = origin.parse()?;
    println!("http://{}/ is http://{origin}/", listener.local_addr()?);
    tokio::select! {
        served = serve(pool.clone(), listener, origin) => served?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    println!(
        "at most {} of 256 buffers were used",
        pool.status().high_water
    );
    Ok(())
}
