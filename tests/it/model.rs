//! Whatever is called in whatever order, the pool does what a small obvious model of it does.
//!
//! One thread, futures polled by hand, and after each step everything that can be seen is compared. The
//! fuzzer plays the same operations in the same world, and only chooses them differently.

#![forbid(unsafe_code)]

mod accounts;
mod asked;
mod expected;
mod held;
mod operations;
mod strategies;
mod world;

use proptest::prelude::*;
use strategies::{sequences, settings};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 800,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The states of a pool, of its line and of its samples multiply, and no list of cases written by
    /// hand has all the products.
    #[test]
    fn every_sequence_of_operations_does_what_the_model_does(
        settings in settings(),
        operations in sequences(60),
    ) {
        world::run(&settings, &operations)?;
    }
}
