//! `examples/upload_to_disk.rs`

#[path = "../../../examples/upload_to_disk.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod example;

use super::{ask, body, listener, pattern, until, within};
use http_body_util::Full;
use hyper::{Request, StatusCode};
use sample_pool::Pool;
use std::{fs, net::SocketAddr, path::PathBuf, process, sync::mpsc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    task::{JoinSet, spawn_blocking},
};

/// A directory that is removed with its contents.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        // Another process may run the same test.
        let name = format!("{name}-{}", process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("it was removed");
        Directory(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("it is there");
        let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
        entries
            .map(|entry| name(entry.expect("it is there")))
            .collect()
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

/// An upload of which only the headers were sent.
async fn begin(server: SocketAddr, path: &str, len: usize) -> TcpStream {
    let mut client = TcpStream::connect(server).await.expect("loopback");
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: disk\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.expect("it is open");
    client
}

/// Four pages in each of three buffers.
fn small_pool() -> Pool {
    let align = example::ALIGNMENT;
    Pool::builder()
        .buffers(3)
        .size(4 * align)
        .align(align)
        .build()
        .expect("small")
}

/// More uploads than buffers, and lengths that are not multiples of a page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_uploaded_is_on_the_disk_byte_for_byte() {
    let directory = Directory::new("uploads");
    let align = example::ALIGNMENT;
    let pool = small_pool();
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
    assert_eq!(directory.names().len(), lengths.len());
    until("the buffers come back", || pool.free_count() == 3).await;
}

/// The name comes from an untrusted client.
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
    let outside = ["/..", "/%2e%2e", "/..%2Foutside", "/%2Ftmp%2Foutside"];
    let unfinished = ["/.upload-1-0", "/%2eupload-1-0"];
    for path in outside.into_iter().chain(unfinished) {
        let (status, _) = body(ask(server, upload(path, pattern(10))).await).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert!(directory.names().is_empty());
}

/// At each moment, every file with a name is all of what one client sent.
#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_and_what_was_there() {
    let directory = Directory::new("broken_off");
    let pool = small_pool();
    let mut tasks = JoinSet::new();
    let server = server(&pool, &directory, &mut tasks).await;
    let film = directory.0.join("film");
    let (status, _) = body(ask(server, upload("/film", pattern(30_000))).await).await;
    assert_eq!(status, StatusCode::CREATED);

    for path in ["/film", "/new"] {
        let before = pool.status().released;
        let mut client = begin(server, path, 100_000).await;
        let half = pattern(50_000);
        client.write_all(&half).await.expect("it is open");
        until("some blocks are written", || {
            pool.status().released >= before + 2
        })
        .await;
        assert!(fs::read(&film).expect("it is there") == pattern(30_000));
        drop(client);
        until("the half is gone", || directory.names() == ["film"]).await;
        assert!(fs::read(&film).expect("it is there") == pattern(30_000));
    }
    until("the buffers come back", || pool.free_count() == 3).await;
}

/// Its handler is dropped while it waits for the disk, so the handler cannot truncate or remove the file.
#[test]
fn a_client_that_goes_while_its_last_block_is_written_leaves_nothing() {
    let directory = Directory::new("gone");
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let pool = small_pool();
        let mut tasks = JoinSet::new();
        let server = server(&pool, &directory, &mut tasks).await;
        let mut client = begin(server, "/film", 10_000).await;
        until("its file is begun", || directory.names().len() == 1).await;
        // A slow disk: the only thread that writes is busy.
        let (go_on, wait) = mpsc::channel::<()>();
        let busy = spawn_blocking(move || wait.recv());
        client
            .write_all(&pattern(10_000))
            .await
            .expect("it is open");
        until("it is all to be written", || pool.free_count() == 2).await;
        drop(client);
        until("its file is gone", || directory.names().is_empty()).await;
        drop(go_on);
        let _gone = busy.await.expect("no panic");
        until("the buffers come back", || pool.free_count() == 3).await;
        assert!(directory.names().is_empty());
    });
}

/// The last one to end has the name, with all of its bytes and none of the other's.
#[tokio::test]
async fn two_uploads_of_one_name_at_once_leave_one_that_is_whole() {
    let directory = Directory::new("two_at_once");
    let pool = small_pool();
    let mut tasks = JoinSet::new();
    let server = server(&pool, &directory, &mut tasks).await;
    let film = directory.0.join("film");
    let (slow, fast) = (pattern(100_000), vec![7; 60_000]);
    let mut client = begin(server, "/film", slow.len()).await;
    client.write_all(&slow[..50_000]).await.expect("it is open");
    until("some blocks are written", || pool.status().released >= 2).await;

    let (status, _) = body(ask(server, upload("/film", fast.clone())).await).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(fs::read(&film).expect("it is there") == fast);

    client.write_all(&slow[50_000..]).await.expect("it is open");
    let mut answer = String::new();
    within(client.read_to_string(&mut answer))
        .await
        .expect("it is open");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(fs::read(&film).expect("it is there") == slow);
    assert_eq!(directory.names(), ["film"]);
}
