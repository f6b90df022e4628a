//! `Bytes` made from samples: no copy is made, and the sample is returned to the pool when the last of them is
//! dropped.
//!
//! Guarantees: 12

#![forbid(unsafe_code)]

use bytes::{Buf, BufMut, Bytes, BytesMut};
use sample_pool::{Pool, Sample};
use std::{sync::Barrier, thread};

fn pool() -> Pool {
    let built = Pool::builder().buffers(2).size(64).prefix(8).build();
    built.expect("small")
}

fn sample_with(pool: &Pool, bytes: &[u8]) -> Sample {
    let mut sample = pool.try_get_buffer().expect("free");
    sample.put_slice(bytes);
    sample
}

fn out(pool: &Pool) -> usize {
    pool.status().outstanding
}

/// A copy would pass every other test, and would cost what the pool is there to save.
#[test]
fn bytes_of_a_sample_are_the_samples_own_memory() {
    let pool = pool();
    let mut sample = sample_with(&pool, b"payload");
    sample.prepend(b"header:").expect("headroom");
    let at = sample.as_ptr();
    let bytes = sample.into_bytes();
    assert_eq!(bytes, "header:payload");
    assert_eq!(bytes.as_ptr(), at);
    assert_eq!(bytes.clone().as_ptr(), at);
    assert_eq!(bytes.slice(7..).as_ptr(), at.wrapping_add(7));
    assert_eq!(out(&pool), 1);
    drop(bytes);
    assert_eq!(out(&pool), 0);
}

/// The body types of web frameworks call `into()`.
#[test]
fn samples_and_shared_samples_convert_into_bytes() {
    let pool = pool();
    let sample = sample_with(&pool, b"exclusive");
    let at = sample.as_ptr();
    let bytes = Bytes::from(sample);
    assert_eq!((&bytes[..], bytes.as_ptr()), (&b"exclusive"[..], at));
    drop(bytes);
    let shared = sample_with(&pool, b"shared").freeze();
    let at = shared.as_ptr();
    let part = Bytes::from(shared.slice(2..5));
    assert_eq!(
        (&part[..], part.as_ptr()),
        (&b"are"[..], at.wrapping_add(2))
    );
    let whole: Bytes = shared.into();
    assert_eq!(whole, "shared");
    drop(whole);
    assert_eq!(out(&pool), 1, "the part holds it");
    drop(part);
    assert_eq!(out(&pool), 0);
}

/// Each slice and each split is another owner of the same buffer.
#[test]
fn slices_and_splits_of_bytes_hold_the_sample() {
    let pool = pool();
    let mut bytes = sample_with(&pool, b"one,two,three").into_bytes();
    let slice = bytes.slice(4..7);
    let first = bytes.split_to(4);
    let last = bytes.split_off(4);
    bytes.advance(1);
    bytes.truncate(2);
    assert_eq!(
        (&first[..], &slice[..], &last[..]),
        (&b"one,"[..], &b"two"[..], &b"three"[..])
    );
    assert_eq!(bytes, "wo");
    let reference = slice.slice_ref(&slice[1..2]);
    let parts = [bytes, slice, first, reference, last];
    for part in parts {
        assert_eq!(out(&pool), 1);
        drop(part);
    }
    assert_eq!(out(&pool), 0);
}

/// This is the behavior of the `bytes` crate. A test that relies on an empty slice must know it.
#[test]
fn an_empty_slice_of_bytes_does_not_hold_the_sample() {
    let pool = pool();
    let bytes = sample_with(&pool, b"payload").into_bytes();
    let empty = bytes.slice(3..3);
    drop(bytes);
    assert_eq!(out(&pool), 0);
    assert!(empty.is_empty());
}

/// `Bytes::from_owner` keeps its owner for an empty slice too, so each empty datagram would pin a buffer.
#[test]
fn bytes_without_a_byte_hold_no_buffer_in_whatever_way_they_are_made() {
    let pool = pool();
    let shared = |bytes: &[u8]| sample_with(&pool, bytes).freeze();
    let advanced = || {
        let mut shared = shared(b"ab");
        shared.advance(2);
        shared
    };
    let ways: [&dyn Fn() -> Bytes; 9] = [
        &|| sample_with(&pool, b"").into_bytes(),
        &|| sample_with(&pool, b"").into(),
        &|| shared(b"").into_bytes(),
        &|| shared(b"").into(),
        &|| shared(b"ab").slice(1..1).into_bytes(),
        &|| shared(b"ab").split_off(2).into(),
        &|| shared(b"").into_bytes_or_copy(0.0),
        &|| advanced().into_bytes(),
        &|| advanced().copy_to_bytes(0),
    ];
    let empty = ways.map(|way| way());
    assert!(empty.iter().all(Bytes::is_empty));
    assert_eq!(pool.free_count(), 2, "all are held still");
    assert_eq!(empty[0], empty[8]);
}

/// The handle from which the part was taken keeps its own reference.
#[test]
fn an_empty_part_that_is_copied_to_bytes_leaves_the_rest_in_the_sample() {
    let pool = pool();
    let mut shared = sample_with(&pool, b"ab").freeze();
    let empty = shared.copy_to_bytes(0);
    assert_eq!((out(&pool), &shared[..]), (1, &b"ab"[..]));
    let all = shared.copy_to_bytes(2);
    drop(shared);
    assert_eq!((out(&pool), &all[..]), (1, &b"ab"[..]));
    drop(all);
    assert_eq!(out(&pool), 0);
    drop(empty);
}

/// A message of a few bytes that lives long pins a whole buffer. A copy avoids that, so the copy must release
/// the buffer at once.
#[test]
fn a_mutable_copy_of_bytes_does_not_touch_the_pool() {
    let pool = pool();
    let bytes = sample_with(&pool, b"payload").into_bytes();
    let kept = bytes.clone();
    let at = bytes.as_ptr();
    let mut copy = BytesMut::from(bytes);
    assert_ne!(copy.as_ptr(), at);
    copy[0] = b'P';
    copy.extend_from_slice(b" and more than the buffer ever had room for");
    assert_eq!(kept, "payload");
    drop(kept);
    assert_eq!(out(&pool), 0, "the copy does not hold it");
    let bytes = sample_with(&pool, b"payload").into_bytes();
    let alone = BytesMut::from(bytes);
    assert_eq!(out(&pool), 0, "not even of the only handle");
    assert_eq!(&alone[..], b"payload");
    let bytes = sample_with(&pool, b"payload").into_bytes();
    let bytes = bytes
        .try_into_mut()
        .expect_err("memory of a pool cannot grow");
    let copy = Bytes::copy_from_slice(&bytes);
    let vec = Vec::from(bytes);
    assert_eq!(out(&pool), 0);
    assert_eq!((&copy[..], &vec[..]), (&b"payload"[..], &b"payload"[..]));
    assert!(copy.starts_with(b"Pay") || copy.starts_with(b"pay"));
}

/// `Bytes` have a reference count of their own beside the sample's.
#[test]
fn bytes_and_shared_handles_hold_one_sample_together() {
    let pool = pool();
    let shared = sample_with(&pool, b"payload").freeze();
    let bytes = shared.clone().into_bytes();
    let more = bytes.clone();
    let shared = shared.try_into_sample().expect_err("Bytes exist");
    drop(bytes);
    let shared = shared.try_into_sample().expect_err("and more of them");
    drop(more);
    assert!(shared.try_into_sample().is_ok());
    assert_eq!(out(&pool), 0);
}

/// The last of them is dropped in a task that has no reference to the pool, and long after the pool.
#[test]
fn bytes_outlive_the_pool_and_end_on_any_thread() {
    let pool = pool();
    let weak = pool.downgrade();
    let bytes = sample_with(&pool, b"payload").into_bytes();
    drop(pool);
    assert!(weak.upgrade().is_none());
    let together = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            let mine = bytes.clone();
            let together = &together;
            scope.spawn(move || {
                together.wait();
                assert_eq!(mine.slice(3..), "load");
            });
        }
        drop(bytes);
    });
}

/// `Bytes` and `chain` are written in one vectored write without a copy.
#[test]
fn a_header_and_the_bytes_of_a_sample_chain_into_one_message() {
    let pool = pool();
    let body = sample_with(&pool, b"body").into_bytes();
    let at = body.as_ptr();
    let mut message = Bytes::from_static(b"head ").chain(body);
    assert_eq!(message.copy_to_bytes(5), "head ");
    let body = message.copy_to_bytes(4);
    assert_eq!(body.as_ptr(), at);
    drop((message, body));
    assert_eq!(out(&pool), 0);
}
