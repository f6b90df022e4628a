//! sample-pool beside the pools, channels and allocators that are used in its place.
//!
//! ```text
//! cargo bench --manifest-path benches/peers/Cargo.toml
//! ```

mod command;
mod contenders;
mod limit;
mod process;
mod profile;
mod report;
mod run;
mod scenarios;
mod statistics;
mod table;
mod threads;
mod verdict;

pub use command::command;
pub use process::serve;
