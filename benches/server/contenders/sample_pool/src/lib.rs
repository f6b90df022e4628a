//! The example's live server, unchanged.

// The example's own program, its page and its figures use the rest of it, and there it is checked.
#![allow(dead_code, reason = "parts of the example are left out")]
#![allow(
    clippy::collapsible_if,
    reason = "the example is written for a Rust without let chains"
)]

use ::sample_pool::Pool;

include!("../../../serving/example.rs");

fn free(pool: &Pool) -> Option<usize> {
    Some(pool.free_count())
}
