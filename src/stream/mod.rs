//! Samples where Tokio's readers and writers, streams and sinks are used.
//!
//! | | |
//! |---|---|
//! | [`SampleReader`] | an `AsyncRead` becomes a `Stream` of samples |
//! | [`FrameReader`] | an `AsyncRead` becomes a `Stream` of frames that are slices of the samples they were read into |
//! | [`SampleWriter`] | an `AsyncWrite` becomes a `Sink` of samples or `Bytes`, written many at a time |
#![cfg_attr(
    feature = "net",
    doc = "| [`ReadableFirst`] | a socket that takes a buffer only when there is something to read |"
)]
#![cfg_attr(
    feature = "net",
    doc = "| [`DatagramReceiver`] | a UDP socket becomes a `Stream` of datagrams, each in a sample of its own |"
)]
//!
//! All of them wait when the pool is exhausted, in the queue with all others, and so slow their source
//! down. While they wait for their source they hold no buffer, with two exceptions: a [`SampleReader`] that fills whole
//! buffers keeps the one that it has begun, and a [`FrameReader`] keeps that of a large begun frame until another get
//! waits.
//! Nothing is allocated per sample. [`PollPool`](crate::PollPool) is what they take samples with.
//!
//! The traits with `next`, `send`, `forward` and the like are those of the crate `futures`: `StreamExt` and `SinkExt`.
//!
//! A reader that is not polled can be in line all the same, and be handed a sample that nobody fetches:
//! drop what you no longer read from.

#![forbid(unsafe_code)]

mod deadline;
mod decode_frame;
mod frame_buffer;
mod frame_reader;
mod heap_copy;
mod read_sample;
mod sample_reader;
mod sample_writer;

#[cfg(feature = "net")]
mod datagram;
#[cfg(feature = "net")]
mod datagram_receiver;
#[cfg(feature = "net")]
mod readable_first;
#[cfg(feature = "net")]
mod receive_many;
#[cfg(feature = "net")]
mod udp_readiness;

pub use decode_frame::{DecodeFrame, Decoded, FrameError};
pub use frame_reader::FrameReader;
pub use read_sample::{ReadError, ReadSample};
pub use sample_reader::SampleReader;
pub use sample_writer::SampleWriter;

#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use datagram::Datagram;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use datagram_receiver::DatagramReceiver;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use readable_first::{ReadReady, ReadableFirst};
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use receive_many::ReceiveMany;
