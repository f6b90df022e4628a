//! Adapters between samples and Tokio's readers and writers, streams and sinks.
//!
//! | | |
//! |---|---|
//! | [`SampleReader`] | an `AsyncRead` as a `Stream` of samples |
//! | [`FrameReader`] | an `AsyncRead` as a `Stream` of frames, which are slices of the samples that they were read into |
//! | [`MessageReader`] | the same for frames that can be larger than a buffer: a `Stream` of [`SharedSegments`](crate::SharedSegments) |
//! | [`LengthDelimited`], [`Lines`] | decoders for both; [`DecodeFrame`] is for other protocols |
//! | [`SampleWriter`] | an `AsyncWrite` as a `Sink` of samples or `Bytes`, with vectored writes |
#![cfg_attr(
    feature = "net",
    doc = "| [`ReadableFirst`] | a socket for which a reader takes a buffer only when there is something to read |"
)]
#![cfg_attr(
    feature = "net",
    doc = "| [`DatagramReceiver`] | a UDP socket as a `Stream` of datagrams, each in a sample of its own |"
)]
#![cfg_attr(
    feature = "net",
    doc = "| [`BatchReceiver`] | a UDP socket as a `Stream` of batches of datagrams that the system joined, each in a sample |"
)]
#![cfg_attr(
    feature = "net",
    doc = "| [`DatagramSender`], [`DatagramSink`] | frames as datagrams, many with one system call, to many addresses |"
)]
//!
//! When the pool is exhausted, the readers wait in its wait queue and read nothing. This is backpressure for their
//! source. While they wait for their source they hold no buffer, with three exceptions: a [`SampleReader`] that
//! [fills buffers](SampleReader::fill_buffers) holds one that is partly filled, and a [`FrameReader`] holds the buffer of
//! a large partial frame. Both release it when another get is queued. A [`MessageReader`] holds the buffers of a frame that
//! is larger than a buffer until it is complete. Nothing is allocated per sample. The readers get
//! their samples through a [`PollPool`](crate::PollPool).
//!
//! A source that is no `AsyncRead` implements [`ReadSample`]. One that knows where a message ends
//! [ends the sample](ReadSample::ends_sample) there.
//!
//! The methods `next`, `send`, `forward` and so on are those of `StreamExt` and `SinkExt` in the crate `futures`.
//!
//! A reader that is no longer polled can still be in the wait queue, and a sample that is handed off to it stays with
//! it. Drop a reader that you no longer poll.

// | modules                                     | what they have                                                       |
// |---------------------------------------------|----------------------------------------------------------------------|
// | `read_sample`, `readable_first`             | sources that samples are filled from                                 |
// | `sample_reader`, `sample_writer`            | samples from a reader, and to a writer                               |
// | `decode_frame`, `length_delimited`, `lines` | decoders of frames                                                   |
// | `read_frames`, `frame_buffer`, `heap_copy`, `deadline` | the loop of the readers of frames, and the bytes not yielded yet |
// | `frame_reader`, `message_reader`            | frames in one buffer, and in several                                 |
// | `datagram`, `receive`                       | one datagram into a sample                                           |
// | `datagram_receiver`, `receive_many`, `receive_future`, `udp_readiness` | a socket as a stream of datagrams                           |
// | `kernel_batch`, `control`; `single_batch`   | batches of datagrams into samples: on Linux; elsewhere               |
// | `batch_receiver`, `receive_batches`, `datagram_batch`, `datagrams` | a socket as a stream of batches               |
// | `segmentation`, `gso_transmit`; `single_transmit` | one system call of a send: where many datagrams fit into it; elsewhere |
// | `datagram_sender`, `send_to`, `datagram_sink` | frames as datagrams, to many addresses                             |

mod deadline;
mod decode_frame;
mod frame_buffer;
mod frame_reader;
mod heap_copy;
mod length_delimited;
mod lines;
mod message_reader;
mod read_frames;
mod read_sample;
#[cfg(all(
    feature = "net",
    not(any(target_os = "redox", target_os = "wasi", target_os = "espidf"))
))]
pub(crate) mod receive;
mod sample_reader;
mod sample_writer;

#[cfg(feature = "net")]
mod batch_receiver;
#[cfg(all(feature = "net", target_os = "linux", not(portable_udp)))]
mod control;
#[cfg(feature = "net")]
mod datagram;
#[cfg(feature = "net")]
mod datagram_batch;
#[cfg(feature = "net")]
mod datagram_receiver;
#[cfg(feature = "net")]
mod datagram_sender;
#[cfg(feature = "net")]
mod datagram_sink;
#[cfg(feature = "net")]
mod datagrams;
#[cfg(feature = "net")]
mod readable_first;
#[cfg(feature = "net")]
mod receive_batches;
#[cfg(feature = "net")]
mod receive_future;
#[cfg(feature = "net")]
mod receive_many;
#[cfg(feature = "net")]
mod segmentation;
#[cfg(feature = "net")]
mod send_to;

// Each of two files that have the same functions.
#[cfg(all(feature = "net", target_os = "linux", not(portable_udp)))]
#[path = "kernel_batch.rs"]
mod system_batch;
#[cfg(all(feature = "net", not(all(target_os = "linux", not(portable_udp)))))]
#[path = "single_batch.rs"]
mod system_batch;
#[cfg(all(
    feature = "net",
    not(any(
        target_os = "redox",
        target_os = "wasi",
        target_os = "espidf",
        portable_udp
    ))
))]
#[path = "gso_transmit.rs"]
mod system_transmit;
#[cfg(all(
    feature = "net",
    any(
        target_os = "redox",
        target_os = "wasi",
        target_os = "espidf",
        portable_udp
    )
))]
#[path = "single_transmit.rs"]
mod system_transmit;
#[cfg(feature = "net")]
mod udp_readiness;

pub use decode_frame::{DecodeFrame, Decoded, FrameError};
pub use frame_reader::FrameReader;
pub use length_delimited::{LengthDelimited, LengthError};
pub use lines::{LineTooLong, Lines};
pub use message_reader::MessageReader;
pub use read_sample::{ReadError, ReadSample};
pub use sample_reader::SampleReader;
pub use sample_writer::SampleWriter;

#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use batch_receiver::BatchReceiver;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use datagram::Datagram;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use datagram_batch::{DatagramBatch, Ecn};
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use datagram_receiver::DatagramReceiver;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use datagram_sender::DatagramSender;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use datagram_sink::DatagramSink;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use datagrams::Datagrams;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use readable_first::{ReadReady, ReadableFirst};
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use receive_batches::ReceiveBatches;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use receive_many::ReceiveMany;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub use send_to::{SendError, SendTo};
