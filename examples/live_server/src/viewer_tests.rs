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
    fn watch(&self, limit: u64) -> mpsc::Receiver<Result<Bytes, CutOff>> {
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

/// How many samples come until the response ends, and whether it ends with an error.
async fn rest(body: &mut mpsc::Receiver<Result<Bytes, CutOff>>) -> (usize, bool) {
    let (mut samples, mut is_cut_off) = (0, false);
    let counted = async {
        while let Some(chunk) = body.recv().await {
            assert!(!is_cut_off, "something follows the error");
            match chunk {
                Ok(bytes) => {
                    assert!(!bytes.is_empty(), "a chunk of nothing");
                    samples += 1;
                }
                Err(CutOff) => is_cut_off = true,
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(5), counted).await;
    ended.expect("the response ends");
    (samples, is_cut_off)
}

#[tokio::test]
async fn a_limit_is_of_whole_fragments() {
    let film = Film::new();
    film.publish(3);
    let mut body = film.watch(2);
    film.publish(2);
    film.publish(1);
    assert_eq!(rest(&mut body).await, (5, false));
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
    assert_eq!(rest(&mut body).await, (2, false));
    drop(body);
    // Its task has one more turn to drop the last.
    tokio::task::yield_now().await;
    assert_eq!(film.pool.free_count(), FEWEST_BUFFERS);
}

#[tokio::test]
async fn one_that_falls_behind_inside_a_fragment_is_cut_off_instead_of_sent_half_of_it() {
    let film = Film::new();
    film.publish(3);
    let mut body = film.watch(u64::MAX);
    let first = body.recv().await;
    film.publish(MOST_PIECES);
    drop(first);
    assert_eq!(rest(&mut body).await, (0, true));
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

/// Half of a fragment would be taken for a whole one if its response ended as any other.
#[tokio::test]
async fn when_the_source_fails_inside_a_fragment_those_that_got_a_part_of_it_are_cut_off_and_no_others()
 {
    let film = Film::new();
    film.publish(1);
    let mut reader = film.watch(u64::MAX);
    assert!(matches!(reader.recv().await, Some(Ok(_))));
    // It has not taken the fragment before it.
    let mut slow = film.watch(u64::MAX);
    let whole = slow.recv().await;

    let mut arriving = film.source.start_fragment(2, true).expect("it has begun");
    let mut sample = film.pool.try_get_buffer().expect("one is free");
    arriving.mark(&mut sample);
    let mut part = sample.into_part();
    for (number, bytes) in [&b"half "[..], b"of it"].into_iter().enumerate() {
        part.put_slice(bytes);
        arriving.give(part.split_written(), number == 0);
        if number == 0 {
            let received = reader.recv().await;
            assert_eq!(received.expect("it goes on").expect("it arrives"), bytes);
        }
    }
    drop(arriving);
    assert_eq!(rest(&mut reader).await, (0, true));
    drop((whole, part));
    let next = slow.recv();
    let next = tokio::time::timeout(Duration::from_millis(50), next).await;
    assert!(next.is_err(), "it waits for the next fragment");
    film.publish(1);
    assert!(matches!(slow.recv().await, Some(Ok(_))));
    assert_eq!(film.channels.status()[0].sequence, 2);
}

/// The last bytes may have been sent before it is known that they are.
#[tokio::test]
async fn the_end_of_a_fragment_counts_although_it_has_no_bytes() {
    let film = Film::new();
    let mut body = film.watch(u64::MAX);
    let mut arriving = film.source.start_fragment(1, true).expect("it has begun");
    let mut sample = film.pool.try_get_buffer().expect("one is free");
    arriving.mark(&mut sample);
    let mut part = sample.into_part();
    part.put_slice(b"all");
    arriving.give(part.split_written(), true);
    assert!(matches!(body.recv().await, Some(Ok(_))));
    arriving.finish(part.freeze(), false);
    tokio::task::yield_now().await;
    // It is between two fragments, so the end of the server is no error.
    film.end.send_replace(true);
    assert_eq!(rest(&mut body).await, (0, false));
    assert_eq!(film.channels.status()[0].sequence, 1);
}
