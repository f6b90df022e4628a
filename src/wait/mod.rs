//! Who waits, for samples and for room in a quota, and in what order.

pub(crate) mod clock;
pub(crate) mod event;
pub(crate) mod node;
pub(crate) mod payer;
pub(crate) mod queue;
pub(crate) mod quota_account;
pub(crate) mod quota_accounts;
pub(crate) mod reclaim;
pub(crate) mod registry;
pub(crate) mod request;
pub(crate) mod slab;
