//! An HTTP proxy for downloads: slow clients cost it a stated amount of memory and no more.
//!
//! ```text
//! cargo run --features net --example download_proxy -- 127.0.0.1:8080 127.0.0.1:8000
//! curl -O http://127.0.0.1:8080/large.iso
//! ```
//!
//! The body of the origin's answer is read into buffers of 64 KiB, and these are the body of the answer to
//! the client. Each download has a quota of two: one on its way to the client, one that is being filled.
//! There are as many downloads as there are pairs; whoever comes then is told 503. A download keeps its place until
//! the last of its bytes is written: hyper drops a body once it has the end of it, and may have both buffers still
//! to write, to a client that reads no more. So no download waits for the buffers of another, and memory
//! is bounded by one number.
//!
//! hyper reads the origin into a buffer of its own, so each byte is copied once. Without the crate its chunks
//! are passed on as they are, without that copy; but a client that does not read keeps what hyper has
//! queued for it, hundreds of KiB, and a thousand such clients keep a thousand times as much. To bound that, one
//! builds permits, buffers and their way back by hand: this is the pool.

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

/// How many buffers a download has.
const EACH: usize = 2;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
struct Proxy {
    pool: Pool,
    downloads: Arc<Semaphore>,
    origin: SocketAddr,
}

/// Bytes of a download, with its place among the others.
struct Part {
    /// Goes before the place does, so that whoever is given that finds the buffers home.
    sample: SharedSample,
    _place: Arc<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.sample
    }
}

/// Asks the origin for what the client asked for.
async fn ask(origin: SocketAddr, uri: Uri) -> Result<hyper::Response<Incoming>, Error> {
    let socket = TokioIo::new(TcpStream::connect(origin).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(socket).await?;
    // It ends when the answer was read, or dropped.
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
    // The third is not read before the client has taken the first.
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

/// Serves until it is dropped.
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
        return Err("which address to listen at, and which to ask?".into());
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
