//! The responses that viewers get: a picture, or one frame after the other for as long as they watch.
//!
//! A task for each takes the samples and gives them to hyper, one at a time. It is not left to hyper to ask
//! for the next: hyper does not, while the connection takes nothing, and then no task would see that it
//! stalls.
//!
//! A fragment is sent while it arrives. If its rest does not come, because its source has failed or because the viewer was
//! too slow, the response ends with an error: hyper closes the connection without the end of the body, so no client takes
//! half of a fragment for a whole one.

use crate::{
    channel::{Following, Kind},
    connection::Closer,
    jpeg::part::{self, BOUNDARY},
    piece::Piece,
    viewers::{Patience, Viewers},
};
use axum::{
    body::Body,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use sample_pool::fan_out::Delivery;
use std::{error::Error, fmt, sync::Arc};
use tokio::sync::{mpsc, watch};

/// Who watches: its frames, and its connection.
pub(crate) struct Viewer {
    pub(crate) viewers: Arc<Viewers>,
    pub(crate) following: Following,
    pub(crate) connection: Closer,
    /// Turns true when the server ends.
    pub(crate) ending: watch::Receiver<bool>,
}

impl Viewer {
    /// The newest picture; `None` if there is none.
    pub(crate) async fn still(mut self) -> Option<Response> {
        if self.following.frames.lag() == 0 || self.following.kind != Kind::Jpeg {
            return None;
        }
        let newest = self.following.next().await?;
        self.following.is_done();
        let mut frames = self.following.frames;
        let reclaim_requested = newest.reclaim_requested();
        let jpeg = part::jpeg(newest);
        // It is on its way like any other frame.
        tokio::spawn(async move {
            let mut patience = Patience::with(self.connection);
            let taken = self
                .viewers
                .until_taken(&mut frames, reclaim_requested, &mut patience);
            let _whether_it_is_open = taken.await;
        });
        let headers = [
            (header::CONTENT_TYPE, "image/jpeg"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        Some((headers, jpeg).into_response())
    }

    /// The frames of its channel, at most `limit` of them, behind whatever a player needs first.
    pub(crate) fn watch(self, limit: Option<u64>) -> Response {
        let (content_type, first) = match &self.following.kind {
            Kind::Jpeg => (part::CONTENT_TYPE.to_owned(), BOUNDARY.as_bytes().into()),
            Kind::Mp4(init) => (init.media_type.clone(), init.bytes.clone()),
        };
        let headers = [
            (header::CONTENT_TYPE, content_type),
            (header::CACHE_CONTROL, "no-store".to_owned()),
            // A proxy in front must not collect what is live.
            (
                HeaderName::from_static("x-accel-buffering"),
                "no".to_owned(),
            ),
        ];
        let (chunks, body) = mpsc::channel(1);
        tokio::spawn(self.give(chunks, limit.unwrap_or(u64::MAX)));
        (headers, Body::from_stream(body_of(first, body))).into_response()
    }

    /// Gives one sample after the other, or what is there of it, until there were `limit` frames, the channel or the server
    /// ends, or the viewer leaves. A frame that was begun is finished, if its rest comes.
    async fn give(mut self, chunks: mpsc::Sender<Result<Bytes, CutOff>>, limit: u64) {
        let watching = self.viewers.register(&self.following, &self.connection);
        let mut patience = Patience::with(self.connection);
        let mut left = limit;
        let mut inside = false;
        while left > 0 {
            let next = tokio::select! {
                // There may be more to send when the server ends, and it is not sent.
                biased;
                _ended = self.ending.wait_for(|&ending| ending), if !inside => None,
                () = chunks.closed() => None,
                next = self.following.next() => next,
            };
            let Some(next) = next else { return };
            if next.is_aborted() {
                // A box whose rest is missing would make nonsense of all that follows. The viewer may have left.
                let _gone = chunks.send(Err(CutOff)).await;
                return;
            }
            inside = !next.ends_frame();
            left -= u64::from(!inside);
            if left == 0 {
                self.following.is_done();
            }
            let reclaim_requested = next.reclaim_requested();
            watching.given(next.sequence(), next.skipped(), next.len());
            if next.is_empty() {
                // The end of a fragment whose last bytes were sent before.
                watching.taken();
                continue;
            }
            // There is room: the one before is out of hyper's hands.
            if chunks.send(Ok(bytes_of(next, left))).await.is_err() {
                return;
            }
            let frames = &mut self.following.frames;
            let taken = self
                .viewers
                .until_taken(frames, reclaim_requested, &mut patience);
            if !taken.await {
                return;
            }
            watching.taken();
        }
    }
}

/// The rest of a frame does not come.
#[derive(Debug)]
struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rest of a frame is missing")
    }
}

impl Error for CutOff {}

/// What is sent of a sample when `left` more frames follow.
fn bytes_of(sample: Delivery, left: u64) -> Bytes {
    let is_part = Piece::of(sample.properties()).header > 0;
    if left == 0 && is_part {
        return part::last_part(sample);
    }
    sample.into_bytes()
}

fn body_of(
    first: Bytes,
    chunks: mpsc::Receiver<Result<Bytes, CutOff>>,
) -> impl Stream<Item = Result<Bytes, CutOff>> + Send {
    let chunks = stream::unfold(chunks, async |mut chunks| {
        Some((chunks.recv().await?, chunks))
    });
    stream::iter([Ok(first)]).chain(chunks)
}

#[cfg(test)]
#[path = "viewer_tests.rs"]
mod tests;
