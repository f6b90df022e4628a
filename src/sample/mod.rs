//! Samples: exclusive while they are filled, shared once they are frozen.

pub(crate) mod buf_mut;
pub(crate) mod convert;
pub(crate) mod exclusive;
pub(crate) mod part;
pub(crate) mod part_split;
pub(crate) mod release_all;
pub(crate) mod segments;
pub(crate) mod shared;
pub(crate) mod shared_segments;
