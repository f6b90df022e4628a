//! Sends the packets of one UDP source, RTP for example, to everybody who asks for them.
//!
//! ```text
//! cargo run --features net --example udp_fan_out -- 127.0.0.1:5004 127.0.0.1:5005
//! ffmpeg -re -i film.mp4 -an -c:v copy -f rtp rtp://127.0.0.1:5004
//! ```
//!
//! Packets come in at the first address. Whoever sends any datagram to the second is sent them for a
//! minute, and longer if he asks again. Each packet is received into a buffer, up to 16 with one wait, and
//! the same bytes are sent to all viewers. One that the system cannot send to as fast as packets come
//! skips; the source is never kept waiting, and 256 buffers are enough for any number of viewers.
//!
//! Whoever can forge the address that a datagram comes from can name a victim, who is sent all packets: a server in the
//! open first sends the address a cookie, and packets only when that has come back.
//!
//! Without the crate: a `Vec` or `BytesMut` for each packet, made `Bytes` and sent through
//! `tokio::sync::broadcast`. It is about as long. It allocates and frees for each packet, on two threads in
//! turn, and what slow viewers hold beside the channel is bounded by nothing.

use sample_pool::{
    Pool,
    fan_out::{FanOut, Subscriber},
    stream::DatagramReceiver,
};
use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::UdpSocket, sync::watch, time::Instant};

/// How long a viewer is sent packets after it has asked.
const MINUTE: Duration = Duration::from_secs(60);

/// More would let anybody who can send datagrams fill the memory with viewers.
const MOST_VIEWERS: usize = 1000;

/// Receives packets and sends them to the fan-out.
async fn receive(pool: &Pool, source: UdpSocket, most: usize, fan_out: &FanOut) -> io::Result<()> {
    let mut receiver = DatagramReceiver::new(source, pool);
    let mut packets = Vec::with_capacity(most);
    loop {
        receiver.receive_many(&mut packets, most).await?;
        // One that was cut off is no packet: it is left out as if it had been lost on the way.
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
                // What cannot be sent to one viewer is no reason to stop; its minute ends anyway.
                let _sent = socket.send_to(&packet, viewer).await;
            }
            Ok(()) = until.changed() => {}
            () = tokio::time::sleep_until(end) => {
                // If it asked again at the last moment, both are ready, and this may be looked at first.
                if *until.borrow() <= end {
                    return;
                }
            }
        }
    }
}

/// Takes those who ask.
async fn admit(viewers: UdpSocket, fan_out: &FanOut) -> io::Result<()> {
    let viewers = Arc::new(viewers);
    // Dropping it ends them all.
    let mut tasks = tokio::task::JoinSet::new();
    let mut watching: HashMap<SocketAddr, watch::Sender<Instant>> = HashMap::new();
    loop {
        // What it says does not matter.
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

/// Serves until it is dropped.
pub(crate) async fn serve(pool: Pool, source: UdpSocket, viewers: UdpSocket) -> io::Result<()> {
    // What is left of the buffers is for what is being received.
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
        return Err("at which address do packets come in, and at which do viewers ask?".into());
    };
    let pool = Pool::builder().buffers(256).size(2048).build()?;
    let source = UdpSocket::bind(source).await?;
    let viewers = UdpSocket::bind(viewers).await?;
    println!(
        "from {} to all who ask {}",
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
