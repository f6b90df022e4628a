//! The example's live server with a fresh `BytesMut` for each frame.

// So `sample_pool` means this crate, for the files of the example as well.
extern crate self as sample_pool;

mod buffers;
#[path = "../../../serving/stand_in.rs"]
mod stand_in;

pub use stand_in::*;

include!("../../../serving/example.rs");

/// An allocator cannot be asked.
fn home(_pool: &Pool) -> Option<usize> {
    None
}
