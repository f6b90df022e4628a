//! Mapped memory, and giving it back to the system.

#![allow(
    unsafe_code,
    reason = "this layer is memory; see the invariants of `slot`"
)]

#[cfg(target_os = "linux")]
pub(crate) mod locked;
pub(crate) mod mapping;
pub(crate) mod slot_memory;
pub(crate) mod wiped;
