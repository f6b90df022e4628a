//! What viewers hold, and who is closed for it.
//!
//! hyper takes up to 16 chunks of a response before it waits for the connection, so a stalled viewer
//! could hold 16 frames. Here it holds one: the next is given only when hyper has dropped the last,
//! which the memory itself tells ([`Subscriber::ready`]). Two rules keep even that from hurting:
//!
//! - a connection that takes no byte for [`STALL_LIMIT`] while a frame is on its way to it is closed;
//! - when more different frames are wanted than the viewers' half of the pool, the connections that hold
//!   the one that was given first are closed at once. Frames that several viewers hold count once.
//!
//! So viewers never hold more than half of the pool, whatever they do, and ingest goes on.

use crate::{
    channel::Following,
    connection::Closer,
    memory,
    watching::{Everybody, Watching},
};
use sample_pool::fan_out::{HoldLimit, Subscriber};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// How long a connection may take nothing while a frame waits for it.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(5);

/// All viewers.
#[derive(Debug)]
pub(crate) struct Viewers {
    /// What they hold.
    hold_limit: HoldLimit,
    /// How many were closed because they stalled, or held too old a frame.
    closed: AtomicU64,
    everybody: Everybody,
}

impl Viewers {
    pub(crate) fn new(buffers: usize) -> Arc<Self> {
        Arc::new(Viewers {
            hold_limit: HoldLimit::new(memory::for_viewers(buffers)),
            closed: AtomicU64::new(0),
            everybody: Everybody::default(),
        })
    }

    /// Writes down who follows a channel, until the answer is dropped.
    pub(crate) fn register(&self, following: &Following, connection: &Closer) -> Watching {
        self.everybody.register(following, connection.peer())
    }

    /// Those who watch.
    pub(crate) fn everybody(&self) -> &Everybody {
        &self.everybody
    }

    pub(crate) fn hold_limit(&self) -> &HoldLimit {
        &self.hold_limit
    }

    /// How many frames viewers hold, and how many were closed so far.
    pub(crate) fn status(&self) -> (usize, u64) {
        (self.hold_limit.held(), self.closed.load(Ordering::Relaxed))
    }

    /// Waits until hyper has dropped the frame that was given last, and closes the connection if it
    /// stalls or if the frame is `reclaim_requested`. Whether it is still open.
    pub(crate) async fn until_taken(
        &self,
        frames: &mut Subscriber,
        reclaim_requested: impl Future<Output = ()>,
        patience: &mut Patience,
    ) -> bool {
        tokio::select! {
            // Others may have a frame that is wanted back, and this one has not any more.
            biased;
            () = frames.ready() => return true,
            () = reclaim_requested => {}
            () = patience.ends() => {}
        }
        self.closed.fetch_add(1, Ordering::Relaxed);
        patience.connection.close();
        false
    }
}

/// How long a viewer's connection may still take nothing.
pub(crate) struct Patience {
    connection: Closer,
    /// Set anew only when it has run out: at each frame it would cost more than the frame.
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    pub(crate) fn with(connection: Closer) -> Self {
        let timer = Box::pin(sleep(STALL_LIMIT));
        Patience { connection, timer }
    }

    /// Waits until the connection has taken no byte for [`STALL_LIMIT`], counted from now.
    async fn ends(&mut self) {
        let now = Instant::now();
        loop {
            self.timer.as_mut().await;
            let due = now.max(self.connection.last_taken()) + STALL_LIMIT;
            if due <= Instant::now() {
                return;
            }
            self.timer.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
#[path = "viewers_tests.rs"]
mod tests;
