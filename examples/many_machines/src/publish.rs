//! The origin: a viewer of each channel that publishes what it sees.
//!
//! It is a viewer like any other. It has one sample of each channel at a time, takes the next when the client has let go
//! of the last, and skips when the broker is slow or gone. So nothing that happens beyond this process holds up ingest.
//!
//! Each message tells all that there is to know about it, so an edge needs nothing of what was before, but for the init
//! segment of MP4. That is published before each fragment that can be shown alone, in front of which an edge that
//! joins late could not begin anyway: some KiB every few seconds, and nobody has to be asked for it.

use crate::{
    Role,
    broker::{self, PREFIX, RETRY},
    channel::{Channel, Following, Kind},
    figures::Figures,
    jpeg::part,
    piece::Piece,
    server::Server,
};
use async_nats::{Client, PublishError, ServerAddr, connection::State};
use bytes::Bytes;
use many_machines::{
    label::{self, Label, Place},
    parts,
};
use sample_pool::fan_out::Received;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use thiserror::Error;
use tokio::{task::JoinSet, time};

/// How often it looks for channels that there were not before.
const LOOK: Duration = Duration::from_millis(100);

/// Why a channel is not published any more.
#[derive(Debug, Error)]
enum Stopped {
    #[error("the connection is gone")]
    Disconnected,
    #[error("{0}")]
    Publish(#[from] PublishError),
    #[error("{bytes} bytes do not fit messages of {most}, the broker's max_payload")]
    TooLarge { bytes: usize, most: usize },
}

/// Publishes all channels, through one connection after the other. Never ends.
pub(crate) async fn run(server: Server, servers: Vec<ServerAddr>, figures: Arc<Figures>) {
    // Another one whenever the process begins, since the numbers of its channels begin anew.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let origin = since.map_or(0, |since| since.as_nanos() as u64);
    let streams = AtomicU64::new(0);
    let publisher = Arc::new(Publisher {
        server,
        figures,
        origin,
        streams,
    });
    loop {
        if let Ok(client) = broker::connect(Role::Origin, &servers, &publisher.figures).await {
            publisher.figures.count(|counts| counts.connected = true);
            let stopped = publish_all(&publisher, &client).await;
            publisher.figures.refuse(stopped);
            publisher.figures.count(|counts| counts.connected = false);
        }
        time::sleep(RETRY).await;
    }
}

/// Publishes all channels, until one cannot be.
async fn publish_all(publisher: &Arc<Publisher>, client: &Client) -> Stopped {
    let mut published = BTreeSet::new();
    let mut tasks = JoinSet::new();
    let mut looks = time::interval(LOOK);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            Some(Ok(stopped)) = tasks.join_next() => return stopped,
        }
        if client.connection_state() == State::Disconnected {
            return Stopped::Disconnected;
        }
        for channel in publisher.server.channels.status() {
            let found = publisher.server.channels.find(&channel.name);
            if let Some(found) = found.filter(|_| published.insert(channel.name.clone())) {
                let (publisher, client) = (publisher.clone(), client.clone());
                let subject = format!("{PREFIX}{}", channel.name);
                tasks.spawn(async move { publisher.publish(&client, &subject, &found).await });
            }
        }
    }
}

struct Publisher {
    server: Server,
    figures: Arc<Figures>,
    origin: u64,
    /// How many there were so far.
    streams: AtomicU64,
}

impl Publisher {
    /// Publishes a channel, whatever becomes of its sources.
    async fn publish(&self, client: &Client, subject: &str, channel: &Channel) -> Stopped {
        loop {
            // There was no frame yet, or its source sends something else now, or the server ends.
            let Some(following) = channel.follow() else {
                time::sleep(LOOK).await;
                continue;
            };
            if let Err(stopped) = self.publish_stream(client, subject, following).await {
                return stopped;
            }
        }
    }

    async fn publish_stream(
        &self,
        client: &Client,
        subject: &str,
        mut following: Following,
    ) -> Result<(), Stopped> {
        let mut label = Label {
            origin: self.origin,
            stream: self.streams.fetch_add(1, Ordering::Relaxed),
            kind: match following.kind {
                Kind::Jpeg => label::Kind::Jpeg,
                Kind::Mp4(_) => label::Kind::Mp4,
            },
            sequence: 0,
            piece: Place::ONLY,
            part: Place::ONLY,
            sync: true,
            time: None,
        };
        while let Some(received) = following.frames.next().await {
            let missing = received.missed();
            let piece = Piece::of(received.properties());
            label.sequence = piece.sequence;
            label.piece = Place {
                index: piece.index,
                of: piece.pieces,
            };
            if piece.index == 0 {
                label.sync = received.properties().sync_point();
                label.time = received.properties().start().map(|time| time.0);
                if let (Kind::Mp4(init), true) = (&following.kind, label.sync) {
                    let init = init.bytes.clone();
                    let kind = label::Kind::Init;
                    self.send(client, subject, Label { kind, ..label }, init)
                        .await?;
                }
            }
            let payload = payload(received, &following.kind);
            self.send(client, subject, label, payload).await?;
            self.figures.count(|counts| {
                counts.missing += missing;
                counts.frames += u64::from(piece.is_last());
            });
        }
        Ok(())
    }

    /// Publishes a payload, in parts if need be. Waits while the client has too much to write.
    async fn send(
        &self,
        client: &Client,
        subject: &str,
        label: Label,
        payload: Bytes,
    ) -> Result<(), Stopped> {
        let most = client.max_payload();
        let bytes = payload.len();
        let cut = parts::room(most).and_then(|room| parts::cut(&payload, room));
        for (part, payload) in cut.ok_or(Stopped::TooLarge { bytes, most })? {
            let headers = Label { part, ..label }.headers();
            let bytes = payload.len() as u64;
            client
                .publish_with_headers(subject.to_owned(), headers, payload)
                .await?;
            self.figures.count(|counts| {
                counts.messages += 1;
                counts.bytes += bytes;
            });
        }
        Ok(())
    }
}

/// What the source sent, without what is put around it for viewers. Copies nothing.
fn payload(received: Received, kind: &Kind) -> Bytes {
    match kind {
        Kind::Jpeg => part::jpeg(received),
        Kind::Mp4(_) => received.into_bytes(),
    }
}
