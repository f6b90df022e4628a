//! Live pictures for any number of browsers: one source, a fan-out, and motion JPEG over HTTP.
//!
//! ```text
//! cargo run --example motion_jpeg
//! ```
//!
//! Then open the address that it prints. In place of a camera, the source draws ten pictures a second. Each
//! picture is one sample, and all viewers are sent that sample without a copy. A viewer has at most one sample
//! at a time, so a slow viewer skips pictures, and the source never waits for a viewer.
//!
//! A server on the internet also needs limits, timeouts and a rule for viewers that stall. The live server has
//! them: `cargo run --release` in the repository.

use axum::{Router, body::Body, http::header, response::IntoResponse, routing::get};
use bytes::BufMut;
use futures::{StreamExt, stream};
use sample_pool::{Pool, fan_out::FanOut};
use std::{convert::Infallible, io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time};

/// The fan-out keeps two pictures for viewers that are a little late. A viewer may start and continue with any
/// picture, since each is complete. Viewers hold at most `HELD` other pictures.
pub(crate) const BACKLOG: usize = 2;
const HELD: usize = 8;

/// One more than the fan-out and its viewers can hold, for the source to fill: so the source never waits.
const BUFFERS: usize = BACKLOG + HELD + 1;

/// Room before a picture for the header of its part; and room for the picture and the boundary after it.
const HEADROOM: usize = 64;
const SIZE: usize = 1024;

/// A browser shows a picture when it has read the boundary after it.
const BOUNDARY: &[u8] = b"\r\n--frame\r\n";
const CONTENT_TYPE: &str = "multipart/x-mixed-replace; boundary=frame";

/// Sends a picture every tenth of a second.
async fn produce(pool: &Pool, pictures: &FanOut) -> io::Result<()> {
    let mut clock = time::interval(Duration::from_millis(100));
    for number in 0.. {
        clock.tick().await;
        let mut sample = pool.get_buffer().await?;
        draw(&mut sample, number % BLOCKS);
        let length = sample.len();
        let head = format!("Content-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
        // Written into the headroom, since the length of the picture was not known before.
        sample.prepend(head.as_bytes()).map_err(io::Error::other)?;
        sample.put_slice(BOUNDARY);
        pictures.send(sample.freeze()).map_err(io::Error::other)?;
    }
    Ok(())
}

/// The response to a viewer: pictures until it disconnects.
fn show(pictures: &FanOut) -> impl IntoResponse + use<> {
    let begin = stream::iter([Ok::<_, Infallible>(BOUNDARY.into())]);
    let viewer = pictures.subscribe(1);
    let parts = viewer.map(|picture| Ok(picture.into_bytes()));
    let body = Body::from_stream(begin.chain(parts));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], body)
}

/// Serves until the future is dropped.
pub(crate) async fn serve(pool: Pool, listener: TcpListener) -> io::Result<()> {
    let pictures = Arc::new(FanOut::new(BACKLOG, HELD));
    let shown = pictures.clone();
    let router = Router::new().route("/", get(async move || show(&shown)));
    tokio::select! {
        ended = produce(&pool, &pictures) => ended,
        ended = axum::serve(listener, router) => ended,
    }
}

pub(crate) fn pool() -> Result<Pool, sample_pool::BuildError> {
    let pool = Pool::builder().buffers(BUFFERS).size(SIZE).prefix(HEADROOM);
    pool.build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:8000").await?;
    println!("http://{}", listener.local_addr()?);
    serve(pool()?, listener).await?;
    Ok(())
}

/// The number of 8 × 8 blocks in a picture of 320 × 240.
const BLOCKS: usize = 40 * 30;

/// Everything in a JPEG before its blocks. It has two Huffman codes for the difference of a block from the
/// block before: `0` for no difference, and `10` for a difference of eight bits, which follow. It has one code,
/// `0`, for a block that has one brightness throughout.
const JPEG_HEAD: [&[u8]; 6] = [
    b"\xff\xd8\xff\xdb\x00\x43\x00", // the quantization table: 4 for all
    &[4; 64],
    b"\xff\xc0\x00\x0b\x08\x00\xf0\x01\x40\x01\x01\x11\x00", // 240 lines of 320 grey pixels
    b"\xff\xc4\x00\x15\x00\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x00\x08", // codes of differences
    b"\xff\xc4\x00\x14\x10\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x00", // codes within a block
    b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00",
];

/// Draws a white square on grey.
fn draw(jpeg: &mut impl BufMut, square: usize) {
    for part in JPEG_HEAD {
        jpeg.put_slice(part);
    }
    let (mut bits, mut count) = (0u32, 0);
    let mut put = |code: u32, length: u32| {
        bits = bits << length | code;
        count += length;
        while count >= 8 {
            count -= 8;
            let byte = (bits >> count) as u8;
            jpeg.put_u8(byte);
            // Stuffing: without the zero, a decoder would read the byte as the start of a marker.
            if byte == 0xff {
                jpeg.put_u8(0);
            }
        }
    };
    for block in 0..BLOCKS {
        match block.wrapping_sub(square) {
            0 => put(0b101_1111_1110, 11), // brighter by 255 steps
            1 => put(0b100_0000_0000, 11), // and darker again
            _ => put(0b00, 2),
        }
    }
    put(0x7f, 7); // fills the last byte with ones
    jpeg.put_slice(b"\xff\xd9");
}
