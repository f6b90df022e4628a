//! What must hold when threads meet: loom tests, and larger ones for shuttle.

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, any(loom, shuttle)))]
mod shared;
#[cfg(all(test, shuttle))]
mod shuttle;
