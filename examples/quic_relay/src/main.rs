//! Runs the relay, its publisher and its viewers.
//!
//! ```text
//! cargo run --release -p quic_relay                                           # all of them, on loopback
//! cargo run --release -p quic_relay -- serve   127.0.0.1:4433 relay.der       # writes the certificate
//! cargo run --release -p quic_relay -- watch   127.0.0.1:4433 relay.der
//! cargo run --release -p quic_relay -- publish 127.0.0.1:4433 relay.der 1000  # frames
//! ```

use bytes::BufMut;
use quic_relay::{
    Error,
    client::{Address, Publisher, Received, Viewer},
    relay::{Relay, Settings},
};
use quinn::{Endpoint, TransportConfig};
use std::{fs, net::SocketAddr, path::Path, time::Duration};
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval, sleep},
};

const USAGE: &str = "usage: quic_relay [serve|watch|publish ADDRESS CERTIFICATE [FRAMES]]";
/// The frames of the publisher: 100 a second of 64 KiB, some 50 Mbit/s.
const FRAME_SIZE: usize = 64 * 1024;
const PERIOD: Duration = Duration::from_millis(10);

/// Sends frames at their pace.
async fn publish(relay: &Address, frames: u64) -> Result<(), Error> {
    let endpoint = Endpoint::client("0.0.0.0:0".parse()?)?;
    let pool = Publisher::pool(16, FRAME_SIZE)?;
    let mut publisher = Publisher::connect(&endpoint, relay).await?;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in 0..frames {
        ticks.tick().await;
        let mut frame = pool.get_buffer().await?;
        frame.put_u64(number);
        frame.put_bytes(number.to_le_bytes()[0], FRAME_SIZE - 8);
        publisher.send(frame).await?;
    }
    publisher.finish().await?;
    endpoint.wait_idle().await;
    Ok(())
}

/// Receives frames to the end, does something else for `pause` after each, and says what it saw.
async fn watch(
    name: &str,
    relay: &Address,
    pause: Duration,
    transport: TransportConfig,
) -> Result<(), Error> {
    let endpoint = Endpoint::client("0.0.0.0:0".parse()?)?;
    let mut viewer = Viewer::connect(&endpoint, relay, FRAME_SIZE, transport).await?;
    let (mut frames, mut late, mut newest) = (0, 0, None);
    loop {
        match viewer.receive().await? {
            Received::Frame(frame) => {
                newest = frame.first_chunk().copied().map(u64::from_be_bytes);
                frames += 1;
            }
            Received::Late => late += 1,
            Received::End => break,
        }
        sleep(pause).await;
    }
    let newest = newest.ok_or_else(|| format!("the {name} viewer received no frame"))?;
    println!("{name} viewer: {frames} frames up to number {newest}, {late} given up by the relay");
    Ok(())
}

/// How much a viewer that is slow lets the relay send ahead.
fn two_streams() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_concurrent_uni_streams(2u8.into());
    transport
}

/// A relay, a publisher and three viewers on loopback, one of which is slow.
async fn demonstrate(frames: u64) -> Result<(), Error> {
    let settings = Settings {
        frame_size: FRAME_SIZE,
        lifetime: Duration::from_millis(200),
        ..Settings::default()
    };
    let relay = Relay::bind("127.0.0.1:0".parse()?, settings)?;
    let address = Address {
        socket: relay.address()?,
        certificate: relay.certificate(),
    };
    let pool = relay.pool();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(relay.serve(async { drop(stopped.await) }));
    let everything = TransportConfig::default;
    let viewers = [
        ("first", Duration::ZERO, everything()),
        ("second", Duration::ZERO, everything()),
        ("slow", 12 * PERIOD, two_streams()),
    ];
    let viewers = viewers.map(|(name, pause, transport)| {
        let address = address.clone();
        tokio::spawn(async move { watch(name, &address, pause, transport).await })
    });
    publish(&address, frames).await?;
    println!("{frames} frames were published");
    let _relay = stop.send(());
    for viewer in viewers {
        viewer.await??;
    }
    serving.await?;
    let (free, all) = (pool.free_count(), pool.properties().buffers);
    println!(
        "{free} of {all} samples are free, at most {} were in use",
        pool.status().high_water
    );
    match free == all {
        true => Ok(()),
        false => Err("a sample is missing".into()),
    }
}

async fn serve(address: SocketAddr, certificate: &Path) -> Result<(), Error> {
    let relay = Relay::bind(address, Settings::default())?;
    fs::write(certificate, relay.certificate())?;
    println!(
        "serving at {}, with the certificate in {}",
        relay.address()?,
        certificate.display()
    );
    relay
        .serve(async { drop(tokio::signal::ctrl_c().await) })
        .await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let address = |socket: &str, certificate: &str| -> Result<Address, Error> {
        Ok(Address {
            socket: socket.parse()?,
            certificate: fs::read(certificate)?.into(),
        })
    };
    match arguments[..] {
        [] => demonstrate(300).await,
        ["serve", socket, certificate] => serve(socket.parse()?, Path::new(certificate)).await,
        ["watch", socket, certificate] => {
            let relay = address(socket, certificate)?;
            watch("this", &relay, Duration::ZERO, TransportConfig::default()).await
        }
        ["publish", socket, certificate, frames] => {
            publish(&address(socket, certificate)?, frames.parse()?).await
        }
        _ => Err(USAGE.into()),
    }
}
