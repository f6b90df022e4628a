//! The responses that viewers get: a frame, or one part after the other for as long as they watch.
//!
//! A task for each takes the frames and gives them to hyper, one at a time. It is not left to hyper to ask
//! for the next: hyper does not, while the connection takes nothing, and then nobody would see that it
//! stalls.

use crate::{
    connection::Closer,
    frame::{self, BOUNDARY, CONTENT_TYPE},
    viewers::{Patience, Viewers},
};
use axum::{
    body::Body,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use sample_pool::fan_out::Subscriber;
use std::{convert::Infallible, sync::Arc};
use tokio::sync::mpsc;

/// Who watches: its frames, and its connection.
pub(crate) struct Viewer {
    pub(crate) viewers: Arc<Viewers>,
    pub(crate) frames: Subscriber,
    pub(crate) connection: Closer,
}

impl Viewer {
    /// The newest frame; `None` if there is none.
    pub(crate) async fn still(mut self) -> Option<Response> {
        if self.frames.lag() == 0 {
            return None;
        }
        let newest = self.frames.next().await?;
        let wanted_back = newest.wanted_back();
        let jpeg = frame::jpeg(newest);
        // It is on its way like any other frame.
        tokio::spawn(async move {
            let mut patience = Patience::with(self.connection);
            let frames = &mut self.frames;
            let taken = self.viewers.until_taken(frames, wanted_back, &mut patience);
            let _whether_it_is_open = taken.await;
        });
        let headers = [
            (header::CONTENT_TYPE, "image/jpeg"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        Some((headers, jpeg).into_response())
    }

    /// The frames of its channel: at most `limit` of them.
    pub(crate) fn watch(self, limit: Option<u64>) -> Response {
        let headers = [
            (header::CONTENT_TYPE, CONTENT_TYPE),
            (header::CACHE_CONTROL, "no-store"),
            // A proxy in front must not collect what is live.
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ];
        let (parts, body) = mpsc::channel(1);
        tokio::spawn(self.give(parts, limit.unwrap_or(u64::MAX)));
        (headers, Body::from_stream(multipart(body))).into_response()
    }

    /// Gives parts until there were `limit`, the channel ends or the viewer leaves.
    async fn give(mut self, parts: mpsc::Sender<Bytes>, limit: u64) {
        let mut patience = Patience::with(self.connection);
        for left in (0..limit).rev() {
            let next = tokio::select! {
                next = self.frames.next() => next,
                () = parts.closed() => None,
            };
            let Some(next) = next else { return };
            let wanted_back = next.wanted_back();
            let part = match left {
                0 => frame::last_part(next),
                _ => frame::part(next),
            };
            // There is room: the one before is out of hyper's hands.
            if parts.send(part).await.is_err() {
                return;
            }
            let frames = &mut self.frames;
            let taken = self.viewers.until_taken(frames, wanted_back, &mut patience);
            if !taken.await {
                return;
            }
        }
    }
}

fn multipart(parts: mpsc::Receiver<Bytes>) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let boundary = stream::iter([Bytes::from_static(BOUNDARY.as_bytes())]);
    let parts = stream::unfold(parts, async |mut parts| Some((parts.recv().await?, parts)));
    boundary.chain(parts).map(Ok)
}
