//! The routes of what is live, and what each answers.

use crate::{
    channel::{Channels, Kind, Unavailable},
    connection::Closer,
    ingest::{Ingest, Ingested, Rejected},
    mp4::Mp4Error,
    token::Token,
    viewer::Viewer,
    viewers::Viewers,
};
use axum::{
    Router,
    body::{Body, BodyDataStream},
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::StreamExt;
use sample_pool::Pool;
use std::{
    collections::HashMap,
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How much of a body that was refused is read and thrown away, so that its sender sees the answer
/// instead of a broken connection.
const POLITE_BYTES: usize = 1 << 20;
const POLITE_TIME: Duration = Duration::from_millis(500);

/// How many characters of a name are shown that is none of a channel's: one more than those have.
const LONGEST_SHOWN: usize = 33;

/// What every request needs.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) pool: Pool,
    pub(crate) channels: Arc<Channels>,
    pub(crate) viewers: Arc<Viewers>,
    /// How many bytes of a sender fit a buffer.
    pub(crate) most: usize,
    /// How long a source may take for a picture.
    pub(crate) source_timeout: Duration,
    pub(crate) epoch: Instant,
    /// Turns true when the server ends.
    pub(crate) ending: watch::Receiver<bool>,
    /// What a source must show; `None` if anybody may feed a channel.
    pub(crate) token: Option<Token>,
}

/// An answer that says what is wrong.
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // The rest of the body is not read, so the connection cannot be used again.
        let headers = [(header::CONNECTION, "close")];
        let mut response = (self.0, headers, format!("{}\n", self.1)).into_response();
        if self.0 == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        let code = match unavailable {
            Unavailable::BadName => StatusCode::BAD_REQUEST,
            Unavailable::Busy => StatusCode::CONFLICT,
            Unavailable::Removed => StatusCode::GONE,
            Unavailable::Ending | Unavailable::NoRoom { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        Failure(code, unavailable.to_string())
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Self {
        let code = match rejected {
            Rejected::NotFrames(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Rejected::Empty | Rejected::NothingWhole(_) => StatusCode::BAD_REQUEST,
            // Not for want of room, so what it says is how to send less.
            Rejected::BrokenMp4(Mp4Error::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Rejected::BrokenMp4(Mp4Error::NoInit) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Rejected::BrokenMp4(_) => StatusCode::BAD_REQUEST,
            Rejected::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Rejected::TooSlow(_) | Rejected::TooSlowFragment(_) => StatusCode::REQUEST_TIMEOUT,
            Rejected::Unavailable(unavailable) => return unavailable.into(),
            Rejected::Ending => StatusCode::SERVICE_UNAVAILABLE,
        };
        Failure(code, rejected.to_string())
    }
}

pub(crate) fn router(server: Server) -> Router {
    Router::new()
        .route("/live/{channel}", get(live))
        .route("/ingest/{channel}", post(ingest).put(ingest).delete(remove))
        .with_state(server)
}

/// `/live/cam` is the stream, `/live/cam.jpg` the newest picture of it.
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
    let limit = query.get("limit").map(|limit| limit.parse()).transpose();
    let limit = limit.map_err(|_unreadable| {
        let said = "limit is the number of frames after which the stream ends";
        Failure(StatusCode::BAD_REQUEST, said.to_owned())
    })?;
    let missing = |what: String| Failure(StatusCode::NOT_FOUND, what);
    let channel = server.channels.find(name);
    let channel = channel.ok_or_else(|| no_channel(name))?;
    let no_frame = || match *server.ending.borrow() {
        true => Rejected::Ending.into(),
        false => missing(format!("no frame of {name} yet")),
    };
    // Who asks for a number of frames does not want to wait until one of them has arrived.
    let following = match limit {
        Some(_) => channel.follow_whole_frames(),
        None => channel.follow(),
    };
    let viewer = Viewer {
        following: following.ok_or_else(no_frame)?,
        viewers: server.viewers,
        connection,
        ending: server.ending.clone(),
    };
    match (still, &viewer.following.kind) {
        (false, _) => Ok(viewer.watch(limit)),
        (true, Kind::Jpeg) => viewer.still().await.ok_or_else(no_frame),
        (true, Kind::Mp4(_)) => Err(missing(format!("{name} is video, and has no pictures"))),
    }
}

async fn ingest(
    State(server): State<Server>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<String, Failure> {
    let mut body = body.into_data_stream();
    let ingested = match may_feed(&server, &headers) {
        Ok(()) => read(&server, &name, &mut body).await,
        Err(failure) => Err(failure),
    };
    match ingested {
        Ok(ingested) => Ok(format!("{ingested}\n")),
        Err(failure) => {
            // ffmpeg does not show the answer, only that the connection broke.
            // The reader of standard error may be gone.
            let name = shortened(&name);
            let line = format!("ingest {name:?}: {} {}\n", failure.0.as_u16(), failure.1);
            let _unread = io::stderr().write_all(line.as_bytes());
            // Whether the sender was done by then or not: it gets its answer.
            let _done = tokio::time::timeout(POLITE_TIME, throw_away(body)).await;
            Err(failure)
        }
    }
}

/// Removes a channel, with its source and its viewers.
async fn remove(
    State(server): State<Server>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    may_feed(&server, &headers)?;
    match server.channels.remove(&name) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(no_channel(&name)),
    }
}

/// Browsers say which site a request comes from. One's own page could post to a server that only this machine can reach.
fn may_feed(server: &Server, headers: &HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(header::ORIGIN) {
        let said = "a channel cannot be fed or removed from a web page".to_owned();
        return Err(Failure(StatusCode::FORBIDDEN, said));
    }
    match &server.token {
        Some(token) if !token.is_shown_by(headers) => {
            let said = "this needs the header Authorization: Bearer, with the server's token";
            Err(Failure(StatusCode::UNAUTHORIZED, said.to_owned()))
        }
        _ => Ok(()),
    }
}

async fn read(server: &Server, name: &str, body: &mut BodyDataStream) -> Result<Ingested, Failure> {
    let mut ending = server.ending.clone();
    let source = server.channels.open(name)?;
    let ingest = Ingest {
        source: &source,
        most: server.most,
        timeout: server.source_timeout,
        epoch: server.epoch,
    };
    tokio::select! {
        // A channel that is removed refuses what comes, which is not what is reported.
        biased;
        () = source.removed() => Err(Unavailable::Removed.into()),
        ingested = ingest.read(body) => Ok(ingested?),
        _ = ending.wait_for(|&ending| ending) => Err(Rejected::Ending.into()),
    }
}

fn no_channel(name: &str) -> Failure {
    let name = shortened(name);
    let said = format!("no channel {}", name.escape_debug());
    Failure(StatusCode::NOT_FOUND, said)
}

/// A name is what a client wrote, line breaks and all, as long as it likes. To recognise it, a client needs no more of it than a
/// channel's may have. It has to be escaped still.
fn shortened(name: &str) -> &str {
    let end = name.char_indices().nth(LONGEST_SHOWN);
    end.map_or(name, |(end, _)| &name[..end])
}

async fn throw_away(mut body: BodyDataStream) {
    let mut read = 0;
    while let Some(Ok(chunk)) = body.next().await {
        read += chunk.len();
        if read > POLITE_BYTES {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for goes to a terminal, as `curl` prints it, or into the client's log.
    #[test]
    fn a_channel_that_is_not_there_is_named_escaped_and_not_at_length() {
        let forged = "cam\nERROR forged\x1b[31m";
        let Failure(code, said) = no_channel(forged);
        assert_eq!(code, StatusCode::NOT_FOUND);
        assert_eq!(said, r"no channel cam\nERROR forged\u{1b}[31m");
        let Failure(_, said) = no_channel(&"\u{202e}".repeat(10_000));
        assert!(said.len() < 500, "{} bytes", said.len());
    }
}
