//! *Owned get*: get and drop on two threads through `get_buffer_owned`, each thread with a handle of its own.

use super::get_and_drop::{BUFFERS, SIZE, get_and_drop};
use crate::{
    contenders::{Contender, SamplePool},
    table::{Base, Bound, Outcome, Table},
    threads::{run_to_end, time_on_threads},
};
use std::hint::black_box;

const OWNED: &str = "sample-pool, get_buffer_owned";
const BORROWED: &str = "sample-pool, get_buffer";

pub(crate) fn tables() -> Vec<Table> {
    let table = Table::new("owned get", "two threads")
        .reference(BORROWED, || get_and_drop::<SamplePool>(2, BUFFERS))
        .row(OWNED, || owned_gets(2))
        .target(OWNED, Base::Row(BORROWED), Bound::AtMost(1.5));
    vec![table]
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
