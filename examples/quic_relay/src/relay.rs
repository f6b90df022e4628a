//! The relay: an endpoint that takes in one publisher and many viewers.

use crate::{
    END, Error, REFUSED,
    identity::{Role, server_config},
    receiving::{LENGTH, receive_frames},
    sending::send_frames,
};
use quinn::{Connection, Endpoint, Incoming, TransportConfig, rustls::pki_types::CertificateDer};
use sample_pool::{Pool, fan_out::FanOut};
use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
    time::timeout,
};

/// The limits of a relay.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many bytes the largest frame has.
    pub frame_size: usize,
    /// How many of the newest frames are kept for viewers that have not been sent them.
    pub backlog: usize,
    /// How many different frames all viewers together have in flight.
    pub hold_limit: usize,
    /// How many frames one viewer has in flight.
    pub in_flight: usize,
    /// How long a frame is of use to a viewer. Then its stream is reset.
    pub lifetime: Duration,
    /// How many connections there can be.
    pub connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            frame_size: 256 * 1024,
            backlog: 8,
            hold_limit: 24,
            in_flight: 4,
            lifetime: Duration::from_secs(1),
            connections: 1000,
        }
    }
}

/// A relay that is bound to an address.
#[derive(Debug)]
pub struct Relay {
    endpoint: Endpoint,
    certificate: CertificateDer<'static>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: Pool,
    frames: FanOut,
    /// Locked by the publisher.
    publishing: Mutex<()>,
    settings: Settings,
}

impl Relay {
    /// Binds a relay.
    ///
    /// # Errors
    ///
    /// If the address is in use, or there is no memory for the pool.
    pub fn bind(address: SocketAddr, settings: Settings) -> Result<Relay, Error> {
        let (mut config, certificate) = server_config()?;
        let mut transport = TransportConfig::default();
        transport
            // A publisher has one, and a viewer has none.
            .max_concurrent_uni_streams(1u8.into())
            .max_concurrent_bidi_streams(0u8.into())
            .max_idle_timeout(Some(Duration::from_secs(10).try_into()?))
            // A viewer waits for the next publisher.
            .keep_alive_interval(Some(Duration::from_secs(3)));
        config.transport_config(Arc::new(transport));
        // The last two: one that the publisher's frame is read into, and one that it was begun in, behind frames that
        // are still held.
        let buffers = settings.backlog + settings.hold_limit + 2;
        let pool = Pool::builder()
            .name("frames")
            .buffers(buffers)
            .size(settings.frame_size + LENGTH)
            .build()?;
        Ok(Relay {
            endpoint: Endpoint::server(config, address)?,
            certificate,
            shared: Arc::new(Shared {
                pool,
                frames: FanOut::new(settings.backlog, settings.hold_limit),
                publishing: Mutex::new(()),
                settings,
            }),
        })
    }

    /// Returns the address that it is bound to.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        Ok(self.endpoint.local_addr()?)
    }

    /// Returns the certificate that clients must trust.
    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// Returns the pool of the frames.
    #[must_use]
    pub fn pool(&self) -> Pool {
        self.shared.pool.clone()
    }

    /// Serves until `stop` resolves, sends the viewers what they lack of the backlog, for the lifetime of a frame at most,
    /// and closes all connections. Then all samples are free.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        // Dropped at the end, which every publisher sees.
        let (stopping, is_stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                Some(incoming) = self.endpoint.accept() => {
                    if connections.len() >= self.shared.settings.connections {
                        incoming.refuse();
                    } else {
                        connections.spawn(self.shared.clone().connect(incoming, is_stopped.clone()));
                    }
                }
                Some(_ended) = connections.join_next() => {}
                () = &mut stop => break,
            }
        }
        self.endpoint.set_server_config(None);
        drop(stopping);
        self.shared.frames.close();
        let sent = async { while connections.join_next().await.is_some() {} };
        // A viewer that grants no more streams would be waited for until it is gone.
        let _late = timeout(self.shared.settings.lifetime, sent).await;
        self.endpoint.close(END, b"the end");
        connections.shutdown().await;
        self.shared.frames.clear();
        self.endpoint.wait_idle().await;
    }
}

impl Shared {
    async fn connect(self: Arc<Self>, incoming: Incoming, is_stopped: watch::Receiver<()>) {
        // A client that fails in the handshake is its own affair.
        let Ok(connection) = incoming.await else {
            return;
        };
        match Role::of(&connection) {
            Some(Role::Publisher) => self.publish(&connection, is_stopped).await,
            Some(Role::Viewer) => self.watch(&connection).await,
            None => connection.close(REFUSED, b"neither publisher nor viewer"),
        }
    }

    /// Takes in the frames of a publisher. When it vanishes, the viewers stay, and the next one can take its place.
    async fn publish(&self, connection: &Connection, mut is_stopped: watch::Receiver<()>) {
        let Ok(_publishing) = self.publishing.try_lock() else {
            return connection.close(REFUSED, b"there is a publisher");
        };
        let received = async {
            let stream = connection.accept_uni().await?;
            receive_frames(stream, &self.pool, &self.frames, self.settings.frame_size).await
        };
        tokio::select! {
            received = received => match received {
                // The publisher waits for this: now all of its frames were sent on.
                Ok(()) => connection.close(END, b"received"),
                Err(error) => connection.close(REFUSED, error.to_string().as_bytes()),
            },
            _stopping = is_stopped.changed() => connection.close(REFUSED, b"the relay stops"),
        }
    }

    async fn watch(&self, connection: &Connection) {
        let frames = self.frames.subscribe(self.settings.in_flight);
        match send_frames(connection, frames, self.settings.lifetime).await {
            Ok(()) => connection.close(END, b"the end"),
            Err(_lost) => {}
        }
    }
}
