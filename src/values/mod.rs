//! Plain data of the public API: errors, properties, times, statuses and wait histograms.
//!
//! Nothing here refers to a pool or changes one.

pub(crate) mod error;
pub(crate) mod escape;
pub(crate) mod media_type;
pub(crate) mod properties;
pub(crate) mod quota_status;
pub(crate) mod reference_time;
pub(crate) mod region;
mod sample_flags;
pub(crate) mod sample_properties;
pub(crate) mod status;
pub(crate) mod undelivered;
pub(crate) mod wait_histogram;
