//! The pace of a source: it waits a moment for viewers that read at once, and for no others.
//!
//! What comes faster than real time, as short fragments that a pipe has collected or a film that is sent as fast as it can
//! be, would push samples out of a channel's window before the tasks of its viewers have run. So each sample stays for
//! [`PATIENCE`], unless all viewers that follow have taken it: the source waits before it publishes what would push it
//! out.
//!
//! | viewer                                            | the source                                           |
//! |---------------------------------------------------|------------------------------------------------------|
//! | takes each sample within [`PATIENCE`]             | waits for it, and it misses nothing                  |
//! | does not take one for that long                   | goes on, and does not wait for it again until it has taken the newest |
//! | has left, or takes no more                        | does not wait for it                                 |
//!
//! A live source is not slowed down: its window lasts longer than [`PATIENCE`] if it sends no more than 80 pictures or 160
//! samples of fragments in a second, and then it never waits. A viewer that falls behind can make a faster one wait, for
//! no longer than that, once each time. Whatever viewers do, that much in a second is always sent. With more patience a
//! viewer that reads slowly and steadily could slow a live source of 60 pictures down, for all others as well.
//!
//! The source waits with what it has filled, which is counted for it already, so a channel holds no more than it does
//! otherwise.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// How long a sample stays for viewers that have not taken it.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

/// Of one stream of a channel: what was sent, and how far its viewers are.
#[derive(Debug)]
pub(crate) struct Pace {
    /// How many samples the window has.
    window: usize,
    /// How many were sent.
    sent: Arc<AtomicU64>,
    inside: Mutex<Inside>,
    /// Whether the source waits, and then that a viewer has moved. The flag is set before the source looks at the places,
    /// and a viewer looks at it after it has moved; both in the one order of all that is `SeqCst`, or a move could be missed.
    waits: AtomicBool,
    moved: Notify,
}

#[derive(Debug, Default)]
struct Inside {
    /// When the samples of the window were sent, the oldest first.
    times: VecDeque<Instant>,
    places: Vec<Arc<AtomicU64>>,
}

/// In a place: the source does not wait for this viewer until it has taken the newest sample.
const BEHIND: u64 = 1 << 63;

/// A viewer's place in a stream, until it is dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    pace: Arc<Pace>,
    /// The number of the sample that it takes next.
    place: Arc<AtomicU64>,
}

impl Pace {
    pub(crate) fn new(window: usize) -> Arc<Self> {
        Arc::new(Pace {
            window,
            sent: Arc::default(),
            inside: Mutex::default(),
            waits: AtomicBool::new(false),
            moved: Notify::new(),
        })
    }

    /// How many samples were sent.
    pub(crate) fn sent(&self) -> &Arc<AtomicU64> {
        &self.sent
    }

    /// A sample is sent.
    pub(crate) fn count(&self) {
        let mut inside = self.lock();
        if inside.times.len() == self.window {
            inside.times.pop_front();
        }
        inside.times.push_back(Instant::now());
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// A viewer that takes the sample with this number next.
    pub(crate) fn follow(self: &Arc<Self>, next: u64) -> Follower {
        let place = Arc::new(AtomicU64::new(next));
        self.lock().places.push(place.clone());
        let pace = self.clone();
        Follower { pace, place }
    }

    /// Waits until so many samples can be sent without a loss for any viewer that reads at once.
    pub(crate) async fn room(&self, samples: usize) {
        if self.waits_until(samples).is_none() {
            return;
        }
        self.waits.store(true, Ordering::SeqCst);
        // If this is dropped meanwhile, viewers go on to say that they have moved, which costs them little.
        loop {
            let moved = self.moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            let Some(due) = self.waits_until(samples) else {
                break;
            };
            // When it is due the next look passes over those that are late.
            let _moved_or_late = timeout_at(due, moved).await;
        }
        self.waits.store(false, Ordering::SeqCst);
    }

    /// How long to wait at the most before the next look; `None` if no viewer is waited for.
    fn waits_until(&self, samples: usize) -> Option<Instant> {
        let inside = self.lock();
        let sent = self.sent.load(Ordering::Relaxed);
        let first = sent - inside.times.len() as u64;
        // The samples before this one will be pushed out.
        let stays = (sent + samples as u64).saturating_sub(self.window as u64);
        let now = Instant::now();
        let mut due = None;
        for place in &inside.places {
            let next = place.load(Ordering::SeqCst);
            if next >= stays {
                // Or it is behind, which is more than any number.
                continue;
            }
            let sent_at = next.checked_sub(first);
            let sent_at = sent_at.and_then(|index| inside.times.get(usize::try_from(index).ok()?));
            match sent_at.map(|&at| at + PATIENCE).filter(|&late| late > now) {
                Some(late) => due = due.max(Some(late)),
                None => {
                    // Unless it has moved since.
                    let behind = next | BEHIND;
                    let _moved =
                        place.compare_exchange(next, behind, Ordering::Relaxed, Ordering::Relaxed);
                }
            }
        }
        due
    }

    fn has_moved(&self) {
        if self.waits.load(Ordering::SeqCst) {
            self.moved.notify_one();
        }
    }

    /// Nothing that panics runs under this lock.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// It has taken all samples before the one with this number.
    pub(crate) fn goes_on_with(&self, next: u64) {
        let was_behind = self.place.load(Ordering::Relaxed) & BEHIND != 0;
        let is_behind = was_behind && next < self.pace.sent.load(Ordering::Relaxed);
        let place = if is_behind { next | BEHIND } else { next };
        self.place.store(place, Ordering::SeqCst);
        self.pace.has_moved();
    }

    /// It takes no more.
    pub(crate) fn is_done(&self) {
        self.place.store(u64::MAX, Ordering::SeqCst);
        self.pace.has_moved();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut inside = self.pace.lock();
        inside
            .places
            .retain(|place| !Arc::ptr_eq(place, &self.place));
        drop(inside);
        self.pace.has_moved();
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
