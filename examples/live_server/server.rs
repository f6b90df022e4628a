//! The routes, and what each answers.

use crate::{
    channel::{Channels, Unavailable},
    connection::Closer,
    ingest::{Ingest, Rejected},
    status,
    viewer::Viewer,
    viewers::Viewers,
};
use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use futures::StreamExt;
use sample_pool::Pool;
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How much of a body that was refused is read and thrown away, so that its sender sees the answer
/// instead of a broken connection.
const POLITE_BYTES: usize = 1 << 20;
const POLITE_TIME: Duration = Duration::from_millis(500);

/// What every request needs.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) pool: Pool,
    pub(crate) channels: Arc<Channels>,
    pub(crate) viewers: Arc<Viewers>,
    /// The largest frame, in bytes.
    pub(crate) most: usize,
    pub(crate) epoch: Instant,
    /// Turns true when the server ends.
    pub(crate) ending: watch::Receiver<bool>,
}

/// An answer that says what is wrong.
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // The rest of the body is not read, so the connection cannot be used again.
        let headers = [(header::CONNECTION, "close")];
        (self.0, headers, format!("{}\n", self.1)).into_response()
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        let code = match unavailable {
            Unavailable::BadName => StatusCode::BAD_REQUEST,
            Unavailable::Busy => StatusCode::CONFLICT,
            Unavailable::TooMany { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        Failure(code, unavailable.to_string())
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Self {
        let code = match rejected {
            Rejected::NotFrames(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Rejected::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Rejected::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Rejected::Ending => StatusCode::SERVICE_UNAVAILABLE,
        };
        Failure(code, rejected.to_string())
    }
}

pub(crate) fn router(server: Server) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/status", get(pool_status))
        .route("/live/{channel}", get(live))
        .route("/ingest/{channel}", post(ingest).put(ingest))
        .with_state(server)
}

async fn pool_status(State(server): State<Server>) -> Json<Value> {
    Json(status::json(&server))
}

/// `/live/cam` is the stream, `/live/cam.jpg` the newest frame of it.
async fn live(
    State(server): State<Server>,
    ConnectInfo(connection): ConnectInfo<Closer>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Failure> {
    let (name, still) = match name.strip_suffix(".jpg") {
        Some(name) => (name, true),
        None => (name.as_str(), false),
    };
    let unknown = || Failure(StatusCode::NOT_FOUND, format!("no channel {name}"));
    let channel = server.channels.find(name).ok_or_else(unknown)?;
    let viewer = Viewer {
        viewers: server.viewers,
        frames: channel.follow().ok_or(Rejected::Ending)?,
        connection,
    };
    if still {
        let no_frame = || Failure(StatusCode::NOT_FOUND, format!("no frame of {name} yet"));
        return viewer.still().await.ok_or_else(no_frame);
    }
    let limit = query.get("limit").map(|limit| limit.parse()).transpose();
    let limit = limit.map_err(|_unreadable| {
        let said = "limit is the number of frames after which the stream ends";
        Failure(StatusCode::BAD_REQUEST, said.to_owned())
    })?;
    Ok(viewer.watch(limit))
}

async fn ingest(
    State(server): State<Server>,
    Path(name): Path<String>,
    body: Body,
) -> Result<String, Failure> {
    let mut body = body.into_data_stream();
    let mut ending = server.ending.clone();
    let read = async {
        let source = server.channels.open(&name)?;
        let ingest = Ingest {
            pool: &server.pool,
            source: &source,
            most: server.most,
            epoch: server.epoch,
        };
        tokio::select! {
            ingested = ingest.read(&mut body) => Ok(ingested?),
            _ = ending.wait_for(|&ending| ending) => Err(Rejected::Ending.into()),
        }
    };
    let ingested: Result<_, Failure> = read.await;
    match ingested {
        Ok(ingested) => Ok(format!("{ingested}\n")),
        Err(failure) => {
            // ffmpeg does not show the answer, only that the connection broke.
            // The name is what the sender wrote, line breaks and all.
            eprintln!("ingest {name:?}: {} {}", failure.0.as_u16(), failure.1);
            let rest = async {
                let mut read = 0;
                while let Some(Ok(chunk)) = body.next().await {
                    read += chunk.len();
                    if read > POLITE_BYTES {
                        break;
                    }
                }
            };
            // Whether the sender was done by then or not: it gets its answer.
            let _done = tokio::time::timeout(POLITE_TIME, rest).await;
            Err(failure)
        }
    }
}
