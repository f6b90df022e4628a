//! One frame, and who keeps its sample.
//!
//! The tests run on one thread and await nothing between an event and the look at the pool, so quinn's own tasks have not
//! run: nothing was acknowledged, and nothing has drained.

use bytes::BufMut;
use quic_relay::{
    Error,
    identity::{NAME, Role, client_config, server_config},
    sending::{Outcome, send_frame, write_frame},
};
use quinn::{Connection, Endpoint, TransportConfig};
use sample_pool::{
    Pool,
    fan_out::{Delivery, FanOut},
};
use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::time::timeout;

type Result<T = ()> = std::result::Result<T, Error>;

const PATIENCE: Duration = Duration::from_secs(8);

/// The relay's connection to a viewer, the viewer's, and the endpoint of both.
async fn connected(transport: TransportConfig) -> Result<(Connection, Connection, Endpoint)> {
    let (server, certificate) = server_config()?;
    let endpoint = Endpoint::server(server, "127.0.0.1:0".parse()?)?;
    let mut client = client_config(certificate, Role::Viewer)?;
    client.transport_config(Arc::new(transport));
    let connecting = endpoint.connect_with(client, endpoint.local_addr()?, NAME)?;
    let accepted = async {
        let incoming = endpoint.accept().await.ok_or("the endpoint is closed")?;
        Ok::<_, Error>(incoming.await?)
    };
    let (relay, viewer) = tokio::try_join!(accepted, async { Ok(connecting.await?) })?;
    assert_eq!(Role::of(&relay), Some(Role::Viewer));
    Ok((relay, viewer, endpoint))
}

/// A pool of one sample, and that sample as a subscriber gets it. Nothing else holds it.
async fn delivery(length: usize) -> Result<(Pool, Delivery)> {
    let pool = Pool::builder().buffers(1).size(length).build()?;
    let frames = FanOut::new(1, 1);
    let mut viewer = frames.subscribe(1);
    let mut sample = pool.get_buffer().await?;
    sample.put_bytes(7, length);
    frames.send(sample.freeze())?;
    let frame = viewer.recv().await.ok_or("the fan-out is closed")?;
    frames.clear();
    Ok((pool, frame))
}

/// A copy would leave the sample free as soon as it is written.
#[tokio::test]
async fn quinn_keeps_the_sample_itself_until_it_is_acknowledged() -> Result {
    let (relay, viewer, _endpoint) = connected(TransportConfig::default()).await?;
    let (pool, frame) = delivery(5000).await?;
    let mut stream = relay.open_uni().await?;
    write_frame(&mut stream, frame).await?;
    assert_eq!(pool.free_count(), 0);

    let mut received = timeout(PATIENCE, viewer.accept_uni()).await??;
    assert_eq!(received.read_to_end(5000).await?, [7; 5000]);
    assert_eq!(timeout(PATIENCE, stream.stopped()).await??, None);
    assert_eq!(pool.free_count(), 1);
    Ok(())
}

/// quinn keeps what it has not sent as long as there is a handle to the connection, although no one can get it.
#[tokio::test]
async fn a_frame_on_a_connection_that_is_lost_returns_its_sample_at_once() -> Result {
    let (relay, _viewer, _endpoint) = connected(TransportConfig::default()).await?;
    let (pool, frame) = delivery(5000).await?;
    let mut sending = pin!(send_frame(relay.open_uni().await?, frame, PATIENCE));
    let written = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
    assert!(written.is_pending());
    relay.close(0u8.into(), b"");
    assert!(sending.await.is_err());
    assert_eq!(pool.free_count(), 1);
    Ok(())
}

/// `STOP_SENDING` is how a viewer says that it does not want a frame.
#[tokio::test]
async fn a_frame_that_the_viewer_stops_returns_its_sample() -> Result {
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(1000u16.into());
    let (relay, viewer, _endpoint) = connected(transport).await?;
    let (pool, frame) = delivery(5000).await?;
    let sending = send_frame(relay.open_uni().await?, frame, Duration::from_secs(60));
    let stopping = async {
        let mut stream = viewer.accept_uni().await?;
        Ok::<_, Error>(stream.stop(0u8.into())?)
    };
    let (outcome, stopped) = timeout(PATIENCE, async { tokio::join!(sending, stopping) }).await?;
    stopped?;
    assert_eq!(outcome?, Outcome::Stopped);
    assert_eq!(pool.free_count(), 1);
    Ok(())
}
