//! What a viewer of fragments is sent, and when its response ends.

use super::*;
use crate::{
    channel::{Channels, Source},
    memory::{self, FEWEST_BUFFERS, MOST_PIECES},
    mp4::InitSegment,
};
use bytes::BufMut;
use sample_pool::Pool;
use std::time::Duration;

/// A channel of fragments, and a server that can end.
struct Film {
    pool: Pool,
    viewers: Arc<Viewers>,
    channels: Arc<Channels>,
    source: Source,
    end: watch::Sender<bool>,
}

impl Film {
    fn new() -> Self {
        let pool = memory::pool(FEWEST_BUFFERS, 1024).unwrap();
        let viewers = Viewers::new(FEWEST_BUFFERS);
        let channels = Channels::new(&pool, viewers.hold_limit());
        let source = channels.open("film").unwrap();
        let init = InitSegment {
            bytes: Bytes::from_static(b"init"),
            media_type: "video/mp4".to_owned(),
            tracks: Vec::new(),
        };
        source.begin(Kind::Mp4(Arc::new(init))).unwrap();
        Film {
            pool,
            viewers,
            channels,
            source,
            end: watch::Sender::new(false),
        }
    }

    fn publish(&self, pieces: usize) {
        let sample = || {
            let mut sample = self
                .pool
                .try_get_buffer()
                .expect("the pool is not exhausted");
            sample.put_slice(b"media");
            sample
        };
        let pieces: Vec<_> = (0..pieces).map(|_| sample()).collect();
        self.source.publish_fragment(pieces, true);
    }

    /// What hyper is given for a viewer.
    fn watch(&self, limit: u64) -> mpsc::Receiver<Bytes> {
        let channel = self.channels.find("film").expect("it is open");
        let viewer = Viewer {
            viewers: self.viewers.clone(),
            following: channel.follow().expect("it has begun"),
            connection: Closer::for_tests(),
            ending: self.end.subscribe(),
        };
        let (chunks, body) = mpsc::channel(1);
        tokio::spawn(viewer.give(chunks, limit));
        body
    }
}

/// How many samples come until the response ends.
async fn rest(body: &mut mpsc::Receiver<Bytes>) -> usize {
    let mut samples = 0;
    let counted = async {
        while body.recv().await.is_some() {
            samples += 1;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(5), counted).await;
    ended.expect("the response ends");
    samples
}

#[tokio::test]
async fn a_limit_is_of_whole_fragments() {
    let film = Film::new();
    film.publish(3);
    let mut body = film.watch(2);
    film.publish(2);
    film.publish(1);
    assert_eq!(rest(&mut body).await, 5);
}

#[tokio::test]
async fn when_the_server_ends_a_viewer_is_sent_the_rest_of_its_fragment_and_no_other() {
    let film = Film::new();
    film.publish(3);
    let mut body = film.watch(u64::MAX);
    let first = body.recv().await;
    film.publish(2);
    film.channels.end();
    film.end.send_replace(true);
    drop(first);
    assert_eq!(rest(&mut body).await, 2);
    drop(body);
    // Its task has one more turn to drop the last.
    tokio::task::yield_now().await;
    assert_eq!(film.pool.free_count(), FEWEST_BUFFERS);
}

#[tokio::test]
async fn one_that_falls_behind_inside_a_fragment_is_ended_instead_of_sent_half_of_it() {
    let film = Film::new();
    film.publish(3);
    let mut body = film.watch(u64::MAX);
    let first = body.recv().await;
    film.publish(MOST_PIECES);
    drop(first);
    assert_eq!(rest(&mut body).await, 0);
    // Between two fragments it skips.
    let mut body = film.watch(u64::MAX);
    for _ in 0..MOST_PIECES - 1 {
        drop(body.recv().await);
    }
    let last = body.recv().await;
    film.publish(2);
    film.publish(MOST_PIECES);
    let (_, viewers) = film.viewers.everybody().status(1);
    assert_eq!(
        (viewers[0].lag, viewers[0].skipped, viewers[0].holds),
        (MOST_PIECES as u64, 2, 5)
    );
    drop(last);
    for _ in 0..MOST_PIECES {
        assert!(body.recv().await.is_some());
    }
    let (_, viewers) = film.viewers.everybody().status(1);
    assert_eq!((viewers[0].lag, viewers[0].skipped), (0, 2));
}
