//! What is no live stream of fragmented MP4, and the error that its sender gets.

use super::*;

const ABSOLUTE: &[u8] = include_bytes!("../test_data/absolute.mp4");
const NOT_FRAGMENTED: &[u8] = include_bytes!("../test_data/not_fragmented.mp4");
const NOT_FAST: &[u8] = include_bytes!("../test_data/not_fast.mp4");

/// Why the stream is refused, however it is cut.
fn refused(stream: &[u8]) -> Mp4Error {
    in_all_cuts(stream).error()
}

fn header(size: u32, kind: &[u8; 4]) -> Vec<u8> {
    [&size.to_be_bytes()[..], kind].concat()
}

/// A moov without its tracks, or with `tracks`.
fn moov(tracks: &[Vec<u8>]) -> Vec<u8> {
    boxed(b"moov", &[tracks.concat(), boxed(b"mvex", b"")].concat())
}

fn kind(kind: &[u8; 4]) -> boxes::Kind {
    boxes::Kind(*kind)
}

#[test]
fn an_ordinary_film_is_refused_with_what_ffmpeg_needs() {
    for film in [NOT_FRAGMENTED, NOT_FAST] {
        let error = refused(film);
        assert_eq!(error, Mp4Error::NotFragmented);
        assert_eq!(
            error.to_string(),
            "the MP4 is not fragmented: ffmpeg needs -map 0:V? -map 0:a? -movflags frag_keyframe+empty_moov+default_base_moof -frag_duration 500000"
        );
    }
}

/// Who joins later counts from another beginning.
#[test]
fn offsets_from_the_beginning_of_the_stream_are_refused() {
    assert_eq!(refused(ABSOLUTE), Mp4Error::AbsoluteOffsets);
}

#[test]
fn what_is_no_mp4_is_refused_with_its_first_bytes() {
    let found = *b"\x1A\x45\xDF\xA3\x01\0\0\0";
    let error = refused(&[&found[..], b"and so on"].concat());
    assert_eq!(error, Mp4Error::NotMp4 { found });
    assert_eq!(
        error.to_string(),
        "not an MP4: it begins with ftyp, styp or moov, this one with 1a 45 df a3 01 00 00 00"
    );
}

#[test]
fn a_fragment_before_the_init_segment_is_refused() {
    let (_, fragments) = parts(H264_AAC);
    let stream = [boxed(b"styp", b"msdh\0\0\0\0"), fragments[0].clone()].concat();
    assert_eq!(refused(&stream), Mp4Error::NoInit);
}

/// A stream that was cut in front, as by a source that connects again without beginning anew.
#[test]
fn a_stream_without_its_beginning_is_refused_with_what_is_missing() {
    let (_, fragments) = parts(H264_AAC);
    for before in [&[][..], &boxed(b"free", &[0; 9])] {
        let error = refused(&[before, &fragments[0]].concat());
        assert_eq!(error, Mp4Error::NoInit);
        let said = error.to_string();
        assert!(said.starts_with("MP4 without ftyp and moov"), "{said}");
    }
    // In front of the init segment nothing is wrong with it.
    let padded = [boxed(b"free", &[0; 9]), H264_AAC.to_vec()].concat();
    assert_eq!(in_all_cuts(&padded).fragments.len(), 2);
}

/// Text and zeroes, as of a script that prints to the pipe that ffmpeg writes to: as a box the text would have 1.7 GB.
#[test]
fn what_is_no_box_is_refused_with_where_it_begins() {
    let (init, fragments) = parts(H264_AAC);
    let styp = boxed(b"styp", b"");
    let moof = top_level(&fragments[0])[0].1;
    for before in [
        &init[..init.len() / 2][..28],
        &init,
        &[&init[..], &fragments[0]].concat(),
        &[&init[..], &styp].concat(),
        &[&init[..], moof].concat(),
    ] {
        for noise in [
            &b"frame=  1 fps=0.0"[..],
            b"\r\nend of it",
            &[0; 9],
            b"\0\0\0\x10\xFF\xD8\xFF\xE0",
        ] {
            let at = before.len() as u64;
            let found = *noise.first_chunk().expect("eight bytes");
            let error = refused(&[before, noise].concat());
            assert_eq!(error, Mp4Error::NotABox { at, found });
        }
    }
    let at = 40;
    let found = *b"Error: 1";
    assert_eq!(
        Mp4Error::NotABox { at, found }.to_string(),
        "not a box at byte 40, but 45 72 72 6f 72 3a 20 31"
    );
}

#[test]
fn media_without_a_moof_of_its_own_is_refused() {
    let (init, fragments) = parts(H264_AAC);
    let mdat = boxed(b"mdat", b"media");
    let first = [init.clone(), mdat.clone()].concat();
    assert_eq!(refused(&first), Mp4Error::StrayMedia);
    let second = [init, fragments[0].clone(), mdat].concat();
    let parsed = in_all_cuts(&second);
    assert_eq!(parsed.fragments(), [&fragments[0]]);
    assert_eq!(parsed.error(), Mp4Error::StrayMedia);
}

#[test]
fn a_box_where_it_cannot_stand_is_refused() {
    let (init, fragments) = parts(H264_AAC);
    let moof = top_level(&fragments[0])[0].1;
    let styp = boxed(b"styp", b"");
    for (before, code, place) in [
        (moof, b"moof", "between a moof and its mdat"),
        (moof, b"moov", "in a fragment"),
        (moof, b"mfra", "in a fragment"),
        (&styp, b"ftyp", "in a fragment"),
        (&styp, b"moov", "in a fragment"),
        (&styp, b"mfra", "in a fragment"),
    ] {
        let stream = [&init, before, &header(8, code)].concat();
        let kind = kind(code);
        assert_eq!(refused(&stream), Mp4Error::Misplaced { kind, place });
    }
}

#[test]
fn a_size_that_makes_no_sense_is_refused() {
    let (init, fragments) = parts(H264_AAC);
    for bytes in 2..8 {
        let stream = [&init[..], &header(bytes, b"moof")].concat();
        let (kind, bytes) = (kind(b"moof"), bytes.into());
        assert_eq!(refused(&stream), Mp4Error::TooSmall { kind, bytes });
    }
    for bytes in [0, 8, 15u64] {
        let long = [&header(1, b"free")[..], &bytes.to_be_bytes()].concat();
        let kind = kind(b"free");
        let stream = [&init[..], &long].concat();
        assert_eq!(refused(&stream), Mp4Error::TooSmall { kind, bytes });
    }
    let moof = top_level(&fragments[0])[0].1;
    let stream = [&init[..], moof, &header(0, b"mdat")].concat();
    let kind = kind(b"mdat");
    assert_eq!(refused(&stream), Mp4Error::ToTheEnd { kind });
}

/// ffmpeg to a pipe or a server, with +delay_moov and an album whose cover is larger than its buffer.
#[test]
fn a_moov_without_a_size_is_refused_with_what_leaves_the_cover_out() {
    let error = refused(&[boxed(b"ftyp", b"isom\0\0\0\0"), header(0, b"moov")].concat());
    assert_eq!(
        error,
        Mp4Error::ToTheEnd {
            kind: kind(b"moov")
        }
    );
    let said = error.to_string();
    assert!(said.contains("-map 0:V? -map 0:a?"), "{said}");
}

/// Refused by what the header says, before any of it is kept.
#[test]
fn what_is_too_large_to_be_kept_is_refused() {
    let ftyp = boxed(b"ftyp", b"isom\0\0\0\0");
    let most = LARGEST_INIT;
    let what = "init segment";
    let rest = u32::try_from(most).expect("small") - 16;
    let largest = [&ftyp[..], &header(rest, b"moov")].concat();
    assert_eq!(in_all_cuts(&largest).end, Some(Ok(false)), "{rest}");
    let larger = [&ftyp[..], &header(rest + 1, b"moov")].concat();
    let bytes = most + 1;
    assert_eq!(refused(&larger), Mp4Error::TooLarge { what, bytes, most });
    let long = [&ftyp[..], &header(1, b"free"), &u64::MAX.to_be_bytes()].concat();
    let bytes = u64::MAX;
    assert_eq!(refused(&long), Mp4Error::TooLarge { what, bytes, most });

    let (init, _) = parts(H264_AAC);
    let (what, most) = ("moof", LARGEST_MOOF);
    let largest = u32::try_from(most).expect("small");
    let stream = [&init[..], &header(largest, b"moof")].concat();
    assert_eq!(in_all_cuts(&stream).announced, [[most]]);
    let stream = [&init[..], &header(largest + 1, b"moof")].concat();
    let bytes = most + 1;
    assert_eq!(refused(&stream), Mp4Error::TooLarge { what, bytes, most });
}

#[test]
fn a_moov_without_tracks_is_refused() {
    assert_eq!(refused(&moov(&[])), Mp4Error::NoTrack);
    let (init, _) = parts(H264_AAC);
    let tracks: Vec<Vec<u8>> = tracks(&init);
    let many = moov(&vec![tracks[1].clone(); 33]);
    let parsed = InitSegment::parse(many.into());
    let why = "it has 33 tracks, and the most are 32".to_owned();
    assert_eq!(parsed, Err(Mp4Error::BrokenMoov(why)));
    // Without the defaults of the video track nothing tells what its samples are.
    let why = "mvex: there is no trex for track 1".to_owned();
    assert_eq!(refused(&moov(&tracks)), Mp4Error::BrokenMoov(why));
}

/// The `trak` boxes of an init segment.
fn tracks(init: &[u8]) -> Vec<Vec<u8>> {
    let moov = top_level(init)[1].1;
    let tracks = top_level(&moov[8..]).into_iter();
    let tracks = tracks.filter(|(kind, _)| kind == b"trak");
    tracks.map(|(_, bytes)| bytes.to_vec()).collect()
}

#[test]
fn what_cannot_be_read_is_refused_with_where_and_why() {
    let why = "moov: trak ends outside of it".to_owned();
    let outside = boxed(b"moov", &header(100, b"trak"));
    assert_eq!(refused(&outside), Mp4Error::BrokenMoov(why));
    let why = "trak: there is no tkhd in it".to_owned();
    let empty = moov(&[boxed(b"trak", b"")]);
    assert_eq!(refused(&empty), Mp4Error::BrokenMoov(why));
    let why = "tkhd: out of bounds".to_owned();
    let short = moov(&[boxed(b"trak", &boxed(b"tkhd", &[0; 20]))]);
    assert_eq!(refused(&short), Mp4Error::BrokenMoov(why));

    let (init, _) = parts(H264_AAC);
    let at = init.windows(4).position(|window| window == b"stsd");
    let at = at.expect("there is one");
    let mut sizeless = init.clone();
    sizeless[at + 12..at + 16].fill(0);
    let why = "stsd: the size of avc1 makes no sense".to_owned();
    assert_eq!(refused(&sizeless), Mp4Error::BrokenMoov(why));

    let moof = boxed(b"moof", &boxed(b"traf", b""));
    let why = "traf: there is no tfhd in it".to_owned();
    let stream = [init, moof].concat();
    assert_eq!(refused(&stream), Mp4Error::BrokenMoof(why));
}

/// Who follows half of the advice is refused again: for fragments that are too large, or for the cover of an album.
#[test]
fn what_ffmpeg_needs_is_said_in_full() {
    let (kind, found) = (kind(b"free"), [0; 8]);
    let (bytes, most) = (2, 1);
    let too_large = |what| Mp4Error::TooLarge { what, bytes, most };
    for error in [
        Mp4Error::ToTheEnd { kind },
        too_large("init segment"),
        Mp4Error::NotFragmented,
        Mp4Error::StrayMedia,
        Mp4Error::AbsoluteOffsets,
    ] {
        let said = error.to_string();
        for flag in [
            "-map 0:V? -map 0:a?",
            "-movflags frag_keyframe+empty_moov+default_base_moof",
            "-frag_duration 500000",
        ] {
            assert_eq!(said.matches(flag).count(), 1, "{said}");
        }
    }
    // What is no film at all needs none of them.
    assert!(!Mp4Error::NotMp4 { found }.to_string().contains("ffmpeg"));
}
