//! Waiting: the queues of gets that wait for samples or for room in a quota, and the tasks that are woken for other
//! events.
//!
//! | module             | what it has                                                                     |
//! |--------------------|---------------------------------------------------------------------------------|
//! | [`request`]        | what a get asks for                                                             |
//! | [`queue`]          | the wait queue: order of service, hand-off                                      |
//! | [`slab`]           | the queue slots, and the links between them                                     |
//! | [`node`]           | the node of a waiter: its outcome and its timer                                 |
//! | [`charge`]         | room in a quota, which a get and then its samples have                          |
//! | [`quota_word`]     | the word of an account: how much is in use                                      |
//! | [`quota_account`]  | how a quota admits: its limit, what is in use, and the queue for room           |
//! | [`quota_pool`]     | what an account needs of its pool                                               |
//! | [`quota_accounts`] | all accounts of a pool                                                          |
//! | [`registry`]       | weak entries of the accounts that are in use                                    |
//! | [`event`]          | futures that resolve at the next release or the next completed drain            |
//! | [`reclaim`]        | wakers of tasks that keep a buffer until a get is queued                        |
//! | [`clock`]          | the clock that waits are measured by                                            |

pub(crate) mod charge;
pub(crate) mod clock;
pub(crate) mod event;
pub(crate) mod node;
pub(crate) mod queue;
pub(crate) mod quota_account;
pub(crate) mod quota_accounts;
pub(crate) mod quota_pool;
mod quota_word;
pub(crate) mod reclaim;
pub(crate) mod registry;
pub(crate) mod request;
pub(crate) mod slab;
