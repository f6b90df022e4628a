//! Mapped memory: how the pool takes it from the system and gives it back.
//!
//! The invariants M1, M2 and S1, which the `SAFETY` comments cite, are listed in `slot`.

#![allow(
    unsafe_code,
    reason = "this layer maps memory; see the invariants of `slot`"
)]

#[cfg(target_os = "linux")]
pub(crate) mod locked;
pub(crate) mod mapping;
pub(crate) mod slot_memory;
pub(crate) mod wiped;
