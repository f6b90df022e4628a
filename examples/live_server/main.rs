//! Live.
mod frames;
fn main() {}
