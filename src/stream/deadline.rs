//! How long the rest of a begun frame may take.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// A time limit, and its timer, which is allocated when it is needed for the first time.
pub(super) struct Deadline {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    runs: bool,
}

impl Deadline {
    pub(super) fn new(limit: Duration) -> Self {
        Deadline {
            limit,
            timer: None,
            runs: false,
        }
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Resolves when the time is over. It runs from the first call since the last [`stop`](Deadline::stop).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.runs {
            self.runs = true;
            // A limit that no clock can count to is none.
            if let Some(end) = Instant::now().checked_add(limit) {
                timer.as_mut().reset(end);
            }
        }
        timer.as_mut().poll(cx)
    }

    /// The frame is complete.
    pub(super) fn stop(&mut self) {
        self.runs = false;
    }
}
