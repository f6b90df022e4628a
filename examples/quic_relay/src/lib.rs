//! A live relay over QUIC: one publisher, any number of viewers.
//!
//! ```text
//!  publisher ── one stream, each frame with its length ──▶ relay ── one stream for each frame ──▶ viewers
//!               no copy into the stream                    1 copy into a sample, none out of it
//! ```
//!
//! [`receiving`] reads frames into samples, a `FanOut` hands them to the viewers, and [`sending`] writes them to a
//! viewer as the `Bytes` that they are. The guide's page on QUIC, `docs/guide/quic.md`, says what quinn does with them.

#![forbid(unsafe_code)]

pub mod client;
pub mod identity;
pub mod receiving;
pub mod relay;
pub mod sending;

/// The error of whatever ends a connection, which is reported and not examined.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The code of a connection or a stream that ends because all is done.
pub const END: quinn::VarInt = quinn::VarInt::from_u32(0);
/// The code of a connection that is refused: there is a publisher already, or too many connections.
pub const REFUSED: quinn::VarInt = quinn::VarInt::from_u32(1);
/// The code of a stream whose frame is out of date. The viewer goes on with the next stream.
pub const LATE: quinn::VarInt = quinn::VarInt::from_u32(2);

/// The examples of the guide's page are compiled and run.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/guide/quic.md")]
    struct Quic;
}
