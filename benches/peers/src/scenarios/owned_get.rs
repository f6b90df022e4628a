//! *Owned get*: get and drop through gets that own their pool, each thread with a handle of its own.

use super::get_and_drop::{BUFFERS, SIZE, get_and_drop};
use crate::{
    contenders::{Contender, OwnedPermitAndQueue, SamplePool},
    table::{Base, Bound, Outcome, Table},
    threads::{run_to_end, time_on_threads},
};
use std::hint::black_box;

const OWNED: &str = "sample-pool, get_buffer_owned";
const BORROWED: &str = "sample-pool, get_buffer";
const PEER: &str = "Semaphore::acquire_owned + ArrayQueue";

pub(crate) fn tables() -> Vec<Table> {
    [("one thread", 1), ("two threads", 2)]
        .map(|(case, threads)| {
            Table::new("owned get", case)
                .reference(BORROWED, move || {
                    get_and_drop::<SamplePool>(threads, BUFFERS)
                })
                .row(OWNED, move || owned_gets(threads))
                .row(PEER, move || owned_permits(threads))
                .target(OWNED, Base::Row(PEER), Bound::AtMost(1.2))
                .also_thin()
        })
        .into()
}

fn owned_gets(threads: usize) -> impl FnMut(u64) -> Outcome {
    let pool = SamplePool::with_buffers(BUFFERS, SIZE);
    move |operations| {
        let elapsed = time_on_threads(threads, operations, |operations| {
            let handle = pool.0.clone();
            run_to_end(async {
                for _ in 0..operations {
                    let sample = handle.get_buffer_owned().await.expect("committed");
                    black_box(&sample);
                }
            });
        });
        pool.assert_all_free();
        assert!(pool.gets() >= Some(threads as u64 * operations));
        Outcome::per_operation(elapsed, operations)
    }
}

fn owned_permits(threads: usize) -> impl FnMut(u64) -> Outcome {
    let pool = OwnedPermitAndQueue::with_buffers(BUFFERS, SIZE);
    move |operations| {
        let elapsed = time_on_threads(threads, operations, |operations| {
            let handle = pool.clone();
            run_to_end(async {
                for _ in 0..operations {
                    let buffer = handle.get().await;
                    black_box(&buffer);
                }
            });
        });
        pool.assert_all_free();
        Outcome::per_operation(elapsed, operations)
    }
}
