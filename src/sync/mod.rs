//! The atomics, locks and cells of the crate, in three sets: the real ones, loom's and shuttle's.
//!
//! Only this folder names a lock or an atomic type. The rest of the crate is written once and runs on each set. The
//! switch is `all(test, ..)`. So a user's own build for loom or shuttle gets the real pool, and not one that panics
//! outside a loom or shuttle test.
//!
//! | name               | what it is                                                               |
//! |--------------------|--------------------------------------------------------------------------|
//! | `Atomic*`          | a switch point in loom and shuttle tests; loom also explores its ordering |
//! | `Setting*`         | read to decide something: another atomic publishes it, or the atomic access after it checks it. Relaxed, unless its own documentation says otherwise. Loom explores which of its values a thread can see |
//! | `Statistic*`       | only reported: it decides nothing. Relaxed, unless its own documentation says otherwise. It is the real atomic in all sets, so loom and shuttle tests see neither its orderings nor a switch point |
//! | `Lock`             | a mutex without poisoning: user code never runs under it                 |
//! | `Notify`           | Tokio's; in loom and shuttle tests with a switch point before each operation |
//! | `Cell`             | an `UnsafeCell` accessed through closures, so that loom and shuttle tests see every access |
//! | `SetOnce`          | std's `OnceLock` in all sets: it synchronizes itself, and a tested atomic selects which one is read |
//! | `Tracked`          | does nothing; in a loom test, an object that must be dropped before the test ends |
//!
//! # What loom and shuttle tests do not see
//!
//! | what                                    | why                                                   |
//! |-----------------------------------------|-------------------------------------------------------|
//! | `Slot::generation`, `Slot::used`        | [`Status`](crate::Status) and [`Holder`](crate::Holder) report them. A generation is compared only with one of the same slot, and the contract lets it be out of date |
//! | `HolderRecord::since`                   | it is reported; it is read after its location, which the tests see |
//! | `Engine::misses`, `callback_panics`     | counts that are reported                              |
//! | the numbers of threads                  | they only give each thread a counter of its own, for the counts above; `thread_number` says how a number is passed on |
//! | the stamp of a wait, `Engine::waits`    | the duration of a wait. The stamp is written under the queue's lock, before the outcome. So if a stall detector sees a stamp too late, it did not find that wait in the queue either |
//! | the bytes of a sample                   | raw memory: ThreadSanitizer sees them, and in a loom test the slot's properties take their place |
//! | wait nodes and the fields of futures    | plain memory that the lock or `&mut` guards           |
//! | the counts of std's `Arc`, and `SetOnce` | std's own, with the orderings that std documents     |
//! | [`FanOut`](crate::fan_out::FanOut), `src/stream` | built from Tokio's primitives and the public API |

pub(crate) use std::sync::OnceLock as SetOnce;
#[cfg(test)]
pub(crate) use std::sync::atomic::AtomicUsize as Statistic;
/// Only reported; see the table above.
pub(crate) use std::sync::atomic::{
    AtomicBool as StatisticBool, AtomicU64 as StatisticU64, Ordering,
};
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::atomic::{
    AtomicPtr as SettingPtr, AtomicU8 as SettingU8, AtomicU32 as SettingU32, AtomicUsize as Setting,
};

/// Tokio's own types in all sets: no loom or shuttle test uses a [`FanOut`](crate::fan_out::FanOut).
pub(crate) use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub(crate) mod block_on;
pub(crate) mod coop;
#[cfg(feature = "tracing")]
pub(crate) mod events;
#[cfg(not(feature = "tracing"))]
#[path = "events/silent.rs"]
pub(crate) mod events;
pub(crate) mod spread_count;
mod thread_number;
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
