//! How WebSocket frames are unmasked where they were read, and sent on to many viewers without a copy.
//!
//! ```text
//! cargo run --example websocket_unmask --features stream
//! ```
//!
//! A WebSocket client masks each frame: its payload is combined with a key of four bytes, which is in the frame's header. A
//! server has to undo that before it sends the payload on. [`FrameReader::next_part`] returns a frame as a part of the buffer
//! that it was read into. The part is exclusive, so the payload is unmasked in place; then it is frozen and shared. More
//! frames are read behind it in the same buffer meanwhile.
//!
//! It is the smallest decoder that shows this. A server also answers pings, joins fragments, and checks that text is UTF-8.

use sample_pool::{
    Pool, SamplePart, SharedSample,
    stream::{DecodeFrame, Decoded, FrameReader},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    sync::broadcast,
};

/// The opcodes of RFC 6455 that are used here.
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;

/// What a peer did that the protocol forbids.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum ProtocolError {
    #[error("a frame of a client is not masked")]
    NotMasked,
    #[error("a frame has {0} bytes")]
    TooLong(u64),
}

/// The header of a client's frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) opcode: u8,
    /// How many bytes the header has.
    pub(crate) len: usize,
    /// How many bytes follow it.
    pub(crate) payload: u64,
    pub(crate) key: [u8; 4],
}

impl Header {
    /// Reads a header. `None` if not all of it is there.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        if second & 0x80 == 0 {
            return Err(ProtocolError::NotMasked);
        }
        // The length is in these seven bits, or in the two or eight bytes behind them.
        let (payload, rest) = match second & 0x7F {
            126 => match rest.split_first_chunk() {
                Some((len, rest)) => (u16::from_be_bytes(*len).into(), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            len => (len.into(), rest),
        };
        Ok(rest.split_first_chunk().map(|(&key, rest)| Header {
            opcode: first & 0x0F,
            len: bytes.len() - rest.len(),
            payload,
            key,
        }))
    }
}

/// Finds the frames of a client. Each is returned with its header, which has the key.
#[derive(Debug)]
pub(crate) struct ClientFrames {
    pub(crate) max_payload: u64,
}

impl DecodeFrame for ClientFrames {
    type Error = ProtocolError;

    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, ProtocolError> {
        let Some(header) = Header::read(bytes)? else {
            return Ok(Decoded::Incomplete { needed: None });
        };
        let payload = match usize::try_from(header.payload) {
            Ok(len) if header.payload <= self.max_payload => len,
            _ => return Err(ProtocolError::TooLong(header.payload)),
        };
        let consumed = header.len + payload;
        Ok(match bytes.len() {
            len if len < consumed => Decoded::Incomplete {
                needed: Some(consumed),
            },
            _ => Decoded::Frame {
                frame: 0..consumed,
                consumed,
            },
        })
    }
}

/// Undoes the mask, in place. Masks the same way.
pub(crate) fn unmask(payload: &mut [u8], key: [u8; 4]) {
    for chunk in payload.chunks_mut(4) {
        for (byte, key) in chunk.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
}

/// Splits the header off a frame, and unmasks the payload where it lies.
pub(crate) fn payload(mut frame: SamplePart) -> Result<Option<(u8, SamplePart)>, ProtocolError> {
    let Some(header) = Header::read(&frame)? else {
        return Ok(None);
    };
    drop(frame.split_to(header.len));
    unmask(&mut frame, header.key);
    Ok(Some((header.opcode, frame)))
}

/// A frame as a client sends it.
pub(crate) fn masked(opcode: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(key);
    let header = frame.len();
    frame.extend(payload);
    unmask(&mut frame[header..], key);
    frame
}

/// Sends what a client says to all viewers.
async fn serve(
    pool: &Pool,
    client: impl AsyncRead + Unpin,
    viewers: broadcast::Sender<SharedSample>,
) -> Result<usize, Box<dyn std::error::Error>> {
    let decoder = ClientFrames { max_payload: 4096 };
    let mut frames = FrameReader::new(client, pool, decoder);
    let mut sent = 0;
    while let Some(frame) = frames.next_part().await {
        let Some((TEXT, text)) = payload(frame?)? else {
            break; // a close
        };
        let text = text.freeze();
        sent += viewers.send(text).unwrap_or(0); // none is left to see it
    }
    Ok(sent)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder().buffers(8).size(16 * 1024).build()?;
    let (sender, _) = broadcast::channel::<SharedSample>(16);
    let mut viewers = tokio::task::JoinSet::new();
    for viewer in 1..=3 {
        let mut texts = sender.subscribe();
        viewers.spawn(async move {
            while let Ok(text) = texts.recv().await {
                println!("viewer {viewer}: {}", String::from_utf8_lossy(&text));
            }
        });
    }
    let (mut client, server) = tokio::io::duplex(4096);
    let key = [0x37, 0xFA, 0x21, 0x3D];
    for text in [
        "Hello",
        "three frames in one read",
        "none of them is copied",
    ] {
        client
            .write_all(&masked(TEXT, text.as_bytes(), key))
            .await?;
    }
    client.write_all(&masked(CLOSE, &[], key)).await?;
    let sent = serve(&pool, server, sender).await?;
    viewers.join_all().await;
    assert_eq!((sent, pool.free_count()), (9, 8));
    println!("{sent} texts were sent, and all buffers are free");
    Ok(())
}
