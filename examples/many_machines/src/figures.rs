//! What both count, and how they tell it: as JSON at `/broker`, and what went wrong on standard error, once a second.

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time;

/// Of a reason no more is kept: it may be as long as what another client publishes.
const LONGEST_REASON: usize = 300;

/// How it stands with the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Connection {
    #[default]
    NotTried,
    Up,
    Down(String),
}

/// What happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Connections to the broker so far, and how it is now.
    pub(crate) connections: u64,
    pub(crate) connection: Connection,
    /// What was published, or came.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Frames of which the last message was published, or that were given to viewers.
    pub(crate) frames: u64,
    /// An edge: numbers that are missing between two frames that were shown. An origin: samples that it skipped.
    pub(crate) missing: u64,
    /// Frames that began to come and were not finished.
    pub(crate) torn: u64,
    /// Messages that the client had no room for; at least.
    pub(crate) dropped: u64,
    /// Messages and frames that were not taken, and why the last of them.
    pub(crate) refused: u64,
    pub(crate) reason: String,
}

#[derive(Debug, Default)]
pub(crate) struct Figures(Mutex<Counts>);

impl Figures {
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock());
    }

    pub(crate) fn refuse(&self, reason: impl ToString) {
        self.count(|counts| {
            counts.refused += 1;
            let reason = reason.to_string();
            counts.reason = reason.chars().take(LONGEST_REASON).collect();
        });
    }

    pub(crate) fn is(&self, connection: Connection) {
        self.count(|counts| counts.connection = connection);
    }

    fn now(&self) -> Counts {
        self.lock().clone()
    }

    /// Nothing that panics runs under this lock.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports what went wrong, for as long as it is polled.
pub(crate) async fn report(figures: Arc<Figures>) {
    let mut ticks = time::interval(Duration::from_secs(1));
    let mut reported = Counts::default();
    loop {
        ticks.tick().await;
        let now = figures.now();
        match (&reported.connection, &now.connection) {
            (Connection::Up, Connection::Up) | (_, Connection::NotTried) => {}
            (_, Connection::Up) => eprintln!("broker: connected"),
            // One that stays away is reported once.
            (Connection::Down(_), Connection::Down(_)) => {}
            (_, Connection::Down(why)) => {
                eprintln!("broker: no connection: {}", why.escape_debug())
            }
        }
        for (what, now, reported) in [
            ("missing", now.missing, reported.missing),
            ("torn", now.torn, reported.torn),
            ("dropped by the client", now.dropped, reported.dropped),
        ] {
            if now > reported {
                eprintln!("broker: {} {what}, {now} in all", now - reported);
            }
        }
        if now.refused > reported.refused {
            let more = now.refused - reported.refused;
            // It may hold the name of a channel as its publisher wrote it.
            let reason = now.reason.escape_debug();
            eprintln!("broker: {more} refused, the last: {reason}");
        }
        reported = now;
    }
}

pub(crate) fn router(figures: Arc<Figures>) -> Router {
    Router::new()
        .route("/broker", get(broker))
        .with_state(figures)
}

async fn broker(State(figures): State<Arc<Figures>>) -> Json<Value> {
    let counts = figures.now();
    Json(json!({
        "connected": counts.connection == Connection::Up,
        "connections": counts.connections,
        "messages": counts.messages,
        "bytes": counts.bytes,
        "frames": counts.frames,
        "missing": counts.missing,
        "torn": counts.torn,
        "dropped": counts.dropped,
        "refused": counts.refused,
        "reason": counts.reason,
    }))
}
