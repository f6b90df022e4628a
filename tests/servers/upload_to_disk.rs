//! `examples/upload_to_disk.rs`

#[path = "../../examples/upload_to_disk.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod example;

use crate::{ask, body, listener, pattern, until};
use http_body_util::Full;
use hyper::{Request, StatusCode};
use sample_pool::Pool;
use std::{fs, net::SocketAddr, path::PathBuf};
use tokio::task::JoinSet;

/// A directory that is removed with what is in it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("it was removed");
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn server(pool: &Pool, directory: &Directory, tasks: &mut JoinSet<()>) -> SocketAddr {
    let (listener, address) = listener().await;
    let served = example::serve(pool.clone(), listener, directory.0.clone());
    tasks.spawn(async move { served.await.expect("it accepts") });
    address
}

fn upload(path: &str, bytes: Vec<u8>) -> Request<Full<bytes::Bytes>> {
    Request::put(path)
        .body(Full::from(bytes))
        .expect("a request")
}

/// More uploads than buffers, and lengths that are no multiple of anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_uploaded_is_on_the_disk_byte_for_byte() {
    let directory = Directory::new("uploads");
    let align = example::ALIGNMENT;
    let pool = Pool::builder()
        .buffers(3)
        .size(4 * align)
        .align(align)
        .build()
        .expect("small");
    let mut tasks = JoinSet::new();
    let server = server(&pool, &directory, &mut tasks).await;
    let lengths = [0, 1, align, 4 * align, 300_001, 500_000];
    let mut uploads = JoinSet::new();
    for len in lengths {
        uploads.spawn(async move {
            let request = upload(&format!("/{len}.bin"), pattern(len));
            assert_eq!(
                body(ask(server, request).await).await.0,
                StatusCode::CREATED
            );
        });
    }
    while let Some(upload) = uploads.join_next().await {
        upload.expect("no panic");
    }
    for len in lengths {
        let file = fs::read(directory.0.join(format!("{len}.bin"))).expect("it is there");
        assert!(file == pattern(len), "{len} bytes");
    }
    until("the buffers come home", || pool.free_count() == 3).await;
}

/// A name is what a stranger sends.
#[tokio::test]
async fn nothing_is_written_outside_of_the_directory() {
    let directory = Directory::new("names");
    let pool = Pool::builder()
        .buffers(1)
        .size(4096)
        .align(4096)
        .build()
        .expect("small");
    let mut tasks = JoinSet::new();
    let server = server(&pool, &directory, &mut tasks).await;
    for path in ["/..", "/%2e%2e", "/..%2Foutside", "/%2Ftmp%2Foutside"] {
        let (status, _) = body(ask(server, upload(path, pattern(10))).await).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(fs::read_dir(&directory.0).expect("it is there").count(), 0);
}
