//! The origin: a viewer of each channel that publishes what it sees.
//!
//! It is a viewer like any other. It has one sample of each channel at a time, takes the next when the client has dropped
//! the last, and skips when the broker is slow or gone. So nothing that happens beyond this process holds up ingest.
//!
//! Each message tells all that there is to know about it, so an edge needs nothing of what was before, but for the init
//! segment of MP4. That is published before each fragment that can be shown alone, in front of which an edge that
//! joins late could not begin anyway: some KiB every few seconds, and no request is needed for it.

use crate::{
    Role,
    broker::{self, PREFIX, RETRY},
    channel::{Channel, Following, Kind},
    figures::{Connection, Figures},
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
use sample_pool::fan_out::Delivery;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{task::JoinSet, time};

/// How often it looks for channels that there were not before.
const LOOK: Duration = Duration::from_millis(100);

/// The connection to the broker is gone.
#[derive(Debug)]
struct Gone;

impl From<PublishError> for Gone {
    fn from(_error: PublishError) -> Self {
        Gone
    }
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
        let figures = &publisher.figures;
        match broker::connect(Role::Origin, &servers, figures).await {
            Ok(client) => {
                figures.is(Connection::Up);
                publish_all(&publisher, &client).await;
                figures.is(Connection::Down("it is gone".to_owned()));
            }
            Err(error) => figures.is(Connection::Down(error.to_string())),
        }
        time::sleep(RETRY).await;
    }
}

/// Publishes all channels, until the connection is gone.
async fn publish_all(publisher: &Arc<Publisher>, client: &Client) {
    let mut published = BTreeSet::new();
    let mut tasks = JoinSet::new();
    let mut looks = time::interval(LOOK);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            Some(over) = tasks.join_next() => match over {
                // Another of its name may follow.
                Ok(Ok(removed)) => {
                    published.remove(&removed);
                }
                _ => return,
            },
        }
        if client.connection_state() == State::Disconnected {
            return;
        }
        let channels = publisher.server.channels.status();
        // One that has begun is forgotten only when it is removed.
        for channel in channels.iter().filter(|channel| channel.kind.is_some()) {
            let found = publisher.server.channels.find(&channel.name);
            if let Some(found) = found.filter(|_| published.insert(channel.name.clone())) {
                let (publisher, client) = (publisher.clone(), client.clone());
                let name = channel.name.clone();
                tasks.spawn(async move {
                    let subject = format!("{PREFIX}{name}");
                    publisher.publish(&client, &subject, &found).await?;
                    Ok::<_, Gone>(name)
                });
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
    /// Publishes a channel until it is removed, whatever becomes of its sources.
    async fn publish(&self, client: &Client, subject: &str, channel: &Channel) -> Result<(), Gone> {
        loop {
            let (is_removed, generation) = channel.removal();
            // Its numbers begin anew, as those of another origin do.
            let origin = self.origin.wrapping_add(generation);
            if is_removed {
                // Edges would keep it with its room, and refuse the next of its name as another origin's.
                let removal = Label::removal(origin);
                return self.send(client, subject, removal, Bytes::new()).await;
            }
            // The server ends.
            // A message has a whole sample.
            let Some(following) = channel.follow_whole_frames() else {
                time::sleep(LOOK).await;
                continue;
            };
            self.publish_stream(client, subject, origin, following)
                .await?;
        }
    }

    async fn publish_stream(
        &self,
        client: &Client,
        subject: &str,
        origin: u64,
        mut following: Following,
    ) -> Result<(), Gone> {
        let mut label = Label {
            origin,
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
        while let Some(received) = following.next().await {
            let missing = received.skipped();
            let piece = Piece::of(received.properties());
            let is_last = received.ends_frame();
            label.sequence = piece.sequence;
            label.piece = Place {
                index: piece.index,
                of: piece.pieces,
            };
            if piece.index == 0 {
                label.sync = received.sync_point();
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
                counts.frames += u64::from(is_last);
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
    ) -> Result<(), Gone> {
        let most = client.max_payload();
        let bytes = payload.len();
        let cut = parts::room(most).and_then(|room| parts::cut(&payload, room));
        let Some(cut) = cut else {
            self.figures.refuse(format!(
                "{subject}: {bytes} bytes in messages of {most}, the broker's max_payload"
            ));
            return Ok(());
        };
        for (part, payload) in cut {
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
fn payload(received: Delivery, kind: &Kind) -> Bytes {
    match kind {
        Kind::Jpeg => part::jpeg(received),
        Kind::Mp4(_) => received.into_bytes(),
    }
}
