//! What `/status` answers here: the channels as in the example, and what the process has used.

use crate::{free, server::Server};
use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};
use usage::Usage;

pub(crate) fn router(server: Server) -> Router {
    Router::new()
        .route("/status", get(status))
        .with_state(server)
}

async fn status(State(server): State<Server>) -> Json<Value> {
    let channels = server.channels.status().into_iter().map(|channel| {
        json!({
            "name": &*channel.name,
            "live": channel.live,
            "sequence": channel.sequence,
            "viewers": channel.viewers,
        })
    });
    let (held_by_viewers, closed_viewers) = server.viewers.status();
    Json(json!({
        "channels": channels.collect::<Vec<_>>(),
        "held_by_viewers": held_by_viewers,
        "closed_viewers": closed_viewers,
        "free": free(&server.pool),
        "usage": Usage::now(),
    }))
}
