//! What a channel promises its source and its viewers.

use super::*;
use crate::{memory::FEWEST_BUFFERS, piece::Piece};
use bytes::BufMut;
use futures::FutureExt;

fn channels(pool: &Pool) -> Arc<Channels> {
    Channels::new(pool, &HoldLimit::new(10))
}

fn pool(buffers: usize) -> Pool {
    memory::pool(buffers, 1024).expect("a small pool")
}

fn sample(pool: &Pool) -> Sample {
    let mut sample = pool.try_get_buffer().expect("one is free");
    sample.put_u8(0);
    sample
}

fn init(bytes: &'static [u8]) -> Kind {
    Kind::Mp4(Arc::new(InitSegment {
        bytes: bytes.into(),
        media_type: "video/mp4".to_owned(),
        tracks: Vec::new(),
    }))
}

/// Opens a channel for pictures.
fn open(channels: &Arc<Channels>, name: &str) -> Source {
    let source = channels.open(name).unwrap();
    source.begin(Kind::Jpeg).unwrap();
    source
}

fn follow(channels: &Channels, name: &str) -> Subscriber {
    let channel = channels.find(name).expect("it is open");
    channel.follow().expect("it has begun").frames
}

/// The next sample, if it is there, or `None` when the response ends.
fn next(frames: &mut Subscriber) -> Option<Piece> {
    let frame = frames.recv().now_or_never().expect("it need not wait");
    frame.map(|frame| Piece::of(frame.properties()))
}

fn sequence(frames: &mut Subscriber) -> u64 {
    next(frames).expect("there is one").sequence
}

#[test]
fn a_channel_has_one_source_at_a_time_and_its_numbers_go_on() {
    let pool = pool(FEWEST_BUFFERS);
    let channels = channels(&pool);
    let first = open(&channels, "cam");
    assert_eq!(channels.open("cam").unwrap_err(), Unavailable::Busy);
    first.publish(sample(&pool));
    drop(first);
    let second = open(&channels, "cam");
    second.publish(sample(&pool));
    let mut frames = follow(&channels, "cam");
    assert_eq!(sequence(&mut frames), 2);
    second.number_from(40);
    second.publish(sample(&pool));
    assert_eq!(sequence(&mut frames), 40);
    second.number_from(3);
    second.publish(sample(&pool));
    assert_eq!(sequence(&mut frames), 41, "numbers never go back");
    assert_eq!(channels.status()[0].sequence, 41);
}

#[test]
fn names_are_limited() {
    let pool = pool(FEWEST_BUFFERS);
    let channels = channels(&pool);
    for name in ["", "Cam", "a/b", "cam.jpg", &"x".repeat(33)] {
        assert_eq!(channels.open(name).unwrap_err(), Unavailable::BadName);
    }
}

/// Half of 64 is room for one channel of fragments and three of pictures.
#[test]
fn channels_may_hold_half_of_the_pool_and_what_they_carry_decides_how_many_there_are() {
    let pool = pool(64);
    let channels = channels(&pool);
    let film = channels.open("film").unwrap();
    film.begin(init(b"a")).unwrap();
    for number in 0..3 {
        open(&channels, &format!("cam-{number}")).publish(sample(&pool));
    }
    let (needed, left) = (PICTURE_SAMPLES, 1);
    let no_room = Unavailable::NoRoom { needed, left };
    assert_eq!(channels.open("one_more").unwrap_err(), no_room);
    // The last source of pictures has left, and wants to send fragments.
    let known = channels.open("cam-0").expect("known ones can be fed again");
    let (needed, left) = (FRAGMENT_SAMPLES, 6);
    let no_room = Unavailable::NoRoom { needed, left };
    assert_eq!(known.begin(init(b"b")).unwrap_err(), no_room);
    known.begin(Kind::Jpeg).unwrap();
}

#[test]
fn sources_that_fill_their_first_fragment_are_counted_with_all_that_they_may_hold() {
    let pool = pool(64);
    let channels = channels(&pool);
    let first = channels.open("first").unwrap();
    first.reserve_fragments().unwrap();
    let second = channels.open("second").unwrap();
    second.reserve_fragments().unwrap();
    let (needed, left) = (PICTURE_SAMPLES, 0);
    let no_room = Unavailable::NoRoom { needed, left };
    assert_eq!(channels.open("third").unwrap_err(), no_room);
    drop(first);
    let third = channels.open("third").expect("the first has gone");
    assert!(third.reserve_fragments().is_ok());
}

/// A source that keeps what it takes would leave none for the others.
#[test]
fn a_source_that_takes_more_than_its_share_waits_and_the_others_go_on() {
    let pool = pool(64);
    let channels = channels(&pool);
    let greedy = channels.open("greedy").unwrap();
    let [cam, film] = ["cam", "film"].map(|name| channels.open(name).unwrap());
    let fragments = film.reserve_fragments().unwrap();
    let viewers = channels.hold_limit.limit();
    let taken = greedy.pictures().try_get_up_to(64).unwrap();
    assert_eq!(taken.len(), PICTURE_SAMPLES + viewers);
    assert!(greedy.pictures().get_buffer().now_or_never().is_none());
    assert!(cam.pictures().try_get_buffers(PICTURE_SAMPLES).is_ok());
    let whole = FRAGMENT_SAMPLES + viewers;
    assert!(fragments.try_get_buffers(whole).is_ok());
    assert!(fragments.try_get_buffers(whole + 1).is_err());
    assert_eq!(pool.status().waiting, 0, "it waits for its own quota");
}

/// A quota of the channel's share alone would let viewers that stall stop the source.
#[test]
fn a_source_goes_on_although_viewers_hold_all_that_they_may() {
    let pool = pool(64);
    let viewers = 20;
    let channels = Channels::new(&pool, &HoldLimit::new(viewers));
    let source = open(&channels, "cam");
    let get = || source.pictures().try_get_buffer().expect("it has room");
    source.publish(get());
    let mut held = Vec::new();
    for _ in 0..viewers {
        let mut frames = follow(&channels, "cam");
        held.push(frames.recv().now_or_never().flatten().unwrap());
        source.publish(get());
    }
    for _ in 0..2 * BACKLOG {
        source.publish(get());
    }
    let filling = get();
    let [quota] = &pool.quotas()[..] else {
        panic!("one for the source");
    };
    assert_eq!((&*quota.name, quota.in_use), ("cam", quota.limit));
    drop((filling, held));
    assert_eq!(source.pictures().status().in_use, BACKLOG);
}

/// Or anybody who posts nonsense could use up the names.
#[test]
fn a_source_that_sent_no_frame_leaves_no_channel() {
    let channels = channels(&pool(FEWEST_BUFFERS));
    for number in 0..100 {
        drop(channels.open(&format!("refused-{number}")).unwrap());
    }
    assert!(channels.status().is_empty());
}

/// The first has left, and a second one came, was refused and has forgotten the channel, before the first looks whether it is
/// used.
#[test]
fn a_source_that_sent_no_frame_forgets_no_channel_but_its_own() {
    let pool = pool(FEWEST_BUFFERS);
    let channels = channels(&pool);
    let first = channels.open("cam").unwrap().channel.clone();
    let source = open(&channels, "cam");
    channels.forget_if_unused(&first);
    source.publish(sample(&pool));
    assert_eq!(sequence(&mut follow(&channels, "cam")), 1);
}

#[test]
fn a_new_viewer_gets_the_newest_picture_and_then_every_one() {
    let pool = pool(FEWEST_BUFFERS);
    let channels = channels(&pool);
    let source = open(&channels, "cam");
    source.publish(sample(&pool));
    source.publish(sample(&pool));
    let mut frames = follow(&channels, "cam");
    source.publish(sample(&pool));
    assert_eq!(sequence(&mut frames), 2);
    channels.end();
    assert!(channels.find("cam").unwrap().follow().is_none());
    source.publish(sample(&pool));
    assert_eq!(sequence(&mut frames), 3, "what was there is finished");
    assert!(next(&mut frames).is_none(), "and nothing follows");
    drop(frames);
    assert_eq!(pool.free_count(), FEWEST_BUFFERS);
}

#[test]
fn a_new_viewer_begins_with_the_newest_fragment_that_can_be_shown_by_itself() {
    let pool = pool(FEWEST_BUFFERS);
    let channels = channels(&pool);
    let source = channels.open("film").unwrap();
    source.begin(init(b"a")).unwrap();
    let fragment = |pieces| (0..pieces).map(|_| sample(&pool)).collect::<Vec<_>>();
    source.publish_fragment(fragment(2), true);
    source.publish_fragment(fragment(3), true);
    source.publish_fragment(fragment(1), false);
    let mut frames = follow(&channels, "film");
    for (expected, index, pieces) in [(2, 0, 3), (2, 1, 3), (2, 2, 3), (3, 0, 1)] {
        let piece = next(&mut frames).unwrap();
        assert_eq!(
            (piece.sequence, piece.index, piece.pieces),
            (expected, index, pieces)
        );
    }
    // One that lags goes on with a whole fragment as well.
    source.publish_fragment(fragment(1), true);
    source.publish_fragment(fragment(MOST_PIECES - 1), false);
    source.publish_fragment(fragment(2), true);
    let piece = next(&mut frames).unwrap();
    assert_eq!((piece.sequence, piece.index), (6, 0));
}

/// Nothing but the next one could be shown to it.
#[test]
fn a_new_viewer_waits_for_the_next_such_fragment_if_it_has_left_the_backlog() {
    let pool = pool(FEWEST_BUFFERS);
    let channels = channels(&pool);
    let source = channels.open("film").unwrap();
    source.begin(init(b"a")).unwrap();
    for number in 0..=MOST_PIECES {
        source.publish_fragment([sample(&pool)], number == 0);
    }
    let mut frames = follow(&channels, "film");
    assert!(frames.recv().now_or_never().is_none());
    source.publish_fragment([sample(&pool)], true);
    assert_eq!(sequence(&mut frames), MOST_PIECES as u64 + 2);
}

#[test]
fn another_kind_of_stream_ends_the_viewers_and_holds_nothing_for_them() {
    let pool = pool(FEWEST_BUFFERS);
    let channels = channels(&pool);
    let pictures = open(&channels, "cam");
    pictures.publish(sample(&pool));
    let mut frames = follow(&channels, "cam");
    drop(pictures);
    for kind in [init(b"a"), init(b"b"), Kind::Jpeg] {
        let source = channels.open("cam").unwrap();
        source.begin(kind.clone()).unwrap();
        assert!(next(&mut frames).is_none(), "it ends before {kind:?}");
        assert_eq!(pool.free_count(), FEWEST_BUFFERS, "before {kind:?}");
        source.publish_fragment([sample(&pool)], true);
        frames = follow(&channels, "cam");
        assert!(next(&mut frames).is_some());
    }
    let again = channels.open("cam").unwrap();
    again.begin(Kind::Jpeg).unwrap();
    again.publish(sample(&pool));
    assert!(next(&mut frames).is_some(), "the same kind goes on");
}
