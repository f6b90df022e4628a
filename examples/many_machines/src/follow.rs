//! The edge: messages into channels.
//!
//! All channels come through one subscription, in one task. What it cannot do at once waits in the client's queue, which is
//! bounded, and then the client drops what comes: numbers are missing, and that is counted and reported.

use crate::{
    Role,
    broker::{self, PREFIX, RETRY},
    figures::{Connection, Figures},
    incoming::{Incoming, Taken, Untaken},
    server::Server,
};
use async_nats::{Message, ServerAddr, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use many_machines::{
    label::{self, Label},
    numbers::Numbers,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{self, Instant};

/// After so long another origin may go on with a channel: the one before it was restarted, or is gone. Until then it is a
/// second one, by mistake, and two that alternate would make nonsense of both.
const TAKE_OVER: Duration = Duration::from_secs(3);

/// How often it looks for channels that are silent.
const LOOK: Duration = Duration::from_millis(500);

/// What an edge knows of a channel.
#[derive(Debug, Default)]
struct Followed {
    /// Who published it last.
    origin: u64,
    numbers: Numbers,
    /// `None` while it is silent.
    incoming: Option<Incoming>,
    heard: Option<Instant>,
}

impl Followed {
    /// Where a message of `origin` goes; `None` if another origin is heard.
    fn incoming(&mut self, origin: u64) -> Option<(&mut Numbers, &mut Incoming)> {
        if self.origin != origin {
            if self.heard.is_some_and(|heard| heard.elapsed() < TAKE_OVER) {
                return None;
            }
            self.origin = origin;
            self.numbers.of_another_origin();
            // What it has of a frame, and of init segments, is the other's.
            self.incoming = None;
        }
        self.heard = Some(Instant::now());
        let incoming = self.incoming.get_or_insert_with(Incoming::new);
        Some((&mut self.numbers, incoming))
    }
}

/// Shows what is published, through one connection after the other. Ends with the pool.
pub(crate) async fn run(server: Server, servers: Vec<ServerAddr>, figures: Arc<Figures>) {
    let mut edge = Edge {
        server,
        figures,
        channels: BTreeMap::new(),
    };
    loop {
        match subscribe(&servers, &edge.figures).await {
            Ok(messages) => {
                edge.figures.is(Connection::Up);
                if let Err(_ending) = edge.follow(messages).await {
                    return;
                }
                edge.figures.is(Connection::Down("it is gone".to_owned()));
            }
            Err(error) => edge.figures.is(Connection::Down(error.to_string())),
        }
        edge.drop_silent_sources();
        time::sleep(RETRY).await;
    }
}

async fn subscribe(
    servers: &[ServerAddr],
    figures: &Arc<Figures>,
) -> Result<Subscriber, async_nats::Error> {
    let client = broker::connect(Role::Edge, servers, figures).await?;
    Ok(client.subscribe(format!("{PREFIX}*")).await?)
}

struct Edge {
    server: Server,
    figures: Arc<Figures>,
    channels: BTreeMap<String, Followed>,
}

/// The server ends.
struct Ending;

impl Edge {
    /// Takes every message, until the connection is given up.
    async fn follow(&mut self, mut messages: Subscriber) -> Result<(), Ending> {
        let mut looks = time::interval(LOOK);
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                _ = looks.tick() => {
                    self.drop_silent_sources();
                    continue;
                }
            };
            let Some(message) = message else {
                return Ok(());
            };
            self.take(message).await?;
        }
    }

    async fn take(&mut self, message: Message) -> Result<(), Ending> {
        let bytes = message.payload.len() as u64;
        self.figures.count(|counts| {
            counts.messages += 1;
            counts.bytes += bytes;
        });
        let label = match Label::read(&message.headers.unwrap_or_default()) {
            Ok(label) => label,
            Err(nonsense) => {
                self.figures.refuse(nonsense);
                return Ok(());
            }
        };
        let name = message.subject.strip_prefix(PREFIX).unwrap_or_default();
        if label.kind == label::Kind::Removed {
            self.remove(name, label.origin);
            return Ok(());
        }
        // Out of the map meanwhile: others may be removed to make room for it.
        let mut followed = self.channels.remove(name).unwrap_or_default();
        let taken = self.show(&mut followed, name, &label, message.payload);
        let taken = taken.await;
        self.channels.insert(name.to_owned(), followed);
        match taken {
            Ok(taken) => self.figures.count(|counts| {
                counts.frames += u64::from(taken.shown);
                counts.missing += taken.missing;
                counts.torn += u64::from(taken.torn);
            }),
            Err(Untaken::Ending) => return Err(Ending),
            Err(untaken) => self.figures.refuse(format!("{name}: {untaken}")),
        }
        Ok(())
    }

    async fn show(
        &mut self,
        followed: &mut Followed,
        name: &str,
        label: &Label,
        payload: Bytes,
    ) -> Result<Taken, Untaken> {
        let incoming = followed.incoming(label.origin);
        let (numbers, incoming) = incoming.ok_or(Untaken::OfAnotherOrigin)?;
        let Edge {
            server, channels, ..
        } = self;
        let make_room = || remove_longest_silent(channels, server);
        let taken = incoming.take(server, name, numbers, label, payload, make_room);
        taken.await
    }

    /// The origin has removed a channel: so does the edge, with its viewers, and the next of its name begins anew.
    fn remove(&mut self, name: &str, origin: u64) {
        // What is shown may be another origin's.
        let followed = self.channels.get(name);
        if followed.is_some_and(|followed| followed.origin == origin) {
            self.channels.remove(name);
            self.server.channels.remove(name);
        }
    }

    /// Channels of which nothing comes are not live.
    fn drop_silent_sources(&mut self) {
        let timeout = self.server.source_timeout;
        for followed in self.channels.values_mut() {
            followed
                .incoming
                .take_if(|incoming| incoming.is_silent(timeout));
        }
        let channels = &self.server.channels;
        // Names of which nothing was ever shown would be kept for nothing.
        self.channels
            .retain(|name, followed| followed.incoming.is_some() || channels.find(name).is_some());
    }
}

/// Removes the channel of which nothing has come for longest, of those that are not live: its origin may have removed it while
/// this edge missed that. Returns whether there was one.
fn remove_longest_silent(channels: &mut BTreeMap<String, Followed>, server: &Server) -> bool {
    let silent = channels.iter().filter(|(name, followed)| {
        followed.incoming.is_none() && server.channels.find(name).is_some()
    });
    let longest = silent.min_by_key(|(_, followed)| followed.heard);
    let Some(name) = longest.map(|(name, _)| name.clone()) else {
        return false;
    };
    channels.remove(&name);
    server.channels.remove(&name)
}
