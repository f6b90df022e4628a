//! *Many at once*: 32 buffers in one get, beside 32 gets; then all of them are dropped.

use super::get_and_drop::{BUFFERS, SIZE};
use crate::{
    contenders::{Contender, SamplePool},
    table::{Base, Bound, Outcome, Table},
    threads::{run_to_end, time_on_threads},
};
use sample_pool::Sample;

const MANY: usize = 32;
const AT_ONCE: &str = "sample-pool, get_buffers_into(32)";
const ONE_BY_ONE: &str = "sample-pool, 32 times get_buffer";

pub(crate) fn tables() -> Vec<Table> {
    let table = Table::new("many at once", "32 buffers, one thread")
        .reference(ONE_BY_ONE, || {
            batches(async |pool: &SamplePool, batch: &mut Vec<Sample>| {
                for _ in 0..MANY {
                    batch.push(pool.get().await);
                }
            })
        })
        .row(AT_ONCE, || {
            batches(async |pool: &SamplePool, batch: &mut Vec<Sample>| {
                pool.0
                    .get_buffers_into(batch, MANY)
                    .await
                    .expect("committed");
            })
        })
        .target(AT_ONCE, Base::Row(ONE_BY_ONE), Bound::AtMost(0.75));
    vec![table]
}

fn batches(fill: impl AsyncFn(&SamplePool, &mut Vec<Sample>) + Sync) -> impl FnMut(u64) -> Outcome {
    let pool = SamplePool::with_buffers(BUFFERS, SIZE);
    move |operations| {
        let elapsed = time_on_threads(1, operations, |operations| {
            let mut batch = Vec::with_capacity(MANY);
            run_to_end(async {
                for _ in 0..operations {
                    fill(&pool, &mut batch).await;
                    assert_eq!(batch.len(), MANY);
                    batch.clear();
                }
            });
        });
        pool.assert_all_free();
        assert!(pool.gets() >= Some(MANY as u64 * operations));
        Outcome::per_operation(elapsed, operations)
    }
}
