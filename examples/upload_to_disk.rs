//! Takes uploads over HTTP and writes them to disk in large aligned blocks.
//!
//! ```text
//! cargo run --features net --example upload_to_disk -- 127.0.0.1:8080 /tmp
//! curl -T film.mp4 http://127.0.0.1:8080/film.mp4
//! ```
//!
//! The body, chunked or not, fills buffers of 1 MiB that begin at a multiple of 4096 in memory, as they
//! do in the file: what `O_DIRECT` asks for, so that a large upload does not throw everything else out of
//! the system's cache. Where the file system does not know it, files are written without. While one
//! block is written the next is filled. With no buffer home an upload is not read on, and its client waits: a
//! slow disk slows the clients, and memory stays at 32 MiB. An upload holds a buffer from its first byte on, so a
//! server in the open gives each a time limit, or 32 clients that stall hold all.
//!
//! Without the crate: a `Vec` for each upload that is allocated with a `Layout` of its own (nothing in std aligns
//! one), a second to be filled meanwhile, and no bound on the number of uploads, or a `Semaphore` beside
//! them.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
    routing::put,
};
use futures::{StreamExt, TryStreamExt};
use sample_pool::{Pool, stream::SampleReader};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{self, PathBuf},
    sync::Arc,
};
use tokio::{net::TcpListener, task::spawn_blocking};
use tokio_util::io::StreamReader;

/// What addresses, offsets and lengths are multiples of.
pub(crate) const ALIGNMENT: usize = 4096;

#[derive(Clone)]
struct Uploads {
    pool: Pool,
    directory: Arc<PathBuf>,
}

/// A file of which no part is there yet, past the system's cache if it can be.
fn create(path: &path::Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let direct = options.clone().custom_flags(libc::O_DIRECT).open(path);
    direct.or_else(|_unknown_there| options.open(path))
}

/// Writes the body to the file, and says how long it is.
async fn write(pool: &Pool, body: Body, file: Arc<File>) -> Result<u64, io::Error> {
    let chunks = body.into_data_stream().map_err(io::Error::other);
    let mut blocks = SampleReader::new(pool, StreamReader::new(chunks)).whole_buffers(true);
    let mut len = 0;
    let mut before = None;
    while let Some(block) = blocks.next().await {
        let mut block = block?;
        let at = len;
        len += block.len() as u64;
        // The last block is written to a whole number of pages; what is too much reads as zero.
        block
            .set_len(block.len().next_multiple_of(ALIGNMENT))
            .map_err(io::Error::other)?;
        let file = file.clone();
        let writing = spawn_blocking(move || file.write_all_at(&block, at));
        if let Some(before) = before.replace(writing) {
            before.await??;
        }
    }
    if let Some(last) = before {
        last.await??;
    }
    // Cuts off what was too much.
    spawn_blocking(move || file.set_len(len).and_then(|()| file.sync_all())).await??;
    Ok(len)
}

async fn upload(
    State(uploads): State<Uploads>,
    Path(name): Path<String>,
    body: Body,
) -> (StatusCode, String) {
    // A path of one segment can still be `..`.
    let mut parts = path::Path::new(&name).components();
    if !matches!(
        (parts.next(), parts.next()),
        (Some(path::Component::Normal(_)), None)
    ) {
        return (
            StatusCode::BAD_REQUEST,
            format!("{name} is no name of a file\n"),
        );
    }
    let path = uploads.directory.join(&name);
    let written = match create(&path) {
        Ok(file) => write(&uploads.pool, body, Arc::new(file)).await,
        Err(error) => Err(error),
    };
    match written {
        Ok(len) => (StatusCode::CREATED, format!("{len} bytes\n")),
        Err(error) => {
            // Half a file is not what was sent.
            let _none = std::fs::remove_file(path);
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
        }
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(pool: Pool, listener: TcpListener, directory: PathBuf) -> io::Result<()> {
    let uploads = Uploads {
        pool,
        directory: Arc::new(directory),
    };
    let router = Router::new()
        .route("/{name}", put(upload))
        .with_state(uploads);
    axum::serve(listener, router).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, directory] = arguments.as_slice() else {
        return Err("which address to listen at, and where to write to?".into());
    };
    let pool = Pool::builder()
        .buffers(32)
        .size(1 << 20)
        .align(ALIGNMENT)
        .build()?;
    let listener = TcpListener::bind(listen).await?;
    println!("http://{}/NAME is {directory}/NAME", listener.local_addr()?);
    tokio::select! {
        served = serve(pool.clone(), listener, directory.into()) => served?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    println!(
        "at most {} of 32 buffers were used",
        pool.status().high_water
    );
    Ok(())
}
