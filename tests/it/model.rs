//! For any sequence of operations, the pool does what a small and simple model of it does.
//!
//! The tests use one thread and poll futures by hand. After each step they compare everything that is
//! observable. The fuzzer runs the same operations in the same world, and differs only in how it chooses them.
//!
//! Guarantees: 2, 13

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

    /// The states of a pool, of its wait queue and of its samples multiply, and no list of cases written by
    /// hand has all combinations.
    #[test]
    fn every_sequence_of_operations_does_what_the_model_does(
        settings in settings(),
        operations in sequences(60),
    ) {
        world::run(&settings, &operations)?;
    }
}
