//! How often each operation is chosen.

use super::{
    held::Edit,
    operations::{Ask, Happening, Operation, Payer, Settings},
};
use proptest::prelude::*;
use sample_pool::Properties;

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let max_waiters = prop_oneof![Just(usize::MAX), 0..4_usize];
    let priority_buffers = prop_oneof![Just(0), 0..4_usize];
    let all = (
        max_waiters,
        priority_buffers,
        0..4_usize,
        any::<[bool; 3]>(),
    );
    all.prop_map(|(max_waiters, priority_buffers, limit, yes)| Settings {
        max_waiters,
        priority_buffers,
        limit,
        track_holders: yes[0],
        zero_on_release: yes[1],
        measure_waits: yes[2],
    })
}

fn edits() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0..80_usize).prop_map(Edit::Append),
        (0..80_usize).prop_map(Edit::SetLen),
        (0..20_usize).prop_map(Edit::Prepend),
        Just(Edit::Clear),
    ]
}

fn properties() -> impl Strategy<Value = Properties> {
    let buffers = prop_oneof![9 => 1..9_usize, 1 => Just(0), 1 => Just(60), 1 => Just(usize::MAX)];
    let size = prop_oneof![9 => 1..70_usize, 1 => Just(0)];
    let align = prop_oneof![9 => Just(8), 3 => 1..30_usize, 1 => Just(0)];
    (buffers, size, align, 0..16_usize).prop_map(|(buffers, size, align, prefix)| Properties {
        buffers,
        size,
        align,
        prefix,
    })
}

fn operations() -> impl Strategy<Value = Operation> {
    let choice = || 0..1000_usize;
    let payer = || {
        prop_oneof![
            3 => Just(Payer::Pool),
            3 => Just(Payer::Quota),
            2 => Just(Payer::HighPriority)
        ]
    };
    let ask = prop_oneof![
        Just(Ask::One),
        Just(Ask::Owned),
        (0..10_usize).prop_map(Ask::Many)
    ];
    let happening = prop_oneof![Just(Happening::Release), Just(Happening::Drain)];
    prop_oneof![
        12 => (payer(), ask).prop_map(|(payer, ask)| Operation::Begin(payer, ask)),
        20 => choice().prop_map(Operation::Poll),
        6 => choice().prop_map(Operation::Abandon),
        6 => payer().prop_map(Operation::Try),
        3 => (payer(), 0..10_usize)
            .prop_map(|(payer, count)| Operation::TryMany(payer, count)),
        3 => (payer(), 0..10_usize)
            .prop_map(|(payer, count)| Operation::TryUpTo(payer, count)),
        8 => (choice(), edits()).prop_map(|(which, edit)| Operation::Edit(which, edit)),
        5 => choice().prop_map(Operation::Share),
        6 => (choice(), choice(), choice())
            .prop_map(|(which, from, len)| Operation::Duplicate(which, from, len)),
        4 => choice().prop_map(Operation::Unshare),
        8 => choice().prop_map(Operation::Divide),
        14 => (choice(), choice(), choice())
            .prop_map(|(which, way, at)| Operation::Split(which, way, at)),
        12 => (choice(), choice()).prop_map(|(one, two)| Operation::Join(one, two)),
        2 => choice().prop_map(Operation::IntoBytes),
        20 => choice().prop_map(Operation::Release),
        6 => (choice(), 1..10_usize)
            .prop_map(|(which, most)| Operation::ReleaseAll(which, most)),
        4 => any::<bool>().prop_map(Operation::Notify),
        5 => happening.prop_map(Operation::Listen),
        8 => choice().prop_map(Operation::PollEvent),
        2 => choice().prop_map(Operation::ForgetEvent),
        4 => Just(Operation::Decommit),
        6 => Just(Operation::Commit),
        3 => any::<bool>().prop_map(Operation::Flush),
        3 => properties().prop_map(Operation::SetProperties),
        1 => Just(Operation::CloneHandle),
        1 => Just(Operation::DropHandle),
    ]
}

/// Up to `longest` operations, most of which start with a committed pool.
pub(crate) fn sequences(longest: usize) -> impl Strategy<Value = Vec<Operation>> {
    let rest = prop::collection::vec(operations(), 0..longest - 1);
    (properties(), rest).prop_map(|(properties, rest)| {
        let mut all = vec![Operation::SetProperties(properties), Operation::Commit];
        all.extend(rest);
        all
    })
}
