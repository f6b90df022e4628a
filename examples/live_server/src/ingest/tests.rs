//! What becomes of a source's body, whatever is wrong with it.

use super::*;
use crate::{
    channel::Channels,
    limits::SOURCE_TIMEOUT,
    memory::{self, FEWEST_BUFFERS, MOST_PIECES},
    mp4::{LARGEST_INIT, LARGEST_MOOF},
    piece::Piece,
};
use futures::FutureExt;
use sample_pool::{Pool, fan_out::HoldLimit};
use std::convert::Infallible;

const MOST: usize = 1024;

/// A sample that a viewer is sent, and its bytes without the header of a part.
type Shown = (Piece, Vec<u8>);

/// Sends `chunks` as one source, and gives the answer and what the channel shows afterwards: all that is there for a viewer
/// that joins.
async fn send(pool: &Pool, chunks: &[&[u8]]) -> (Result<Ingested, Rejected>, Vec<Shown>) {
    let channels = Channels::new(pool, &HoldLimit::new(1));
    let source = channels.open("cam").unwrap();
    let ingest = Ingest {
        source: &source,
        most: MOST,
        timeout: SOURCE_TIMEOUT,
        epoch: Instant::now(),
    };
    let chunks = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk));
    let body = futures::stream::iter(chunks.map(Ok::<_, Infallible>));
    let answer = ingest.read(body).await;
    let following = channels.find("cam").and_then(|cam| cam.follow());
    let mut shown = Vec::new();
    if let Some(mut following) = following {
        channels.end();
        while let Some(Some(sample)) = following.frames.recv().now_or_never() {
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

/// As `curl --data-binary ''` and `printf 'POST /ingest/cam HTTP/1.1\r\nHost: x\r\n\r\n'` send it: the answer was 200.
#[tokio::test]
async fn a_source_that_sends_nothing_is_refused_with_what_it_needs() {
    let pool = pool();
    for nothing in [&[][..], &[&b""[..]], &[b"\r\n", b"\r\n"]] {
        let (answer, shown) = send(&pool, nothing).await;
        let said = answer.unwrap_err().to_string();
        assert!(said.contains("Transfer-Encoding: chunked"), "{said}");
        assert!(shown.is_empty());
    }
}

/// Two bytes are too few for the parser to tell, so only the end shows what they are.
#[tokio::test]
async fn a_source_that_ends_before_it_sent_a_picture_is_refused() {
    let pool = pool();
    let no_picture = b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n";
    for nonsense in [&b"no"[..], b"GIF89a", no_picture, b"\xff\xd8\xff\xe0\0\x01"] {
        let (answer, _) = send(&pool, &[nonsense]).await;
        let rejected = answer.unwrap_err();
        assert!(matches!(rejected, Rejected::NotFrames(_)), "{rejected:?}");
        assert!(rejected.to_string().starts_with("not a JPEG"));
    }
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

/// `head --bytes=N` of a film or of a picture, and the boxes by `printf`: the answer was 200, and the log had no line.
#[tokio::test]
async fn a_source_that_shows_nothing_is_refused_with_what_is_missing() {
    let pool = pool();
    let moof = places(b"moof")[0];
    for (nothing, missing) in [
        (&FILM[..moof], "fragment"),
        (&FILM[..moof + 20], "fragment"),
        (&FILM[..places(b"mdat")[0] + 100], "fragment"),
        (&FILM[..8], "init segment"),
        (&FILM[..moof - 1], "init segment"),
        (b"\0\0\0\x10free\0\0\0\0\0\0\0\0", "init segment"),
        (&PART[..PART.len() - 3], "picture"),
        (b"\xff\xd8\xff\xe0\0\x10", "picture"),
    ] {
        let (answer, shown) = send(&pool, &[nothing]).await;
        let rejected = answer.unwrap_err();
        let said = rejected.to_string();
        assert!(
            said.contains(&format!("first {missing} was whole")),
            "{said}"
        );
        assert!(shown.is_empty());
    }
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

/// A picture that was begun in a buffer would keep it, and be shown with the next one behind it.
#[tokio::test]
async fn what_is_skipped_is_counted_and_its_buffer_is_free_for_the_next_picture() {
    let pool = pool();
    let channels = Channels::new(&pool, &HoldLimit::new(1));
    let source = channels.open("cam").unwrap();
    let ingest = Ingest {
        source: &source,
        most: MOST,
        timeout: SOURCE_TIMEOUT,
        epoch: Instant::now(),
    };
    let (whole, broken) = (&b"\xff\xd8\xff\xd9"[..], &b"\xff\xd8\xff\xe0\0\x01"[..]);
    let stream = [whole, &[0; 10][..], broken, whole, broken, whole].concat();
    for chunk in [1, 5, stream.len()] {
        let chunks = stream.chunks(chunk).map(Bytes::copy_from_slice);
        let body = futures::stream::iter(chunks.map(Ok::<_, Infallible>));
        let answer = ingest.read(body).await.unwrap().to_string();
        assert_eq!(
            answer,
            "3 frames; 22 bytes skipped, 2 broken pictures among them"
        );
    }
    let status = &channels.status()[0];
    assert_eq!(status.sequence, 9);
    let (bytes, pictures) = (3 * 22, 3 * 2);
    assert_eq!(status.skipped, Skipped { bytes, pictures });
    let mut frames = channels.find("cam").unwrap().follow().unwrap().frames;
    let newest = frames.recv().now_or_never().flatten().unwrap();
    let header = usize::from(Piece::of(newest.properties()).header);
    assert_eq!(newest[header..][..whole.len()], *whole);
}

/// A byte now and then is not a frame.
#[tokio::test(start_paused = true)]
async fn a_source_that_finishes_no_frame_in_time_is_turned_away_and_leaves_no_sample_behind() {
    let pool = pool();
    let channels = Channels::new(&pool, &HoldLimit::new(1));
    let source = channels.open("cam").unwrap();
    let ingest = Ingest {
        source: &source,
        most: MOST,
        timeout: SOURCE_TIMEOUT,
        epoch: Instant::now(),
    };
    let trickle = PART
        .iter()
        .take(PART.len() - 3)
        .map(|&byte| Bytes::from(vec![byte]));
    let body = futures::stream::iter(trickle.chain(vec![Bytes::from_static(b"\n"); 100])).then(
        async |byte| {
            time::sleep(SOURCE_TIMEOUT / 10).await;
            Ok::<_, Infallible>(byte)
        },
    );
    let began = time::Instant::now();
    let answer = ingest.read(std::pin::pin!(body)).await;
    assert!(matches!(answer, Err(Rejected::TooSlow(_))), "{answer:?}");
    assert!(began.elapsed() <= SOURCE_TIMEOUT * 2);
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

#[tokio::test]
async fn with_no_free_sample_the_source_waits_and_the_status_shows_it() {
    let pool = pool();
    let held = pool.try_get_buffers(FEWEST_BUFFERS).unwrap();
    let chunks = [PART];
    let mut sending = std::pin::pin!(send(&pool, &chunks));
    assert!((&mut sending).now_or_never().is_none());
    assert_eq!(pool.status().waiting, 1);
    drop(held);
    assert_eq!(sending.await.0.unwrap().frames, 1);
}

/// It has taken a sample and sends no more: the last one, which another source needs.
#[tokio::test]
async fn a_source_that_is_slow_inside_a_picture_holds_no_sample_that_another_waits_for() {
    let pool = pool();
    let channels = Channels::new(&pool, &HoldLimit::new(1));
    let source = channels.open("slow").unwrap();
    let ingest = Ingest {
        source: &source,
        most: MOST,
        timeout: SOURCE_TIMEOUT,
        epoch: Instant::now(),
    };
    let held = pool.try_get_buffers(FEWEST_BUFFERS - 1).unwrap();
    let (chunks, body) = futures::channel::mpsc::unbounded();
    let send = |bytes: &'static [u8]| {
        let chunk = Ok::<_, Infallible>(Bytes::from_static(bytes));
        chunks.unbounded_send(chunk).unwrap();
    };
    let mut reading = std::pin::pin!(ingest.read(body));
    let (begun, rest) = PART.split_at(PART.len() - 4);
    send(begun);
    assert!((&mut reading).now_or_never().is_none());
    assert_eq!(pool.free_count(), 0);
    let mut other = std::pin::pin!(pool.get_buffer());
    assert!((&mut other).now_or_never().is_none());
    assert!((&mut reading).now_or_never().is_none());
    let taken = (&mut other)
        .now_or_never()
        .expect("the slow one dropped it");
    send(rest);
    assert!(
        (&mut reading).now_or_never().is_none(),
        "now this one waits"
    );
    drop((taken, held));
    assert!((&mut reading).now_or_never().is_none());
    let mut frames = channels.find("slow").unwrap().follow().unwrap().frames;
    let picture = frames.recv().now_or_never().flatten().unwrap();
    let header = usize::from(Piece::of(picture.properties()).header);
    assert_eq!(picture[header..][..4], *b"\xff\xd8\xff\xd9");
    drop((picture, chunks));
    assert_eq!(reading.await.unwrap().to_string(), "1 frames");
}

/// It would be turned away for what others have taken.
#[tokio::test(start_paused = true)]
async fn what_a_source_waits_for_a_sample_is_not_counted_as_its_own_time() {
    let pool = pool();
    let held = pool.try_get_buffers(FEWEST_BUFFERS).unwrap();
    let later = async {
        time::sleep(SOURCE_TIMEOUT * 2).await;
        drop(held);
    };
    let channels = Channels::new(&pool, &HoldLimit::new(1));
    let source = channels.open("cam").unwrap();
    let ingest = Ingest {
        source: &source,
        most: MOST,
        timeout: SOURCE_TIMEOUT,
        epoch: Instant::now(),
    };
    let (begun, rest) = PART.split_at(PART.len() - 4);
    let body = futures::stream::iter([begun, rest]).then(async |piece| {
        time::sleep(SOURCE_TIMEOUT / 3).await;
        Ok::<_, Infallible>(Bytes::from_static(piece))
    });
    let body = std::pin::pin!(body);
    let (answer, ()) = tokio::join!(ingest.read(body), later);
    assert_eq!(answer.unwrap().frames, 1);
}

/// Two fragments of some 2.5 KiB.
pub(super) const FILM: &[u8] = include_bytes!("../mp4/test_data/h264_aac.mp4");

/// Where the boxes of a kind begin.
pub(super) fn places(kind: &[u8; 4]) -> Vec<usize> {
    let places = FILM.windows(4).enumerate();
    let places = places.filter(|(_, code)| code == kind);
    places.map(|(place, _)| place - 4).collect()
}

#[tokio::test]
async fn a_fragment_takes_as_many_samples_as_it_needs_and_is_shown_whole() {
    let pool = pool();
    let (begin, end) = (places(b"moof")[1], places(b"mfra")[0]);
    let last = &FILM[begin..end];
    for chunk in [1, 7, 1000, FILM.len()] {
        let chunks: Vec<&[u8]> = FILM.chunks(chunk).collect();
        let (answer, shown) = send(&pool, &chunks).await;
        assert_eq!(answer.unwrap().to_string(), "2 frames");
        assert_eq!(shown.len(), last.len().div_ceil(MOST));
        for (index, (piece, bytes)) in shown.iter().enumerate() {
            assert_eq!(usize::from(piece.index), index);
            assert_eq!(usize::from(piece.pieces), shown.len());
            assert_eq!(piece.sequence, 2);
            let is_last = piece.index + 1 == piece.pieces;
            assert!(bytes.len() == MOST || is_last, "samples are filled");
        }
        let bytes = shown.into_iter().flat_map(|(_, bytes)| bytes);
        assert_eq!(bytes.collect::<Vec<_>>(), last);
        assert_eq!(pool.free_count(), FEWEST_BUFFERS);
    }
}

/// As a playlist does.
#[tokio::test]
async fn a_film_may_begin_again_in_the_same_stream() {
    let pool = pool();
    let (answer, shown) = send(&pool, &[FILM, FILM]).await;
    assert_eq!(answer.unwrap().to_string(), "4 frames");
    assert!(shown.iter().all(|(piece, _)| piece.sequence == 4));
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

#[tokio::test]
async fn a_source_that_vanishes_in_a_fragment_loses_that_one_only() {
    let pool = pool();
    let cut = places(b"mdat")[1] + 100;
    let (answer, shown) = send(&pool, &[&FILM[..cut]]).await;
    assert_eq!(
        answer.unwrap(),
        Ingested {
            frames: 1,
            cut: true,
            skipped: Skipped::default()
        }
    );
    assert!(shown.iter().all(|(piece, _)| piece.sequence == 1));
    let last = &shown.last().unwrap().0;
    assert_eq!(last.index + 1, last.pieces);
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

#[tokio::test]
async fn a_fragment_larger_than_a_channel_is_refused_with_both_sizes_before_it_has_come() {
    let pool = pool();
    let (moof, mdat) = (places(b"moof")[0], places(b"mdat")[0]);
    let mut film = FILM[..mdat + 8].to_vec();
    film[mdat..mdat + 4].copy_from_slice(&1_000_000u32.to_be_bytes());
    let (answer, shown) = send(&pool, &[&film]).await;
    let said = answer.unwrap_err().to_string();
    let size = mdat - moof + 1_000_000;
    let most = MOST * MOST_PIECES;
    assert!(
        said.contains(&format!(" {size} ")) && said.contains(&format!(" {most};")),
        "{said}"
    );
    assert!(said.contains("-frag_duration"), "{said}");
    assert!(shown.is_empty());
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

/// No `--size` makes room for them.
#[tokio::test]
async fn a_head_that_no_fragmented_film_has_is_refused_with_what_the_sender_has_to_change() {
    let pool = pool();
    for (kind, what, bytes, helps) in [
        (b"moov", "init segment", LARGEST_INIT, "-map 0:V"),
        (b"moof", "moof", LARGEST_MOOF + 1, "-frag_duration"),
    ] {
        let place = places(kind)[0];
        let mut film = FILM[..place + 8].to_vec();
        film[place..place + 4].copy_from_slice(&u32::try_from(bytes).unwrap().to_be_bytes());
        let (answer, _) = send(&pool, &[&film]).await;
        let said = answer.unwrap_err().to_string();
        assert!(said.contains(&format!("the {what} has ")), "{said}");
        assert!(said.contains(helps), "{said}");
        assert!(!said.contains("--size"), "{said}");
    }
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

/// Or sources that never finish one could hold more than there is.
#[tokio::test]
async fn a_source_is_refused_before_its_first_fragment_if_there_is_no_room_for_it() {
    let pool = pool();
    let channels = Channels::new(&pool, &HoldLimit::new(1));
    let _pictures = channels.open("cam").unwrap();
    let source = channels.open("film").unwrap();
    let ingest = Ingest {
        source: &source,
        most: MOST,
        timeout: SOURCE_TIMEOUT,
        epoch: Instant::now(),
    };
    let begun = Bytes::from_static(&FILM[..places(b"mdat")[0] + 100]);
    let body = futures::stream::iter([Ok::<_, Infallible>(begun)]);
    let rejected = ingest.read(body).await.unwrap_err();
    assert!(matches!(rejected, Rejected::Unavailable(_)), "{rejected:?}");
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

#[tokio::test]
async fn malformed_boxes_are_refused_with_the_reason_and_leave_nothing_behind() {
    let pool = pool();
    let moof = places(b"moof")[0];
    let mut film = FILM[..moof + 8].to_vec();
    film[moof..moof + 4].copy_from_slice(&4u32.to_be_bytes());
    let (answer, shown) = send(&pool, &[&film]).await;
    let rejected = answer.unwrap_err();
    assert!(matches!(rejected, Rejected::BrokenMp4(_)), "{rejected:?}");
    assert!(rejected.to_string().contains("moof"), "{rejected}");
    assert!(shown.is_empty());
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

/// A camera that takes a picture a minute, and a byte of it now and then.
#[tokio::test(start_paused = true)]
async fn a_source_may_be_silent_for_as_long_as_the_server_was_configured() {
    for (seconds, answered) in [(61, true), (59, false)] {
        let pool = pool();
        let channels = Channels::new(&pool, &HoldLimit::new(1));
        let source = channels.open("timelapse").unwrap();
        let ingest = Ingest {
            source: &source,
            most: MOST,
            timeout: Duration::from_secs(seconds),
            epoch: Instant::now(),
        };
        let body = futures::stream::iter([PART; 3]).then(async |part| {
            time::sleep(Duration::from_secs(60)).await;
            Ok::<_, Infallible>(Bytes::from_static(part))
        });
        let answer = ingest.read(std::pin::pin!(body)).await;
        assert_eq!(answer.is_ok(), answered, "{answer:?}");
        if let Err(refused) = answer {
            assert_eq!(
                refused.to_string(),
                "no frame was finished for 59 s; see --source-timeout"
            );
        }
    }
}

/// A fragment is often as long as the time between two key frames, which is longer than a picture may take.
#[tokio::test(start_paused = true)]
async fn fragments_have_more_time_than_pictures() {
    for (late, answered) in [
        (SOURCE_TIMEOUT * 2, true),
        (fragment_time(SOURCE_TIMEOUT) * 2, false),
    ] {
        let pool = pool();
        let channels = Channels::new(&pool, &HoldLimit::new(1));
        let source = channels.open("film").unwrap();
        let ingest = Ingest {
            source: &source,
            most: MOST,
            timeout: SOURCE_TIMEOUT,
            epoch: Instant::now(),
        };
        let (first, rest) = FILM.split_at(places(b"moof")[1]);
        let pieces = [(Duration::ZERO, first), (late, rest)];
        let body = futures::stream::iter(pieces).then(async |(late, piece)| {
            time::sleep(late).await;
            Ok::<_, Infallible>(Bytes::from_static(piece))
        });
        let answer = ingest.read(std::pin::pin!(body)).await;
        assert_eq!(answer.is_ok(), answered, "{answer:?}");
        if let Err(rejected) = answer {
            // Sound alone is one fragment until it ends, unless that is said.
            let said = rejected.to_string();
            assert!(
                said.starts_with("no fragment was finished for 30 s"),
                "{said}"
            );
            assert!(said.contains("-frag_duration"), "{said}");
        }
    }
}
