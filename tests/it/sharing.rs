//! Shared samples: every handle shows its own bytes of the one buffer, and the buffer is returned to the pool
//! when the last handle to any of them is dropped.
//!
//! Guarantees: 12

#![forbid(unsafe_code)]

use bytes::{Buf, BufMut};
use sample_pool::{Pool, SharedSample};
use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Barrier,
    thread,
};

const TEXT: &[u8] = b"hello world";

fn pool() -> Pool {
    let built = Pool::builder()
        .buffers(2)
        .size(64)
        .prefix(8)
        .align(8)
        .build();
    built.expect("small")
}

fn shared_of(pool: &Pool, bytes: &[u8]) -> SharedSample {
    let mut sample = pool.try_get_buffer().expect("free");
    sample.put_slice(bytes);
    sample.freeze()
}

fn panics<T>(call: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

fn out(pool: &Pool) -> usize {
    pool.status().outstanding
}

/// To send a frame to a thousand clients must not copy it once.
#[test]
fn freezing_cloning_and_slicing_copy_nothing() {
    let pool = pool();
    let mut sample = pool.try_get_buffer().expect("free");
    sample.put_slice(TEXT);
    sample.prepend(b"> ").expect("headroom");
    let at = sample.as_ptr();
    let shared = sample.freeze();
    assert_eq!(&shared[..], b"> hello world");
    assert_eq!(shared.as_ptr(), at);
    assert_eq!(shared.clone().as_ptr(), at);
    assert_eq!(shared.slice(2..).as_ptr(), at.wrapping_add(2));
    assert_eq!(shared.as_ref().as_ptr(), at);
    assert_eq!((shared.len(), shared.remaining()), (13, 13));
    let from: SharedSample = pool.try_get_buffer().expect("free").into();
    assert!(from.is_empty());
}

/// Each kind of bound has its own off-by-one error.
#[test]
fn a_slice_takes_every_kind_of_range() {
    let pool = pool();
    let shared = shared_of(&pool, TEXT);
    assert_eq!(&shared.slice(..)[..], TEXT);
    assert_eq!(&shared.slice(6..)[..], b"world");
    assert_eq!(&shared.slice(..5)[..], b"hello");
    assert_eq!(&shared.slice(..=4)[..], b"hello");
    assert_eq!(&shared.slice(3..8)[..], b"lo wo");
    assert_eq!(&shared.slice(3..=8)[..], b"lo wor");
    let after = (Bound::Excluded(2), Bound::Included(4));
    assert_eq!(&shared.slice(after)[..], b"lo");
    assert_eq!(&shared.slice(0..0)[..], b"");
    assert_eq!(&shared.slice(11..)[..], b"");
    assert_eq!(&shared.slice(11..11)[..], b"");
    // The range of a slice of a slice counts from the start of that slice.
    let word = shared.slice(6..);
    assert_eq!(&word.slice(1..4)[..], b"orl");
    assert_eq!(&word.slice(..0).slice(..)[..], b"");
}

/// Each of these would reach outside, into the memory of another sample of the pool.
#[test]
fn a_slice_or_split_that_does_not_lie_within_panics_and_changes_nothing() {
    let pool = pool();
    let mut shared = shared_of(&pool, TEXT);
    let word = shared.slice(..5);
    assert!(panics(|| word.slice(..6)));
    assert!(panics(|| word.slice(6..)));
    assert!(panics(|| word.slice(..=5)));
    assert!(panics(|| word.slice(..=usize::MAX)));
    assert!(panics(
        || word.slice((Bound::Excluded(usize::MAX), Bound::Unbounded))
    ));
    assert!(panics(|| word.slice(usize::MAX..)));
    let (three, two) = (3, 2);
    assert!(panics(|| word.slice(three..two)));
    assert!(panics(|| shared.split_to(12)));
    assert!(panics(|| shared.split_off(12)));
    assert!(panics(|| shared.split_to(usize::MAX)));
    assert!(panics(|| shared.split_off(usize::MAX)));
    assert!(panics(|| shared.advance(12)));
    assert!(panics(|| shared.copy_to_bytes(12)));
    assert_eq!(&shared[..], TEXT);
    // None of them kept a handle.
    drop(word);
    assert!(shared.try_into_sample().is_ok());
}

/// The two parts together are the whole, wherever it is split, including at the ends.
#[test]
fn splitting_gives_both_parts_wherever_it_splits() {
    let pool = pool();
    for at in 0..=TEXT.len() {
        let mut rest = shared_of(&pool, TEXT);
        let first = rest.split_to(at);
        assert_eq!((&first[..], &rest[..]), TEXT.split_at(at));
        drop((first, rest));
        let mut first = shared_of(&pool, TEXT);
        let rest = first.split_off(at);
        assert_eq!((&first[..], &rest[..]), TEXT.split_at(at));
        drop(first);
        assert_eq!(out(&pool), 1, "the other part holds the sample");
        drop(rest);
        assert_eq!(out(&pool), 0);
    }
}

/// A decoder reads a shared sample like any other buffer.
#[test]
fn a_shared_sample_reads_like_any_buffer() {
    let pool = pool();
    let mut shared = shared_of(&pool, b"\x01\x02\x03\x04\x05rest");
    assert_eq!(shared.get_u8(), 1);
    assert_eq!(shared.get_u16(), 0x0203);
    assert_eq!(shared.chunk(), b"\x04\x05rest");
    shared.advance(0);
    shared.advance(2);
    assert_eq!(shared.remaining(), 4);
    let mut text = String::new();
    let mut reader = shared.clone().reader();
    reader.read_to_string(&mut text).expect("no error");
    assert_eq!(text, "rest");
    shared.advance(4);
    assert!(!shared.has_remaining() && shared.is_empty());
    assert_eq!(shared.chunk(), b"");
    drop(reader);
    assert_eq!(out(&pool), 1, "it was read to the end, and is not gone yet");
    drop(shared);
    assert_eq!(out(&pool), 0);
}

/// The default method of `Buf` would allocate and copy here.
#[test]
fn copy_to_bytes_copies_nothing_and_holds_the_sample() {
    let pool = pool();
    let mut shared = shared_of(&pool, TEXT);
    let at = shared.as_ptr();
    let hello = shared.copy_to_bytes(5);
    assert_eq!(hello, "hello");
    assert_eq!(hello.as_ptr(), at);
    shared.advance(1);
    let world = shared.copy_to_bytes(5);
    assert_eq!(world, "world");
    assert_eq!(world.as_ptr(), at.wrapping_add(6));
    assert!(shared.is_empty());
    drop((shared, hello));
    assert_eq!(out(&pool), 1);
    drop(world);
    assert_eq!(out(&pool), 0);
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A set of frames compares contents, whichever buffers they are in.
#[test]
fn two_are_equal_if_their_bytes_are() {
    let pool = pool();
    let (one, other) = (shared_of(&pool, TEXT), shared_of(&pool, b"say hello world"));
    assert_ne!(one, other);
    let tail = other.slice(4..);
    assert_ne!(one.index(), tail.index());
    assert_eq!(one, tail);
    assert_eq!(hash_of(&one), hash_of(&tail));
    assert_eq!(
        hash_of(&one),
        hash_of(&TEXT),
        "so it can be looked up by its bytes"
    );
    assert_eq!(one, *TEXT);
    assert_ne!(one, *b"hello".as_slice());
    assert_eq!(one.slice(..0), other.slice(2..2));
    let set = HashSet::from([one, tail]);
    assert_eq!(set.len(), 1);
}

/// Only a sole handle becomes writable again, whichever handle it is and whichever bytes it shows.
#[test]
fn the_only_handle_becomes_writable_again_and_any_other_does_not() {
    let pool = pool();
    let shared = shared_of(&pool, TEXT);
    let clone = shared.clone();
    let shared = shared.try_into_sample().expect_err("there is a clone");
    assert_eq!(&shared[..], TEXT, "given back unchanged");
    drop(clone);
    let empty = shared.slice(..0);
    let shared = shared.try_into_sample().expect_err("an empty slice counts");
    drop(empty);
    let bytes = shared.slice(..1).into_bytes();
    let shared = shared.try_into_sample().expect_err("and so do Bytes");
    let _empty = bytes.slice(..0);
    drop(bytes);
    let mut sample = shared.try_into_sample().expect("the only handle");
    assert_eq!(&sample[..], TEXT);
    assert_eq!((sample.headroom(), sample.spare_capacity()), (8, 53));
    sample.put_slice(b"!");
    sample.prepend(b"*").expect("headroom");
    assert_eq!(&sample[..], b"*hello world!");
    assert_eq!(out(&pool), 1, "it was never released");
    // The slice can be the last handle as well as the original can.
    let whole = sample.freeze();
    let slice = whole.slice(1..6);
    drop(whole);
    let sample = slice.try_into_sample().expect("the only handle");
    assert_eq!(&sample[..], b"hello");
}

/// All bytes around a slice can be written, at both ends of the buffer.
#[test]
fn around_a_slice_is_headroom_before_it_and_spare_behind() {
    let pool = pool();
    // The buffer: 8 bytes of prefix, 11 of text, 53 of spare capacity.
    for (from, to) in [(0, 11), (3, 8), (0, 0), (11, 11), (4, 4)] {
        let slice = shared_of(&pool, TEXT).slice(from..to);
        let mut sample = slice.try_into_sample().expect("the only handle");
        assert_eq!(&sample[..], &TEXT[from..to]);
        assert_eq!(sample.headroom(), 8 + from);
        assert_eq!(sample.spare_capacity(), 64 - to);
        assert_eq!(sample.capacity(), 64);
        let head = vec![b'<'; sample.headroom()];
        sample.prepend(&head).expect("exactly");
        sample.put_bytes(b'>', sample.spare_capacity());
        assert_eq!((sample.len(), sample.headroom()), (72, 0));
        sample.clear();
        assert_eq!((sample.headroom(), sample.spare_capacity()), (8, 64));
    }
    // Bytes that were prepended and are not in the slice are headroom again.
    let mut sample = pool.try_get_buffer().expect("free");
    sample.put_slice(b"body");
    sample.prepend(b"head").expect("headroom");
    let mut shared = sample.freeze();
    shared.advance(2);
    let sample = shared.try_into_sample().expect("the only handle");
    assert_eq!((sample.headroom(), &sample[..]), (6, &b"adbody"[..]));
}

/// An empty `Bytes` drops its owner at that point. An empty handle does not.
#[test]
fn an_empty_handle_holds_its_sample() {
    let pool = pool();
    let empty = [shared_of(&pool, b""), shared_of(&pool, TEXT).slice(4..4)];
    assert!(empty.iter().all(SharedSample::is_empty));
    assert_eq!(pool.free_count(), 0);
    let cloned = empty.clone();
    drop(empty);
    assert_eq!(pool.free_count(), 0);
    drop(cloned);
    assert_eq!(pool.free_count(), 2);
}

/// In whatever order the handles are dropped, and whichever is the last.
#[test]
fn the_sample_returns_with_the_last_handle_to_any_of_its_bytes() {
    for last in 0..5 {
        let pool = pool();
        let mut shared = shared_of(&pool, TEXT);
        let tail = shared.split_off(6);
        let handles = [shared.clone(), tail.slice(1..2), shared, tail.clone(), tail];
        let mut handles = Vec::from(handles);
        let kept = handles.remove(last);
        drop(handles);
        assert_eq!(out(&pool), 1);
        assert_eq!(pool.status().released, 0);
        drop(kept);
        assert_eq!(out(&pool), 0);
        assert_eq!(pool.status().released, 1);
    }
}

/// Two threads that drop the last two handles at the same time must release the sample exactly once.
#[test]
fn across_threads_the_sample_returns_exactly_once() {
    const ROUNDS: usize = 300;
    let pool = pool();
    for round in 0..ROUNDS {
        let shared = shared_of(&pool, TEXT);
        let together = Barrier::new(3);
        thread::scope(|scope| {
            for _ in 0..3 {
                let mine = shared.clone();
                let together = &together;
                scope.spawn(move || {
                    together.wait();
                    let parts = (mine.slice(..5), mine.clone());
                    assert_eq!(&mine[..], TEXT);
                    drop(mine);
                    drop(parts);
                });
            }
            drop(shared);
        });
        assert_eq!(pool.status().released as usize, round + 1);
        assert_eq!(pool.free_count(), 2);
    }
}

/// The other threads have read their last byte when the last handle becomes writable.
#[test]
fn one_of_many_threads_gets_the_sample_back_to_write() {
    let pool = pool();
    for round in 0..300_u64 {
        let shared = shared_of(&pool, TEXT);
        let reader = thread::spawn({
            let clone = shared.clone();
            move || clone.iter().map(|&byte| u64::from(byte)).sum::<u64>()
        });
        let mut shared = shared;
        let mut sample = loop {
            match shared.try_into_sample() {
                Ok(sample) => break sample,
                Err(not_yet) => shared = not_yet,
            }
            thread::yield_now();
        };
        sample.fill(0);
        let sum: u64 = TEXT.iter().map(|&byte| u64::from(byte)).sum();
        assert_eq!(reader.join().expect("no panic"), sum, "round {round}");
    }
}
