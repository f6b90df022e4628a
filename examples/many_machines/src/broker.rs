//! The connection to the broker, and everything that bounds it.
//!
//! | what                                                  | bound                                             | beyond it                                |
//! |-------------------------------------------------------|---------------------------------------------------|------------------------------------------|
//! | messages that wait in the client to be written        | [`QUEUE`], of one sample of each channel          | the publisher waits, lags, and skips     |
//! | messages that came and wait in the client             | [`QUEUE`], each of at most the broker's limit     | the client drops the newest; counted     |
//! | time for a connection                                 | [`CONNECT_TIME`]                                  | tried again after [`RETRY`]              |
//! | time without a sign of life of the broker             | 3 × [`PING_INTERVAL`]                             | the connection is given up               |
//! | what the broker keeps for an edge that takes nothing  | its `max_pending`, 64 MiB, and `write_deadline`   | it closes the connection                 |
//!
//! The client would by itself connect again for ever, and keep what is to be written meanwhile: samples of the pool. So it
//! tries each server once and then ends, which drops them, and what connects anew is a loop of ours.

use crate::{Role, figures::Figures};
use async_nats::{Client, ConnectError, ConnectOptions, Event, ServerAddr};
use std::{sync::Arc, time::Duration};

/// What all subjects begin with; the channel's name follows.
pub(crate) const PREFIX: &str = "live.";

/// The largest fragment with buffers of the default size is eight messages, a second of one channel of pictures some thirty.
/// A message that waits keeps the block that it was read into, which is up to twice its size: with messages of 1 MiB, 128
/// MiB at the very worst.
const QUEUE: usize = 64;

const CONNECT_TIME: Duration = Duration::from_secs(1);

/// Pings tell that the machine of the broker is gone, where nothing closes the connection.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// How long to wait before a connection is tried again.
pub(crate) const RETRY: Duration = Duration::from_millis(250);

pub(crate) async fn connect(
    role: Role,
    servers: &[ServerAddr],
    figures: &Arc<Figures>,
) -> Result<Client, ConnectError> {
    let counted = figures.clone();
    ConnectOptions::new()
        .name(format!("{role:?}"))
        .client_capacity(QUEUE)
        .subscription_capacity(QUEUE)
        .connection_timeout(CONNECT_TIME)
        .ping_interval(PING_INTERVAL)
        .max_reconnects(servers.len())
        .event_callback(move |event| {
            let figures = counted.clone();
            async move {
                match event {
                    Event::Connected => figures.count(|counts| counts.connections += 1),
                    Event::SlowConsumer(_) => figures.count(|counts| counts.dropped += 1),
                    _ => {}
                }
            }
        })
        .connect(servers)
        .await
}
