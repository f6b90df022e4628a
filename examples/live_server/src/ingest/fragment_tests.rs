//! When viewers get the bytes of a fragment, and what becomes of one whose rest does not come.

use super::{
    tests::{FILM, places},
    *,
};
use crate::{
    channel::{Channels, Following},
    limits::SOURCE_TIMEOUT,
    memory::{self, FEWEST_BUFFERS},
    piece::Piece,
};
use futures::{FutureExt, channel::mpsc};
use sample_pool::{
    Pool,
    fan_out::{Delivery, HoldLimit},
};
use std::{convert::Infallible, pin::Pin};
use tokio::task::unconstrained;

const MOST: usize = 1024;

type Reading<'a> = Pin<Box<dyn Future<Output = Result<Ingested, Rejected>> + 'a>>;

/// A source that sends when the test says so.
struct Camera {
    pool: Pool,
    channels: Arc<Channels>,
}

impl Camera {
    fn new() -> Self {
        let pool = memory::pool(FEWEST_BUFFERS, MOST).unwrap();
        let channels = Channels::new(&pool, &HoldLimit::new(8));
        Camera { pool, channels }
    }

    fn follow(&self) -> Following {
        let channel = self.channels.find("film").expect("it is open");
        channel.follow().expect("it has begun")
    }
}

/// Reads a body that is sent through the returned sender, as far as it goes.
macro_rules! read {
    ($camera:expr, $source:ident, $ingest:ident) => {{
        $source = $camera.channels.open("film").unwrap();
        $ingest = Ingest {
            source: &$source,
            most: MOST,
            timeout: SOURCE_TIMEOUT,
            epoch: Instant::now(),
        };
        let (chunks, body) = mpsc::unbounded::<Result<Bytes, Infallible>>();
        let reading: Reading<'_> = Box::pin($ingest.read(body));
        (chunks, reading)
    }};
}

/// Sends bytes, and lets the source be read as far as it goes.
fn send(
    chunks: &mpsc::UnboundedSender<Result<Bytes, Infallible>>,
    reading: &mut Reading<'_>,
    bytes: &[u8],
) {
    chunks
        .unbounded_send(Ok(Bytes::copy_from_slice(bytes)))
        .unwrap();
    let reading = unconstrained(reading);
    assert!(reading.now_or_never().is_none(), "it goes on");
}

/// What is there for a viewer now.
fn next(viewer: &mut Following) -> Option<Delivery> {
    // A test has more steps than one task may do at a time.
    unconstrained(viewer.next()).now_or_never().flatten()
}

/// All that is there for a viewer now, and whether it ends a fragment.
fn take(viewer: &mut Following) -> (Vec<u8>, bool) {
    let (mut bytes, mut ends) = (Vec::new(), false);
    while let Some(received) = next(viewer) {
        assert!(!received.is_aborted());
        bytes.extend_from_slice(&received);
        ends = received.ends_frame();
    }
    (bytes, ends)
}

/// The picture would be as late as a fragment is long.
#[tokio::test]
async fn a_viewer_gets_the_first_bytes_of_a_fragment_before_its_last_are_sent() {
    let camera = Camera::new();
    let (source, ingest);
    let (chunks, mut reading) = read!(camera, source, ingest);
    let (moof, mdat, end) = (places(b"moof")[1], places(b"mdat")[1], places(b"mfra")[0]);
    send(&chunks, &mut reading, &FILM[..moof]);
    let mut viewer = camera.follow();
    let (first, ends) = take(&mut viewer);
    assert_eq!((&first[..], ends), (&FILM[places(b"moof")[0]..moof], true));

    // Whether it can be shown is known with its `mdat`.
    send(&chunks, &mut reading, &FILM[moof..mdat + 4]);
    assert_eq!(take(&mut viewer), (Vec::new(), false));
    let half = mdat + 700;
    send(&chunks, &mut reading, &FILM[mdat + 4..half]);
    assert_eq!(take(&mut viewer), (FILM[moof..half].to_vec(), false));
    // One that comes now begins with what is there, if it can be shown by itself.
    let (late, ends) = take(&mut camera.follow());
    assert!(FILM[..half].ends_with(&late) && !late.is_empty() && !ends);
    assert_eq!(camera.channels.status()[0].sequence, 1, "it is not whole");
    for at in half..end - 1 {
        send(&chunks, &mut reading, &FILM[at..=at]);
        let (bytes, ends) = take(&mut viewer);
        assert_eq!((&bytes[..], ends), (&FILM[at..=at], false));
    }
    send(&chunks, &mut reading, &FILM[end - 1..]);
    let (last, ends) = take(&mut viewer);
    assert_eq!((&last[..], ends), (&FILM[end - 1..end], true));
    assert_eq!(camera.channels.status()[0].sequence, 2);
    drop(chunks);
    assert_eq!(reading.await.unwrap().to_string(), "2 frames");
}

/// What viewers get is cut into the same samples, whatever the chunks.
#[tokio::test]
async fn the_samples_of_a_fragment_that_arrives_know_how_many_they_are() {
    let (moof, end) = (places(b"moof")[1], places(b"mfra")[0]);
    for chunk in [1, 300, 1024, 4000] {
        let camera = Camera::new();
        let (source, ingest);
        let (chunks, mut reading) = read!(camera, source, ingest);
        send(&chunks, &mut reading, &FILM[..moof]);
        let mut viewer = camera.follow();
        take(&mut viewer);
        let mut bytes = Vec::new();
        let mut seen = Vec::new();
        for some in FILM[moof..].chunks(chunk) {
            send(&chunks, &mut reading, some);
            while let Some(received) = next(&mut viewer) {
                bytes.extend_from_slice(&received);
                seen.push(Piece::of(received.properties()));
            }
        }
        assert_eq!(bytes, FILM[moof..end]);
        seen.dedup();
        let pieces = (end - moof).div_ceil(MOST) as u16;
        let expected = (0..pieces).map(|index| Piece {
            index,
            pieces,
            ..Piece::whole(2)
        });
        assert_eq!(seen, expected.collect::<Vec<_>>(), "{chunk}");
        drop((chunks, viewer, reading));
        camera.channels.end();
        assert_eq!(camera.pool.free_count(), FEWEST_BUFFERS);
    }
}

/// They would wait for the rest until another source comes.
#[tokio::test]
async fn a_source_that_fails_inside_a_fragment_cuts_it_off_at_once() {
    for is_closed in [false, true] {
        let camera = Camera::new();
        let (source, ingest);
        let (chunks, mut reading) = read!(camera, source, ingest);
        let (moof, mdat) = (places(b"moof")[1], places(b"mdat")[1]);
        send(&chunks, &mut reading, &FILM[..moof]);
        let mut viewer = camera.follow();
        let film = camera.channels.find("film").unwrap();
        let mut whole = film.follow_whole_frames().unwrap();
        take(&mut viewer);
        take(&mut whole);
        send(&chunks, &mut reading, &FILM[moof..mdat + 100]);
        assert!(!take(&mut viewer).0.is_empty());
        assert!(take(&mut whole).0.is_empty(), "it wants whole ones");
        if is_closed {
            // The server turns it away, or the channel is removed.
            drop(reading);
        } else {
            drop(chunks);
            let ingested = reading.await.unwrap();
            assert_eq!((ingested.frames, ingested.cut), (1, true));
        }
        let end = next(&mut viewer).expect("at once");
        assert!(end.is_aborted());
        assert!(next(&mut whole).is_none());
        assert_eq!(camera.channels.status()[0].sequence, 1);
    }
}

/// Who sends a beginning alone would end the viewers of what was shown before, or show it to them as if it was theirs.
#[tokio::test]
async fn the_first_fragment_of_a_source_is_given_when_it_is_whole() {
    let camera = Camera::new();
    let pictures = camera.channels.open("film").unwrap();
    pictures.begin(Kind::Jpeg).unwrap();
    let mut picture = camera.pool.try_get_buffer().unwrap();
    bytes::BufMut::put_slice(&mut picture, b"a picture");
    pictures.publish(picture);
    drop(pictures);
    let mut viewer = camera.follow();
    assert!(take(&mut viewer).1);

    let (source, ingest);
    let (chunks, mut reading) = read!(camera, source, ingest);
    let moof = places(b"moof")[1];
    send(&chunks, &mut reading, &FILM[..moof - 1]);
    let mut response = Box::pin(viewer.next());
    assert!(unconstrained(&mut response).now_or_never().is_none());
    send(&chunks, &mut reading, &FILM[moof - 1..moof]);
    let ended = unconstrained(&mut response).now_or_never();
    assert!(ended.expect("at once").is_none(), "it is another kind");
    let (first, ends) = take(&mut camera.follow());
    assert_eq!((&first[..], ends), (&FILM[places(b"moof")[0]..moof], true));
}

/// Each sample of a source is stamped as a sync point, as those of pictures are.
#[tokio::test]
async fn a_fragment_that_arrives_is_a_sync_point_only_if_it_begins_with_one() {
    let every_frame = include_bytes!("../mp4/test_data/every_frame.mp4");
    let camera = Camera::new();
    let (source, ingest);
    let (chunks, mut reading) = read!(camera, source, ingest);
    send(&chunks, &mut reading, every_frame);
    let mut viewer = camera.follow();
    let mut seen = Vec::new();
    while let Some(received) = next(&mut viewer) {
        if received.begins_frame() {
            seen.push(received.sync_point());
        }
    }
    assert_eq!(seen, [true, false, false]);
}

/// What stands before the media fills samples before viewers get any of it.
#[tokio::test]
async fn what_stands_before_the_media_may_be_larger_than_a_sample() {
    let (moof, end) = (places(b"moof")[1], places(b"mfra")[0]);
    let mut fragment = Vec::new();
    fragment.extend(3000_u32.to_be_bytes());
    fragment.extend(b"free");
    fragment.extend((0..2992).map(|number| (number % 251) as u8));
    fragment.extend(&FILM[moof..end]);
    for chunk in [100, 10_000] {
        let camera = Camera::new();
        let (source, ingest);
        let (chunks, mut reading) = read!(camera, source, ingest);
        send(&chunks, &mut reading, &FILM[..moof]);
        let mut viewer = camera.follow();
        take(&mut viewer);
        let mut bytes = Vec::new();
        for some in fragment.chunks(chunk) {
            send(&chunks, &mut reading, some);
            bytes.extend(take(&mut viewer).0);
        }
        assert!(bytes == fragment, "in chunks of {chunk}");
    }
}

/// It would be cut off by a source that is faster than its task is woken.
#[tokio::test]
async fn a_viewer_that_reads_at_once_misses_no_sample_of_a_fast_source() {
    const FRAGMENTS: u64 = 100;
    let camera = Camera::new();
    let (source, ingest);
    let (chunks, mut reading) = read!(camera, source, ingest);
    let (moof, end) = (places(b"moof")[1], places(b"mfra")[0]);
    send(&chunks, &mut reading, &FILM[..moof]);
    let mut viewer = camera.follow();
    for _ in 0..FRAGMENTS {
        let fragment = Bytes::from_static(&FILM[moof..end]);
        chunks.unbounded_send(Ok(fragment)).unwrap();
    }
    drop(chunks);
    let watching = tokio::time::timeout(Duration::from_secs(20), async {
        let mut ended = 0;
        while ended <= FRAGMENTS {
            let received = viewer.next().await.expect("it goes on");
            assert!(!received.is_aborted(), "in fragment {ended}");
            assert_eq!(received.skipped(), 0);
            ended += u64::from(received.ends_frame());
        }
    });
    let (ingested, watched) = tokio::join!(reading, watching);
    assert_eq!(ingested.unwrap().frames, FRAGMENTS + 1);
    watched.expect("it is sent all of them");
}
