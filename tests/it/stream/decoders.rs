//! `Lines` and `LengthDelimited`: the frames are the same wherever the reads split them.

use super::{
    pool,
    script::{Script, Step},
};
use crate::polling::{Polled, at_once};
use futures::StreamExt;
use sample_pool::stream::{
    DecodeFrame, Decoded, FrameError, FrameReader, LengthDelimited, LengthError, Lines,
};
use std::fmt::Debug;
use tokio::io::{AsyncWriteExt, duplex};

/// The frames of `bytes`, which arrive in pieces of `size`, and the error if there is one.
fn frames<D: DecodeFrame<Error: Debug>>(
    bytes: &'static [u8],
    size: usize,
    decoder: D,
) -> (Vec<Vec<u8>>, Option<FrameError<D::Error>>) {
    frames_of(reader(bytes, size, decoder))
}

/// A reader of `bytes`, which arrive in pieces of `size`.
fn reader<D: DecodeFrame>(bytes: &'static [u8], size: usize, decoder: D) -> FrameReader<Script, D> {
    let pieces = bytes.chunks(size).map(Step::Bytes);
    FrameReader::new(Script::new(pieces), &pool(2, 32), decoder)
}

fn frames_of<D: DecodeFrame<Error: Debug>>(
    mut reader: FrameReader<Script, D>,
) -> (Vec<Vec<u8>>, Option<FrameError<D::Error>>) {
    let mut found = Vec::new();
    loop {
        match at_once(reader.next()) {
            Some(Ok(frame)) => found.push(frame.to_vec()),
            Some(Err(error)) => return (found, Some(error)),
            None => return (found, None),
        }
    }
}

/// Checks that the frames are these however the bytes are split.
fn check<D: DecodeFrame<Error: Debug> + Clone>(
    bytes: &'static [u8],
    decoder: D,
    expected: &[&[u8]],
) {
    for size in 1..=bytes.len() {
        let (found, error) = frames(bytes, size, decoder.clone());
        assert_eq!(found, expected, "pieces of {size}");
        assert!(error.is_none(), "{error:?} with pieces of {size}");
    }
}

/// The two bytes of a line end may arrive in two reads, and a carriage return elsewhere is a byte like any other.
#[test]
fn lines_end_with_a_line_feed_with_or_without_a_carriage_return() {
    let expected: &[&[u8]] = &[b"one", b"t\rwo", b"", b"three"];
    check(b"one\r\nt\rwo\n\nthree\n", Lines::new(), expected);
    check(b"one\nt\rwo\r\n\r\nthree", Lines::new(), expected);
}

/// The limit is that of the line, and a line that is too long is an error before all of it has arrived.
#[test]
fn a_line_beyond_the_limit_is_an_error_and_one_at_the_limit_is_not() {
    let at_the_limit: &[&[u8]] = &[b"1234", b"5678"];
    check(b"1234\r\n5678", Lines::new().max_length(4), at_the_limit);
    for bytes in [
        &b"1\n23456\n"[..],
        b"1\n23456",
        b"1\n23456789012345678901234567",
    ] {
        for size in 1..=bytes.len() {
            let (found, error) = frames(bytes, size, Lines::new().max_length(4));
            assert_eq!(found, [b"1"]);
            assert!(matches!(error, Some(FrameError::Decode(_))), "{error:?}");
        }
    }
}

/// A decoder that searched `begun` in vain: its source failed in the middle of a line.
fn used(begun: &'static [u8]) -> Lines {
    let script = Script::new([Step::Bytes(begun), Step::Error]);
    let mut reader = FrameReader::new(script, &pool(1, 32), Lines::new());
    let failed = at_once(reader.next()).expect("not at the end");
    assert!(matches!(failed, Err(FrameError::Read(_))));
    reader.into_parts().1
}

/// What was searched of one source says nothing about the bytes of another: two lines would be joined.
#[test]
fn a_decoder_that_is_moved_in_the_middle_of_a_line_finds_the_next_line() {
    let (bytes, expected) = (b"x\nfoo\n", [&b"x"[..], b"foo"]);
    for begun in [&b"a"[..], b"abc", b"a long beginning"] {
        for size in 1..=bytes.len() {
            let (found, _) = frames(bytes, size, used(begun));
            assert_eq!(found, expected, "pieces of {size}");
            let mut replaced = reader(b"first\nx\nfoo\n", size, Lines::new());
            let first = at_once(replaced.next()).expect("not at the end");
            assert_eq!(&first.expect("no error")[..], b"first");
            *replaced.decoder_mut() = used(begun);
            assert_eq!(frames_of(replaced).0, expected, "pieces of {size}");
        }
    }
}

/// The reader waited for as many bytes as the decoder before it had asked for, and the source may send no more.
#[test]
fn a_decoder_that_takes_the_place_of_another_sees_the_bytes_that_are_there() {
    // For the other decoder, the frame has 512 bytes.
    let (small, large) = (b"\x02\0ab", [&[0x20_u8, 0x20][..], &[7; 0x2020]].concat());
    for (begun, len) in [(&small[..], 2), (&large[..], 0x2020)] {
        let pool = pool(2, 64 * 1024);
        let (mut client, server) = duplex(64 * 1024);
        let lengths = LengthDelimited::new().length_field_length(2);
        let mut reader = FrameReader::new(server, &pool, lengths.clone().length_adjustment(1000));
        at_once(client.write_all(begun)).expect("there is room");
        drop(Polled::waiting(reader.next()));
        let held = pool.try_get_buffers(pool.free_count()).expect("free");
        *reader.decoder_mut() = lengths.little_endian();
        let mut polled = Polled::new(reader.next());
        if len == 2 {
            // Its bytes are on the heap, and a frame is a part of a buffer.
            polled.expect_pending();
        }
        drop(held);
        let frame = polled.expect_ready().expect("not at the end");
        assert_eq!(frame.expect("no error").len(), len);
    }
}

/// As above, without a reader: the decoder is called by the user.
#[test]
fn a_decoder_searches_from_the_start_in_a_clone_and_after_an_error() {
    let found = Ok(Decoded::Frame {
        frame: 0..1,
        consumed: 2,
    });
    let incomplete = Ok(Decoded::Incomplete { needed: None });
    let mut lines = Lines::new();
    assert_eq!(lines.decode(b"abc"), incomplete);
    assert_eq!(lines.clone().decode(b"x\nfoo\n"), found);
    let mut fewer = lines;
    assert_eq!(fewer.decode(b"x\n"), found, "fewer bytes than before");
    let mut limited = Lines::new().max_length(2);
    let _too_long = limited.decode(b"abc").expect_err("beyond the limit");
    assert_eq!(limited.decode(b"x\nfoo\n"), found);
    let mut clone = limited.clone();
    let _too_long = clone.decode(b"abc").expect_err("with the same limit");
}

#[test]
fn the_settings_of_a_length_are_those_of_the_codec() {
    let body: &[&[u8]] = &[b"body", b"", b"next"];
    let plain = LengthDelimited::new();
    check(b"\0\0\0\x04body\0\0\0\0\0\0\0\x04next", plain.clone(), body);
    let little = plain.clone().little_endian().length_field_length(3);
    check(b"\x04\0\0body\0\0\0\x04\0\0next", little, body);
    let one = plain.length_field_length(1);
    let with_itself = one.clone().length_adjustment(-1);
    check(b"\x05body\x01\x05next", with_itself, body);
    let after_a_kind = one.clone().length_field_offset(2);
    check(b"k1\x04bodyk2\0k3\x04next", after_a_kind.clone(), body);
    let whole = after_a_kind.num_skip(0).length_adjustment(3);
    check(b"k1\x04bodyk2\0", whole, &[b"k1\x04body", b"k2\0"]);
}

/// Any sender can write any number: it must neither panic nor allocate.
#[test]
fn a_length_that_makes_no_sense_is_an_error() {
    let one = LengthDelimited::new().length_field_length(1);
    let mut below_zero = one.clone().length_adjustment(-2);
    assert_eq!(
        below_zero.decode(b"\x01"),
        Err(LengthError::TooSmall { length: 1 })
    );
    let mut nothing = one.clone().num_skip(0);
    assert_eq!(
        nothing.decode(b"\0"),
        Err(LengthError::TooSmall { length: 0 })
    );
    let mut limited = one.max_frame_length(4);
    assert_eq!(
        limited.decode(b"\x05"),
        Err(LengthError::TooLong {
            length: 5,
            limit: 4
        })
    );
    assert!(limited.decode(b"\x04").is_ok());
    for adjustment in [i64::MIN, -1, 0, 1, i64::MAX] {
        let long = LengthDelimited::new().length_field_length(8);
        let mut long = long
            .length_adjustment(adjustment)
            .max_frame_length(usize::MAX);
        for number in [0, 1, u64::MAX - 1, u64::MAX] {
            let _any = long.decode(&number.to_be_bytes());
        }
    }
    let (found, error) = frames(b"\0\0\0\x01a\0\x81\0\0", 3, LengthDelimited::new());
    assert_eq!(found, [b"a"]);
    let limit = 8 * 1024 * 1024;
    assert!(
        matches!(error, Some(FrameError::Decode(LengthError::TooLong { length: 0x81_0000, limit: found })) if found == limit)
    );
}
