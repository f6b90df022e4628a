//! *Ways to get*: get and drop in a task through a `PollPool` and through a quota, beside the plain gets.

use super::get_and_drop::{BUFFERS, SIZE};
use crate::{
    contenders::{Contender, SamplePool},
    table::{Base, Bound, Outcome, Table},
    threads::repeat_in_task,
};
use sample_pool::{PollPool, Pool, Sample};
use std::{future::poll_fn, hint::black_box};

const TRY: &str = "sample-pool, try_get_buffer";
const AWAIT: &str = "sample-pool, get_buffer";
const POLL: &str = "sample-pool, PollPool";
const QUOTA: &str = "sample-pool, quota";

pub(crate) fn tables() -> Vec<Table> {
    let table = Table::new("ways to get", "in a task")
        .reference(TRY, || {
            in_task(async |pool: Pool, operations| {
                for _ in 0..operations {
                    taken(pool.try_get_buffer());
                }
            })
        })
        .reference(AWAIT, || {
            in_task(async |pool: Pool, operations| {
                for _ in 0..operations {
                    taken(pool.get_buffer().await);
                }
            })
        })
        .row(POLL, || {
            in_task(async |pool: Pool, operations| {
                let mut pool = PollPool::new(&pool);
                for _ in 0..operations {
                    taken(poll_fn(|context| pool.poll_get_buffer(context)).await);
                }
            })
        })
        .row(QUOTA, || {
            in_task(async |pool: Pool, operations| {
                let quota = pool.quota("measured", BUFFERS);
                for _ in 0..operations {
                    taken(quota.get_buffer().await);
                }
            })
        })
        .target(POLL, Base::Row(AWAIT), Bound::AtMost(1.1))
        .target(QUOTA, Base::Row(TRY), Bound::AtMost(2.2))
        .also_thin();
    vec![table]
}

/// Drops what a get returned.
#[inline]
fn taken<E: std::fmt::Debug>(sample: Result<Sample, E>) {
    drop(black_box(sample.expect("a buffer is free")));
}

fn in_task(gets: impl AsyncFn(Pool, u64) + Copy + Sync + 'static) -> impl FnMut(u64) -> Outcome {
    let pool = SamplePool::with_buffers(BUFFERS, SIZE);
    repeat_in_task(pool, move |pool, operations| async move {
        let before = pool.gets();
        gets(pool.0.clone(), operations).await;
        assert_eq!(pool.gets(), before.map(|before| before + operations));
    })
}
