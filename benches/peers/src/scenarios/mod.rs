//! What is measured: a file for each scenario, or for those that share what they do.

mod callback;
mod get_and_drop;
mod hand_off;
mod large_buffers;
mod latency;
mod many_at_once;
pub(crate) mod memory;
mod miss;
mod owned_get;
mod parts;
mod pipeline;
mod sharing;
mod two_threads;
mod ways_to_get;

pub(crate) use get_and_drop::FLOOR;
pub(crate) use hand_off::runtime;

use crate::table::Table;

/// All tables, in the order in which they are measured and printed.
pub(crate) fn all() -> Vec<Table> {
    let scenarios = [
        get_and_drop::tables(),
        sharing::tables(),
        two_threads::tables(),
        pipeline::tables(),
        hand_off::tables(),
        latency::tables(),
        large_buffers::tables(),
        many_at_once::tables(),
        parts::tables(),
        miss::tables(),
        callback::tables(),
        owned_get::tables(),
        ways_to_get::tables(),
        memory::tables(),
    ];
    scenarios.into_iter().flatten().collect()
}
