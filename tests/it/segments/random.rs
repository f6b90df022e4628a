//! Random sequences of writes and reads.

use super::steps::{BUFFERS, Fill, Read, SIZE, run};
use proptest::prelude::*;

fn fills() -> impl Strategy<Value = Fill> {
    let any = || 0..30_usize;
    prop_oneof![
        4 => any().prop_map(Fill::Put),
        2 => (any(), any()).prop_map(|(one, two)| Fill::PutBuf(one, two)),
        2 => any().prop_map(Fill::Write),
        4 => any().prop_map(Fill::Chunk),
        1 => any().prop_map(Fill::Bytes),
        1 => Just(Fill::Overwrite),
        2 => any().prop_map(Fill::Grow),
    ]
}

fn reads() -> impl Strategy<Value = (usize, Read)> {
    let any = || 0..40_usize;
    let read = prop_oneof![
        4 => any().prop_map(Read::Advance),
        4 => any().prop_map(Read::SplitTo),
        2 => any().prop_map(Read::Truncate),
        3 => any().prop_map(Read::CopyToBytes),
        2 => any().prop_map(Read::CopyToSlice),
        3 => (0..10_usize).prop_map(Read::Vectored),
        2 => Just(Read::Clone),
        1 => Just(Read::Rebuild),
        2 => any().prop_map(Read::Push),
        1 => Just(Read::Drop),
    ];
    (any(), read)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// A chunk that ends a byte too early, a segment that is counted twice or kept too long: no list of cases written by
    /// hand has every sequence that shows one.
    #[test]
    fn segments_show_the_bytes_that_a_vec_has(
        len in 0..=BUFFERS * SIZE,
        steps in prop::collection::vec(fills(), 0..12),
        then in prop::collection::vec(reads(), 1..30),
    ) {
        run(len, &steps, &then)?;
    }
}
