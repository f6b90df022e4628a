//! The relay with real clients: quinn endpoints that talk to it over loopback.
//!
//! A publisher sends the next frame only after the viewers have received the last one. So no frame is skipped for want of
//! time, however slow the machine is, and where a frame is skipped it is known which.

use bytes::BufMut;
use quic_relay::{
    Error, REFUSED,
    client::{Address, Publisher, Received, Viewer},
    relay::{Relay, Settings},
};
use quinn::{ConnectionError, Endpoint, TransportConfig, TransportErrorCode};
use sample_pool::Pool;
use std::time::Duration;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

type Result<T = ()> = std::result::Result<T, Error>;

/// Longer than anything here takes, and shorter than a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(8);
/// Longer than [`PATIENCE`]: nothing is reset because of its age.
const FOR_EVER: Duration = Duration::from_secs(60);
const FRAME_SIZE: usize = 20_000;

fn settings() -> Settings {
    Settings {
        frame_size: FRAME_SIZE,
        backlog: 2,
        hold_limit: 4,
        in_flight: 2,
        lifetime: FOR_EVER,
        connections: 10,
    }
}

/// A relay that runs, and clients of it.
struct Running {
    address: Address,
    pool: Pool,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    clients: Endpoint,
    publishers: Pool,
}

impl Running {
    fn new(settings: Settings) -> Result<Running> {
        let relay = Relay::bind("127.0.0.1:0".parse()?, settings)?;
        let address = Address {
            socket: relay.address()?,
            certificate: relay.certificate(),
        };
        let pool = relay.pool();
        let (stop, stopped) = oneshot::channel();
        Ok(Running {
            address,
            pool,
            stop,
            serving: tokio::spawn(relay.serve(async { drop(stopped.await) })),
            clients: Endpoint::client("127.0.0.1:0".parse()?)?,
            publishers: Publisher::pool(4, FRAME_SIZE)?,
        })
    }

    async fn publisher(&self) -> Result<Publisher> {
        Publisher::connect(&self.clients, &self.address).await
    }

    async fn viewer(&self, transport: TransportConfig) -> Result<Viewer> {
        Viewer::connect(&self.clients, &self.address, FRAME_SIZE, transport).await
    }

    /// Publishes frame `number`.
    async fn publish(&self, publisher: &mut Publisher, number: usize) -> Result {
        let mut sample = self.publishers.get_buffer().await?;
        sample.put_slice(&frame(number));
        within(publisher.send(sample)).await
    }

    /// Stops the relay, and checks that all samples are free.
    async fn stop(self) -> Result {
        drop(self.stop);
        timeout(PATIENCE, self.serving).await??;
        assert_eq!(self.pool.free_count(), self.pool.properties().buffers);
        outstanding(&self.publishers, 0).await
    }
}

/// Frame `number`, of a size of its own and with bytes that no other has at the same place.
fn frame(number: usize) -> Vec<u8> {
    let bytes = number.to_le_bytes().into_iter().cycle();
    let bytes = bytes
        .zip(0u32..)
        .map(|(byte, at)| byte.wrapping_mul(31).wrapping_add(at.to_le_bytes()[0]));
    bytes.take(FRAME_SIZE - 97 * (number % 100)).collect()
}

async fn within<T>(it: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, it).await?
}

/// Waits until so many samples of a pool are outstanding.
async fn outstanding(pool: &Pool, samples: usize) -> Result {
    within(async {
        loop {
            let released = pool.released();
            if pool.free_count() + samples == pool.properties().buffers {
                return Ok(());
            }
            released.await;
        }
    })
    .await
}

/// Receives frame `number` and no other.
async fn expect(viewer: &mut Viewer, number: usize) -> Result {
    let received = within(viewer.receive()).await?;
    assert!(
        received == Received::Frame(frame(number)),
        "this is not frame {number}"
    );
    Ok(())
}

/// A viewer that grants so little that a frame does not leave the relay before it is read.
fn small_windows() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(1000u16.into());
    transport
}

/// It could fail in any of the copies, and where two viewers share the bytes.
#[tokio::test]
async fn two_viewers_get_every_frame_byte_for_byte() -> Result {
    let relay = Running::new(settings())?;
    let mut first = relay.viewer(TransportConfig::default()).await?;
    let mut second = relay.viewer(small_windows()).await?;
    let mut publisher = relay.publisher().await?;
    for number in 0..200 {
        relay.publish(&mut publisher, number).await?;
        expect(&mut first, number).await?;
        expect(&mut second, number).await?;
    }
    within(publisher.finish()).await?;
    relay.stop().await?;
    assert_eq!(within(first.receive()).await?, Received::End);
    assert_eq!(within(second.receive()).await?, Received::End);
    Ok(())
}

/// The viewer that stalls holds the two frames that it may have in flight, skips all but those that the backlog keeps,
/// and holds up no one.
#[tokio::test]
async fn a_viewer_that_stops_reading_skips_and_the_others_get_all() -> Result {
    let relay = Running::new(settings())?;
    let mut reads = relay.viewer(TransportConfig::default()).await?;
    let mut stalls = relay.viewer(small_windows()).await?;
    let mut publisher = relay.publisher().await?;
    for number in 0..50 {
        relay.publish(&mut publisher, number).await?;
        expect(&mut reads, number).await?;
        if number == 0 {
            expect(&mut stalls, number).await?;
        }
    }
    for number in [1, 2, 48, 49] {
        expect(&mut stalls, number).await?;
    }
    within(publisher.finish()).await?;
    relay.stop().await?;
    assert_eq!(within(stalls.receive()).await?, Received::End);
    Ok(())
}

/// Both frames that may be held at all are held by the viewer that stalls.
#[tokio::test]
async fn a_frame_that_another_viewer_needs_the_sample_of_is_reset() -> Result {
    let relay = Running::new(Settings {
        hold_limit: 2,
        ..settings()
    })?;
    let mut reads = relay.viewer(TransportConfig::default()).await?;
    let mut stalls = relay.viewer(small_windows()).await?;
    let mut publisher = relay.publisher().await?;
    for number in 0..50 {
        relay.publish(&mut publisher, number).await?;
        expect(&mut reads, number).await?;
        if number == 0 {
            expect(&mut stalls, number).await?;
        }
    }
    assert_eq!(within(stalls.receive()).await?, Received::Late);
    within(publisher.finish()).await?;
    // The viewer must be gone before the relay stops: what it does not read would be waited for.
    stalls.connection().close(0u8.into(), b"");
    relay.stop().await
}

/// Without a limit the frame would be held until the viewer reads it.
#[tokio::test]
async fn a_frame_that_is_out_of_date_is_reset_and_its_sample_free() -> Result {
    let relay = Running::new(Settings {
        lifetime: Duration::from_millis(50),
        ..settings()
    })?;
    let mut stalls = relay.viewer(small_windows()).await?;
    let mut publisher = relay.publisher().await?;
    relay.publish(&mut publisher, 0).await?;
    // Nothing is read yet, but the stream is there.
    let mut stream = within(async { Ok(stalls.connection().accept_uni().await?) }).await?;
    within(async { Ok(stream.received_reset().await?) }).await?;
    // The one in the backlog.
    outstanding(&relay.pool, 1).await?;
    within(publisher.finish()).await?;
    relay.stop().await?;
    assert_eq!(within(stalls.receive()).await?, Received::End);
    Ok(())
}

/// If it held the frame that it is sent next, that would be an old one when it grants a stream at last.
#[tokio::test]
async fn a_viewer_that_grants_no_stream_holds_no_sample() -> Result {
    let relay = Running::new(settings())?;
    let mut transport = TransportConfig::default();
    transport.max_concurrent_uni_streams(0u8.into());
    let mut grants_none = relay.viewer(transport).await?;
    let mut reads = relay.viewer(TransportConfig::default()).await?;
    let mut publisher = relay.publisher().await?;
    for number in 0..20 {
        relay.publish(&mut publisher, number).await?;
        expect(&mut reads, number).await?;
    }
    grants_none
        .connection()
        .set_max_concurrent_uni_streams(10u8.into());
    expect(&mut grants_none, 18).await?;
    expect(&mut grants_none, 19).await?;
    within(publisher.finish()).await?;
    relay.stop().await
}

/// Its frames are never acknowledged, and quinn keeps them as long as it tries to send them.
#[tokio::test]
async fn a_viewer_that_closes_its_connection_returns_its_samples() -> Result {
    let relay = Running::new(settings())?;
    let mut reads = relay.viewer(TransportConfig::default()).await?;
    let mut closes = relay.viewer(small_windows()).await?;
    let mut publisher = relay.publisher().await?;
    for number in 0..10 {
        relay.publish(&mut publisher, number).await?;
        expect(&mut reads, number).await?;
        if number == 0 {
            expect(&mut closes, number).await?;
        }
    }
    // The backlog, and the two that are in flight to it.
    outstanding(&relay.pool, 4).await?;
    closes.connection().close(0u8.into(), b"enough");
    outstanding(&relay.pool, 2).await?;
    within(publisher.finish()).await?;
    relay.stop().await
}

/// It does not even say that it goes, and the relay hears nothing until the connection has been idle for 10 s.
#[tokio::test]
async fn a_viewer_that_vanishes_without_a_word_returns_its_samples_when_they_are_out_of_date()
-> Result {
    let relay = Running::new(Settings {
        lifetime: Duration::from_secs(1),
        ..settings()
    })?;
    let address = relay.address.clone();
    let (seen, first_seen) = oneshot::channel();
    let (vanish, vanishes) = oneshot::channel::<()>();
    // In a runtime of its own, which takes the tasks of the endpoint with it: they send nothing more.
    let viewer = tokio::task::spawn_blocking(move || -> Result {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let kept = runtime.block_on(async {
            let clients = Endpoint::client("127.0.0.1:0".parse()?)?;
            let mut viewer =
                Viewer::connect(&clients, &address, FRAME_SIZE, small_windows()).await?;
            expect(&mut viewer, 0).await?;
            seen.send(()).map_err(|()| "the test is over")?;
            vanishes.await?;
            Ok::<_, Error>((clients, viewer))
        })?;
        drop(runtime);
        drop(kept);
        Ok(())
    });
    let mut publisher = relay.publisher().await?;
    relay.publish(&mut publisher, 0).await?;
    within(async { Ok(first_seen.await?) }).await?;
    vanish.send(()).map_err(|()| "the viewer is over")?;
    within(async { viewer.await? }).await?;
    for number in 1..6 {
        relay.publish(&mut publisher, number).await?;
    }
    within(publisher.finish()).await?;
    outstanding(&relay.pool, 2).await?;
    relay.stop().await
}

/// A second publisher would mix its frames with those of the first; after the first has vanished it may come.
#[tokio::test]
async fn a_publisher_that_vanishes_inside_a_frame_leaves_nothing_and_makes_room_for_another()
-> Result {
    let relay = Running::new(settings())?;
    let mut viewer = relay.viewer(TransportConfig::default()).await?;
    let mut vanishes = relay.publisher().await?;
    relay.publish(&mut vanishes, 0).await?;
    expect(&mut viewer, 0).await?;

    let second = relay.publisher().await?;
    let refused = within(async { Ok(second.connection().closed().await) }).await?;
    assert!(
        matches!(refused, ConnectionError::ApplicationClosed(close) if close.error_code == REFUSED)
    );

    vanishes
        .stream()
        .write_all(&20_000u32.to_be_bytes())
        .await?;
    vanishes.stream().write_all(&[7; 10_000]).await?;
    vanishes.connection().close(0u8.into(), b"");

    // It can come before the relay has seen that the first is gone, and is then refused.
    let mut third = within(async {
        loop {
            let mut third = relay.publisher().await?;
            let connection = third.connection().clone();
            tokio::select! {
                _refused = connection.closed() => {}
                // Nothing is lost if it is dropped: no frame comes from a publisher that is refused.
                expected = async {
                    relay.publish(&mut third, 2).await?;
                    expect(&mut viewer, 2).await
                } => return expected.map(|()| third),
            }
        }
    })
    .await?;
    relay.publish(&mut third, 3).await?;
    expect(&mut viewer, 3).await?;
    within(third.finish()).await?;
    relay.stop().await
}

/// It would be waited for until it is gone, and it keeps its connection alive.
#[tokio::test]
async fn the_relay_ends_although_a_viewer_grants_no_stream() -> Result {
    let relay = Running::new(Settings {
        lifetime: Duration::from_millis(100),
        ..settings()
    })?;
    let mut transport = TransportConfig::default();
    transport.max_concurrent_uni_streams(0u8.into());
    let mut grants_none = relay.viewer(transport).await?;
    relay.stop().await?;
    assert_eq!(within(grants_none.receive()).await?, Received::End);
    Ok(())
}

/// The pool's buffers are no larger, and the frame's length comes from outside.
#[tokio::test]
async fn a_publisher_of_a_frame_that_is_too_large_is_refused() -> Result {
    let relay = Running::new(settings())?;
    let mut publisher = relay.publisher().await?;
    let length = u32::try_from(FRAME_SIZE + 1)?.to_be_bytes();
    publisher.stream().write_all(&length).await?;
    let lost = within(async { Ok(publisher.connection().closed().await) }).await?;
    assert!(
        matches!(lost, ConnectionError::ApplicationClosed(close) if close.error_code == REFUSED)
    );
    relay.stop().await
}

/// Each connection costs memory outside of the pool.
#[tokio::test]
async fn a_connection_beyond_the_limit_is_refused() -> Result {
    let relay = Running::new(Settings {
        connections: 1,
        ..settings()
    })?;
    let mut first = relay.viewer(TransportConfig::default()).await?;
    let second = within(relay.viewer(TransportConfig::default())).await;
    let lost = second.err().ok_or("it was admitted")?;
    assert!(matches!(
        lost.downcast_ref(),
        Some(ConnectionError::ConnectionClosed(close)) if close.error_code == TransportErrorCode::CONNECTION_REFUSED
    ));
    relay.stop().await?;
    assert_eq!(within(first.receive()).await?, Received::End);
    Ok(())
}
