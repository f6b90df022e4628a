//! The memory that samples hold: how many bytes are used, and how many are pinned.

#![forbid(unsafe_code)]

use crate::polling::Polled;
use bytes::{BufMut, Bytes};
use sample_pool::{Pool, Sample};

const STRIDE: usize = 128;

/// A pool whose buffers occupy more than their size: 100 bytes and a prefix of 8, rounded up to 128.
fn pool(buffers: usize) -> Pool {
    let builder = Pool::builder().buffers(buffers).size(100).prefix(8);
    builder.align(STRIDE).build().expect("small")
}

fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("free")
}

/// The bytes that are used, and the bytes that are pinned.
fn bytes(pool: &Pool) -> (usize, usize) {
    let status = pool.status();
    (status.bytes_used, status.bytes_pinned)
}

/// Written bytes are used, whatever kind of handle holds them. The rest of the buffer is only pinned.
#[test]
fn used_is_what_was_written_and_pinned_is_whole_buffers() {
    let pool = pool(4);
    assert_eq!(bytes(&pool), (0, 0));
    let mut sample = take(&pool);
    assert_eq!(
        bytes(&pool),
        (0, STRIDE),
        "an empty one pins all of its buffer"
    );
    sample.put_slice(&[1; 10]);
    assert_eq!(bytes(&pool), (10, STRIDE), "while it is being filled");
    sample.prepend(&[2; 5]).expect("headroom");
    assert_eq!(bytes(&pool), (15, STRIDE));
    sample.clear();
    assert_eq!(bytes(&pool), (0, STRIDE));
    sample.set_len(100).expect("it fits");
    let shared = sample.freeze();
    let clones = (shared.clone(), shared.clone().into_bytes());
    assert_eq!(bytes(&pool), (100, STRIDE), "handles share one sample");
    drop((shared, clones));
    assert_eq!(bytes(&pool), (0, 0));
}

/// The purpose of the two numbers: they show a pool that is exhausted by small slices.
#[test]
fn a_small_slice_keeps_a_buffer_pinned_and_is_counted_as_its_whole_sample() {
    let pool = pool(4);
    let mut names = Vec::new();
    for _ in 0..4 {
        let mut sample = take(&pool);
        sample.put_slice(&[7; 100]);
        names.push(sample.into_bytes().slice(..3));
    }
    assert_eq!(bytes(&pool), (400, 4 * STRIDE));
    let copies: Vec<_> = names
        .iter()
        .map(|name| Bytes::copy_from_slice(name))
        .collect();
    drop(names);
    assert_eq!((bytes(&pool), copies.len()), ((0, 0), 4));
}

/// A slice that becomes writable again shows all bytes of its sample.
#[test]
fn a_slice_that_becomes_a_sample_again_is_counted_by_what_it_shows() {
    let pool = pool(1);
    let mut sample = take(&pool);
    sample.put_slice(&[7; 60]);
    let slice = sample.freeze().slice(10..30);
    assert_eq!(bytes(&pool), (60, STRIDE));
    let sample = slice.try_into_sample().expect("the only handle");
    assert_eq!(bytes(&pool), (20, STRIDE));
    drop(sample);
}

/// The header still has the length that the previous owner left, and no owner uses that length.
#[test]
fn what_an_earlier_owner_wrote_is_not_used_by_a_sample_on_its_way() {
    let pool = pool(2);
    let fill = |mut sample: Sample| {
        sample.put_slice(&[7; 100]);
        sample
    };
    let (first, second) = (fill(take(&pool)), fill(take(&pool)));
    let mut handed = Polled::waiting(pool.get_buffer());
    let gathers = Polled::waiting(pool.get_buffers(2));
    drop(first);
    assert_eq!(bytes(&pool), (100, 2 * STRIDE), "handed off, not fetched");
    drop(second);
    assert_eq!(bytes(&pool), (0, 2 * STRIDE), "and one gathered");
    let fetched = handed.expect_ready().expect("handed off");
    assert_eq!(bytes(&pool), (0, 2 * STRIDE), "fresh samples are empty");
    drop((fetched, gathers));
    assert_eq!(bytes(&pool), (0, 0));
}

/// Both numbers use the current configuration, and a drain does not end the use of memory.
#[test]
fn a_draining_pool_pins_outstanding_samples_and_a_new_stride_counts_from_the_next_commit() {
    let pool = pool(3);
    let mut sample = take(&pool);
    sample.put_slice(&[7; 50]);
    pool.decommit();
    assert_eq!(bytes(&pool), (50, STRIDE));
    drop(sample);
    let mut properties = pool.properties();
    properties.size = 1000;
    let actual = pool.set_properties(properties).expect("drained");
    assert_eq!(bytes(&pool), (0, 0));
    pool.commit().expect("small");
    let held = take(&pool);
    assert_eq!(bytes(&pool), (0, actual.size + actual.prefix));
    let stride = pool.region().expect("committed").stride();
    assert_eq!(bytes(&pool).1, stride);
    drop(held);
}

/// A forgotten sample stays checked out for ever, and so do its bytes.
#[test]
fn a_forgotten_sample_is_used_and_pinned() {
    let pool = pool(2);
    let mut sample = take(&pool);
    sample.put_slice(&[7; 40]);
    std::mem::forget(sample);
    assert_eq!(bytes(&pool), (40, STRIDE));
}
