//! *Freeze and share* and *into Bytes*: a buffer gets 16 bytes and is turned into what can be cloned and sent.
//!
//! Of the contenders only the allocators beneath `bytes` give `Bytes` back: the other pools have no frozen buffer, short of
//! an owner of one's own for `Bytes::from_owner`.

use super::get_and_drop::{BUFFERS, SIZE};
use crate::{
    contenders::{Contender, FreshBytesMut, SamplePool},
    table::{Base, Bound, OURS, Outcome, Table},
    threads::repeat,
};
use bytes::{BufMut, Bytes};
use std::hint::black_box;

const WRITTEN: [u8; 16] = *b"sixteen bytes in";
pub(crate) const OURS_WITH_MIMALLOC: &str = "sample-pool, mimalloc";
const FRESH: &str = "BytesMut";
const FROM_VEC: &str = "Vec into Bytes";

pub(crate) fn tables() -> Vec<Table> {
    let against = |base, times| (OURS_WITH_MIMALLOC, Base::Row(base), Bound::AtMost(times));
    let (subject, base, bound) = against("BytesMut, mimalloc", 0.8);
    let share = Table::new("freeze and share", "one thread")
        .row_for_each_allocator(OURS, || share_ours(1))
        .row_for_each_allocator(FRESH, || share_fresh(1))
        .target(subject, base, bound);
    let (subject, base, bound) = against("Vec into Bytes, mimalloc", 1.1);
    let convert = Table::new("into Bytes", "one thread")
        .row_for_each_allocator(OURS, || convert_ours(1))
        .row_for_each_allocator(FROM_VEC, || convert_vec(1))
        .target(subject, base, bound);
    vec![share, convert]
}

/// Gets, writes, freezes, clones and drops both.
pub(crate) fn share_ours(threads: usize) -> impl FnMut(u64) -> Outcome {
    repeat(
        threads,
        SamplePool::with_buffers(BUFFERS, SIZE),
        async |pool: &SamplePool| {
            let mut sample = pool.get().await;
            sample.put_slice(black_box(&WRITTEN));
            let frozen = sample.freeze();
            let clone = frozen.clone();
            assert_eq!(black_box(&frozen).len(), WRITTEN.len());
            assert_eq!(black_box(&clone).len(), WRITTEN.len());
            drop(frozen);
            drop(clone);
        },
    )
}

/// The same with a fresh `BytesMut`.
pub(crate) fn share_fresh(threads: usize) -> impl FnMut(u64) -> Outcome {
    repeat(
        threads,
        FreshBytesMut::with_buffers(BUFFERS, SIZE),
        async |pool: &FreshBytesMut| {
            let mut fresh = pool.get().await;
            fresh.put_slice(black_box(&WRITTEN));
            let frozen = fresh.freeze();
            let clone = frozen.clone();
            assert_eq!(black_box(&frozen).len(), WRITTEN.len());
            assert_eq!(black_box(&clone).len(), WRITTEN.len());
            drop(frozen);
            drop(clone);
        },
    )
}

/// Gets, writes, turns into `Bytes` and drops.
pub(crate) fn convert_ours(threads: usize) -> impl FnMut(u64) -> Outcome {
    repeat(
        threads,
        SamplePool::with_buffers(BUFFERS, SIZE),
        async |pool: &SamplePool| {
            let mut sample = pool.get().await;
            sample.put_slice(black_box(&WRITTEN));
            let bytes = sample.into_bytes();
            assert_eq!(black_box(&bytes).len(), WRITTEN.len());
        },
    )
}

/// The same with a fresh `Vec`.
pub(crate) fn convert_vec(threads: usize) -> impl FnMut(u64) -> Outcome {
    repeat(
        threads,
        FreshBytesMut::with_buffers(BUFFERS, SIZE),
        async |_: &FreshBytesMut| {
            let mut fresh = Vec::with_capacity(black_box(SIZE));
            fresh.extend_from_slice(black_box(&WRITTEN));
            let bytes = Bytes::from(fresh);
            assert_eq!(black_box(&bytes).len(), WRITTEN.len());
        },
    )
}
