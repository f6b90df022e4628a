//! What viewers can hold, and who is closed.

use super::*;
use crate::channel::{Channels, Kind, Source};
use bytes::Bytes;
use futures::FutureExt;
use sample_pool::Pool;

/// A channel's frames, as ingest makes them, and who watches them.
struct Feed {
    pool: Pool,
    viewers: Arc<Viewers>,
    channels: Arc<Channels>,
    source: Source,
}

/// A viewer whose connection keeps what it was given.
struct Watching {
    frames: Subscriber,
    connection: Closer,
}

impl Feed {
    fn new(buffers: usize) -> Self {
        let pool = memory::pool(buffers, 1024).unwrap();
        let viewers = Viewers::new(buffers);
        let channels = Channels::new(&pool, viewers.hold_limit());
        let source = channels.open("cam").unwrap();
        source.begin(Kind::Jpeg).unwrap();
        Feed {
            pool,
            viewers,
            channels,
            source,
        }
    }

    fn publish(&self) {
        let sample = self.pool.try_get_buffer();
        self.source
            .publish(sample.expect("the pool is not exhausted"));
    }

    fn watch(&self) -> Watching {
        let cam = self.channels.find("cam").expect("it is open");
        Watching {
            frames: cam.follow().expect("it has not ended").frames,
            connection: Closer::for_tests(),
        }
    }

    /// Gives the newest frame to a new viewer, and looks after it as its response does. What it queues is
    /// dropped when its connection is closed.
    async fn stall(&self) -> tokio::task::JoinHandle<bool> {
        let Watching {
            mut frames,
            connection,
        } = self.watch();
        let viewers = self.viewers.clone();
        let held = frames.recv().await.expect("it goes on");
        tokio::spawn(async move {
            let reclaim_requested = held.reclaim_requested();
            let queued = held.into_bytes();
            let mut patience = Patience::with(connection.clone());
            let taken = viewers.until_taken(&mut frames, reclaim_requested, &mut patience);
            let open = taken.await;
            assert_eq!(connection.is_closed(), !open);
            drop(queued);
            open
        })
    }
}

fn give(watching: &mut Watching) -> Bytes {
    let frame = watching.frames.recv().now_or_never().flatten();
    frame.expect("there is one").into_bytes()
}

#[tokio::test]
async fn a_viewer_gets_the_next_frame_only_when_the_last_is_dropped() {
    let feed = Feed::new(10);
    feed.publish();
    let mut viewer = feed.watch();
    let queued = give(&mut viewer);
    feed.publish();
    assert!(viewer.frames.recv().now_or_never().is_none());
    assert_eq!(feed.viewers.status(), (1, 0));
    drop(queued);
    let mut patience = Patience::with(viewer.connection.clone());
    let never_wanted = std::future::pending();
    let taken = feed
        .viewers
        .until_taken(&mut viewer.frames, never_wanted, &mut patience);
    assert!(taken.await);
    assert_eq!(feed.viewers.status(), (0, 0));
    assert!(!give(&mut viewer).is_empty());
}

#[tokio::test(start_paused = true)]
async fn viewers_that_stall_on_different_frames_never_hold_more_than_half_of_the_pool() {
    let feed = Feed::new(20);
    let began = tokio::time::Instant::now();
    let mut stalled = Vec::new();
    for _ in 0..40 {
        feed.publish();
        stalled.push(feed.stall().await);
        assert!(feed.viewers.status().0 <= 10);
    }
    assert_eq!(feed.viewers.status(), (10, 30));
    assert!(
        began.elapsed() < STALL_LIMIT,
        "at once, and not for stalling"
    );
    let newest = stalled.split_off(30);
    for closed in stalled {
        assert!(!closed.await.unwrap(), "the oldest are closed");
    }
    assert!(newest.iter().all(|open| !open.is_finished()));
    newest.iter().for_each(|open| open.abort());
    for aborted in newest {
        assert!(aborted.await.unwrap_err().is_cancelled());
    }
    assert_eq!(feed.viewers.status(), (0, 30));
}

#[tokio::test]
async fn viewers_that_hold_the_same_frame_hold_one() {
    let feed = Feed::new(10);
    feed.publish();
    let mut viewers: Vec<_> = (0..100).map(|_| feed.watch()).collect();
    let queued: Vec<_> = viewers.iter_mut().map(give).collect();
    assert_eq!(feed.viewers.status(), (1, 0));
    drop((viewers, queued));
    assert_eq!(feed.viewers.status(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_nothing_for_the_limit_is_closed() {
    let feed = Feed::new(10);
    feed.publish();
    let began = tokio::time::Instant::now();
    let stalled = feed.stall().await;
    assert!(!stalled.await.unwrap());
    assert_eq!(feed.viewers.status(), (0, 1));
    let took = began.elapsed();
    assert!(
        took >= STALL_LIMIT && took < STALL_LIMIT + Duration::from_millis(10),
        "{took:?}"
    );
}

/// One that is slow, and not stalled, is given time.
#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_a_byte_now_and_then_stays_open() {
    let connection = Closer::for_tests();
    let mut patience = Patience::with(connection.clone());
    let mut ends = std::pin::pin!(patience.ends());
    for _ in 0..10 {
        let soon = STALL_LIMIT - Duration::from_millis(10);
        let waited = tokio::time::timeout(soon, &mut ends).await;
        assert!(waited.is_err(), "it took a byte less than the limit ago");
        connection.took_bytes();
    }
    ends.await;
}

#[tokio::test]
async fn a_frame_counts_until_hyper_has_dropped_it_even_if_its_viewer_has_left() {
    let feed = Feed::new(10);
    feed.publish();
    let mut viewer = feed.watch();
    let queued = give(&mut viewer);
    drop(viewer);
    assert_eq!(feed.viewers.status().0, 1);
    drop(queued);
    assert_eq!(feed.viewers.status().0, 0);
}
