//! What becomes of a source's body, whatever is wrong with it.

use super::*;
use crate::{
    channel::Channels,
    memory::{self, FEWEST_BUFFERS, MOST_PIECES},
    piece::Piece,
};
use futures::FutureExt;
use sample_pool::fan_out::Hands;
use std::convert::Infallible;

const MOST: usize = 1024;

/// A sample that a viewer is sent, and its bytes without the header of a part.
type Shown = (Piece, Vec<u8>);

/// Sends `chunks` as one source, and gives the answer and what the channel shows afterwards: all that is there for a viewer
/// that joins.
async fn send(pool: &Pool, chunks: &[&[u8]]) -> (Result<Ingested, Rejected>, Vec<Shown>) {
    let channels = Channels::new(pool, &Hands::new(1));
    let source = channels.open("cam").unwrap();
    let ingest = Ingest {
        pool,
        source: &source,
        most: MOST,
        epoch: Instant::now(),
    };
    let chunks = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk));
    let body = futures::stream::iter(chunks.map(Ok::<_, Infallible>));
    let answer = ingest.read(body).await;
    let following = channels.find("cam").and_then(|cam| cam.follow());
    let mut shown = Vec::new();
    if let Some(mut following) = following {
        channels.end();
        while let Some(Some(sample)) = following.frames.next().now_or_never() {
            let piece = Piece::of(sample.properties());
            shown.push((piece, sample[usize::from(piece.header)..].to_vec()));
        }
    }
    (answer, shown)
}

fn pool() -> Pool {
    memory::pool(FEWEST_BUFFERS, MOST).unwrap()
}

const PART: &[u8] = b"--x\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9\r\n";

#[tokio::test]
async fn the_frames_of_a_source_are_published_and_none_is_kept_back() {
    let pool = pool();
    let (answer, shown) = send(&pool, &[PART, PART, PART]).await;
    assert_eq!(answer.unwrap().to_string(), "3 frames");
    assert_eq!(shown.len(), 1, "the newest");
    assert!(shown[0].1.starts_with(b"\xff\xd8\xff\xd9\r\n"));
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

#[tokio::test]
async fn a_source_that_vanishes_in_a_frame_loses_that_frame_only() {
    let pool = pool();
    let (answer, shown) = send(&pool, &[PART, &PART[..PART.len() - 4]]).await;
    assert_eq!(
        answer.unwrap().to_string(),
        "1 frames, and one that was cut"
    );
    assert_eq!(shown.len(), 1);
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

#[tokio::test]
async fn a_frame_larger_than_a_buffer_is_refused_with_both_sizes() {
    let pool = pool();
    let announced = b"--x\r\nContent-Length: 5000\r\n\r\n\xff\xd8";
    let (answer, _) = send(&pool, &[announced]).await;
    let said = answer.unwrap_err().to_string();
    assert!(said.contains("5000") && said.contains("1024"), "{said}");
    // Not announced: a segment that goes on and on.
    let (answer, _) = send(&pool, &[b"\xff\xd8\xff\xe0\xff\xff", &[0; 2000]]).await;
    assert!(matches!(
        answer,
        Err(Rejected::TooLarge { bytes: None, .. })
    ));
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

/// A byte now and then is not a frame.
#[tokio::test(start_paused = true)]
async fn a_source_that_finishes_no_frame_in_time_is_turned_away_and_leaves_no_sample_behind() {
    let pool = pool();
    let channels = Channels::new(&pool, &Hands::new(1));
    let source = channels.open("cam").unwrap();
    let ingest = Ingest {
        pool: &pool,
        source: &source,
        most: MOST,
        epoch: Instant::now(),
    };
    let trickle = PART
        .iter()
        .take(PART.len() - 3)
        .map(|&byte| Bytes::from(vec![byte]));
    let body = futures::stream::iter(trickle.chain(vec![Bytes::from_static(b"\n"); 100])).then(
        async |byte| {
            time::sleep(FRAME_TIME / 10).await;
            Ok::<_, Infallible>(byte)
        },
    );
    let began = time::Instant::now();
    let answer = ingest.read(std::pin::pin!(body)).await;
    assert!(matches!(answer, Err(Rejected::TooSlow(_))), "{answer:?}");
    assert!(began.elapsed() <= FRAME_TIME * 2);
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

#[tokio::test]
async fn with_no_sample_home_the_source_waits_and_the_status_shows_it() {
    let pool = pool();
    let held = pool.try_get_buffers(FEWEST_BUFFERS).unwrap();
    let chunks = [PART];
    let mut sending = std::pin::pin!(send(&pool, &chunks));
    assert!((&mut sending).now_or_never().is_none());
    assert_eq!(pool.status().waiting, 1);
    drop(held);
    assert_eq!(sending.await.0.unwrap().frames, 1);
}
