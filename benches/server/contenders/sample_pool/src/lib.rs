//! The example's live server, unchanged.

use ::sample_pool::Pool;

include!("../../../serving/example.rs");

fn home(pool: &Pool) -> Option<usize> {
    Some(pool.free_count())
}
