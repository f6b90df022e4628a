//! What a sender may do to harm: a stream of which every bit may be another, counts without what they count,
//! and boxes in boxes.

use std::thread;

use super::{super::init::Track, *};

/// Where a sync sample is marked, and what marks it: the run's first flags, its samples', the fragment's, the
/// track's.
fn fragment(default: Option<u32>, first: Option<u32>, samples: &[u32], count: u32) -> Vec<u8> {
    let mut header = vec![0, 2, 0, if default.is_some() { 0x20 } else { 0 }];
    header.extend(1u32.to_be_bytes());
    header.extend(default.map(u32::to_be_bytes).into_iter().flatten());
    let per_sample = if samples.is_empty() { 0 } else { 4 };
    let mut run = vec![0, 0, per_sample, if first.is_some() { 4 } else { 0 }];
    run.extend(count.to_be_bytes());
    run.extend(first.map(u32::to_be_bytes).into_iter().flatten());
    run.extend(samples.iter().flat_map(|flags| flags.to_be_bytes()));
    let traf = [boxed(b"tfhd", &header), boxed(b"trun", &run)].concat();
    boxed(b"traf", &traf)
}

const VIDEO: Track = Track {
    id: 1,
    timescale: None,
    video: Some(0x1_0000),
};
const SYNC: u32 = 0x0200_0000;
const NOT_SYNC: u32 = 0x0101_0000;

fn sync(moof: &[u8]) -> Result<bool, Mp4Error> {
    sync_of(moof, VIDEO)
}

/// Of the first fragment of a film with one track.
fn sync_of(moof: &[u8], track: Track) -> Result<bool, Mp4Error> {
    let runs = fragment::runs(moof, &[track])?;
    Ok(SyncPoints::new(vec![track]).begins_with_sync(&runs))
}

#[test]
fn the_nearest_flags_decide() {
    assert_eq!(sync(&fragment(None, None, &[], 1)), Ok(false), "the track");
    assert_eq!(sync(&fragment(Some(SYNC), None, &[], 1)), Ok(true));
    let own = fragment(Some(NOT_SYNC), None, &[SYNC, NOT_SYNC], 2);
    assert_eq!(sync(&own), Ok(true));
    let own = fragment(Some(SYNC), None, &[NOT_SYNC, SYNC], 2);
    assert_eq!(sync(&own), Ok(false));
    assert_eq!(
        sync(&fragment(Some(NOT_SYNC), Some(SYNC), &[], 2)),
        Ok(true)
    );
    assert_eq!(
        sync(&fragment(Some(SYNC), Some(NOT_SYNC), &[], 2)),
        Ok(false)
    );
}

/// A track may have its samples in several groups.
#[test]
fn the_first_group_of_samples_decides() {
    let sync_group = fragment(Some(SYNC), None, &[], 1);
    let other_group = fragment(Some(NOT_SYNC), None, &[], 1);
    let first = [&sync_group[..], &other_group].concat();
    assert_eq!(sync(&first), Ok(true));
    let second = [other_group, sync_group].concat();
    assert_eq!(sync(&second), Ok(false));
}

#[test]
fn a_fragment_without_a_picture_cannot_be_the_first() {
    assert_eq!(sync(&boxed(b"mfhd", &[0; 8])), Ok(false), "no track");
    assert_eq!(
        sync(&fragment(Some(SYNC), None, &[], 0)),
        Ok(false),
        "no sample"
    );
    let nothing = fragment(Some(SYNC), None, &[], 0);
    let picture = fragment(Some(SYNC), None, &[], 1);
    let both = [nothing, picture].concat();
    assert_eq!(sync(&both), Ok(true), "the first that has one");
    let other = Track { id: 2, ..VIDEO };
    let sound = fragment(Some(SYNC), None, &[], 1);
    assert_eq!(sync_of(&sound, other), Ok(false));
    let audible = Track {
        video: None,
        ..VIDEO
    };
    assert_eq!(sync_of(&sound, audible), Ok(true));
}

/// Neither is memory taken for what a count claims, nor time.
#[test]
fn a_count_without_what_it_counts_is_refused() {
    assert_eq!(sync(&fragment(Some(SYNC), None, &[], u32::MAX)), Ok(true));
    let why = "trun: out of bounds".to_owned();
    let claimed = fragment(None, None, &[SYNC], u32::MAX);
    assert_eq!(sync(&claimed), Err(Mp4Error::BrokenMoof(why)));
}

/// The decoder's own way through a box would go into each of these: this stands on a stack of 256 KiB.
#[test]
fn boxes_in_boxes_do_not_exhaust_the_stack() {
    let deep = |kind: &[u8; 4], most: u64| {
        let mut nested = Vec::new();
        for size in (1..=u32::try_from(most / 8).expect("small")).rev() {
            nested.extend((size * 8).to_be_bytes());
            nested.extend(kind);
        }
        nested
    };
    let descriptors = descriptors_in_descriptors();
    let (init, _) = parts(H264_AAC);
    let on_a_small_stack = move || {
        let mvex = boxed(b"mvex", b"");
        let nested = deep(b"moov", LARGEST_INIT - 32);
        let moov = boxed(b"moov", &[mvex, nested].concat());
        assert_eq!(parse([moov.as_slice()]).error(), Mp4Error::NoTrack);
        for kind in [b"moof", b"traf"] {
            let moof = deep(kind, LARGEST_MOOF - 8);
            let stream = [init.clone(), boxed(b"moof", &moof)].concat();
            let parsed = parse([stream.as_slice()]);
            // Nothing in it is a fragment's track, or nothing tells which one.
            assert!(parsed.fragments.is_empty());
        }
        let parsed = InitSegment::parse(descriptors.into()).expect("an init segment");
        assert_eq!(parsed.media_type, "audio/mp4; codecs=\"mp4a\"");
    };
    let small = thread::Builder::new().stack_size(256 * 1024);
    let ran = small.spawn(on_a_small_stack).expect("a thread").join();
    ran.expect("it ends well");
}

/// An init segment for sound, whose descriptors stand in one another as deep as it may be long.
fn descriptors_in_descriptors() -> Vec<u8> {
    let mut nested: Vec<u8> = Vec::new();
    while nested.len() < 60 * 1024 {
        let size = nested.len() + 3;
        let mut outer = vec![0x03];
        let groups = [
            size >> 14 & 0x7F | 0x80,
            size >> 7 & 0x7F | 0x80,
            size & 0x7F,
        ];
        outer.extend(groups.map(|group| u8::try_from(group).expect("seven bits")));
        outer.extend([0, 0, 0]);
        // Turned around, so that what is inside need not be moved.
        outer.reverse();
        nested.extend(outer);
    }
    nested.reverse();
    let esds = boxed(b"esds", &[&[0; 4][..], &nested].concat());
    let entry = boxed(b"mp4a", &[&[0; 28][..], &esds].concat());
    let stsd = boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &entry].concat());
    let minf = boxed(b"minf", &boxed(b"stbl", &stsd));
    let handler = [&[0; 8][..], b"soun", &[0; 13]].concat();
    let mdia = boxed(b"mdia", &[boxed(b"hdlr", &handler), minf].concat());
    let trak = [boxed(b"tkhd", &[0; 84]), mdia].concat();
    let moov = [boxed(b"mvex", b""), boxed(b"trak", &trak)].concat();
    boxed(b"moov", &moov)
}

/// One bit of a real stream is another: each is read or refused, the same however it comes, and never a panic.
#[test]
fn any_bit_may_be_another() {
    for film in [EVERY_FRAME, AAC] {
        let mut refused = 0;
        for bit in 0..film.len() * 8 {
            let mut flipped = film.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let parsed = parse([flipped.as_slice()]);
            refused += usize::from(matches!(parsed.end, Some(Err(_))));
            assert_eq!(parse(flipped.chunks(97)), parsed, "bit {bit}");
        }
        assert!(refused > 1000, "{refused}");
    }
}

proptest! {
    #[test]
    fn any_bytes_may_be_others(
        places in prop::collection::vec((0..H264_AAC.len(), any::<u8>()), 1..20),
        step in 1usize..200,
    ) {
        let mut film = H264_AAC.to_vec();
        for (at, byte) in places {
            film[at] = byte;
        }
        prop_assert_eq!(parse(film.chunks(step)), parse([film.as_slice()]));
    }
}
