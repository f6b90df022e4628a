//! Who is watching, and what each of them holds.
//!
//! hyper takes up to 16 chunks of a response before it waits for the connection, so a stalled viewer
//! could hold 16 frames. Here it holds one: the next is given only when hyper has let go of the last,
//! which the memory itself tells ([`InFlight`] is dropped). Two rules keep even that from hurting:
//!
//! - a connection that takes no byte for [`STALL_LIMIT`] while a frame is on its way to it is closed;
//! - when more different frames are held than the viewers' half of the pool, the connections that hold
//!   the oldest one are closed at once. Frames that several viewers hold count once.
//!
//! So viewers never hold more than half of the pool, whatever they do, and ingest goes on.

use crate::{connection::Closer, frame::Frame};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// How long a connection may take nothing while a frame waits for it.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(5);

/// All viewers.
#[derive(Debug)]
pub(crate) struct Viewers {
    /// How many different frames viewers may hold together.
    budget: usize,
    watching: Mutex<Watching>,
}

#[derive(Debug, Default)]
struct Watching {
    next: u64,
    by_number: HashMap<u64, Watcher>,
    /// How many were closed because they stalled, or held too old a frame.
    closed: u64,
}

#[derive(Debug)]
struct Watcher {
    closer: Closer,
    holds: Option<Held>,
    /// Its response is gone; it counts until the frame that it holds is gone as well.
    left: bool,
}

#[derive(Debug)]
struct Held {
    /// When it was given, and which frame it is; in this order, so that the least is the oldest.
    since: Instant,
    channel: String,
    sequence: u64,
}

impl Viewers {
    pub(crate) fn new(buffers: usize) -> Arc<Self> {
        Arc::new(Viewers {
            budget: buffers / 2,
            watching: Mutex::default(),
        })
    }

    pub(crate) fn enter(self: &Arc<Self>, closer: Closer) -> Viewer {
        let mut watching = self.lock();
        let number = watching.next;
        watching.next += 1;
        let watcher = Watcher {
            closer,
            holds: None,
            left: false,
        };
        watching.by_number.insert(number, watcher);
        Viewer {
            viewers: self.clone(),
            number,
            taken: Arc::new(Notify::new()),
        }
    }

    /// How many frames viewers hold, and how many were closed so far.
    pub(crate) fn status(&self) -> (usize, u64) {
        let watching = self.lock();
        (watching.held().len(), watching.closed)
    }

    /// Closes whoever stalls, and whoever holds the oldest frames if too many are held.
    pub(crate) fn close_stalled(&self, now: Instant) {
        let mut watching = self.lock();
        let stalled: Vec<u64> = watching
            .by_number
            .iter()
            .filter(|(_, watcher)| watcher.is_stalled(now))
            .map(|(&number, _)| number)
            .collect();
        for number in stalled {
            watching.close(number);
        }
        self.keep_budget(&mut watching);
    }

    fn keep_budget(&self, watching: &mut Watching) {
        while watching.held().len() > self.budget {
            let oldest = watching
                .by_number
                .iter()
                .filter_map(|(&number, watcher)| Some((watcher.holds.as_ref()?.since, number)))
                .min();
            let Some((_, number)) = oldest else { return };
            watching.close(number);
        }
    }

    /// Closes everybody; for the end of the server.
    pub(crate) fn close_all(&self) {
        for watcher in self.lock().by_number.values() {
            watcher.closer.close();
        }
    }

    /// Nothing that panics runs under this lock.
    fn lock(&self) -> MutexGuard<'_, Watching> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    /// The different frames that are held.
    fn held(&self) -> BTreeSet<(&str, u64)> {
        let held = self.by_number.values().filter_map(|watcher| {
            let held = watcher.holds.as_ref()?;
            Some((held.channel.as_str(), held.sequence))
        });
        held.collect()
    }

    fn forget_if_done(&mut self, number: u64) {
        let done = |watcher: &Watcher| watcher.left && watcher.holds.is_none();
        if self.by_number.get(&number).is_some_and(done) {
            self.by_number.remove(&number);
        }
    }

    fn close(&mut self, number: u64) {
        if let Some(watcher) = self.by_number.remove(&number) {
            watcher.closer.close();
            self.closed += 1;
        }
    }
}

impl Watcher {
    fn is_stalled(&self, now: Instant) -> bool {
        self.holds.as_ref().is_some_and(|held| {
            let last = held.since.max(self.closer.last_taken());
            now.saturating_duration_since(last) > STALL_LIMIT
        })
    }
}

/// One viewer, from its request to the end of its response.
#[derive(Debug)]
pub(crate) struct Viewer {
    viewers: Arc<Viewers>,
    number: u64,
    taken: Arc<Notify>,
}

impl Viewer {
    /// Bytes of a frame, which tell when hyper has let go of them.
    pub(crate) fn give(&self, frame: &Frame, bytes: Bytes) -> Bytes {
        let mut watching = self.viewers.lock();
        if let Some(watcher) = watching.by_number.get_mut(&self.number) {
            watcher.holds = Some(Held {
                since: Instant::now(),
                channel: frame.channel().to_owned(),
                sequence: frame.sequence(),
            });
        }
        self.viewers.keep_budget(&mut watching);
        drop(watching);
        Bytes::from_owner(InFlight {
            bytes,
            viewers: self.viewers.clone(),
            number: self.number,
            taken: self.taken.clone(),
        })
    }

    /// Waits until hyper has let go of the frame that was given last.
    pub(crate) async fn taken(&self) {
        self.taken.notified().await;
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // hyper may drop the response before it has written its last frame.
        let mut watching = self.viewers.lock();
        if let Some(watcher) = watching.by_number.get_mut(&self.number) {
            watcher.left = true;
        }
        watching.forget_if_done(self.number);
    }
}

/// The bytes of a frame on their way to one viewer. The same memory for all of them.
struct InFlight {
    bytes: Bytes,
    viewers: Arc<Viewers>,
    number: u64,
    taken: Arc<Notify>,
}

impl AsRef<[u8]> for InFlight {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut watching = self.viewers.lock();
        if let Some(watcher) = watching.by_number.get_mut(&self.number) {
            watcher.holds = None;
        }
        watching.forget_if_done(self.number);
        drop(watching);
        self.taken.notify_one();
    }
}

#[cfg(test)]
mod tests;
