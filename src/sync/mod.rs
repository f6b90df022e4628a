//! The atomics, locks and cells of the crate: the real ones, loom's or shuttle's.
//!
//! This is the only place that names a lock or an atomic type. The rest of the crate is written once
//! and runs on any of the sets. The switch is `all(test, ..)`, so that a user's own build for loom or
//! shuttle gets the real pool and not one that panics outside a model.
//!
//! | name               | what it is                                                               |
//! |--------------------|--------------------------------------------------------------------------|
//! | `Atomic*`          | a switch point in a model, explored with its ordering by loom            |
//! | `Setting*`         | relaxed, and decides something: it is published by another atomic, or checked by the one that follows. loom explores which of its values a thread may see |
//! | `Statistic*`       | relaxed, and decides nothing: it is reported and no more. Real in a model as well, so a model sees neither its orderings nor a switch |
//! | `Lock`             | a mutex without poisoning: no foreign code ever runs under it            |
//! | `Notify`           | tokio's, with a switch point before each operation in a model            |
//! | `Cell`             | `UnsafeCell` behind closures, so that a model sees every access          |
//! | `SetOnce`          | std's `OnceLock`, in a model as well: it orders itself, and a modelled atomic says which one is read |
//! | `Tracked`          | nothing; in a model something that must be dropped before the model ends |
//!
//! # What the models do not see
//!
//! | what                                    | why                                                   |
//! |-----------------------------------------|-------------------------------------------------------|
//! | `Slot::turns`, `Slot::used`             | what [`Status`](crate::Status) and [`Holder`](crate::Holder) report. A holder is compared with itself only, and may be out of date by contract |
//! | `Record::since`                         | reported; it is read after its location, which is modelled |
//! | `Engine::misses`, `callback_panics`     | counts that are reported                              |
//! | the stamp of a wait, `Engine::waits`    | how long it took. A wait whose stamp is seen too late is one that a watch did not find in line either: the stamp is written under the line's lock, before the outcome |
//! | the bytes of a sample                   | raw memory: ThreadSanitizer sees them, and in a model the slot's properties stand for them |
//! | wait nodes and futures' own fields      | plain memory that the lock or `&mut` guards           |
//! | the counts of std's `Arc`, and `SetOnce` | std's own, with the orderings that it documents       |
//! | [`FanOut`](crate::fan_out::FanOut), `src/stream` | built of Tokio's own primitives and of the public API |

pub(crate) use std::sync::OnceLock as SetOnce;
#[cfg(test)]
pub(crate) use std::sync::atomic::AtomicUsize as Statistic;
/// Reported, and nothing else.
pub(crate) use std::sync::atomic::{
    AtomicBool as StatisticBool, AtomicU64 as StatisticU64, Ordering,
};
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::atomic::{
    AtomicPtr as SettingPtr, AtomicU8 as SettingU8, AtomicU32 as SettingU32, AtomicUsize as Setting,
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

pub(crate) mod coop;
#[cfg(feature = "tracing")]
pub(crate) mod events;
#[cfg(not(feature = "tracing"))]
#[path = "events/silent.rs"]
pub(crate) mod events;
pub(crate) mod user_code;

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, loom))]
pub(crate) use self::loom::*;

#[cfg(all(test, shuttle))]
mod shuttle;
#[cfg(all(test, shuttle))]
pub(crate) use self::shuttle::*;

#[cfg(all(test, any(loom, shuttle)))]
mod atomics;
#[cfg(all(test, any(loom, shuttle)))]
mod stepped;

#[cfg(not(all(test, any(loom, shuttle))))]
mod real;
#[cfg(not(all(test, any(loom, shuttle))))]
pub(crate) use real::*;
