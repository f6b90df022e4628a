//! Streams that are not as they should be, and that ffmpeg and browsers show all the same.
//!
//! `A` to `C` are pictures made by `ffmpeg -f lavfi -i testsrc=size=64x48 -frames:v 1 A.jpg`, and what is around them was
//! written by `printf` and `dd` of coreutils as each test says; here the pictures are shorter, with the same markers.

use super::*;

fn three() -> [Vec<u8>; 3] {
    [picture(1), picture(2), picture(3)]
}

/// Checks that `stream` has these frames, ends cleanly, and that so many bytes of it and pictures were skipped. The `\r` behind
/// a line that is no text counts as one of its bytes.
fn check(what: &str, stream: &[u8], frames: &[Vec<u8>], bytes: u64, pictures: u64) {
    let skipped = Skipped { bytes, pictures };
    let expected = Ok((frames.to_vec(), true));
    in_all_cuts(stream, |found| assert_eq!(found, expected, "{what}"));
    let (_, _, found) = read([stream]).unwrap();
    assert_eq!(found, skipped, "{what}");
}

/// `cat A.jpg JUNK B.jpg JUNK C.jpg`, with `printf '\0\0\0'`, `printf '\xff\xd9'`, `printf '\r\n'`, a trailer as Samsung's
/// cameras write it, the MP4 of a motion photo, and the headers of it.
#[test]
fn what_stands_behind_a_picture_is_skipped_up_to_the_next() {
    let [a, b, c] = three();
    for (what, junk) in [
        ("padding", &[0; 700][..]),
        ("a second end marker", b"\xff\xd9"),
        ("a line break", b"\r\n"),
        ("a byte", b"\n"),
        (
            "a trailer of Samsung's",
            b"\x00\x00\x01\x0a\x0e\x00\x00\x00Image_UTC_Data1SEFH\x6b\x00\x00\x00SEFT",
        ),
        (
            "a motion photo",
            b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42\x00\x00\x00\x0cmdat\xff\xd8\x00\xff",
        ),
        ("text", b"--\r\n--x\r\n\r\n"),
    ] {
        let bytes = 2 * junk.len() as u64;
        let stream = [&a, junk, &b, junk, &c].concat();
        check(what, &stream, &three(), bytes, 0);
        // And before the first of them.
        let stream = [junk, &stream].concat();
        let first = read([stream.as_slice()]).unwrap().0;
        assert_eq!(first, three(), "{what} before the first");
    }
}

/// `exiftool -mpImage2<=B.jpg A.jpg` makes such a file, as cameras with two lenses do: one JPEG behind the other.
#[test]
fn each_picture_of_several_in_one_file_is_a_frame() {
    let [a, b, c] = three();
    let stream = [&a, &[0; 30][..], &b, &a, &[0; 30], &c].concat();
    let frames = [a.clone(), b, a, c];
    check("MPO", &stream, &frames, 60, 0);
}

/// `head --bytes=-2 A.jpg`.
#[test]
fn a_picture_without_an_end_marker_ends_where_the_next_begins_and_gets_one() {
    let [a, b, c] = three();
    let without = &a[..a.len() - 2];
    // The first byte of the next start marker fills, as one may before an end marker.
    let mended = [without, &[0xFF, 0xFF, 0xD9]].concat();
    let frames = [mended.clone(), mended, b.clone(), c.clone()];
    check("bare", &[without, without, &b, &c].concat(), &frames, 0, 0);

    let parts = [part(without, false), part(&b, false), part(&c, true)];
    let mended = [without, b"\r", &[0xFF, 0xD9]].concat();
    check(
        "a part",
        &parts.concat(),
        &[mended.clone(), b.clone(), c.clone()],
        0,
        0,
    );
    let parts = [part(without, true), part(&b, false), part(&c, true)];
    check(
        "its length is known",
        &parts.concat(),
        &[mended, b, c],
        0,
        0,
    );
}

/// `head --bytes=20 A.jpg`, which is in the middle of the header, and `printf '\xff\xe0\0\1'` in one.
#[test]
fn a_picture_that_cannot_be_shown_is_skipped_alone() {
    let [a, b, c] = three();
    let cut = &a[..14];
    check("bare", &[&a, cut, &b, &c].concat(), &three(), 14, 1);
    let broken = b"\xff\xd8\xff\xe0\x00\x01\x12\x34";
    check("bare", &[&a, &broken[..], &b, &c].concat(), &three(), 8, 1);
    check(
        "the first",
        &[&broken[..], &a, &b, &c].concat(),
        &three(),
        8,
        1,
    );
    let parts = [
        part(&a, false),
        part(broken, false),
        part(&b, false),
        part(&c, true),
    ];
    check("a part", &parts.concat(), &three(), 9, 1);
    let parts = [
        part(&a, true),
        part(broken, true),
        part(&b, true),
        part(&c, true),
    ];
    let frames = [a, broken.to_vec(), b, c];
    check("its length is believed", &parts.concat(), &frames, 0, 0);
}

/// `printf '\xff\xd8' | cat - A.jpg`.
#[test]
fn of_two_start_markers_one_is_skipped() {
    let [a, b, c] = three();
    let start = &[0xFF, 0xD8][..];
    check(
        "bare",
        &[start, &a, &b, start, start, &c].concat(),
        &three(),
        6,
        0,
    );
    let twice = [start, &b].concat();
    for announce in [false, true] {
        let parts = [
            part(&a, announce),
            part(&twice, announce),
            part(&c, announce),
        ];
        check("a part", &parts.concat(), &three(), 2, 0);
    }
}

/// `printf '\xff' | cat - A.jpg`: a byte that fills, as one may before any marker.
#[test]
fn a_byte_that_fills_before_a_start_marker_is_skipped() {
    let [a, b, c] = three();
    let filled = [&b"\xff"[..], &b].concat();
    check("bare", &[&a, &filled[..], &c].concat(), &three(), 1, 0);
    let parts = [part(&a, false), part(&filled, false), part(&c, false)];
    check("a part", &parts.concat(), &three(), 1, 0);
}

/// `dd` puts a byte before a marker; decoders warn, and show the picture.
#[test]
fn a_stray_byte_before_a_marker_is_passed_on() {
    let [a, b, c] = three();
    // Behind the segment with the thumbnail, and in the coded data before the end.
    for place in [14, a.len() - 2] {
        for stray in [&b"\x00"[..], b"\xff\x00", b"\x12\x34\x56"] {
            let stained = [&a[..place], stray, &a[place..]].concat();
            let frames = [stained.clone(), b.clone(), c.clone()];
            check(
                "a stray byte",
                &[&stained[..], &b, &c].concat(),
                &frames,
                0,
                0,
            );
        }
    }
    // Coded data without a header is no picture.
    let noise = [&a[..14], &[0x33; 100], &a[14..]].concat();
    check(
        "noise",
        &[&noise[..], &b, &c].concat(),
        &[b, c],
        noise.len() as u64,
        1,
    );
}

/// Written with `printf`, as they were seen at real cameras.
#[test]
fn the_lines_of_parts_may_be_careless() {
    let [a, b, c] = three();
    let part = |lines: &str, body: &[u8]| [lines.as_bytes(), b"\r\n", body, b"\r\n"].concat();
    let (kind, length) = ("Content-Type: image/jpeg\r\n", |body: &[u8]| {
        format!("Content-Length: {}\r\n", body.len())
    });
    let known =
        |boundary: &str, body: &[u8]| part(&format!("{boundary}{kind}{}", length(body)), body);
    let unknown = |boundary: &str, body: &[u8]| part(&format!("{boundary}{kind}"), body);
    for (what, boundaries, bytes) in [
        ("none before the first", ["", "--b\r\n", "--b\r\n"], 0),
        ("none at all", ["", "", ""], 0),
        (
            "twice",
            ["--b\r\n--b\r\n", "--b\r\n--b\r\n", "--b\r\n\r\n--b\r\n"],
            0,
        ),
        ("without dashes", ["b\r\n", "b\r\n", "b\r\n"], 0),
        (
            "without dashes at first",
            ["b\r\n", "--b\r\n", "--b\r\n"],
            0,
        ),
        ("with and without", ["--b\r\n", "b\r\n", "----b\r\n"], 0),
        (
            "a preamble",
            ["Two lines\r\nof text.\r\n\r\n--b\r\n", "--b\r\n", "--b\r\n"],
            17,
        ),
        (
            "an answer",
            [
                "HTTP/1.0 200 OK\r\nServer: x\r\n\r\n--b\r\n",
                "--b\r\n",
                "--b\r\n",
            ],
            24,
        ),
        ("another one", ["--b\r\n", "--c\r\n", "--b\r\n"], 0),
    ] {
        for part in [&known as &dyn Fn(&str, &[u8]) -> Vec<u8>, &unknown] {
            let [one, other, last] = boundaries;
            let stream = [part(one, &a), part(other, &b), part(last, &c)].concat();
            check(what, &stream, &three(), bytes, 0);
        }
    }
    let folded = |body: &[u8]| {
        let lines = format!(
            "--b\r\n{kind}X: y;\r\n\tz\r\nContent-Length:\r\n {}\r\n",
            body.len()
        );
        part(&lines, body)
    };
    check(
        "folded",
        &[folded(&a), folded(&b), folded(&c)].concat(),
        &three(),
        0,
        0,
    );
    let ended_twice = |body: &[u8]| part(&format!("--b\r\n{kind}\r\n"), body);
    let stream = [ended_twice(&a), ended_twice(&b), ended_twice(&c)].concat();
    check("headers that end twice", &stream, &three(), 0, 0);
    let without_colon = |body: &[u8]| part(&format!("--b\r\nnonsense\r\n{kind}"), body);
    let stream = [without_colon(&a), without_colon(&b), without_colon(&c)].concat();
    check("without a colon", &stream, &three(), 0, 0);
}

/// `Content-Length: 0`, one that counts the headers not the picture, none, and nonsense.
#[test]
fn a_length_that_is_wrong_is_not_believed() {
    let [a, b, c] = three();
    let part = |length: &str, body: &[u8]| {
        let lines = format!("--b\r\nContent-Length: {length}\r\n\r\n");
        [lines.as_bytes(), body, b"\r\n"].concat()
    };
    for length in [
        "0",
        "3",
        "4",
        "25",
        "-1",
        "many",
        "",
        "99999999999999999999999",
    ] {
        let stream = [part(length, &a), part(length, &b), part(length, &c)].concat();
        check(length, &stream, &three(), 0, 0);
    }
    // One that goes beyond the next boundary: the picture ends before that.
    let length = (a.len() + 30).to_string();
    let stream = [part(&length, &a), part(&length, &b), b"--b--\r\n".to_vec()].concat();
    let frames = [&a, &b].map(|picture| [picture, &b"\r"[..]].concat());
    check("too large", &stream, &frames, 0, 0);
    // A trailer is within it: all of that is the picture's.
    let trailed = [&a, &b"\x00SEFT\n"[..]].concat();
    let stream = [part(&trailed.len().to_string(), &trailed), part("0", &b)].concat();
    check("a trailer", &stream, &[trailed, b], 0, 0);
}

/// Some cameras send their events and their sound between the pictures.
#[test]
fn a_part_that_is_no_picture_is_skipped() {
    let [a, b, c] = three();
    let other = |kind: &str, length: bool, body: &[u8]| {
        let length = match length {
            true => format!("Content-Length: {}\r\n", body.len()),
            false => String::new(),
        };
        let lines = format!("--ffmpeg\r\nContent-Type: {kind}\r\n{length}\r\n");
        [lines.as_bytes(), body, b"\r\n"].concat()
    };
    let text = b"motion=1\r\nlevel=3";
    let sound = [
        &[0xFF, 0xF1, 0x50, 0x80],
        &[0xFF; 2000][..],
        b"\xff\xd8\xff\xe0",
    ]
    .concat();
    for announce in [true, false] {
        let with_length = announce;
        let sound_bytes = sound.len() as u64 + u64::from(!with_length);
        let text_bytes = text.len() as u64 - if with_length { 0 } else { 2 };
        let stream = [
            other("text/plain", with_length, text),
            part(&a, announce),
            part(&b, announce),
            other("text/plain", with_length, text),
            part(&c, announce),
        ];
        check("text", &stream.concat(), &three(), 2 * text_bytes, 0);
        let stream = [
            part(&a, announce),
            other("audio/aac", with_length, &sound),
            part(&b, announce),
            part(&c, announce),
        ];
        check("sound", &stream.concat(), &three(), sound_bytes, 0);
    }
    // More lines of text than a part has headers, and one that is longer than any.
    let long = [b"x\r\n".repeat(100), vec![b'y'; 3 * LONGEST_LINE]].concat();
    let stream = [
        part(&a, true),
        other("text/plain", false, &long),
        part(&b, true),
        part(&c, false),
    ];
    check(
        "long text",
        &stream.concat(),
        &three(),
        101 + 3 * LONGEST_LINE as u64,
        0,
    );
}

/// An empty part, and one that ends before its picture does.
#[test]
fn a_part_without_all_of_its_picture_is_skipped_alone() {
    let [a, b, c] = three();
    let cut = &a[..12];
    let parts = [
        part(&a, true),
        part(b"", false),
        part(cut, false),
        part(&b, true),
        part(&c, false),
    ];
    check("parts", &parts.concat(), &three(), 13, 1);
}

/// The length of a segment is wrong by a few bytes, so that the walk breaks at the line break in front of the next part, which
/// may begin the boundary: `printf 'Content-Type: image/jpeg\r\n\r\n'` behind a picture that is cut in its header.
#[test]
fn a_picture_that_breaks_at_a_line_break_loses_nothing_of_the_next_part() {
    let kind = b"\r\nContent-Type: image/jpeg\r\n\r\n";
    // The walk gives up at the 65th byte that belongs to no marker.
    let broken = [b"\xff\xd8\xff\xe0\x00\x02", &[b'x'; 63][..]].concat();
    let whole = b"\xff\xd8\xff\xda\x00\x03x12345\xff\xd9".to_vec();
    let stream = [&b"--b"[..], kind, &broken, kind, &whole, b"\r\n"].concat();
    let skipped = broken.len() as u64 + 1;
    check("a line break", &stream, &[whole], skipped, 1);
}

/// `printf '\0' | cat - A.jpg`, and more, as the body of a part. ffmpeg looks for the start marker in all of a part.
#[test]
fn what_stands_in_a_part_before_its_picture_is_skipped() {
    let pictures = three();
    let most = [0x55; 64];
    for stray in [
        &b"\0"[..],
        b"\0\0\0",
        b"\xff",
        b"\xff\x00\xff\xd8\x00",
        b"x\r\ny",
        &most,
    ] {
        for announce in [true, false] {
            let parts = pictures
                .iter()
                .map(|picture| part(&[stray, picture].concat(), announce));
            let stream: Vec<u8> = parts.flatten().collect();
            let text = stray.contains(&b'\n') && !announce;
            // Of a line, its line break is not counted where no length says that it belongs to the part.
            let bytes = 3 * (stray.len() as u64 - if text { 2 } else { 0 });
            let what = format!("{} in front, announced: {announce}", stray.escape_ascii());
            check(&what, &stream, &pictures, bytes, 0);
        }
    }
    // More than that is no picture.
    let [a, b, c] = three();
    let far = [&most[..], b"\0", &b].concat();
    let stream = [part(&a, true), part(&far, true), part(&c, true)].concat();
    check("too far", &stream, &[a, c], far.len() as u64, 0);
}

/// A part that says that it is longer than it is, and has no picture: the next part is none of its bytes.
#[test]
fn a_search_for_a_picture_ends_at_the_boundary() {
    let [a, b, c] = three();
    let lines = b"--ffmpeg\r\nContent-Length: 60\r\n\r\n";
    let empty = [&lines[..], b"\0\0\r\n"].concat();
    let stream = [
        part(&a, true),
        empty.clone(),
        part(&b, true),
        part(&c, false),
    ]
    .concat();
    check("announced", &stream, &three(), 4, 0);
    let stream = [part(&a, true), part(&b, false), part(&c, true), empty].concat();
    let stream = [&stream[..], b"--ffmpeg--\r\n\xff\xd8\xff\xe0"].concat();
    check("the last", &stream, &three(), 4, 0);
}

/// Coded data may have any bytes, so also those of a short boundary behind a line break.
#[test]
fn a_picture_in_which_a_boundary_seems_to_stand_is_not_cut() {
    let with = |data: &[u8]| [b"\xff\xd8\xff\xda\x00\x02", data, b"\xff\xd9"].concat();
    let parts = |boundary: &str, pictures: &[Vec<u8>]| {
        let lines = format!("{boundary}\r\nContent-Type: image/jpeg\r\n\r\n");
        let parts = pictures
            .iter()
            .map(|picture| [lines.as_bytes(), picture, b"\r\n"].concat());
        [
            parts.collect::<Vec<_>>().concat(),
            format!("{boundary}--\r\n").into(),
        ]
        .concat()
    };
    for (boundary, data) in [
        ("b", &b"x\nbx"[..]),
        ("b", b"x\nb\r\n"),
        ("frame", b"\nframe\r\n"),
        ("--b", b"x\n--bx"),
        ("--b", b"\n--b-\n--bXYZ\n--b"),
        ("--b", b"\n--b\xff\x00\n--b-\xff\x00"),
        ("frames", b"\nframesx"),
    ] {
        let pictures = [with(data), with(b"1"), with(&[data, b".", data].concat())];
        let what = format!("{boundary}, and {}", data.escape_ascii());
        check(&what, &parts(boundary, &pictures), &pictures, 0, 0);
    }
    // Without an end marker it ends at the boundary all the same, if that is long enough to be one.
    for (boundary, end) in [
        ("--b", ""),
        ("--b", " "),
        ("frames", ""),
        ("------------------------1", "\t"),
    ] {
        let cut = |tag: u8| {
            b"\xff\xd8\xff\xda\x00\x02\n--x"
                .iter()
                .copied()
                .chain([tag])
                .collect::<Vec<u8>>()
        };
        let pictures = [cut(1), cut(2), cut(3)];
        let mended = pictures
            .each_ref()
            .map(|cut| [&cut[..], b"\r\xff\xd9"].concat());
        let stream = parts(&format!("{boundary}{end}"), &pictures);
        let stream = match end {
            "" => stream,
            // The last line would end with the space before its dashes.
            end => [&stream[..stream.len() - 4 - end.len()], b"--\r\n"].concat(),
        };
        check(boundary, &stream, &mended, 0, 0);
    }
}
