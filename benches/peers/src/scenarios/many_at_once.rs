//! *Many at once*: 32 buffers in one get, beside 32 gets; then all of them are dropped, or released at once.

use super::get_and_drop::{BUFFERS, SIZE};
use crate::{
    contenders::{Contender, SamplePool},
    table::{Base, Bound, Outcome, Table},
    threads::{run_to_end, time_on_threads},
};
use sample_pool::Sample;

const MANY: usize = 32;
const AT_ONCE: &str = "sample-pool, get_buffers_into(32)";
const RELEASED_AT_ONCE: &str = "sample-pool, get_buffers_into(32), release_all";
const ONE_BY_ONE: &str = "sample-pool, 32 times get_buffer";

pub(crate) fn tables() -> Vec<Table> {
    let table = Table::new("many at once", "32 buffers, one thread")
        .reference(ONE_BY_ONE, || batches(one_by_one, Vec::clear))
        .row(AT_ONCE, || batches(at_once, Vec::clear))
        .row(RELEASED_AT_ONCE, || batches(at_once, Sample::release_all))
        .target(AT_ONCE, Base::Row(ONE_BY_ONE), Bound::AtMost(0.75))
        .target(RELEASED_AT_ONCE, Base::Row(ONE_BY_ONE), Bound::AtMost(0.4));
    vec![table]
}

async fn one_by_one(pool: &SamplePool, batch: &mut Vec<Sample>) {
    for _ in 0..MANY {
        batch.push(pool.get().await);
    }
}

async fn at_once(pool: &SamplePool, batch: &mut Vec<Sample>) {
    let got = pool.0.get_buffers_into(batch, MANY).await;
    got.expect("committed");
}

fn batches(
    fill: impl AsyncFn(&SamplePool, &mut Vec<Sample>) + Sync,
    release: impl Fn(&mut Vec<Sample>) + Sync,
) -> impl FnMut(u64) -> Outcome {
    let pool = SamplePool::with_buffers(BUFFERS, SIZE);
    move |operations| {
        let elapsed = time_on_threads(1, operations, |operations| {
            let mut batch = Vec::with_capacity(MANY);
            run_to_end(async {
                for _ in 0..operations {
                    fill(&pool, &mut batch).await;
                    assert_eq!(batch.len(), MANY);
                    release(&mut batch);
                }
            });
        });
        pool.assert_all_free();
        assert!(pool.gets() >= Some(MANY as u64 * operations));
        Outcome::per_operation(elapsed, operations)
    }
}
