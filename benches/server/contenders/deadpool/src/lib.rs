//! The example's live server with buffers from deadpool's unmanaged pool.

// The example's own program, its page and its figures use the rest of it, and there it is checked.
#![allow(dead_code, reason = "parts of the example are left out")]
#![allow(
    clippy::collapsible_if,
    reason = "the example is written for a Rust without let chains"
)]

// So `sample_pool` means this crate, for the files of the example as well.
extern crate self as sample_pool;

mod buffers;
#[path = "../../../serving/stand_in.rs"]
mod stand_in;

pub use stand_in::*;

include!("../../../serving/example.rs");

fn free(pool: &Pool) -> Option<usize> {
    Some(pool.buffers.free())
}
