//! *Large buffers*: get, fill all of it, turn it into `Bytes`, drop. What it cannot be faster than is `memset` of one
//! buffer that is in the cache and in memory already.

use crate::{
    contenders::{Contender, FreshBytesMut, SamplePool},
    table::{OURS, Outcome, Table},
    threads::{repeat, time_on_threads},
};
use bytes::{BufMut, BytesMut};
use std::hint::black_box;

const BUFFERS: usize = 16;
const HOT: &str = "memset of one hot buffer";
const FILLED_WITH: u8 = 0x5a;

pub(crate) fn tables() -> Vec<Table> {
    const KIB: usize = 1 << 10;
    let sizes = [
        ("2 KiB", 2 * KIB),
        ("64 KiB", 64 * KIB),
        ("1 MiB", KIB * KIB),
        ("4 MiB", 4 * KIB * KIB),
    ];
    sizes.map(|(case, size)| table(case, size)).into()
}

fn table(case: &'static str, size: usize) -> Table {
    let table = Table::new("large buffers", case)
        .reference(HOT, move || hot_memset(size))
        .row(OURS, move || ours(size))
        .row_for_each_allocator("BytesMut::with_capacity", move || uninitialized(size))
        .row_for_each_allocator("BytesMut::zeroed", move || zeroed(size));
    if size >= 1 << 20 {
        table.at_most(1.1, HOT)
    } else {
        table
    }
}

fn hot_memset(size: usize) -> impl FnMut(u64) -> Outcome {
    move |operations| {
        let elapsed = time_on_threads(1, operations, |operations| {
            let mut buffer = vec![0; size];
            for _ in 0..operations {
                black_box(&mut buffer).fill(black_box(FILLED_WITH));
            }
            assert!(buffer.iter().all(|byte| *byte == FILLED_WITH));
        });
        Outcome::per_operation(elapsed, operations)
    }
}

fn ours(size: usize) -> impl FnMut(u64) -> Outcome {
    repeat(
        1,
        SamplePool::with_buffers(BUFFERS, size),
        async move |pool: &SamplePool| {
            let mut sample = pool.get().await;
            sample.put_bytes(black_box(FILLED_WITH), size);
            assert_filled(&sample.into_bytes(), size);
        },
    )
}

fn uninitialized(size: usize) -> impl FnMut(u64) -> Outcome {
    repeat(
        1,
        FreshBytesMut::with_buffers(BUFFERS, size),
        async move |pool: &FreshBytesMut| {
            let mut fresh = pool.get().await;
            fresh.put_bytes(black_box(FILLED_WITH), size);
            assert_filled(&fresh.freeze(), size);
        },
    )
}

fn zeroed(size: usize) -> impl FnMut(u64) -> Outcome {
    repeat(
        1,
        FreshBytesMut::with_buffers(BUFFERS, size),
        async move |_: &FreshBytesMut| {
            let mut fresh = BytesMut::zeroed(size);
            fresh.fill(black_box(FILLED_WITH));
            assert_filled(&fresh.freeze(), size);
        },
    )
}

/// Looks at the ends alone: reading all of it would be measured.
fn assert_filled(bytes: &[u8], size: usize) {
    let bytes = black_box(bytes);
    assert_eq!(bytes.len(), size);
    assert_eq!((bytes[0], bytes[size - 1]), (FILLED_WITH, FILLED_WITH));
}
