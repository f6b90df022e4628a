//! The engine: the shared state of the handles of one pool, and the operations on it.

pub(crate) mod callback;
pub(crate) mod engine;
pub(crate) mod handle;
pub(crate) mod lifecycle;
pub(crate) mod look;
pub(crate) mod quota_pool;
pub(crate) mod ref_count;
pub(crate) mod refs;
pub(crate) mod release;
pub(crate) mod take;
pub(crate) mod wait_times;
pub(crate) mod waiting;
pub(crate) mod watches;
