//! Segments: several buffers for one message, taken all at once and filled as one.
//!
//! Guarantees: 1, 12, 13

#![forbid(unsafe_code)]

mod random;
mod steps;

use crate::polling::{Polled, at_once, poll_once};
use bytes::{Buf, BufMut, Bytes};
use futures::future::FusedFuture;
use sample_pool::{GetBufferError, Pool, Properties, Segments, SharedSample, SharedSegments};
use std::{
    io::{IoSlice, Write},
    panic::{AssertUnwindSafe, catch_unwind},
};
use steps::pool;

fn counting(len: usize) -> Vec<u8> {
    (0..len).map(|at| at as u8).collect()
}

fn message(pool: &Pool, len: usize) -> SharedSegments {
    let mut message = pool.try_get_segments(len).expect("free");
    message.put_slice(&counting(len));
    message.freeze()
}

fn panics<T>(call: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

/// The results of both gets.
fn answers(pool: &Pool, len: usize) -> [Result<Segments, GetBufferError>; 2] {
    let tried = pool.try_get_segments(len);
    let got = at_once(pool.get_segments(len));
    [tried, got]
}

/// One buffer too few could not take the message, and one too many is missing elsewhere.
#[test]
fn a_message_gets_as_many_buffers_as_it_needs() {
    let eights = [(0, 0), (1, 1), (8, 1), (9, 2), (16, 2), (17, 3), (24, 3)].map(|case| (8, case));
    for (size, (len, buffers)) in eights.into_iter().chain([(1, (3, 3))]) {
        let builder = Pool::builder().buffers(6).size(size).align(1);
        let pool = builder.build().expect("small");
        for segments in answers(&pool, len).map(|got| got.expect("free")) {
            assert_eq!((segments.buffers(), segments.capacity()), (buffers, len));
            assert_eq!((segments.len(), segments.spare_capacity()), (0, len));
            assert!(segments.is_empty());
            assert_eq!(segments.chunks().count(), 0);
        }
        assert_eq!(pool.free_count(), 6);
    }
}

/// An impossible request would block the queue for ever.
#[test]
fn a_message_that_needs_more_than_there_is_gets_the_error_of_the_other_gets() {
    let pool = pool(3);
    let quota = pool.quota("one", 1);
    for len in [25, usize::MAX] {
        assert!(answers(&pool, len).map(Result::unwrap_err) == [GetBufferError::TooMany; 2]);
    }
    let of_quota = [
        quota.try_get_segments(9).unwrap_err(),
        at_once(quota.get_segments(9)).unwrap_err(),
    ];
    assert_eq!(of_quota, [GetBufferError::TooMany; 2]);
    let held = quota.try_get_segments(8).expect("room for one");
    assert_eq!((quota.status().in_use, pool.free_count()), (1, 2));
    let exhausted = GetBufferError::Exhausted;
    assert_eq!(quota.try_get_segments(1).unwrap_err(), exhausted);
    assert_eq!(pool.try_get_segments(17).unwrap_err(), exhausted);
    drop(held);
    assert_eq!((quota.status().in_use, pool.free_count()), (0, 3));
    pool.set_flushing(true);
    assert!(answers(&pool, 0).map(Result::unwrap_err) == [GetBufferError::Flushing; 2]);
    pool.decommit();
    assert!(answers(&pool, 0).map(Result::unwrap_err) == [GetBufferError::NotCommitted; 2]);
    assert!(Pool::new().try_get_segments(1).is_err());
}

/// All or nothing, in the order of the queue: a message of three must not be overtaken by gets of one.
#[test]
fn a_message_waits_in_its_turn_and_its_cancellation_passes_its_buffers_on() {
    let pool = pool(3);
    let mut held: Vec<_> = (0..3).map(|_| pool.try_get_buffer()).collect();
    let mut large = Polled::waiting(pool.get_segments(20));
    let mut behind = Polled::waiting(pool.get_buffer());
    for wakes in [0, 0, 1] {
        drop(held.pop());
        assert_eq!((large.wakes(), behind.wakes()), (wakes, 0));
    }
    let segments = large.expect_ready().expect("three are free");
    assert_eq!(segments.buffers(), 3);
    drop(segments);
    assert_eq!(behind.wakes(), 1);
    drop(behind.expect_ready());

    let held = pool.try_get_segments(24).expect("all are free");
    let mut large = Polled::waiting(pool.get_segments(24));
    let mut behind = Polled::waiting(pool.get_buffer());
    large.expect_pending();
    drop(large);
    drop(held);
    drop(behind.expect_ready().expect("the first in the queue"));
    assert_eq!((pool.free_count(), pool.status().waiting), (3, 0));
}

#[test]
fn a_future_of_segments_is_terminated_when_it_has_resolved() {
    let pool = pool(1);
    let held = pool.try_get_buffer().expect("free");
    let mut get = pool.get_segments(3);
    assert!(!get.is_terminated());
    assert!(format!("{get:?}").starts_with("GetSegments { len: 3"));
    assert!(poll_once(&mut get).is_pending());
    assert!(!get.is_terminated(), "`select!` would not poll it");
    drop(held);
    drop(at_once(&mut get).expect("free"));
    assert!(get.is_terminated());
    assert!(panics(|| at_once(&mut get)));
}

/// The size of a buffer is looked up at the first poll, and the pool may have had another one before.
#[test]
fn the_size_counts_that_buffers_have_at_the_first_poll() {
    let pool = Pool::new();
    let mut get = Polled::new(pool.get_segments(20));
    let properties = Properties {
        buffers: 4,
        size: 16,
        align: 1,
        ..Properties::default()
    };
    pool.set_properties(properties).expect("small");
    pool.commit().expect("small");
    let two = get.expect_ready().expect("committed");
    assert_eq!(two.buffers(), 2);
    let mut waits = Polled::waiting(pool.get_segments(64));
    pool.decommit();
    drop(two);
    let properties = Properties {
        size: 32,
        ..properties
    };
    pool.set_properties(properties).expect("drained");
    pool.commit().expect("small");
    let refused = waits.expect_ready().unwrap_err();
    assert_eq!(refused, GetBufferError::NotCommitted, "it waited meanwhile");
}

/// `read_buf` fills what it is shown: a byte more would be one of the next message.
#[test]
fn no_more_is_written_than_was_asked_for() {
    let pool = pool(2);
    let mut segments = pool.try_get_segments(11).expect("free");
    assert_eq!(segments.chunk_mut().len(), 8);
    segments.put_slice(&counting(8));
    assert_eq!(segments.chunk_mut().len(), 3);
    assert!(panics(|| segments.put_slice(&[0; 4])));
    assert_eq!(segments.write(&[8, 9, 10, 11]).expect("never fails"), 3);
    assert_eq!(segments.write(&[11]).expect("never fails"), 0);
    assert_eq!(
        (segments.remaining_mut(), segments.chunk_mut().len()),
        (0, 0)
    );
    assert!(segments.chunks().flatten().copied().eq(counting(11)));
}

/// A task that keeps what it has and waits for more can wait for ever.
#[test]
fn a_message_that_cannot_grow_releases_all_that_it_has() {
    let pool = pool(4);
    let quota = pool.quota("three", 3);
    let grown = quota.try_grow_segments(Segments::new(), 9).expect("free");
    assert_eq!((grown.buffers(), grown.capacity()), (2, 16));
    let grown = quota.try_grow_segments(grown, 16).expect("has room");
    assert_eq!(quota.status().in_use, 2, "there was room");
    let mut grown = quota.try_grow_segments(grown, 17).expect("free");
    grown.put_slice(&counting(20));
    assert_eq!((grown.buffers(), grown.spare_capacity()), (3, 4));
    let refused = quota.try_grow_segments(grown, 5).unwrap_err();
    assert_eq!(refused, GetBufferError::Exhausted);
    assert_eq!((quota.status().in_use, pool.free_count()), (0, 4));

    let mut grown = pool.try_grow_segments(Segments::new(), 1).expect("free");
    grown.put_slice(&counting(8));
    let _held = [(); 3].map(|()| pool.try_get_buffer());
    assert!(pool.try_grow_segments(grown, 1).is_err());
    assert_eq!(pool.free_count(), 1);
}

/// Room that was asked for and not used is not sent, and is not kept by readers either.
#[test]
fn buffers_without_bytes_are_released_when_a_message_is_frozen() {
    let pool = pool(3);
    let mut segments = pool.try_get_segments(24).expect("free");
    segments.put_slice(&counting(9));
    let frozen = segments.freeze();
    assert_eq!((frozen.len(), frozen.iter().count()), (9, 2));
    assert_eq!(pool.free_count(), 1);
    drop(frozen);
    let nothing = pool.try_get_segments(24).expect("free").freeze();
    assert_eq!((pool.free_count(), nothing.chunk()), (3, &b""[..]));
    assert!(nothing.is_empty() && nothing.into_iter().next().is_none());
}

/// A slow reader holds what it has not read, and not the whole message.
#[test]
fn a_buffer_is_released_when_its_last_byte_was_read() {
    let pool = pool(3);
    let mut message = message(&pool, 20);
    for (advance, free) in [(7, 0), (1, 1), (0, 1), (8, 2), (3, 2), (1, 3)] {
        message.advance(advance);
        assert_eq!(pool.free_count(), free);
    }
    assert!(!message.has_remaining());
    assert!(panics(|| message.advance(1)));
}

/// A writer gives all slices to one system call, or as many as it has room for.
#[test]
fn all_segments_are_shown_at_once() {
    let pool = pool(3);
    let mut message = message(&pool, 20);
    message.advance(2);
    for most in 0..5 {
        let mut slices = vec![IoSlice::new(&[]); most];
        let count = message.chunks_vectored(&mut slices);
        assert_eq!(count, most.min(3));
        let lengths: Vec<_> = slices[..count].iter().map(|slice| slice.len()).collect();
        assert_eq!(lengths, [6, 8, 4][..count]);
    }
}

/// Bytes of one segment need no copy; only those of several do.
#[test]
fn bytes_are_copied_only_from_several_segments() {
    let pool = pool(3);
    let mut message = message(&pool, 24);
    let start = message.chunk().as_ptr();
    let first = message.copy_to_bytes(8);
    assert_eq!((&first[..], first.as_ptr()), (&counting(8)[..], start));
    let crossing = message.copy_to_bytes(12);
    assert_eq!(crossing, counting(20)[8..]);
    assert_eq!(pool.free_count(), 1, "the copy holds no buffer");
    assert_eq!(message.copy_to_bytes(0), Bytes::new());
    assert!(panics(|| message.copy_to_bytes(5)));
    assert_eq!(message.copy_to_bytes(4), counting(24)[20..]);
    drop(first);
    assert_eq!(pool.free_count(), 3);
}

/// A clone is read by itself, and its buffers are released by the last of both.
#[test]
fn clones_are_read_independently() {
    let pool = pool(3);
    let mut one = message(&pool, 20);
    let two = one.clone();
    one.advance(20);
    assert_eq!(pool.free_count(), 0);
    let again: SharedSegments = two.into_iter().collect();
    assert_eq!((again.len(), again.iter().count()), (20, 3));
    let mut last = again.into_iter();
    assert_eq!(last.len(), 3);
    let first: Option<SharedSample> = last.next();
    assert_eq!(first.expect("three")[..], counting(8));
    assert_eq!((last.len(), pool.free_count()), (2, 1));
    drop(last);
    assert_eq!(pool.free_count(), 3);
}

/// What wrote before them could be read otherwise, and secrets would be printed.
#[test]
fn debug_prints_numbers_and_no_bytes() {
    let pool = pool(3);
    let mut segments = pool.try_get_segments(20).expect("free");
    segments.put_slice(&counting(9));
    let numbers = "Segments { buffers: 3, len: 9, capacity: 20, .. }";
    assert_eq!(format!("{segments:?}"), numbers);
    let numbers = "SharedSegments { segments: 2, len: 9, .. }";
    assert_eq!(format!("{:?}", segments.freeze()), numbers);
}
