//! What a pool reports about itself: status, reports, stalls, events and metrics.

#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
pub(crate) mod report;
pub(crate) mod snapshot;
pub(crate) mod stall;
pub(crate) mod stall_detector;
#[cfg(feature = "tracing")]
pub(crate) mod stall_events;
