//! Takes uploads over HTTP and writes them to disk in large aligned blocks.
//!
//! ```text
//! cargo run --features net --example upload_to_disk -- 127.0.0.1:8080 /tmp
//! curl -T film.mp4 http://127.0.0.1:8080/film.mp4
//! ```
//!
//! The body, chunked or not, fills buffers of 1 MiB. Each begins at a multiple of 4096, in memory and in the
//! file, as `O_DIRECT` requires; with `O_DIRECT` a large upload does not evict other data from the page cache.
//! Where the file system does not support the flag, files are written without it. While one block is written,
//! the next is filled. When no buffer is free, an upload is not read and its client waits. So a slow disk slows
//! the clients, and memory stays at 32 MiB. An upload holds a buffer from its first byte on, so a server on the
//! internet needs a time limit for uploads; without one, 32 clients that stall hold all buffers.
//!
//! A file has a temporary name until all of it is on the disk. So a reader that opens the file finds all of it,
//! an upload that fails leaves the file that it was to replace, and of two uploads at once the later to finish
//! stays. Temporary files of a server that is killed remain, as `.upload-*`.
//!
//! Without this crate: for each upload a `Vec` with a `Layout` of its own (std has no aligned one), a second to
//! fill while the first is written, and no bound on the number of uploads, unless a `Semaphore` is added.

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
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{self, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{net::TcpListener, task::spawn_blocking};
use tokio_util::io::StreamReader;

/// Addresses, offsets and lengths are multiples of this.
pub(crate) const ALIGNMENT: usize = 4096;

#[derive(Clone)]
struct Uploads {
    pool: Pool,
    directory: Arc<PathBuf>,
}

/// A file under a temporary name. Dropping it removes the file unless it was finished.
struct Unfinished {
    file: Arc<File>,
    path: PathBuf,
    finished: bool,
}

impl Unfinished {
    /// Creates the file with `O_DIRECT` if the file system supports it.
    fn create(directory: &path::Path) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut options = OpenOptions::new();
        options.write(true);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!(".upload-{}-{number}", process::id()));
            let file = match options.clone().create_new(true).open(&path) {
                // The file is left from a process that had the same id and was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            // Opened a second time, since a file system without `O_DIRECT` can refuse the flag and still create
            // the file.
            let direct = options.custom_flags(libc::O_DIRECT).open(&path);
            return Ok(Unfinished {
                file: Arc::new(direct.unwrap_or(file)),
                path,
                finished: false,
            });
        }
    }

    /// Truncates the file to `len` bytes and renames it to `path`, replacing the file that was there.
    fn finish(mut self, len: u64, path: &path::Path) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.sync_all()?;
        fs::rename(&self.path, path)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    /// In `drop` rather than in the handler, since hyper drops the handler at any `await` when its client
    /// disconnects.
    fn drop(&mut self) {
        if !self.finished {
            let _none = fs::remove_file(&self.path);
        }
    }
}

/// Writes the body to the file, and returns its length.
async fn write(pool: &Pool, body: Body, file: &Arc<File>) -> io::Result<u64> {
    let chunks = body.into_data_stream().map_err(io::Error::other);
    let mut blocks = SampleReader::new(StreamReader::new(chunks), pool).fill_buffers(true);
    let mut len = 0;
    let mut before = None;
    while let Some(block) = blocks.next().await {
        let mut block = block?;
        let at = len;
        len += block.len() as u64;
        // The last block is written up to a whole number of pages; the bytes added at its end are zero.
        block.set_len(block.len().next_multiple_of(ALIGNMENT))?;
        let file = file.clone();
        let writing = spawn_blocking(move || file.write_all_at(&block, at));
        if let Some(before) = before.replace(writing) {
            before.await??;
        }
    }
    if let Some(last) = before {
        last.await??;
    }
    Ok(len)
}

/// Stores the body as a file, and returns its length.
async fn store(uploads: &Uploads, name: &str, body: Body) -> io::Result<u64> {
    let directory = uploads.directory.clone();
    let file = spawn_blocking(move || Unfinished::create(&directory)).await??;
    let len = write(&uploads.pool, body, &file.file).await?;
    let path = uploads.directory.join(name);
    spawn_blocking(move || file.finish(len, &path)).await??;
    Ok(len)
}

/// Whether `name` names a file in the directory, and not a temporary one.
fn is_name(name: &str) -> bool {
    // A path of one segment can still be `..`.
    let mut parts = path::Path::new(name).components();
    let is_one = matches!(
        (parts.next(), parts.next()),
        (Some(path::Component::Normal(_)), None)
    );
    is_one && !name.starts_with('.')
}

async fn upload(
    State(uploads): State<Uploads>,
    Path(name): Path<String>,
    body: Body,
) -> (StatusCode, String) {
    if !is_name(&name) {
        return (
            StatusCode::BAD_REQUEST,
            format!("{name} is not a valid file name\n"),
        );
    }
    match store(&uploads, &name, body).await {
        Ok(len) => (StatusCode::CREATED, format!("{len} bytes\n")),
        Err(error) => {
            let line = in_full(&error);
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{line}\n"))
        }
    }
}

/// The error and its sources on one line. No message repeats the message of its source.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// Serves until the future is dropped.
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
        return Err("usage: upload_to_disk LISTEN_ADDRESS DIRECTORY".into());
    };
    let pool = Pool::builder()
        .buffers(32)
        .size(1 << 20)
        .align(ALIGNMENT)
        .build()?;
    let listener = TcpListener::bind(listen).await?;
    println!(
        "http://{}/NAME is {}/NAME",
        listener.local_addr()?,
        directory.escape_debug()
    );
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
