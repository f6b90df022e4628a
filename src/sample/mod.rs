//! Samples, exclusive and shared.

pub(crate) mod buf_mut;
pub(crate) mod convert;
pub(crate) mod exclusive;
pub(crate) mod shared;
