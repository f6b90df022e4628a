//! What codecs are called, beside what others call them in the same files: mp4box.js 2.4.1, and ffmpeg 5.1
//! in the manifests that it writes for DASH. Where ffmpeg has but a vaguer name, as for HEVC,
//! it is the one of mp4box.js.

use super::*;

macro_rules! init {
    ($name:literal) => {
        &include_bytes!(concat!("../test_data/", $name, ".init"))[..]
    };
}

fn media_type(init: &[u8]) -> String {
    let parsed = InitSegment::parse(Bytes::copy_from_slice(init));
    parsed.expect("an init segment").media_type
}

#[test]
fn a_film_is_called_by_all_its_codecs() {
    let expected = "video/mp4; codecs=\"avc1.42c00a, mp4a.40.2\"";
    assert_eq!(parse([H264_AAC]).inits[0].media_type, expected);
    assert_eq!(parse([CMAF]).inits[0].media_type, expected);
    let expected = "audio/mp4; codecs=\"mp4a.40.2\"";
    assert_eq!(parse([AAC]).inits[0].media_type, expected);
}

#[test]
fn a_codec_is_called_what_others_call_it() {
    for (init, expected) in [
        (init!("hvc1"), "video/mp4; codecs=\"hvc1.1.6.L30.90\""),
        (init!("hev1_10"), "video/mp4; codecs=\"hev1.2.4.L30.90\""),
        (init!("av01"), "video/mp4; codecs=\"av01.0.00M.08\""),
        (init!("av01_10"), "video/mp4; codecs=\"av01.0.00M.10\""),
        (init!("vp09"), "video/mp4; codecs=\"vp09.00.10.08\""),
        (init!("vp09_10"), "video/mp4; codecs=\"vp09.02.10.10\""),
        (init!("opus"), "audio/mp4; codecs=\"opus\""),
        (init!("flac"), "audio/mp4; codecs=\"flac\""),
        (init!("mp3"), "audio/mp4; codecs=\"mp4a.6B\""),
        (init!("ac3"), "audio/mp4; codecs=\"ac-3\""),
        (init!("eac3"), "audio/mp4; codecs=\"ec-3\""),
        (init!("mp4v"), "video/mp4; codecs=\"mp4v\""),
    ] {
        assert_eq!(media_type(init), expected);
    }
}

/// Two languages: Chromium refuses an init segment with more tracks than the name has entries.
#[test]
fn each_track_has_an_entry_even_if_two_have_the_same_codec() {
    let expected = "video/mp4; codecs=\"avc1.42c00a, mp4a.40.2, mp4a.40.2\"";
    assert_eq!(media_type(init!("two_languages")), expected);
}

/// A player that has the key decodes what was encrypted, and asks whether it can.
#[test]
fn an_encrypted_codec_is_called_by_its_original_name() {
    let expected = "video/mp4; codecs=\"avc1.42c00a, mp4a.40.2\"";
    assert_eq!(media_type(init!("cenc")), expected);
    // Without what says what it was.
    let unknown = renamed(&renamed(init!("cenc"), b"sinf", b"free"), b"sinf", b"free");
    let expected = "video/mp4; codecs=\"encv, enca\"";
    assert_eq!(media_type(&unknown), expected);
}

/// They leave out what the optional fields tell; the fields are those of AV1 in ISOBMFF, 5.
#[test]
fn av1_that_is_not_4_2_0_says_so() {
    let expected = "video/mp4; codecs=\"av01.1.00M.08.0.000.01.01.01.0\"";
    assert_eq!(media_type(init!("av01_444")), expected);
}

/// libaom knows no more of itself before the first picture; nor has an unknown codec a configuration.
#[test]
fn a_codec_of_which_nothing_is_known_passes() {
    let expected = "video/mp4; codecs=\"av01\"";
    assert_eq!(media_type(init!("av01_unknown")), expected);
    let unknown = renamed(init!("hvc1"), b"hvc1", b"vvc1");
    assert_eq!(media_type(&unknown), "video/mp4; codecs=\"vvc1\"");
}

/// An entry that ends before its own fields do is left to who decodes it.
#[test]
fn an_entry_that_is_cut_is_called_by_its_code() {
    let content = [0; 77];
    for kind in [b"avc1", b"hev1", b"av01", b"vp09", b"mp4a"] {
        for length in [0, 27, 77] {
            let entry = boxes::Child {
                kind: boxes::Kind(*kind),
                content: &content[..length],
            };
            let expected = String::from_utf8_lossy(kind);
            assert_eq!(super::super::codecs::codec(&entry), expected);
        }
    }
}

/// It becomes a header line, and must not become two.
#[test]
fn a_code_that_is_no_word_cannot_leave_the_quotes() {
    let hostile = renamed(init!("hvc1"), b"hvc1", b"\r\n\"\xFF");
    let expected = "video/mp4; codecs=\"%0D%0A%22%FF\"";
    assert_eq!(media_type(&hostile), expected);
}

#[test]
fn the_kind_of_aac_is_in_the_codec_string() {
    // AAC LC at 16 kHz: five bits of type, and four of the rate.
    let (init, _) = parts(AAC);
    let at = place(&init, &[0x05, 0x80, 0x80, 0x80]) + 5;
    assert_eq!(init[at] >> 3, 2);
    let mut he = init.clone();
    he[at] = 5 << 3 | init[at] & 7;
    assert_eq!(media_type(&he), "audio/mp4; codecs=\"mp4a.40.5\"");
    // 31 says that six more bits follow: USAC is 42.
    let mut usac = init.clone();
    (usac[at], usac[at + 1]) = (31 << 3 | 10 >> 3, (10 & 7) << 5);
    assert_eq!(media_type(&usac), "audio/mp4; codecs=\"mp4a.40.42\"");
}

#[test]
fn the_codec_string_of_hevc_has_its_space_its_tier_and_no_zeroes_at_the_end() {
    let mut init = init!("hvc1").to_vec();
    let at = place(&init, b"hvcC") + 5;
    init[at] = 0b0110_0001;
    init[at + 5..at + 11].copy_from_slice(&[0xB0, 0, 0x0C, 0, 0, 0]);
    let expected = "video/mp4; codecs=\"hvc1.A1.6.H30.B0.0.C\"";
    assert_eq!(media_type(&init), expected);
    init[at + 5..at + 11].fill(0);
    let expected = "video/mp4; codecs=\"hvc1.A1.6.H30\"";
    assert_eq!(media_type(&init), expected);
}

/// A clock that a camera adds is nothing that a player must be able to play.
#[test]
fn tracks_that_are_neither_seen_nor_heard_are_left_out() {
    let (init, _) = parts(H264_AAC);
    let clock = renamed(&init, b"soun", b"tmcd");
    assert_eq!(media_type(&clock), "video/mp4; codecs=\"avc1.42c00a\"");
    let alone = renamed(&renamed(&init, b"soun", b"tmcd"), b"vide", b"text");
    let expected = "application/mp4; codecs=\"avc1.42c00a, mp4a.40.2\"";
    assert_eq!(media_type(&alone), expected);
}

/// Where `bytes` stand in `all` for the first time.
fn place(all: &[u8], bytes: &[u8]) -> usize {
    let mut windows = all.windows(bytes.len());
    windows
        .position(|window| window == bytes)
        .expect("it is there")
}

/// With one code in the place of another.
fn renamed(init: &[u8], from: &[u8; 4], to: &[u8; 4]) -> Vec<u8> {
    let mut init = init.to_vec();
    let at = place(&init, from);
    init[at..at + 4].copy_from_slice(to);
    init
}
