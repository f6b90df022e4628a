//! Getting samples: the futures.

pub(crate) mod acquire;
pub(crate) mod many;
pub(crate) mod one;
pub(crate) mod owned;
pub(crate) mod source;
