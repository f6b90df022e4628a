//! The gets: public methods and futures that take samples from a pool or through a quota.
//!
//! | module      | what it has                                                        |
//! |-------------|--------------------------------------------------------------------|
//! | [`one`]     | the gets of one sample, and their futures                          |
//! | [`blocking`] | the get of one sample that blocks its thread                      |
//! | [`owned`]   | the future of one sample that owns a handle                        |
//! | [`many`]    | the gets of several samples, all or nothing, and their futures     |
//! | [`segments`] | the gets of the buffers of one message, and their future       |
//! | [`source`]  | the first and the later polls of a get, step by step; the difference of a pool and a quota |
//! | [`pool_get`] | the part of a get that is the same for a pool and a quota           |
//! | [`acquire`] | the states of a get, poll by poll                                  |

pub(crate) mod acquire;
pub(crate) mod blocking;
pub(crate) mod many;
pub(crate) mod one;
pub(crate) mod owned;
pub(crate) mod pool_get;
pub(crate) mod segments;
pub(crate) mod source;
