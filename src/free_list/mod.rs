//! The free list: which slots of a pool are free.
//!
//! | module          | what it has                                                        | lock                         |
//! |-----------------|--------------------------------------------------------------------|------------------------------|
//! | [`striped`]     | gets that need no lock                                             | none                         |
//! | [`word_states`] | which words are open, and the counts of the parked ones            | the pool's                   |
//! | [`priority`]    | the slots that are kept for quotas of high priority                | the pool's                   |
//! | [`used`]        | the words used since the commit, and the counts of their slots     | none, or the pool's          |
//! | [`table`]       | the blocks of words and slots                                      | none; grown by one thread    |
//! | [`published`]   | a value that is read without a lock, with all its earlier versions | none; replaced by one thread |
//! | `bit_set`       | a set of word numbers                                              | the pool's                   |
//! | [`stripe`]      | the stripe at which a thread starts                                | none; thread-local           |

mod bit_set;
pub(crate) mod priority;
pub(crate) mod published;
pub(crate) mod stripe;
pub(crate) mod striped;
pub(crate) mod table;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
pub(crate) mod used;
pub(crate) mod word_states;
