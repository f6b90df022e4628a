//! *Callback*: get and drop with a release callback set, one that adds to a thread-local.

use super::get_and_drop::{BUFFERS, FLOOR, SIZE, floor, get_and_drop_from};
use crate::{
    contenders::SamplePool,
    table::{OURS, Outcome, Table},
};
use sample_pool::Pool;
use std::cell::Cell;

thread_local! {
    static RELEASES: Cell<u64> = const { Cell::new(0) };
}

pub(crate) fn tables() -> Vec<Table> {
    [("one thread", 1), ("two threads", 2)]
        .map(|(case, threads)| {
            Table::new("callback", case)
                .reference(FLOOR, move || floor(threads))
                .row(OURS, move || with_a_callback(threads))
                .at_most(2.5, FLOOR)
                .also_thin()
        })
        .into()
}

fn with_a_callback(threads: usize) -> impl FnMut(u64) -> Outcome {
    let pool = Pool::builder()
        .buffers(BUFFERS)
        .size(SIZE)
        .on_release(|_| RELEASES.set(RELEASES.get() + 1))
        .build()
        .expect("memory for the pool");
    // The callback is called where it is expected: on the thread that releases.
    let before = RELEASES.get();
    drop(pool.try_get_buffer().expect("free"));
    assert_eq!(RELEASES.get(), before + 1);
    get_and_drop_from(threads, SamplePool(pool))
}
