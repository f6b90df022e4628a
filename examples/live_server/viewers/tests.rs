//! What viewers can hold, and who is closed.

use super::*;
use crate::{channel::Channels, frame};
use futures::FutureExt;
use sample_pool::Pool;

/// A channel's frames, as ingest makes them.
struct Feed {
    pool: Pool,
    channels: Arc<Channels>,
    source: crate::channel::Source,
}

impl Feed {
    fn new(buffers: usize) -> Self {
        let pool = frame::pool(buffers, 1024).unwrap();
        let channels = Channels::new(&pool);
        let source = channels.open("cam").unwrap();
        Feed {
            pool,
            channels,
            source,
        }
    }

    fn next(&self) -> Arc<Frame> {
        let sample = self
            .pool
            .try_get_buffer()
            .expect("the pool is not exhausted");
        self.source.publish(sample);
        let cam = self.channels.find("cam").unwrap();
        cam.newest().unwrap()
    }
}

fn give(viewer: &Viewer, frame: &Frame) -> Bytes {
    viewer.give(frame, frame.part())
}

#[test]
fn a_viewer_gets_the_next_frame_only_when_the_last_is_let_go_of() {
    let feed = Feed::new(10);
    let viewers = Viewers::new(10);
    let viewer = viewers.enter(Closer::for_tests());
    let queued = give(&viewer, &feed.next());
    assert!(viewer.taken().now_or_never().is_none());
    assert_eq!(viewers.status(), (1, 0));
    drop(queued);
    assert!(viewer.taken().now_or_never().is_some());
    assert_eq!(viewers.status(), (0, 0));
}

#[test]
fn viewers_that_stall_on_different_frames_never_hold_more_than_half_of_the_pool() {
    let feed = Feed::new(20);
    let viewers = Viewers::new(20);
    let mut queues = Vec::new();
    for _ in 0..40 {
        let closer = Closer::for_tests();
        let viewer = viewers.enter(closer.clone());
        let queued = give(&viewer, &feed.next());
        queues.push((closer, viewer, queued));
        // What hyper does with a connection that was closed: it drops the queue.
        queues.retain(|(closer, _, _)| !closer.is_closed());
        assert!(viewers.status().0 <= 10);
    }
    assert_eq!(viewers.status(), (10, 30), "the oldest were closed");
    drop(queues);
    assert_eq!(viewers.status().0, 0);
}

#[test]
fn viewers_that_hold_the_same_frame_hold_one() {
    let feed = Feed::new(10);
    let viewers = Viewers::new(10);
    let frame = feed.next();
    let watching: Vec<_> = (0..100)
        .map(|_| {
            let viewer = viewers.enter(Closer::for_tests());
            let queued = give(&viewer, &frame);
            (viewer, queued)
        })
        .collect();
    assert_eq!(viewers.status(), (1, 0));
    drop(watching);
}

#[test]
fn a_connection_that_takes_nothing_for_the_limit_is_closed() {
    let feed = Feed::new(10);
    let viewers = Viewers::new(10);
    let closer = Closer::for_tests();
    let viewer = viewers.enter(closer.clone());
    let _queued = give(&viewer, &feed.next());
    let now = Instant::now();
    viewers.close_stalled(now + STALL_LIMIT / 2);
    assert!(!closer.is_closed());
    viewers.close_stalled(now + STALL_LIMIT * 2);
    assert!(closer.is_closed());
}

#[test]
fn a_viewer_that_left_is_forgotten_with_its_last_frame() {
    let feed = Feed::new(10);
    let viewers = Viewers::new(10);
    let viewer = viewers.enter(Closer::for_tests());
    let queued = give(&viewer, &feed.next());
    drop(viewer);
    assert_eq!(viewers.status().0, 1, "hyper still has it");
    drop(queued);
    assert!(viewers.lock().by_number.is_empty());
}
