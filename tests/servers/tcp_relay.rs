//! `examples/tcp_relay.rs`

#[path = "../../examples/tcp_relay.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod example;

use crate::{listener, pattern, until, within};
use sample_pool::Pool;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

fn pool(buffers: usize) -> Pool {
    Pool::builder()
        .buffers(buffers)
        .size(1024)
        .build()
        .expect("small")
}

/// A server that answers with what it was sent, in the dress of a relay's upstream.
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

async fn relay(pool: &Pool, tasks: &mut JoinSet<()>) -> SocketAddr {
    let upstream = echo(tasks).await;
    let (listener, address) = listener().await;
    let served = example::serve(pool.clone(), listener, upstream);
    tasks.spawn(async move { served.await.expect("it accepts") });
    address
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

/// Sixteen directions on three buffers: all of them wait, and each must go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_connections_through_three_buffers_lose_no_byte() {
    let (pool, mut tasks) = (pool(3), JoinSet::new());
    let relay = relay(&pool, &mut tasks).await;
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        clients.spawn(within(send_and_receive(relay, 200_000)));
    }
    while let Some(received) = clients.join_next().await {
        assert!(received.expect("no panic") == pattern(200_000));
    }
    until("the buffers come home", || pool.free_count() == 3).await;
}

/// This is what `copy_bidirectional` cannot do.
#[tokio::test]
async fn idle_connections_hold_no_buffer_and_leave_them_to_a_busy_one() {
    let (pool, mut tasks) = (pool(2), JoinSet::new());
    let relay = relay(&pool, &mut tasks).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut socket = TcpStream::connect(relay).await.expect("loopback");
        socket.write_all(b"hello").await.expect("it is open");
        let mut answer = [0; 5];
        within(socket.read_exact(&mut answer))
            .await
            .expect("it is open");
        idle.push(socket);
    }
    until("nobody holds a buffer", || pool.free_count() == 2).await;
    assert_eq!(pool.status().waiting, 0);
    assert!(within(send_and_receive(relay, 50_000)).await == pattern(50_000));
}
