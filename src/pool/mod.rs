//! How a pool is made, configured, committed and decommitted.

pub(crate) mod builder;
pub(crate) mod configure;
