//! Which fragments of ffmpeg's films a viewer can begin with. `test_data/make` says how each was made.

use super::{
    super::{fragment::Run, init::Track, sync_points::SyncPoints},
    *,
};
use std::num::NonZeroU64;

const COVER: &[u8] = include_bytes!("../test_data/cover.mp4");
const LOST_PICTURE: &[u8] = include_bytes!("../test_data/lost_picture.mp4");
const APART: &[u8] = include_bytes!("../test_data/apart.mp4");
const EVERY_SAMPLE: &[u8] = include_bytes!("../test_data/every_sample.mp4");

/// Each fragment's tracks with samples, and whether it can be the first.
fn fragments(film: &[u8]) -> Vec<(Vec<u32>, bool)> {
    let parsed = in_all_cuts(film);
    let tracks = &parsed.inits[0].tracks;
    let of = |(bytes, sync): &(Vec<u8>, bool)| {
        let moof = top_level(bytes)[0].1;
        let runs = fragment::runs(&moof[8..], tracks).expect("a fragment");
        (runs.iter().map(|run| run.track.id).collect(), *sync)
    };
    parsed.fragments.iter().map(of).collect()
}

/// The cover is the first video track, and no sample of it comes: viewers were sent nothing, for ever.
#[test]
fn a_cover_does_not_keep_viewers_from_the_sound() {
    assert_eq!(fragments(COVER), [(); 3].map(|()| (vec![1], true)));
}

#[test]
fn a_camera_that_loses_its_picture_can_be_joined_after_a_second() {
    let fragments = fragments(LOST_PICTURE);
    assert_eq!(fragments[0], (vec![1, 2], true));
    let sound: Vec<_> = fragments
        .iter()
        .skip_while(|(tracks, _)| tracks.contains(&1))
        .collect();
    assert!(sound.iter().all(|(tracks, _)| tracks == &[2]));
    let sync: Vec<bool> = sound.iter().map(|&&(_, sync)| sync).collect();
    // Half a second each.
    assert_eq!(sync, [false, false, true, true, true]);
}

/// That a fragment has no picture says nothing where no fragment has all tracks.
#[test]
fn sound_in_fragments_of_its_own_is_nothing_to_begin_with_while_there_are_pictures() {
    for film in [APART, EVERY_SAMPLE] {
        let fragments = fragments(film);
        let of = |id| fragments.iter().filter(move |(tracks, _)| tracks == &[id]);
        assert!(of(1).next().is_some_and(|&(_, sync)| sync), "a key frame");
        assert!(of(2).count() > 1 && of(2).all(|&(_, sync)| !sync));
        assert_eq!(of(1).count() + of(2).count(), fragments.len());
    }
}

fn track(id: u32, is_video: bool) -> Track {
    Track {
        id,
        timescale: NonZeroU64::new(10),
        video: is_video.then_some(0),
    }
}

fn run(track: Track, start: Option<u64>, sync: bool) -> Run {
    Run { track, sync, start }
}

#[test]
fn of_two_video_tracks_the_first_with_samples_leads_until_it_has_none() {
    let [poster, film, sound] = [track(1, true), track(2, true), track(3, false)];
    let mut points = SyncPoints::new(vec![poster, film, sound]);
    let mut sync = |runs: &[Run]| points.begins_with_sync(runs);
    assert!(sync(&[run(film, Some(0), true), run(sound, Some(0), true)]));
    assert!(!sync(&[
        run(film, Some(5), false),
        run(sound, Some(5), true)
    ]));
    // A picture of the poster is nothing to begin with, and takes the lead only when the film has ended.
    for (start, expected) in [(10, false), (19, false), (20, true)] {
        assert_eq!(sync(&[run(poster, Some(start), true)]), expected);
    }
    assert!(!sync(&[
        run(poster, Some(30), false),
        run(sound, Some(30), true)
    ]));
}

#[test]
fn a_picture_that_comes_back_leads_again() {
    let [picture, sound] = [track(1, true), track(2, false)];
    let mut points = SyncPoints::new(vec![picture, sound]);
    let mut sync = |runs: &[Run]| points.begins_with_sync(runs);
    let heard = |start| [run(sound, Some(start), true)];
    let seen = |start, sync| {
        [
            run(picture, Some(start), sync),
            run(sound, Some(start), true),
        ]
    };
    assert!(!sync(&heard(0)));
    assert!(sync(&heard(10)));
    assert!(!sync(&seen(20, false)), "the rest of a group of pictures");
    assert!(!sync(&heard(30)));
    assert!(sync(&seen(31, true)));
    assert!(!sync(&heard(100)), "the second begins anew");
    assert!(!sync(&[]), "nothing at all is nothing to begin with");
}

/// A clock that is set back, and none.
#[test]
fn without_a_time_the_fragments_are_counted() {
    let [picture, sound] = [track(1, true), track(2, false)];
    let mut points = SyncPoints::new(vec![picture, sound]);
    let mut sync = |start| points.begins_with_sync(&[run(sound, start, true)]);
    assert!(!sync(Some(100)));
    assert!(!sync(Some(5)));
    assert!(!sync(Some(14)));
    assert!(sync(Some(15)));
    let mut points = SyncPoints::new(vec![picture, sound]);
    let counted = (0..9).map(|_| points.begins_with_sync(&[run(sound, None, true)]));
    let first = counted.take_while(|sync| !sync).count();
    assert_eq!(first, 7, "the eighth is one to begin with");
}

/// A picture each two seconds, as a camera that saves its battery sends them, and sound all the time: who began with the
/// sound in between saw nothing until the next key frame.
#[test]
fn a_picture_that_comes_rarely_has_not_ended() {
    let [picture, sound] = [track(1, true), track(2, false)];
    let mut points = SyncPoints::new(vec![picture, sound]);
    let mut sync = |track, start| points.begins_with_sync(&[run(track, Some(start), true)]);
    // How long it takes is unknown at the first time.
    for start in [0, 20] {
        assert!(sync(picture, start));
        sync(sound, start + 5);
        sync(sound, start + 15);
    }
    for start in [40, 60, 80, 118] {
        assert!(sync(picture, start), "{start}");
        for since in [0, 5, 10, 15, 19] {
            assert!(!sync(sound, start + since), "{since} after {start}");
        }
    }
    // Twice the longest time that it was away for.
    assert!(!sync(sound, 118 + 75));
    assert!(sync(sound, 118 + 76));
    assert!(sync(sound, 118 + 100));
}

/// Or a camera that was without a picture for an hour could be joined two hours after it has lost it again.
#[test]
fn a_picture_that_had_ended_for_long_does_not_make_the_next_end_later() {
    let [picture, sound] = [track(1, true), track(2, false)];
    let mut points = SyncPoints::new(vec![picture, sound]);
    let mut sync = |track, start| points.begins_with_sync(&[run(track, Some(start), true)]);
    assert!(sync(picture, 0));
    assert!(sync(picture, 36_000));
    // A clock that is set back tells nothing.
    assert!(sync(picture, 100));
    assert!(!sync(sound, 100));
    assert!(!sync(sound, 109));
    assert!(sync(sound, 110));
}
