//! The response that a viewer gets: one part after the other, for as long as it watches.

use crate::{
    channel::{Channel, Following},
    frame::{BOUNDARY, CONTENT_TYPE, Frame},
    viewers::Viewer,
};
use axum::{
    body::Body,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::broadcast::error::RecvError;

/// A stream of frames on its way to one viewer.
struct Watch {
    viewer: Viewer,
    following: Following,
    /// How many frames are left to send.
    left: u64,
    /// Whether a frame was given that hyper may still hold.
    pending: bool,
}

impl Watch {
    /// The next frame. A viewer that lags skips to the oldest one that is still there.
    async fn next_frame(&mut self) -> Option<Arc<Frame>> {
        if let Some(newest) = self.following.newest.take() {
            return Some(newest);
        }
        loop {
            match self.following.next.recv().await {
                Ok(frame) => return Some(frame),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next part, once the last one is out of hyper's hands.
    async fn next_part(mut self) -> Option<(Bytes, Watch)> {
        if self.pending {
            self.viewer.taken().await;
        }
        self.left = self.left.checked_sub(1)?;
        let frame = self.next_frame().await?;
        let part = match self.left {
            0 => frame.last_part(),
            _ => frame.part(),
        };
        let part = self.viewer.give(&frame, part);
        self.pending = true;
        Some((part, self))
    }
}

/// Sends a channel's frames to a viewer: at most `limit` of them.
pub(crate) fn watch(channel: &Channel, viewer: Viewer, limit: Option<u64>) -> Option<Response> {
    let watch = Watch {
        viewer,
        following: channel.follow()?,
        left: limit.unwrap_or(u64::MAX),
        pending: false,
    };
    let headers = [
        (header::CONTENT_TYPE, CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
        // A proxy in front must not collect what is live.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Some((headers, Body::from_stream(parts(watch))).into_response())
}

fn parts(watch: Watch) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let boundary = stream::iter([Bytes::from_static(BOUNDARY.as_bytes())]);
    boundary
        .chain(stream::unfold(watch, Watch::next_part))
        .map(Ok)
}
