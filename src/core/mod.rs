//! The engine: the shared state of the handles of one pool, and the operations on it.
//!
//! | module         | what it has                                                                                  |
//! |----------------|----------------------------------------------------------------------------------------------|
//! | [`engine`]     | the state that the handles share, and what of it is under the lock                           |
//! | [`handle`]     | handles, weak handles and release guards, which keep the engine alive                        |
//! | [`ref_count`]  | the number of these                                                                          |
//! | [`refs`]       | the callback reference, which keeps the engine alive during a callback                       |
//! | [`take`]       | how a get takes slots, or joins the wait queue                                               |
//! | [`waiting`]    | the begin and the end of a wait                                                              |
//! | [`release`]    | what a release does, step by step                                                            |
//! | [`callback`]   | the release callback, and the future of the next release                                     |
//! | [`lifecycle`]  | commit, decommit, drain, and when the pool is freed                                          |
//! | [`getters`]    | what status and reports read                                                                 |
//! | [`quota_pool`] | what a quota's account asks of the pool                                                      |
//! | [`wait_times`] | the lengths of waits                                                                         |
//! | [`watches`]    | stall detectors, and the events that wake them                                               |

pub(crate) mod callback;
pub(crate) mod engine;
pub(crate) mod getters;
pub(crate) mod handle;
pub(crate) mod lifecycle;
pub(crate) mod quota_pool;
pub(crate) mod ref_count;
pub(crate) mod refs;
pub(crate) mod release;
pub(crate) mod take;
pub(crate) mod wait_times;
pub(crate) mod waiting;
pub(crate) mod watches;
