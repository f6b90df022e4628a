//! Filling a sample: where bytes are written, how many fit, and the errors and panics when they do not fit.

#![forbid(unsafe_code)]

use bytes::{Buf, BufMut};
use sample_pool::{BufferOverflow, Pool, Sample};
use std::{
    collections::HashSet,
    error::Error,
    io::{self, ErrorKind, Write},
    panic::{AssertUnwindSafe, catch_unwind},
};

const SIZE: usize = 48;
const PREFIX: usize = 16;

fn pool() -> Pool {
    let builder = Pool::builder().buffers(3).size(SIZE).prefix(PREFIX);
    builder.align(16).build().expect("small")
}

fn sample() -> Sample {
    // The only handle of the pool is dropped, and the sample stays valid.
    pool().try_get_buffer().expect("free")
}

fn panics(call: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

/// The prefix is not part of the capacity, and a new sample has all of both.
#[test]
fn a_fresh_sample_is_empty_with_all_its_room() {
    let sample = sample();
    assert!(sample.is_empty());
    assert_eq!((sample.len(), &sample[..]), (0, &[][..]));
    assert_eq!(sample.capacity(), SIZE);
    assert_eq!(sample.spare_capacity(), SIZE);
    assert_eq!(sample.remaining_mut(), SIZE);
    assert_eq!(sample.headroom(), PREFIX);
}

/// All ways to write move the same end. If one had its own, the next write would overwrite it.
#[test]
fn every_way_to_write_appends_behind_the_last_one() {
    let mut sample = sample();
    sample.put_slice(b"ab");
    sample.put_u8(b'c');
    sample.put_u16(0x6465);
    sample.put(&b"fg"[..]);
    sample.put((&b"h"[..]).chain(&b"i"[..]));
    sample.put_bytes(b'j', 2);
    sample.write_all(b"kl").expect("room");
    write!(sample, "{}", 12).expect("room");
    sample.flush().expect("nothing to do");
    assert_eq!(&sample[..], b"abcdefghijjkl12");
    assert_eq!(sample.as_ref(), b"abcdefghijjkl12");
    assert_eq!(sample.spare_capacity(), SIZE - 15);
}

/// Bytes that were written can be patched in place, for example a length field in a header.
#[test]
fn bytes_that_were_written_can_be_changed_in_place() {
    let mut sample = sample();
    sample.put_slice(b"hello");
    sample[0] = b'j';
    sample.as_mut()[4] = b'y';
    sample.reverse();
    assert_eq!(&sample[..], b"yllej");
}

/// The spare bytes are one chunk, so a single read can fill the whole sample.
#[test]
fn the_chunk_is_all_of_the_spare_capacity() {
    let mut sample = sample();
    assert_eq!(sample.chunk_mut().len(), SIZE);
    sample.put_slice(&[1; SIZE - 1]);
    assert_eq!(sample.chunk_mut().len(), 1);
    assert!(sample.has_remaining_mut());
    sample.put_u8(1);
    assert_eq!(sample.chunk_mut().len(), 0);
    assert!(!sample.has_remaining_mut());
}

/// `BufMut` and `io::Write` differ on purpose: `BufMut` panics, and `io::Write` returns how much it wrote.
#[test]
fn a_full_sample_panics_on_put_and_writes_nothing_more() {
    let mut sample = sample();
    assert_eq!(sample.write(&[1; SIZE + 9]).expect("never fails"), SIZE);
    assert_eq!(sample.write(b"more").expect("never fails"), 0);
    assert_eq!(sample.write(b"").expect("never fails"), 0);
    let failed = sample.write_all(b"more").expect_err("full");
    assert_eq!(failed.kind(), ErrorKind::WriteZero);
    sample.put_slice(b"");
    assert!(panics(|| sample.put_slice(b"m")));
    assert!(panics(|| sample.put_u8(1)));
    assert!(panics(|| sample.put_u64(1)));
    assert!(panics(|| sample.put_bytes(1, 1)));
    assert!(panics(|| sample.put(&b"m"[..])));
    assert_eq!(&sample[..], [1; SIZE]);
    sample.set_len(SIZE - 2).expect("shorter");
    assert!(panics(|| sample.put_slice(b"one")), "one byte too many");
    assert_eq!(sample.write(b"one").expect("never fails"), 2);
    assert_eq!(sample[SIZE - 2..], *b"on");
}

/// Code that handles the error needs both numbers, and an unchanged sample.
#[test]
fn an_overflow_names_the_requested_and_the_available_bytes() {
    let mut sample = sample();
    sample.put_slice(b"body");
    let (requested, capacity) = (SIZE + 1, SIZE);
    let overflow = BufferOverflow {
        requested,
        capacity,
    };
    assert_eq!(sample.set_len(SIZE + 1), Err(overflow));
    let requested = usize::MAX;
    let overflow = BufferOverflow {
        requested,
        capacity,
    };
    assert_eq!(sample.set_len(usize::MAX), Err(overflow));
    let (requested, capacity) = (PREFIX + 1, PREFIX);
    let overflow = BufferOverflow {
        requested,
        capacity,
    };
    assert_eq!(sample.prepend(&[0; PREFIX + 1]), Err(overflow));
    assert_eq!(&sample[..], b"body");
    assert_eq!(sample.headroom(), PREFIX);
    sample
        .prepend(&[9; PREFIX - 4])
        .expect("exactly four are left");
    let (requested, capacity) = (5, 4);
    let overflow = BufferOverflow {
        requested,
        capacity,
    };
    assert_eq!(sample.prepend(b"12345"), Err(overflow));
    let said = overflow.to_string();
    assert!(said.contains('5') && said.contains('4'), "{said}");
    let wrapped = io::Error::from(overflow);
    let inner = wrapped
        .get_ref()
        .and_then(|e| e.downcast_ref::<BufferOverflow>());
    assert_eq!(inner, Some(&overflow));
    assert!(Error::source(&overflow).is_none());
}

/// Prepended bytes are stored before the buffer, not in it, so they take nothing of its size.
#[test]
fn the_limit_is_what_was_prepended_and_the_capacity() {
    let mut sample = sample();
    sample.prepend(b"1234").expect("headroom");
    assert_eq!((sample.len(), sample.headroom()), (4, PREFIX - 4));
    assert_eq!((sample.capacity(), sample.spare_capacity()), (SIZE, SIZE));
    sample.put_slice(&[b'x'; SIZE]);
    assert_eq!((sample.len(), sample.spare_capacity()), (SIZE + 4, 0));
    sample.prepend(&[b'0'; PREFIX - 4]).expect("the rest");
    assert_eq!((sample.len(), sample.headroom()), (PREFIX + SIZE, 0));
    assert_eq!(sample[PREFIX - 4..PREFIX + 1], *b"1234x");
    let (requested, capacity) = (PREFIX + SIZE + 1, PREFIX + SIZE);
    let overflow = BufferOverflow {
        requested,
        capacity,
    };
    assert_eq!(sample.set_len(PREFIX + SIZE + 1), Err(overflow));
    sample.set_len(PREFIX + SIZE).expect("as it is");
    sample.set_len(2).expect("shorter");
    assert_eq!(&sample[..], b"00");
    assert_eq!(
        sample.headroom(),
        0,
        "a shorter length gives no headroom back"
    );
    assert_eq!(sample.spare_capacity(), PREFIX + SIZE - 2);
}

/// After `clear` a sample is like a new one, except for its properties.
#[test]
fn clear_restores_headroom_and_room_and_keeps_the_properties() {
    let mut sample = sample();
    sample.properties_mut().set_user(7);
    for _ in 0..3 {
        sample.prepend(b"head").expect("headroom");
        sample.put_slice(b"body");
        let at = sample.as_ptr();
        sample.clear();
        assert!(sample.is_empty());
        assert_eq!(sample.headroom(), PREFIX);
        assert_eq!(sample.spare_capacity(), SIZE);
        assert_eq!(sample.as_ptr(), at.wrapping_add(4), "the same place again");
    }
    assert_eq!(sample.properties().user(), 7);
}

/// A header is prepended so that the payload need not move.
#[test]
fn prepending_moves_no_byte_that_was_written() {
    let mut sample = sample();
    sample.put_slice(b"payload");
    let at = sample.as_ptr();
    sample.prepend(b"header:").expect("headroom");
    assert_eq!(&sample[..], b"header:payload");
    assert_eq!(sample[7..].as_ptr(), at);
}

/// Logs must not contain what is sent to clients.
#[test]
fn debug_shows_sizes_and_never_the_bytes() {
    let mut sample = sample();
    sample.put_slice(b"SECRET");
    let debug = format!("{sample:?} {sample:#?}");
    assert!(debug.contains("len: 6"), "{debug}");
    let mut said = vec![debug];
    let shared = sample.freeze();
    said.push(format!("{shared:?} {shared:#?}"));
    assert!(said[1].contains("len: 6"), "{}", said[1]);
    for said in said {
        assert!(!said.contains("SECRET") && !said.contains("83"), "{said}");
    }
}

/// A device registers each buffer once, by its index, so an index must always belong to the same address.
#[test]
fn the_index_is_in_range_and_belongs_to_one_address() {
    let builder = Pool::builder().buffers(120).size(SIZE).prefix(PREFIX);
    let pool = builder.align(16).build().expect("small");
    let region = pool.region().expect("committed");
    for _ in 0..2 {
        let mut all = pool.try_get_buffers(120).expect("free");
        let indexes: HashSet<usize> = all.iter().map(Sample::index).collect();
        assert_eq!(indexes, (0..120).collect());
        for sample in &mut all {
            sample.put_u8(1);
            let slot = region.base().addr() + sample.index() * region.stride();
            assert_eq!(sample.as_ptr().addr(), slot + PREFIX);
        }
        let index = all[77].index();
        let shared = all.swap_remove(77).freeze();
        assert_eq!((shared.index(), shared.slice(1..).index()), (index, index));
        drop(shared);
    }
}

/// The properties of a new sample are those of no earlier owner.
#[test]
fn the_properties_of_a_sample_are_its_own_and_go_with_it() {
    let pool = pool();
    let mut first = pool.try_get_buffer().expect("free");
    let second = pool.try_get_buffer().expect("free");
    first.properties_mut().set_sync_point(true);
    first.put_slice(b"frame");
    assert!(!second.properties().sync_point());
    let shared = first.freeze();
    assert!(shared.slice(2..3).properties().sync_point());
    let first = shared.try_into_sample().expect("the only handle");
    assert!(first.properties().sync_point());
    let index = first.index();
    drop(first);
    let again = pool.try_get_buffer().expect("free");
    assert_eq!(again.index(), index);
    assert!(!again.properties().sync_point());
}

/// The second read appends after the first, and zero marks the end.
#[test]
fn read_from_appends_one_read_after_another() {
    let mut sample = sample();
    sample.put_slice(b"> ");
    let mut reader = io::Read::chain(&b"one "[..], &b"two"[..]);
    let read: [_; 3] = std::array::from_fn(|_| sample.read_from(&mut reader).expect("no error"));
    assert_eq!((read, &sample[..]), ([4, 3, 0], &b"> one two"[..]));
    let mut endless = io::repeat(7);
    let rest = sample.read_from(&mut endless).expect("no error");
    assert_eq!(rest, SIZE - 9);
    assert_eq!(sample.read_from(&mut endless).expect("no room"), 0);
    assert_eq!(sample.headroom(), PREFIX);
}

/// Returns or does what a reader must not.
enum Bad {
    Says(usize),
    Fails,
    Panics,
}

impl io::Read for Bad {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        into.fill(7);
        match self {
            Bad::Says(count) => Ok(*count),
            Bad::Fails => Err(ErrorKind::Interrupted.into()),
            Bad::Panics => panic!("a reader that panics"),
        }
    }
}

/// The trait is safe to implement, so its result may be wrong. To trust it would count bytes of the next
/// buffer.
#[test]
fn read_from_believes_no_reader_that_read_more_than_there_is_room() {
    let mut sample = sample();
    sample.put_slice(b"mine");
    for more in [SIZE - 3, SIZE, usize::MAX] {
        let error = sample
            .read_from(&mut Bad::Says(more))
            .expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{more}");
        assert_eq!(&sample[..], b"mine");
    }
    let all = sample.read_from(&mut Bad::Says(SIZE - 4));
    assert_eq!(all.expect("as many as there is room for"), SIZE - 4);
    assert_eq!((sample.len(), sample.spare_capacity()), (SIZE, 0));
}

/// The bytes that were written before must be unchanged.
#[test]
fn a_reader_that_fails_or_panics_appends_nothing() {
    let mut sample = sample();
    sample.put_slice(b"mine");
    let error = sample.read_from(&mut Bad::Fails).expect_err("it fails");
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(panics(|| drop(sample.read_from(&mut Bad::Panics))));
    assert_eq!(
        (&sample[..], sample.spare_capacity()),
        (&b"mine"[..], SIZE - 4)
    );
}

/// A system call writes to the address that it is given, so it must be the address of the next byte.
#[test]
fn the_spare_capacity_is_what_is_behind_the_last_byte() {
    let mut sample = sample();
    sample.put_slice(b"abc");
    sample.prepend(b"head").expect("headroom");
    let end = sample.as_ptr_range().end;
    let spare = sample.spare_capacity_mut();
    assert_eq!((spare.len(), spare.as_ptr().cast()), (SIZE - 3, end));
    spare[0].write(b'x');
    sample.put_slice(b"d");
    assert_eq!(&sample[..], b"headabcd");
    sample.put_bytes(0, SIZE - 4);
    assert!(sample.spare_capacity_mut().is_empty());
}
