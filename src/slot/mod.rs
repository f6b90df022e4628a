//! Slots: their headers, their bytes, the words that say which of them are free, and the tokens that own them.
//!
//! Most of the crate's `unsafe` code is in this folder. Outside it, only the files that `scripts/layers` lists may have
//! any. Each file is small and does one operation in each `unsafe` block, and each SAFETY comment cites one of the
//! invariants below.
//!
//! | module        | what it has                                                                                    |
//! |---------------|------------------------------------------------------------------------------------------------|
//! | [`word`]      | one word: which of its slots are checked out, and how one is taken and freed without the lock  |
//! | [`block`]     | how a slot finds its word, by its address                                                      |
//! | [`block_ref`] | a word with its slots, and the tokens of those that are taken                                  |
//! | [`header`]    | what is stored of each slot                                                                    |
//! | [`owned`]     | the token of a slot's one owner                                                                |
//! | [`shared`]    | the token of one of several handles, and their count                                           |
//! | [`list`], [`set`] | several owned slots                                                                        |
//! | [`bytes`]     | the bytes of a slot, for one owner and for readers                                             |
//! | [`part`]      | ranges of a slot's bytes, each with an owner                                                   |
//!
//! # Invariants
//!
//! | | what holds | what fails without it |
//! |---|---|---|
//! | **M1** | A [`Mapping`](crate::memory::mapping::Mapping) of `n` elements is `n` elements of zeroed memory of its own, for a type whose zero bytes are a value. | `memory::mapping::tests` |
//! | **M2** | A [`Region`](crate::memory::slot_memory::Region)'s bytes are reached through raw pointers only, and slot `i` is the `stride` bytes at `base + i * stride`; no two slots overlap. | `tests/it/stale_bytes.rs`, `tests/it/properties.rs` |
//! | **S1** | A slot whose bit says *checked out* has exactly one owner: an [`OwnedSlot`](crate::slot::owned::OwnedSlot), a [`SlotList`](crate::slot::list::SlotList), a [`SlotSet`](crate::slot::set::SlotSet), an outcome in a waiter, or the shared handles and parts together. Only the owner touches its bytes and its properties. | loom `a_slot_has_one_owner` |
//! | **S2** | An owned slot keeps its pool alive: the pool is freed only when every slot is free or in the priority buffers, which belong to no user, and no callback reference, release guard or handle is left. | loom `the_last_sample_frees_the_pool_once` |
//! | **S3** | The handles that share a slot only read, or have ranges that no other handle reaches: a [`PartBytes`](part::PartBytes) writes `start .. start + len + spare` of its slot. The handle that saw the count fall from one is the slot's owner again. | loom `the_last_of_two_handles_releases`, `checks::loom::parts`; `tests/it/parts.rs` under ThreadSanitizer |
//! | **S4** | In an [`OwnedBytes`](bytes::OwnedBytes) and a [`PartBytes`](part::PartBytes), `start .. start + len + spare` lies within the slot, and `start .. start + len` was written by its present owner, or zeroed. | `tests/it/stale_bytes.rs`, `tests/it/parts.rs`, `tests/it/model` |
//! | **S5** | A slot whose mark says that it counts against a quota has a charge of one sample, which keeps the quota account alive (A4). The slot's owner takes it back, once. | `tests/it/quotas/` |
//! | **P1** | What [`Published`](crate::free_list::published::Published) ever published stays until the `Published` is dropped. | loom `a_stalled_get_survives_a_reconfiguration` |
//! | **W1** | A waiter's node lives as long as its wait queue: the pool's, or that of a quota account. The future that waits keeps the queue alive. A node that the queue abandons, in the store of its outcome or in a call from its future, is not reached through the queue again, and lives until its future gives it back. | loom `an_owned_waiter_is_served_after_the_last_handle_went`, `checks::loom::crowd` |
//! | **W2** | Only the future that holds the [`NodeRef`](crate::wait::node::NodeRef) touches the node's timer, and it stops the timer before it gives the node back. | loom `cancel_meets_resolve` |
//! | **W3** | An outcome is moved out once, by the waiting future, or by its owner under the lock. | loom `a_slot_has_one_owner` |
//! | **H1** | A [`Pool`](crate::core::handle::Pool) counts one handle, except the one that a callback reference lends to the callback. A release guard is counted beside the handles until it is dropped or becomes a handle. A [`CallbackRef`](crate::core::refs::CallbackRef) is one callback reference counted in a word. Each keeps the engine alive. | loom `an_unpolled_owned_get_keeps_the_pool`, `the_last_release_calls_back_before_the_pool_is_freed` |

#![allow(unsafe_code, reason = "listed in scripts/layers")]

pub(crate) mod block;
pub(crate) mod block_ref;
pub(crate) mod bytes;
pub(crate) mod header;
pub(crate) mod list;
pub(crate) mod owned;
pub(crate) mod part;
pub(crate) mod set;
pub(crate) mod shared;
pub(crate) mod word;
