//! What can be done to a pool, and how often it is.

use crate::held::Edit;
use proptest::prelude::*;
use sample_pool::{Pool, Properties};

/// How the pool is built. It starts unconfigured in all but name: the first operations configure it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_waiters: usize,
    pub(crate) track_holders: bool,
    zero_on_release: bool,
    measure_waits: bool,
}

impl Settings {
    pub(crate) fn build(&self) -> Pool {
        let pool = Pool::builder()
            .buffers(0)
            .size(0)
            .align(1)
            .max_waiters(self.max_waiters)
            .track_holders(self.track_holders)
            .zero_on_release(self.zero_on_release)
            .measure_waits(self.measure_waits)
            .build_uncommitted();
        pool.expect("it asks for nothing")
    }
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let max_waiters = prop_oneof![Just(usize::MAX), 0..4_usize];
    (max_waiters, any::<[bool; 3]>()).prop_map(|(max_waiters, yes)| Settings {
        max_waiters,
        track_holders: yes[0],
        zero_on_release: yes[1],
        measure_waits: yes[2],
    })
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    One,
    Owned,
    Many(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    Release,
    Drain,
}

/// A number that stands first chooses one of those that there are.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Begin(Ask),
    Poll(usize),
    Abandon(usize),
    Try,
    TryMany(usize),
    Edit(usize, Edit),
    Share(usize),
    Duplicate(usize, usize, usize),
    Unshare(usize),
    IntoBytes(usize),
    Release(usize),
    Notify(bool),
    Listen(Happening),
    PollEvent(usize),
    ForgetEvent(usize),
    Decommit,
    Commit,
    Flush(bool),
    SetProperties(Properties),
    CloneHandle,
    DropHandle,
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
    let ask = prop_oneof![
        Just(Ask::One),
        Just(Ask::Owned),
        (0..10_usize).prop_map(Ask::Many)
    ];
    let happening = prop_oneof![Just(Happening::Release), Just(Happening::Drain)];
    prop_oneof![
        12 => ask.prop_map(Operation::Begin),
        20 => choice().prop_map(Operation::Poll),
        6 => choice().prop_map(Operation::Abandon),
        6 => Just(Operation::Try),
        3 => (0..10_usize).prop_map(Operation::TryMany),
        8 => (choice(), edits()).prop_map(|(which, edit)| Operation::Edit(which, edit)),
        5 => choice().prop_map(Operation::Share),
        6 => (choice(), choice(), choice())
            .prop_map(|(which, from, len)| Operation::Duplicate(which, from, len)),
        4 => choice().prop_map(Operation::Unshare),
        2 => choice().prop_map(Operation::IntoBytes),
        20 => choice().prop_map(Operation::Release),
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

/// Up to `longest` operations, which mostly start with a pool that is committed.
pub(crate) fn sequences(longest: usize) -> impl Strategy<Value = Vec<Operation>> {
    let rest = prop::collection::vec(operations(), 0..longest - 1);
    (properties(), rest).prop_map(|(properties, rest)| {
        let mut all = vec![Operation::SetProperties(properties), Operation::Commit];
        all.extend(rest);
        all
    })
}
