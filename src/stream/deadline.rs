//! The time limit for a partial frame.

#![forbid(unsafe_code)]

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// A time limit and its timer. The timer is allocated when it is first needed.
pub(super) struct Deadline {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

impl Deadline {
    pub(super) fn new(limit: Duration) -> Self {
        Deadline {
            limit,
            timer: None,
            is_running: false,
        }
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Waits until the time is over. The time starts at the first call after [`stop`](Deadline::stop).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.is_running {
            self.is_running = true;
            // A limit that is too long for the clock is no limit.
            if let Some(end) = Instant::now().checked_add(limit) {
                timer.as_mut().reset(end);
            }
        }
        timer.as_mut().poll(cx)
    }

    /// Stops the time, because the frame is complete.
    pub(super) fn stop(&mut self) {
        self.is_running = false;
    }
}
