//! Who watches: how far behind each viewer is, what it holds, and what it skipped.
//!
//! A viewer's own task writes down what it does, on a cache line that no other task writes. How far behind
//! it is is found out only when somebody asks, so that it is known of a viewer that stalls as well.

use crate::channel::Following;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// All who watch, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Everybody(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    by_number: BTreeMap<u64, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    channel: Arc<str>,
    peer: SocketAddr,
    since: Instant,
    /// How many samples its channel has sent.
    sent: Arc<AtomicU64>,
    /// How many of the newest of them are kept for it.
    window: u64,
    progress: Mutex<Progress>,
}

/// How far a viewer has come. Its parts change together, so that none is lag and skipped at once.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// How many samples it has taken or skipped.
    passed: u64,
    skipped: u64,
    holds: usize,
}

/// A viewer's own place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watching {
    everybody: Everybody,
    number: u64,
    entry: Arc<Entry>,
}

/// What is shown of a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ViewerStatus {
    pub(crate) channel: Arc<str>,
    pub(crate) peer: SocketAddr,
    pub(crate) watches: Duration,
    /// How many samples are there for it that it did not take yet.
    pub(crate) lag: u64,
    /// How many it skipped because it lagged, those included that are gone and that it will find out about.
    pub(crate) skipped: u64,
    /// How many bytes are on their way to it.
    pub(crate) holds: usize,
}

impl Everybody {
    pub(crate) fn register(&self, following: &Following, peer: SocketAddr) -> Watching {
        let sent = following.sent.load(Relaxed);
        let entry = Arc::new(Entry {
            channel: following.channel.clone(),
            peer,
            since: Instant::now(),
            sent: following.sent.clone(),
            window: following.window as u64,
            progress: Mutex::new(Progress {
                passed: sent.saturating_sub(following.frames.lag() as u64),
                skipped: 0,
                holds: 0,
            }),
        });
        let mut entries = self.lock();
        let number = entries.next;
        entries.next += 1;
        entries.by_number.insert(number, entry.clone());
        drop(entries);
        Watching {
            everybody: self.clone(),
            number,
            entry,
        }
    }

    /// How many watch, and the `most` of them that are furthest behind, those first.
    pub(crate) fn status(&self, most: usize) -> (usize, Vec<ViewerStatus>) {
        let entries: Vec<_> = self.lock().by_number.values().cloned().collect();
        let mut all: Vec<_> = entries.iter().map(|entry| entry.status()).collect();
        // Stable: those that are equally far behind stay in the order in which they came.
        all.sort_by_key(|viewer| std::cmp::Reverse(viewer.lag));
        all.truncate(most);
        (entries.len(), all)
    }

    /// Nothing that panics runs under this lock.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn status(&self) -> ViewerStatus {
        let progress = *self.lock();
        let behind = self.sent.load(Relaxed).saturating_sub(progress.passed);
        let lag = behind.min(self.window);
        ViewerStatus {
            channel: self.channel.clone(),
            peer: self.peer,
            watches: self.since.elapsed(),
            lag,
            skipped: progress.skipped + (behind - lag),
            holds: progress.holds,
        }
    }

    /// Nothing that panics runs under this lock.
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    /// It was given the sample with this number, of so many bytes, and has skipped some before it.
    pub(crate) fn given(&self, number: u64, skipped: u64, bytes: usize) {
        let mut progress = self.entry.lock();
        progress.passed = number + 1;
        progress.skipped += skipped;
        progress.holds = bytes;
    }

    /// Its connection has dropped that sample.
    pub(crate) fn taken(&self) {
        self.entry.lock().holds = 0;
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let left = self.everybody.lock().by_number.remove(&self.number);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        channel::{Channels, Kind},
        memory,
    };
    use sample_pool::fan_out::HoldLimit;

    #[test]
    fn a_viewer_that_stalls_is_reported_until_it_leaves() {
        let pool = memory::pool(memory::FEWEST_BUFFERS, 1024).unwrap();
        let channels = Channels::new(&pool, &HoldLimit::new(10));
        let source = channels.open("cam").unwrap();
        source.begin(Kind::Jpeg).unwrap();
        let publish = || source.publish(pool.try_get_buffer().unwrap());
        publish();
        let cam = channels.find("cam").unwrap();
        let everybody = Everybody::default();
        let peers = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let [fast, slow] = peers.map(|peer| everybody.register(&cam.follow().unwrap(), peer));
        let lags = || {
            let (all, viewers) = everybody.status(10);
            assert_eq!(all, viewers.len());
            let lags = viewers
                .iter()
                .map(|viewer| (viewer.peer.port(), viewer.lag));
            lags.collect::<Vec<_>>()
        };
        assert_eq!(
            lags(),
            [(1, 1), (2, 1)],
            "the newest frame is there for them"
        );
        for number in 0..3 {
            fast.given(number, 0, 500);
            publish();
        }
        fast.taken();
        slow.given(0, 0, 500);
        assert_eq!(
            lags(),
            [(2, 3), (1, 1)],
            "who is furthest behind comes first"
        );
        slow.given(3, 2, 600);
        let (_, viewers) = everybody.status(1);
        assert_eq!((viewers[0].peer, viewers[0].holds), (peers[0], 0));
        let (_, viewers) = everybody.status(2);
        assert_eq!((viewers[1].skipped, viewers[1].holds), (2, 600));
        // It takes nothing any more, so that it does not know yet what it skips: 4 pictures are there for it.
        for _ in 0..111 {
            publish();
        }
        let (_, viewers) = everybody.status(2);
        let of_slow = viewers.iter().find(|viewer| viewer.peer == peers[1]);
        let of_slow = of_slow.expect("it watches");
        assert_eq!((of_slow.lag, of_slow.skipped), (4, 2 + 107));
        assert_eq!(lags(), [(1, 4), (2, 4)]);
        drop(slow);
        assert_eq!(lags(), [(1, 4)]);
    }
}
