//! Plain data that users see: errors, properties, times, what a pool tells of itself.

pub(crate) mod error;
pub(crate) mod escape;
pub(crate) mod media_type;
pub(crate) mod properties;
pub(crate) mod quota_status;
pub(crate) mod reference_time;
pub(crate) mod region;
pub(crate) mod sample_properties;
pub(crate) mod status;
pub(crate) mod undelivered;
pub(crate) mod wait_histogram;
