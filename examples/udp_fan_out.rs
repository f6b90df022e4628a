//! Sends the packets of one UDP source, RTP for example, to every client that asks for them.
//!
//! ```text
//! cargo run --features net --example udp_fan_out -- 127.0.0.1:5004 127.0.0.1:5005
//! ffmpeg -re -i film.mp4 -an -c:v copy -f rtp rtp://127.0.0.1:5004
//! ```
//!
//! Packets arrive at the first address. A client that sends any datagram to the second address is sent the
//! packets for a minute, and for another minute from each further datagram. Each packet is received into a
//! buffer, up to 16 in one wait, and the same bytes are sent to all viewers. A viewer that the system cannot
//! send to as fast as packets arrive skips packets. The source never waits, and 256 buffers are enough for any
//! number of viewers.
//!
//! An attacker who forges the source address of a datagram can direct all packets to a victim. So a server on
//! the internet first sends a cookie to the address, and sends packets only when the cookie has come back.
//!
//! Without this crate: a `Vec` or `BytesMut` for each packet, converted to `Bytes` and sent through
//! `tokio::sync::broadcast`. The code is about as long. It allocates and frees memory for each packet, on two
//! threads in turn, and nothing bounds the memory that slow viewers hold outside the channel.

use sample_pool::{
    Pool,
    fan_out::{FanOut, Subscriber},
    stream::DatagramReceiver,
};
use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::UdpSocket, sync::watch, time::Instant};

/// How long a viewer is sent packets after each datagram from it.
const MINUTE: Duration = Duration::from_secs(60);

/// A bound on viewers: without it, a client that sends many datagrams could fill the memory.
const MOST_VIEWERS: usize = 1000;

/// Receives packets and sends them to the fan-out.
async fn receive(pool: &Pool, source: UdpSocket, most: usize, fan_out: &FanOut) -> io::Result<()> {
    let mut receiver = DatagramReceiver::new(source, pool);
    let mut packets = Vec::with_capacity(most);
    loop {
        receiver.receive_many(&mut packets, most).await?;
        // A truncated packet is left out, as if the network had lost it.
        for packet in packets.drain(..).filter(|packet| !packet.truncated) {
            fan_out.send(packet.sample.freeze())?;
        }
    }
}

/// Sends packets to one viewer until its time is over.
async fn watch(
    mut packets: Subscriber,
    socket: Arc<UdpSocket>,
    viewer: SocketAddr,
    mut until: watch::Receiver<Instant>,
) {
    loop {
        let end = *until.borrow_and_update();
        tokio::select! {
            packet = packets.recv() => {
                let Some(packet) = packet else { return };
                // A failed send is no reason to stop: the viewer's time ends anyway.
                let _sent = socket.send_to(&packet, viewer).await;
            }
            Ok(()) = until.changed() => {}
            () = tokio::time::sleep_until(end) => {
                // The viewer may have extended its time at the last moment: then both branches are ready, and
                // `select!` may take this one first.
                if *until.borrow() <= end {
                    return;
                }
            }
        }
    }
}

/// Admits the viewers that ask.
async fn admit(viewers: UdpSocket, fan_out: &FanOut) -> io::Result<()> {
    let viewers = Arc::new(viewers);
    // Dropping the set aborts the task of each viewer.
    let mut tasks = tokio::task::JoinSet::new();
    let mut watching: HashMap<SocketAddr, watch::Sender<Instant>> = HashMap::new();
    loop {
        // The content of the datagram is ignored.
        let (_, viewer) = viewers.recv_from(&mut [0; 1]).await?;
        while tasks.try_join_next().is_some() {}
        let end = Instant::now() + MINUTE;
        watching.retain(|_, until| !until.is_closed());
        if let Some(until) = watching.get(&viewer) {
            until.send_replace(end);
        } else if watching.len() < MOST_VIEWERS {
            let (sender, until) = watch::channel(end);
            watching.insert(viewer, sender);
            tasks.spawn(watch(fan_out.subscribe(1), viewers.clone(), viewer, until));
        }
    }
}

/// Serves until the future is dropped.
pub(crate) async fn serve(pool: Pool, source: UdpSocket, viewers: UdpSocket) -> io::Result<()> {
    // A quarter of the buffers stays for packets that are being received.
    let quarter = pool.properties().buffers / 4;
    let fan_out = FanOut::new(2 * quarter, quarter);
    tokio::try_join!(
        receive(&pool, source, quarter.min(16), &fan_out),
        admit(viewers, &fan_out)
    )?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, viewers] = arguments.as_slice() else {
        return Err("usage: udp_fan_out SOURCE_ADDRESS VIEWER_ADDRESS".into());
    };
    let pool = Pool::builder().buffers(256).size(2048).build()?;
    let source = UdpSocket::bind(source).await?;
    let viewers = UdpSocket::bind(viewers).await?;
    println!(
        "receiving at {}, and sending to all who ask at {}",
        source.local_addr()?,
        viewers.local_addr()?
    );
    tokio::select! {
        served = serve(pool.clone(), source, viewers) => served?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    println!(
        "at most {} of 256 buffers were used",
        pool.status().high_water
    );
    Ok(())
}
