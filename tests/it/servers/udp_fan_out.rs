//! `examples/udp_fan_out.rs`

#[path = "../../../examples/udp_fan_out.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod example;

use super::within;
use sample_pool::Pool;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::UdpSocket,
    task::{JoinSet, yield_now},
    time::Instant,
};

async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let address = socket.local_addr().expect("it is bound");
    (socket, address)
}

/// The server's pool, the address for packets, and the address for viewers.
async fn fan_out(
    buffers: usize,
    tasks: &mut JoinSet<io::Result<()>>,
) -> (Pool, SocketAddr, SocketAddr) {
    let built = Pool::builder().buffers(buffers).size(2048).build();
    let pool = built.expect("small");
    let ((source, source_at), (viewers, viewers_at)) = (socket().await, socket().await);
    tasks.spawn(example::serve(pool.clone(), source, viewers));
    (pool, source_at, viewers_at)
}

/// The number at the start of a packet.
async fn packet(viewer: &UdpSocket) -> u32 {
    let mut packet = [0; 2048];
    let len = within(viewer.recv(&mut packet)).await.expect("loopback");
    assert_eq!(len, 1200);
    u32::from_be_bytes(packet[..4].try_into().expect("four bytes"))
}

/// Viewers that receive what they are sent see the packets in order, and the buffers are reused.
#[tokio::test]
async fn all_viewers_are_sent_all_packets_in_order_through_few_buffers() {
    let mut tasks = JoinSet::new();
    let (pool, source_at, viewers_at) = fan_out(64, &mut tasks).await;
    let mut watching = Vec::new();
    for _ in 0..5 {
        let viewer = socket().await.0;
        viewer.send_to(b"!", viewers_at).await.expect("loopback");
        watching.push(viewer);
    }
    let sender = socket().await.0;
    let mut bytes = [7; 1200];
    // A viewer that was not admitted yet misses the first packet, so packets are sent until all viewers have
    // one.
    let mut number = 0u32;
    let mut first = vec![None; watching.len()];
    while first.contains(&None) {
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        sender.send_to(&bytes, source_at).await.expect("loopback");
        number += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
        for (viewer, first) in watching.iter().zip(&mut first) {
            if first.is_none() && viewer.try_recv(&mut [0; 2048]).is_ok() {
                *first = Some(number);
            }
        }
        assert!(number < 1000, "no packet is sent");
    }
    let mut last: Vec<Option<u32>> = vec![None; watching.len()];
    for number in number..number + 200 {
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        sender.send_to(&bytes, source_at).await.expect("loopback");
        for (viewer, last) in watching.iter().zip(&mut last) {
            loop {
                let received = packet(viewer).await;
                assert!(
                    last.is_none_or(|last| received == last + 1),
                    "{received} after {last:?}"
                );
                *last = Some(received);
                if received == number {
                    break;
                }
            }
        }
    }
    assert!(pool.status().released > 150, "the buffers went round");
    tasks.shutdown().await;
    assert_eq!(pool.free_count(), 64);
}

/// No viewer must be able to stop the source.
#[tokio::test]
async fn a_viewer_that_reads_nothing_delays_no_other_viewer() {
    let mut tasks = JoinSet::new();
    let (pool, source_at, viewers_at) = fan_out(8, &mut tasks).await;
    let (deaf, watching) = (socket().await.0, socket().await.0);
    for viewer in [&deaf, &watching] {
        viewer.send_to(b"!", viewers_at).await.expect("loopback");
    }
    let sender = socket().await.0;
    let bytes = [0; 1200];
    let mut seen = 0;
    for _ in 0..1000 {
        sender.send_to(&bytes, source_at).await.expect("loopback");
        tokio::task::yield_now().await;
        while watching.try_recv(&mut [0; 2048]).is_ok() {
            seen += 1;
        }
    }
    while seen < 100 {
        sender.send_to(&bytes, source_at).await.expect("loopback");
        packet(&watching).await;
        seen += 1;
    }
    tasks.shutdown().await;
    assert_eq!(pool.free_count(), 8);
}

/// Sends packets until every viewer has one. Does not wait, so that a paused clock does not advance.
async fn all_are_sent_packets(sender: &UdpSocket, source: SocketAddr, viewers: &[UdpSocket]) {
    let mut seen = vec![false; viewers.len()];
    for _ in 0..100 {
        sender.send_to(&[0; 1200], source).await.expect("loopback");
        for _ in 0..10 {
            yield_now().await;
        }
        for (viewer, seen) in viewers.iter().zip(&mut seen) {
            while viewer.try_recv(&mut [0; 2048]).is_ok() {
                *seen = true;
            }
        }
        if !seen.contains(&false) {
            return;
        }
    }
    panic!("some are sent nothing: {seen:?}");
}

/// Twenty viewers ask again just when their minute ends: both events are ready at once, in either order.
#[tokio::test(start_paused = true)]
async fn viewers_that_ask_again_at_the_last_moment_stay() {
    let mut tasks = JoinSet::new();
    let (pool, source_at, viewers_at) = fan_out(64, &mut tasks).await;
    let sender = socket().await.0;
    let mut watching = Vec::new();
    for _ in 0..20 {
        let viewer = socket().await.0;
        viewer.writable().await.expect("loopback");
        watching.push(viewer);
    }
    sender.writable().await.expect("loopback");
    let end = Instant::now() + Duration::from_secs(60);
    for viewer in &watching {
        viewer.send_to(b"!", viewers_at).await.expect("loopback");
    }
    all_are_sent_packets(&sender, source_at, &watching).await;

    for viewer in &watching {
        viewer.send_to(b"!", viewers_at).await.expect("loopback");
    }
    tokio::time::advance(end - Instant::now()).await;
    all_are_sent_packets(&sender, source_at, &watching).await;
    tasks.shutdown().await;
    assert_eq!(pool.free_count(), 64);
}
