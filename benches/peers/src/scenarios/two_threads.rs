//! *Two threads*: the scenarios of one thread on two at once, which share one pool.

use super::{
    get_and_drop::{BUFFERS, FLOOR, floor, get_and_drop},
    sharing::{convert_ours, convert_vec, share_fresh, share_ours},
};
use crate::{
    contenders::{Deadpool, FreshBytesMut, Kanal, SamplePool, SemaphoreAndQueue},
    table::{Base, Bound, OURS, Table},
};

/// What of the second thread's throughput the machine itself takes.
const FLOOR_ON_ONE_THREAD: &str = "the floor on one thread";
const ONE_THREAD: &str = "sample-pool on one thread";

pub(crate) fn tables() -> Vec<Table> {
    let get_and_drop = Table::new("two threads", "get and drop")
        .reference(FLOOR_ON_ONE_THREAD, || floor(1))
        .reference(FLOOR, || floor(2))
        .reference(ONE_THREAD, || get_and_drop::<SamplePool>(1, BUFFERS))
        .row(OURS, || get_and_drop::<SamplePool>(2, BUFFERS))
        .row("Semaphore + ArrayQueue", || {
            get_and_drop::<SemaphoreAndQueue>(2, BUFFERS)
        })
        .row("deadpool", || get_and_drop::<Deadpool>(2, BUFFERS))
        .row("kanal", || get_and_drop::<Kanal>(2, BUFFERS))
        .row_for_each_allocator("BytesMut", || get_and_drop::<FreshBytesMut>(2, BUFFERS));
    let share = Table::new("two threads", "freeze and share")
        .reference(ONE_THREAD, || share_ours(1))
        .row_for_each_allocator(OURS, || share_ours(2))
        .row_for_each_allocator("BytesMut", || share_fresh(2));
    let convert = Table::new("two threads", "into Bytes")
        .reference(ONE_THREAD, || convert_ours(1))
        .row_for_each_allocator(OURS, || convert_ours(2))
        .row_for_each_allocator("Vec into Bytes", || convert_vec(2));
    [get_and_drop, share, convert]
        .map(beside_the_fastest)
        .into()
}

fn beside_the_fastest(table: Table) -> Table {
    table.target(OURS, Base::FastestPeer, Bound::AtMost(1.0))
}
