//! Parts: each owner writes its own range of the one buffer, and the buffer is returned to the pool when the last
//! handle to any of it is dropped.
//!
//! Guarantees: 12, 13

#![forbid(unsafe_code)]

mod random;

use bytes::{BufMut, Bytes};
use sample_pool::{Pool, Sample, SamplePart, SharedSample, State};
use std::{
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

const SIZE: usize = 56;
const PREFIX: usize = 8;
/// What an earlier owner wrote. No present owner writes it.
const STALE: u8 = 0xAA;

/// A pool of one buffer, all of whose bytes an earlier owner has written.
fn pool() -> Pool {
    let builder = Pool::builder().buffers(1).size(SIZE).prefix(PREFIX);
    let pool = builder.align(1).build().expect("small");
    let mut sample = take(&pool);
    sample.prepend(&[STALE; PREFIX]).expect("headroom");
    sample.put_bytes(STALE, SIZE);
    drop(sample);
    pool
}

fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("free")
}

/// A part of a sample with these bytes.
fn part(pool: &Pool, bytes: &[u8]) -> SamplePart {
    let mut sample = take(pool);
    sample.put_slice(bytes);
    sample.into_part()
}

fn panics<T>(call: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

/// A copy would have another address.
#[test]
fn a_split_copies_nothing_and_each_part_has_its_bytes() {
    let pool = pool();
    let mut sample = take(&pool);
    sample.put_slice(b"head, body");
    let at = sample.as_ptr();
    let mut body = sample.into_part();
    assert_eq!((&body[..], body.as_ptr()), (&b"head, body"[..], at));
    let mut head = body.split_to(6);
    assert_eq!((&head[..], head.as_ptr()), (&b"head, "[..], at));
    assert_eq!(
        (&body[..], body.as_ptr()),
        (&b"body"[..], at.wrapping_add(6))
    );
    assert_eq!((head.capacity(), head.spare_capacity()), (6, 0));
    assert_eq!((body.capacity(), body.spare_capacity()), (50, 46));
    let comma = head.split_off(4);
    assert_eq!((&head[..], &comma[..]), (&b"head"[..], &b", "[..]));
    assert_eq!((head.spare_capacity(), comma.spare_capacity()), (0, 0));
    let frozen = comma.freeze();
    assert_eq!(frozen.as_ptr(), at.wrapping_add(4));
    let bytes = body.into_bytes();
    assert_eq!(
        (&bytes[..], bytes.as_ptr()),
        (&b"body"[..], at.wrapping_add(6))
    );
}

/// As with `BytesMut::split_off`, the place may lie in the spare capacity.
#[test]
fn a_split_beyond_the_written_bytes_divides_the_spare_ones() {
    let pool = pool();
    let mut first = part(&pool, b"four");
    let mut second = first.split_off(10);
    assert_eq!((&first[..], first.spare_capacity()), (&b"four"[..], 6));
    assert_eq!((second.len(), second.spare_capacity()), (0, SIZE - 10));
    second.put_slice(b"second");
    first.put_slice(b" and 6");
    assert_eq!(
        (&first[..], &second[..]),
        (&b"four and 6"[..], &b"second"[..])
    );
    assert!(panics(|| first.put_u8(0)), "the next byte is the second's");
    assert_eq!(first.write(b"!").expect("never fails"), 0);
    assert_eq!(&second[..], b"second");
    let spare = second.split_spare_off();
    assert_eq!((&second[..], second.spare_capacity()), (&b"second"[..], 0));
    assert_eq!((spare.len(), spare.spare_capacity()), (0, SIZE - 16));
}

/// What was read so far goes to readers, and the rest of the buffer is still written.
#[test]
fn written_bytes_are_frozen_and_the_part_goes_on_behind_them() {
    let pool = pool();
    let mut part = part(&pool, b"one, ");
    let mut seen = part.split_written();
    assert_eq!((part.len(), part.spare_capacity()), (0, SIZE - 5));
    part.put_slice(b"two");
    assert_eq!(seen, *b"one, ");
    let nothing = {
        let two = part.split_written();
        let nothing = part.split_written();
        seen.try_unsplit(two).expect("it lies behind the first");
        nothing
    };
    assert!(nothing.is_empty());
    assert_eq!(seen, *b"one, two");
    drop((seen, part));
    assert_eq!(pool.free_count(), 0, "an empty handle is a handle");
    drop(nothing);
    assert_eq!(pool.free_count(), 1);
}

#[test]
fn a_split_outside_of_a_part_panics_and_changes_nothing() {
    let pool = pool();
    let mut part = part(&pool, b"four");
    assert!(panics(|| part.split_to(5)), "the fifth byte is not written");
    assert!(panics(|| part.split_off(SIZE + 1)));
    assert_eq!((&part[..], part.capacity()), (&b"four"[..], SIZE));
    drop(part);
    assert_eq!(pool.free_count(), 1, "no handle was counted");
}

#[test]
fn two_halves_are_joined_again() {
    let pool = pool();
    let mut one = part(&pool, b"one, two");
    let at = one.as_ptr();
    let two = one.split_off(5);
    one.try_join(two).expect("they were one");
    assert_eq!((&one[..], one.as_ptr()), (&b"one, two"[..], at));
    assert_eq!(one.spare_capacity(), SIZE - 8);
    // Spare bytes before spare bytes are no gap.
    let rest = one.split_off(20);
    one.try_join(rest).expect("the rest is empty");
    assert_eq!((one.len(), one.spare_capacity()), (8, SIZE - 8));
    let sample = one.try_into_sample().expect("one handle is left");
    assert_eq!(&sample[..], b"one, two");
}

#[test]
fn parts_in_another_order_or_with_something_between_are_not_joined() {
    let pool = pool();
    let mut one = part(&pool, b"123");
    let mut two = one.split_off(1);
    let three = two.split_off(1);
    let one = two.try_join(one).expect_err("it lies before");
    let mut one_again = one;
    let three = one_again
        .try_join(three)
        .expect_err("the second lies between");
    assert_eq!(
        (&one_again[..], &two[..], &three[..]),
        (&b"1"[..], &b"2"[..], &b"3"[..])
    );
    one_again.try_join(two).expect("the second");
    one_again.try_join(three).expect("the third");
    assert_eq!(&one_again[..], b"123");
}

/// The spare bytes of the first part would lie between the written ones of both, with all that an earlier owner
/// left there.
#[test]
fn parts_with_unwritten_bytes_between_written_ones_are_not_joined() {
    let pool = pool();
    let mut one = part(&pool, b"one");
    let mut two = one.split_off(8);
    two.put_slice(b"two");
    let two = one.try_join(two).expect_err("five bytes were not written");
    assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
    let capacity = one.capacity();
    one.set_len(capacity).expect("it is the capacity");
    one.try_join(two).expect("no gap is left");
    assert_eq!(&one[..], b"one\0\0\0\0\0two");
}

/// The end of one slot is the start of the next one: adjacent addresses do not make two parts one.
#[test]
fn parts_of_two_buffers_that_touch_are_not_joined() {
    let pool = Pool::builder().buffers(2).size(SIZE).align(1).build();
    let pool = pool.expect("small");
    let mut samples = [take(&pool), take(&pool)];
    samples.sort_by_key(Sample::index);
    let [mut one, mut two] = samples;
    one.put_bytes(1, SIZE);
    two.put_bytes(2, SIZE);
    assert_eq!(one.as_ptr_range().end, two.as_ptr(), "they touch");
    let mut one = one.into_part();
    let two = one.try_join(two.into_part()).expect_err("another buffer");
    let mut one = one.freeze();
    let two = one.try_unsplit(two.freeze()).expect_err("another buffer");
    assert_eq!((one.len(), two.len()), (SIZE, SIZE));
    drop(one);
    assert_eq!(pool.free_count(), 1);
    assert_eq!(two, [2; SIZE]);
}

/// The pieces of one sample: two parts, a shared handle and `Bytes`.
enum Piece {
    #[allow(dead_code, reason = "its drop is what counts")]
    Part(SamplePart),
    #[allow(dead_code, reason = "its drop is what counts")]
    Shared(SharedSample),
    #[allow(dead_code, reason = "its drop is what counts")]
    Bytes(Bytes),
}

fn pieces(sample: Sample) -> Vec<Piece> {
    let mut rest = sample.into_part();
    let part = rest.split_to(1);
    let shared = rest.split_to(1).freeze();
    let bytes = rest.split_to(1).into_bytes();
    vec![
        Piece::Part(part),
        Piece::Shared(shared),
        Piece::Bytes(bytes),
        Piece::Part(rest),
    ]
}

/// Whatever kind of handle is the last one, and whatever was done with the others, one sample was released: once in
/// the statistics, once in its quota, and with one call of the callback. The pool's last handle may be gone by then.
#[test]
fn the_last_piece_of_any_kind_releases_once() {
    for first in 0..4 {
        for second in 0..3 {
            for third in 0..2 {
                let calls = Arc::new(AtomicUsize::new(0));
                let counted = calls.clone();
                let pool = Pool::builder().buffers(1).size(SIZE);
                let pool = pool.on_release(move |_pool| {
                    counted.fetch_add(1, Ordering::Relaxed);
                });
                let pool = pool.track_holders(true).build().expect("small");
                let quota = pool.quota("parts", 1);
                let mut sample = quota.try_get_buffer().expect("free");
                sample.put_slice(b"abcd");
                let mut left = pieces(sample);
                for (index, handles) in [(first, 4), (second, 3), (third, 2), (0, 1)] {
                    assert_eq!(pool.holders()[0].handles, handles);
                    assert_eq!((pool.free_count(), quota.status().in_use), (0, 1));
                    assert_eq!(calls.load(Ordering::Relaxed), 0);
                    drop(left.remove(index));
                }
                assert_eq!((pool.free_count(), quota.status().in_use), (1, 0));
                assert_eq!(calls.load(Ordering::Relaxed), 1);
                let status = pool.status();
                assert_eq!((status.acquired, status.released), (1, 1));
            }
        }
    }
}

/// A part is a handle to the pool's memory: neither the end of the pool nor a drain may take it away.
#[test]
fn parts_outlive_the_pool_and_complete_a_drain() {
    let pool = pool();
    let mut one = part(&pool, b"12");
    let mut two = one.split_off(1);
    pool.decommit();
    drop(one);
    assert_eq!(pool.state(), State::Draining);
    two[0] = b'3';
    assert_eq!(&two[..], b"3");
    drop(two);
    assert_eq!(pool.state(), State::Configured);
    pool.commit().expect("small");
    let mut last = part(&pool, b"last");
    drop(pool);
    let piece = last.split_to(2);
    assert_eq!((&piece[..], &last[..]), (&b"la"[..], &b"st"[..]));
}

/// Only the last handle of any kind is the sample's owner again. It may then change the properties, and use the whole
/// buffer.
#[test]
fn the_last_part_becomes_the_sample_again() {
    let pool = pool();
    let mut sample = take(&pool);
    sample.put_slice(b"abcdef");
    sample.properties_mut().set_user(1);
    let mut part = sample.into_part();
    let shared = part.split_to(2).freeze();
    let tail = part.split_off(2).into_bytes();
    assert_eq!(
        (shared.properties().user(), part.properties().user()),
        (1, 1)
    );
    let part = part.try_into_sample().expect_err("two others are left");
    drop(tail);
    assert!(!shared.is_unique());
    let part = part.try_into_sample().expect_err("one other is left");
    let shared = shared.try_into_sample().expect_err("the part is left");
    drop(shared);
    let mut sample = part.try_into_sample().expect("the last handle");
    assert_eq!(&sample[..], b"cd");
    assert_eq!(
        (sample.headroom(), sample.spare_capacity()),
        (PREFIX + 2, SIZE - 4)
    );
    sample.properties_mut().set_user(2);
    let mut part: SamplePart = sample.into();
    let frozen = part.split_written();
    assert_eq!(
        (frozen.properties().user(), part.properties().user()),
        (2, 2)
    );
    drop((frozen, part));
    assert_eq!(take(&pool).properties().user(), 0, "released and reset");
}

/// The spare bytes of a part hold what earlier owners left, and also what owners of other parts left.
#[test]
fn bytes_that_a_part_uncovers_read_as_zero() {
    let pool = pool();
    let mut part = part(&pool, b"mine, and another's");
    let mut other = part.split_off(6);
    assert_eq!(part.set_len(7).unwrap_err().capacity, 6);
    part.truncate(4);
    part.set_len(6).expect("its capacity");
    assert_eq!(&part[..], b"mine\0\0");
    part.clear();
    assert_eq!((part.len(), part.spare_capacity()), (0, 6));
    other.clear();
    other.set_len(SIZE - 6).expect("its capacity");
    assert_eq!(&other[..], [0; SIZE - 6]);
    part.chunk_mut()[..3].copy_from_slice(&[STALE; 3]);
    part.set_len(3).expect("spare");
    assert_eq!(&part[..], [0; 3], "they were not counted as written");
}

/// A reader of std may look at the slice that it is given, and may lie about how much it wrote.
#[test]
fn a_reader_finds_zeroes_and_its_count_is_checked() {
    struct Curious(Vec<u8>, usize);
    impl Read for Curious {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0 = into.to_vec();
            into.fill(1);
            Ok(self.1)
        }
    }
    let pool = pool();
    let mut first = part(&pool, b"four");
    let rest = first.split_off(10);
    let mut reader = Curious(Vec::new(), 7);
    assert!(first.read_from(&mut reader).is_err(), "one too many");
    assert_eq!((reader.0, first.len()), (vec![0; 6], 4));
    let mut reader = Curious(Vec::new(), 5);
    assert_eq!(first.read_from(&mut reader).expect("it fits"), 5);
    assert_eq!(
        (reader.0, &first[..]),
        (vec![0; 6], &b"four\x01\x01\x01\x01\x01"[..])
    );
    assert_eq!(rest.len(), 0);
}

/// What a part wrote counts when it is frozen. Until then no line of memory is written that the others use.
#[test]
fn used_bytes_are_those_of_the_sample_and_of_what_was_frozen() {
    let pool = pool();
    let used = || pool.status().bytes_used;
    let mut first = part(&pool, b"12345");
    let mut second = first.split_off(10);
    assert_eq!(used(), 5);
    second.put_slice(b"678");
    first.put_slice(b"9");
    assert_eq!(used(), 5);
    let second = second.freeze();
    assert_eq!(used(), 8);
    let pieces = (first.split_to(2).freeze(), first.split_written());
    assert_eq!(used(), 9, "five of these were counted before");
    first.put_slice(b"gone");
    drop(first);
    assert_eq!(used(), 9);
    drop((second, pieces));
    assert_eq!(used(), 0);
}

/// An empty `Bytes` cannot hold a buffer, so a part without bytes is dropped.
#[test]
fn an_empty_part_made_bytes_holds_no_buffer() {
    let pool = pool();
    let bytes = take(&pool).into_part().into_bytes();
    assert!(bytes.is_empty());
    assert_eq!(pool.free_count(), 1);
}

/// Each thread writes its part again and again, up to the bytes of its neighbours: one byte too many is seen by
/// ThreadSanitizer, and by the neighbour.
#[test]
fn each_thread_writes_its_own_part() {
    let pool = pool();
    let mut rest = take(&pool).into_part();
    let mut parts = Vec::new();
    for _ in 0..4 {
        let next = rest.split_off(8);
        parts.push(std::mem::replace(&mut rest, next));
    }
    parts.push(rest);
    let ready = Barrier::new(parts.len());
    thread::scope(|scope| {
        for (number, mut part) in (1..).zip(parts) {
            let ready = &ready;
            scope.spawn(move || {
                ready.wait();
                for _ in 0..100 {
                    part.clear();
                    part.put_bytes(number, part.spare_capacity());
                    assert!(part.iter().all(|&byte| byte == number));
                }
                let frozen = part.freeze();
                assert!(frozen.iter().all(|&byte| byte == number));
            });
        }
    });
    assert_eq!(pool.free_count(), 1);
}

#[test]
fn debug_prints_numbers_and_no_bytes() {
    let pool = pool();
    let mut part = part(&pool, b"secret");
    let head = part.split_to(2);
    let index = part.index();
    assert_eq!(
        format!("{head:?}"),
        format!("SamplePart {{ index: {index}, len: 2, capacity: 2, .. }}")
    );
}
