//! `examples/tcp_relay.rs`

#[path = "../../../examples/tcp_relay.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod example;

use super::{listener, pattern, until, within};
use sample_pool::Pool;
use socket2::{SockRef, Socket};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

/// More than the system buffers for a connection.
const LONG: usize = 8_000_000;

fn pool(buffers: usize, size: usize) -> Pool {
    Pool::builder()
        .buffers(buffers)
        .size(size)
        .build()
        .expect("small")
}

/// A server that echoes what it was sent, as the upstream of a relay.
async fn echo(tasks: &mut JoinSet<()>) -> SocketAddr {
    let (listener, address) = listener().await;
    tasks.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            clients.spawn(async move {
                let (mut read, mut write) = socket.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    address
}

/// A relay, and a second handle to its listener.
async fn relay(pool: &Pool, upstream: SocketAddr, tasks: &mut JoinSet<()>) -> (SocketAddr, Socket) {
    let (listener, address) = listener().await;
    let again = SockRef::from(&listener).try_clone().expect("a descriptor");
    let served = example::serve(pool.clone(), listener, upstream);
    tasks.spawn(async move { served.await.expect("it accepts") });
    (address, again)
}

async fn relayed_echo(pool: &Pool, tasks: &mut JoinSet<()>) -> SocketAddr {
    let upstream = echo(tasks).await;
    relay(pool, upstream, tasks).await.0
}

async fn send_and_receive(relay: SocketAddr, len: usize) -> Vec<u8> {
    let (mut read, mut write) = TcpStream::connect(relay)
        .await
        .expect("loopback")
        .into_split();
    let sending = tokio::spawn(async move {
        write.write_all(&pattern(len)).await.expect("it is open");
        write.shutdown().await.expect("it is open");
    });
    let mut received = Vec::new();
    read.read_to_end(&mut received).await.expect("it is open");
    sending.await.expect("no panic");
    received
}

async fn says_hello(client: &mut TcpStream) {
    client.write_all(b"hello").await.expect("it is open");
    let mut answer = [0; 5];
    within(client.read_exact(&mut answer))
        .await
        .expect("it is open");
    assert_eq!(&answer, b"hello");
}

/// Sixteen directions share three buffers: all of them wait, and each must progress.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_connections_through_three_buffers_lose_no_byte() {
    let (pool, mut tasks) = (pool(3, 1024), JoinSet::new());
    let relay = relayed_echo(&pool, &mut tasks).await;
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        clients.spawn(within(send_and_receive(relay, 200_000)));
    }
    while let Some(received) = clients.join_next().await {
        assert!(received.expect("no panic") == pattern(200_000));
    }
    until("the buffers come back", || pool.free_count() == 3).await;
}

/// `copy_bidirectional` cannot do this.
#[tokio::test]
async fn idle_connections_hold_no_buffer_and_leave_them_to_a_busy_one() {
    let (pool, mut tasks) = (pool(2, 1024), JoinSet::new());
    let relay = relayed_echo(&pool, &mut tasks).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut socket = TcpStream::connect(relay).await.expect("loopback");
        says_hello(&mut socket).await;
        idle.push(socket);
    }
    until("all buffers are free", || pool.free_count() == 2).await;
    assert_eq!(pool.status().waiting, 0);
    assert!(within(send_and_receive(relay, 50_000)).await == pattern(50_000));
}

/// A server that responds to the first byte, and reads on when all of its response has been read.
async fn answers_first(tasks: &mut JoinSet<()>) -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a descriptor");
    // So that the system buffers only a small part of a response.
    socket.set_send_buffer_size(64 * 1024).expect("it is new");
    socket.set_recv_buffer_size(64 * 1024).expect("it is new");
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(anywhere).expect("loopback");
    let listener = socket.listen(16).expect("it is bound");
    let address = listener.local_addr().expect("it is bound");
    tasks.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            clients.spawn(async move {
                socket.read_u8().await.expect("it is open");
                socket.write_all(&pattern(LONG)).await.expect("it is open");
                let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
            });
        }
    });
    address
}

/// Bytes for a server that does not read must not hold the buffers that its response needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_to_servers_leaves_buffers_for_what_they_answer() {
    let (pool, mut tasks) = (pool(4, 16 * 1024), JoinSet::new());
    let upstream = answers_first(&mut tasks).await;
    let relay = relay(&pool, upstream, &mut tasks).await.0;
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        clients.spawn(within(send_and_receive(relay, LONG)));
    }
    while let Some(received) = clients.join_next().await {
        assert!(received.expect("no panic") == pattern(LONG));
    }
    until("the buffers come back", || pool.free_count() == 4).await;
}

/// The system refuses for many reasons, most of which are temporary.
#[tokio::test]
async fn an_accept_that_fails_ends_no_connection() {
    let (pool, mut tasks) = (pool(2, 1024), JoinSet::new());
    let upstream = echo(&mut tasks).await;
    let (relay, listener) = relay(&pool, upstream, &mut tasks).await;
    let mut client = TcpStream::connect(relay).await.expect("loopback");
    says_hello(&mut client).await;
    // Each `accept` on a socket that does not listen fails.
    listener
        .shutdown(std::net::Shutdown::Both)
        .expect("it listens");
    // A task that waits for this socket is notified of the other one as well.
    for _ in 0..100 {
        says_hello(&mut client).await;
    }
}
