//! Tests of concurrent operations: exhaustive ones with loom, and larger random ones with shuttle.

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, any(loom, shuttle)))]
mod shared;
#[cfg(all(test, shuttle))]
mod shuttle;
