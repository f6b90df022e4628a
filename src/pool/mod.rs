//! Making and configuring a pool.

pub(crate) mod builder;
pub(crate) mod configure;
