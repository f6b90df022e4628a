//! Relays the packets of one UDP source, RTP for example, to every viewer, in the batches of the system.
//!
//! ```text
//! cargo run --features net --example rtp_relay                                     # with a source and viewers of its own
//! cargo run --features net --example rtp_relay -- 127.0.0.1:5004 127.0.0.1:5005
//! ```
//!
//! Packets arrive at the first address. A client that sends any datagram to the second address is sent the packets for a
//! minute, and for another minute from each further datagram. Linux joins the packets that arrive together. The relay
//! receives them with one system call into one buffer, and sends that buffer to each viewer with one more. `udp_fan_out`
//! has a task and a queue for each viewer instead: there a call sends one packet, and each viewer skips packets by itself.
//!
//! Without arguments it ends by itself, and prints what each viewer received.
//!
//! An attacker who forges the source address of a datagram can direct all packets to a victim. So a server on the internet
//! first sends a cookie to the address, and sends packets only when the cookie has come back.

use bytes::{Buf, BufMut};
use futures::StreamExt;
use sample_pool::{
    Pool,
    stream::{BatchReceiver, DatagramSender},
};
use std::{collections::HashMap, error::Error, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::UdpSocket, time::Instant};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The bytes of a packet: 12 of the RTP header, and the payload.
const PACKET: usize = 1200;

/// How long a viewer is sent packets after each datagram from it.
const MINUTE: Duration = Duration::from_secs(60);

/// A bound on viewers: without it, a client that sends many datagrams could fill the memory.
const MOST_VIEWERS: usize = 1000;

/// What the source of this example sends: frames of a video.
const FRAMES: usize = 200;
const PACKETS_OF_FRAME: usize = 40;

/// Buffers for joined packets: one is received while others are sent, and the rest is for bursts.
fn pool() -> Result<Pool> {
    let size = BatchReceiver::buffer_size(PACKET);
    Ok(Pool::builder().buffers(16).size(size).build()?)
}

/// Sends each batch of packets to all viewers, until the future is dropped.
async fn relay(pool: Pool, source: UdpSocket, viewers: UdpSocket) -> Result<()> {
    let viewers = Arc::new(viewers);
    let mut packets = BatchReceiver::new(source, &pool, PACKET);
    let mut sender = DatagramSender::new(viewers.clone())?;
    let mut watching: HashMap<SocketAddr, Instant> = HashMap::new();
    loop {
        // The content of a viewer's datagram is ignored.
        let mut request = [0; 1];
        tokio::select! {
            batch = packets.next() => {
                let batch = batch.expect("it never ends")?;
                // The rest of its last packet is missing, and so may be others: as if the network had lost all of them.
                if batch.truncated {
                    continue;
                }
                let now = Instant::now();
                watching.retain(|_, until| *until > now);
                for viewer in watching.keys() {
                    // A failed send is no reason to stop: the viewer's time ends anyway.
                    if let Err(error) = sender.send_to(&batch.sample, batch.segment_size, *viewer).await {
                        eprintln!("{error}: {}", error.source);
                    }
                }
            }
            request = viewers.recv_from(&mut request) => {
                let (_, viewer) = request?;
                if watching.contains_key(&viewer) || watching.len() < MOST_VIEWERS {
                    watching.insert(viewer, Instant::now() + MINUTE);
                }
            }
        }
    }
}

/// Sends frames, each cut into packets with an RTP header.
async fn publish(relay: SocketAddr) -> Result<()> {
    let size = PACKET * PACKETS_OF_FRAME;
    let pool = Pool::builder().buffers(1).size(size).build()?;
    let mut sender = DatagramSender::new(UdpSocket::bind("127.0.0.1:0").await?)?;
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let mut sequence = 0u16;
    for frame in 0..FRAMES {
        ticks.tick().await;
        let mut packets = pool.get_buffer().await?;
        for packet in 0..PACKETS_OF_FRAME {
            let marker = u8::from(packet + 1 == PACKETS_OF_FRAME) << 7;
            packets.put_u8(2 << 6); // the version
            packets.put_u8(marker | 96); // the end of a frame, and a dynamic payload type
            packets.put_u16(sequence);
            packets.put_u32(frame as u32 * 3600); // of a clock of 90 kHz
            packets.put_u32(0x5eed); // the source
            packets.put_bytes(frame as u8, PACKET - 12);
            sequence = sequence.wrapping_add(1);
        }
        sender.send_to(&packets, PACKET, relay).await?;
    }
    Ok(())
}

/// Receives until the last packet of the last frame. Returns how many packets and batches there were, and how many packets
/// were lost after the first.
async fn watch(relay: SocketAddr) -> Result<(usize, usize, usize)> {
    let pool = pool()?;
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.send_to(b"!", relay).await?;
    let mut receiver = BatchReceiver::new(socket, &pool, PACKET);
    let (mut packets, mut batches, mut lost) = (0, 0, 0);
    let mut expected = None;
    loop {
        let batch = receiver.next().await.expect("it never ends")?;
        batches += 1;
        // In place of `datagrams`, a player would decrypt with `into_parts`, and keep with `into_shared`.
        for mut packet in batch.datagrams() {
            packet.advance(1);
            let is_marked = packet.get_u8() & 0x80 != 0;
            let sequence = packet.get_u16();
            let frame = packet.get_u32() / 3600;
            let gap = expected.map_or(0, |expected| sequence.wrapping_sub(expected));
            lost += usize::from(gap);
            expected = Some(sequence.wrapping_add(1));
            packets += 1;
            if is_marked && frame as usize == FRAMES - 1 {
                return Ok((packets, batches, lost));
            }
        }
    }
}

/// A source, the relay and three viewers.
async fn demonstrate() -> Result<()> {
    let pool = pool()?;
    let source = UdpSocket::bind("127.0.0.1:0").await?;
    let viewers = UdpSocket::bind("127.0.0.1:0").await?;
    let (source_at, viewers_at) = (source.local_addr()?, viewers.local_addr()?);
    let relay = tokio::spawn(relay(pool.clone(), source, viewers));
    let watching = [(); 3].map(|()| tokio::spawn(watch(viewers_at)));
    publish(source_at).await?;
    for (number, viewer) in watching.into_iter().enumerate() {
        let viewer = tokio::time::timeout(Duration::from_secs(20), viewer);
        let (packets, batches, lost) = viewer.await???;
        println!("viewer {number}: {packets} packets in {batches} batches, {lost} lost");
    }
    relay.abort();
    println!(
        "the relay used {} of 16 buffers at most",
        pool.status().high_water
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, viewers] = arguments.as_slice() else {
        return match arguments.is_empty() {
            true => demonstrate().await,
            false => Err("usage: rtp_relay [SOURCE_ADDRESS VIEWER_ADDRESS]".into()),
        };
    };
    let source = UdpSocket::bind(source).await?;
    let viewers = UdpSocket::bind(viewers).await?;
    println!("receiving at {}", source.local_addr()?);
    println!("sending to all who ask at {}", viewers.local_addr()?);
    tokio::select! {
        relayed = relay(pool()?, source, viewers) => relayed,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}
