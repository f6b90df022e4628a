//! What goes through the broker: the format of the messages, and what an edge makes of those that come.
//!
//! | file      | idea                                                                     |
//! |-----------|--------------------------------------------------------------------------|
//! | `label`   | the headers of a message: which bytes of which frame it carries          |
//! | `parts`   | a payload that the broker would refuse, in several messages              |
//! | `order`   | whole frames again; one of which a message is lost is lost               |
//! | `numbers` | which frames can be shown after some were lost, and how many they were   |
//!
//! Nothing here touches a socket or a pool: see `publish` and `follow` in the program.

#![forbid(unsafe_code)]

pub mod label;
pub mod numbers;
pub mod order;
pub mod parts;
