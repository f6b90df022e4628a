//! What a pool tells of itself: to people, of stalls, to a log, to an exporter.

#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
pub(crate) mod report;
pub(crate) mod snapshot;
pub(crate) mod stall;
pub(crate) mod stall_detector;
#[cfg(feature = "tracing")]
pub(crate) mod stall_events;
