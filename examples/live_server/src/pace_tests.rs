//! Whom a source waits for, and for how long.

use super::*;
use crate::{
    channel::{Channels, Following, Kind, Source},
    memory::{self, BACKLOG, FEWEST_BUFFERS, MOST_PIECES},
    mp4::InitSegment,
    piece::Piece,
};
use bytes::BufMut;
use futures::FutureExt;
use sample_pool::{Pool, Sample, fan_out::HoldLimit};
use tokio::time::timeout;

/// A source that is as fast as it can be.
struct Flood {
    pool: Pool,
    channels: Arc<Channels>,
    source: Source,
    is_film: bool,
}

impl Flood {
    fn of_pictures() -> Self {
        Flood::new(Kind::Jpeg)
    }

    fn of_fragments() -> Self {
        Flood::new(Kind::Mp4(Arc::new(InitSegment {
            bytes: "init".into(),
            media_type: "video/mp4".to_owned(),
            tracks: Vec::new(),
        })))
    }

    fn new(kind: Kind) -> Self {
        let pool = memory::pool(FEWEST_BUFFERS, 1024).unwrap();
        let channels = Channels::new(&pool, &HoldLimit::new(FEWEST_BUFFERS / 2));
        let source = channels.open("flood").unwrap();
        let is_film = kind != Kind::Jpeg;
        source.begin(kind).unwrap();
        Flood {
            pool,
            channels,
            source,
            is_film,
        }
    }

    fn window(&self) -> usize {
        if self.is_film { MOST_PIECES } else { BACKLOG }
    }

    /// As ingest does it. Only the first fragment can be shown by itself.
    async fn publish(&self, count: usize) -> Duration {
        let mut waited = Duration::ZERO;
        for _ in 0..count {
            let sample = self.sample();
            waited += self.source.room(1).await;
            if self.is_film {
                let first = self.channels.status()[0].sequence == 0;
                self.source.publish_fragment([sample], first);
            } else {
                self.source.publish(sample);
            }
            let held = FEWEST_BUFFERS - self.pool.free_count();
            assert!(held <= self.window() + FEWEST_BUFFERS / 2, "{held}");
        }
        waited
    }

    fn sample(&self) -> Sample {
        let mut sample = self.pool.try_get_buffer().expect("no more than its share");
        sample.put_u8(0);
        sample
    }

    fn follow(&self) -> Following {
        let channel = self.channels.find("flood").expect("it is open");
        channel.follow().expect("it has begun")
    }
}

/// The next of them, and how many were lost before it.
async fn take(viewer: &mut Following) -> (u64, u64) {
    let received = viewer.next().await.expect("it goes on");
    (
        Piece::of(received.properties()).sequence,
        received.skipped(),
    )
}

/// It was left with the first and the last 8 fragments, or 4 pictures, of as many as came before its task ran.
#[tokio::test]
async fn a_viewer_that_reads_at_once_misses_nothing_however_fast_the_source_is() {
    const COUNT: u64 = 574;
    for flood in [Flood::of_fragments(), Flood::of_pictures()] {
        flood.publish(1).await;
        let mut viewer = flood.follow();
        let viewer = tokio::spawn(async move {
            for expected in 1..=COUNT {
                assert_eq!(take(&mut viewer).await, (expected, 0));
            }
        });
        flood.publish(COUNT as usize - 1).await;
        // One that has missed the only fragment to begin with would wait for ever.
        let done = timeout(Duration::from_secs(5), viewer).await;
        done.expect("it was sent all of them").unwrap();
    }
}

/// A fragment of several samples pushes out as many at once.
#[tokio::test]
async fn fragments_of_several_samples_are_not_lost_either() {
    let flood = Flood::of_fragments();
    flood.publish(1).await;
    let mut viewer = flood.follow();
    assert_eq!(take(&mut viewer).await, (1, 0));
    let viewer = tokio::spawn(async move {
        for sequence in 2..100 {
            for _ in 0..5 {
                assert_eq!(take(&mut viewer).await, (sequence, 0));
            }
        }
    });
    for _ in 2..100 {
        let pieces: Vec<_> = (0..5).map(|_| flood.sample()).collect();
        flood.source.room(pieces.len()).await;
        flood.source.publish_fragment(pieces, true);
    }
    viewer.await.unwrap();
}

/// It has taken a part of the sample that would be pushed out, and would be cut off.
#[tokio::test(start_paused = true)]
async fn a_viewer_is_waited_for_inside_a_sample_that_arrives() {
    let flood = Flood::of_fragments();
    flood.publish(1).await;
    let mut viewer = flood.follow();
    assert_eq!(take(&mut viewer).await, (1, 0));
    let pieces = MOST_PIECES as u16 + 1;
    let mut fragment = flood.source.start_fragment(pieces, true).unwrap();
    let mut waits = Vec::new();
    for piece in 0..pieces {
        let mut sample = flood.sample();
        waits.push(flood.source.room(1).await);
        fragment.mark(&mut sample);
        let mut part = sample.into_part();
        fragment.give(part.split_written(), true);
        if piece == 0 {
            assert_eq!(take(&mut viewer).await, (2, 0));
            part.put_u8(1);
            fragment.give(part.freeze(), false);
        }
    }
    let last = waits.pop();
    assert_eq!(last, Some(PATIENCE), "before the first piece is pushed out");
    assert!(waits.iter().all(Duration::is_zero), "{waits:?}");
}

/// Or anybody could stop a source.
#[tokio::test(start_paused = true)]
async fn a_viewer_that_stalls_is_waited_for_once() {
    for flood in [Flood::of_fragments(), Flood::of_pictures()] {
        flood.publish(1).await;
        let mut stalled = flood.follow();
        let waited = flood.publish(1000).await;
        assert_eq!(waited, PATIENCE);
        // It is behind as long as it has not taken the newest.
        take(&mut stalled).now_or_never();
        assert_eq!(flood.publish(1000).await, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_has_caught_up_is_waited_for_again() {
    let flood = Flood::of_pictures();
    flood.publish(1).await;
    let mut viewer = flood.follow();
    assert_eq!(flood.publish(100).await, PATIENCE);
    for sequence in 98..=101 {
        let (taken, _) = take(&mut viewer).await;
        assert_eq!(taken, sequence);
    }
    assert_eq!(flood.publish(100).await, PATIENCE);
}

/// What a viewer of one frame is sent is its last, and who has left takes nothing.
#[tokio::test(start_paused = true)]
async fn viewers_that_take_no_more_are_not_waited_for() {
    let flood = Flood::of_pictures();
    flood.publish(1).await;
    let done = flood.follow();
    done.is_done();
    drop(flood.follow());
    assert_eq!(flood.publish(100).await, Duration::ZERO);
    drop(done);
    // One that leaves ends the wait.
    let leaves = flood.follow();
    let leaving = tokio::spawn(async move {
        tokio::time::sleep(PATIENCE / 5).await;
        drop(leaves);
    });
    assert_eq!(flood.publish(100).await, PATIENCE / 5);
    leaving.await.unwrap();
}

/// The window of a live source lasts longer than that.
#[tokio::test(start_paused = true)]
async fn a_live_source_never_waits() {
    let flood = Flood::of_pictures();
    flood.publish(1).await;
    let _stalled = flood.follow();
    for _ in 0..100 {
        tokio::time::sleep(PATIENCE / BACKLOG as u32).await;
        assert_eq!(flood.publish(1).await, Duration::ZERO);
    }
}

/// The source goes on while viewers come late again and again: each sample stays no longer than that.
#[tokio::test(start_paused = true)]
async fn whatever_viewers_do_a_window_is_sent_in_the_time_of_patience() {
    let flood = Flood::of_pictures();
    flood.publish(1).await;
    let began = Instant::now();
    for _ in 0..50 {
        let _stalled = flood.follow();
        flood.publish(BACKLOG).await;
    }
    assert!(began.elapsed() <= PATIENCE * 50, "{:?}", began.elapsed());
}
