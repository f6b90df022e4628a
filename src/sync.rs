//! The atomics, locks and cells of the crate: the real ones, loom's or shuttle's.
//!
//! This is the only place that names a lock or an atomic type. The rest of the crate is written once
//! and runs on any of the sets. The switch is `all(test, ..)`, so that a user's own build for loom or
//! shuttle gets the real pool and not one that panics outside a model.
//!
//! | name               | what it is                                                               |
//! |--------------------|--------------------------------------------------------------------------|
//! | `Atomic*`          | a switch point in a model, explored with its ordering by loom            |
//! | `Setting*`         | relaxed: written while nobody can reach it and published by another atomic, or a hint or a count that nothing is decided by alone. Real in a model as well, so a model sees neither its orderings nor a switch |
//! | `Lock`             | a mutex without poisoning: no foreign code ever runs under it            |
//! | `Notify`           | tokio's, with a switch point before each operation in a model            |
//! | `Cell`             | `UnsafeCell` behind closures, so that a model sees every access          |

pub(crate) use std::sync::atomic::{
    AtomicBool as SettingBool, AtomicPtr as SettingPtr, AtomicU8 as SettingU8,
    AtomicU32 as SettingU32, AtomicU64 as SettingU64, AtomicUsize as Setting, Ordering,
};

/// Tokio's own under loom as well: no model has a [`FanOut`](crate::fan_out::FanOut).
pub(crate) use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Panics on a thread that drives Tokio's tasks.
///
/// Tokio alone knows which threads do; its own blocking calls panic there.
#[track_caller]
pub(crate) fn assert_may_block() {
    let probe = tokio::sync::Mutex::const_new(());
    drop(probe.blocking_lock());
}

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, loom))]
pub(crate) use self::loom::*;

#[cfg(all(test, shuttle))]
mod shuttle;
#[cfg(all(test, shuttle))]
pub(crate) use self::shuttle::*;

#[cfg(all(test, any(loom, shuttle)))]
mod stepped;

#[cfg(not(all(test, any(loom, shuttle))))]
mod real;
#[cfg(not(all(test, any(loom, shuttle))))]
pub(crate) use real::*;
