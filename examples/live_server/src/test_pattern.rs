//! Channel `test`: a moving picture with a frame counter, made here, 25 times a second.
//!
//! It shows the pool without any source, and it is a source like any other: it waits for a sample,
//! encodes into it, and publishes it.

use crate::{
    channel::{Kind, Source},
    ingest,
};
use jpeg_encoder::{ColorType, Encoder};
use sample_pool::{GetBufferError, Quota, Sample};
use std::time::{Duration, Instant};
use tokio::{task, time};

const WIDTH: u16 = 480;
const HEIGHT: u16 = 270;
const INTERVAL: Duration = Duration::from_millis(40);
const QUALITY: u8 = 75;

/// White, yellow, cyan, green, magenta, red, blue: the bars that every engineer knows.
const BARS: [[u8; 3]; 7] = [
    [192, 192, 192],
    [192, 192, 0],
    [0, 192, 192],
    [0, 192, 0],
    [192, 0, 192],
    [192, 0, 0],
    [0, 0, 192],
];

/// The digits, three columns by five rows, a row in three bits.
const DIGITS: [[u8; 5]; 10] = [
    [0b111, 0b101, 0b101, 0b101, 0b111],
    [0b010, 0b110, 0b010, 0b010, 0b111],
    [0b111, 0b001, 0b111, 0b100, 0b111],
    [0b111, 0b001, 0b111, 0b001, 0b111],
    [0b101, 0b101, 0b111, 0b001, 0b001],
    [0b111, 0b100, 0b111, 0b001, 0b111],
    [0b111, 0b100, 0b111, 0b101, 0b111],
    [0b111, 0b001, 0b001, 0b010, 0b010],
    [0b111, 0b101, 0b111, 0b101, 0b111],
    [0b111, 0b101, 0b111, 0b001, 0b111],
];

/// Feeds the pattern to `source` until its channel is removed, the pool is decommitted, or pictures do not fit its buffers.
pub(crate) async fn run(source: Source, most: usize, epoch: Instant) {
    let mut ticks = time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Skip);
    for count in 1.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = source.removed() => return,
        }
        match next(source.pictures(), count, most, epoch).await {
            Ok(Some(sample)) => {
                // Not before there is one, or its viewers would wait for ever.
                if count == 1 && source.begin(Kind::Jpeg).is_err() {
                    return;
                }
                source.publish(sample);
            }
            Ok(None) => {
                eprintln!("no test pattern: its pictures are larger than {most} bytes");
                return;
            }
            Err(_decommitted) => return,
        }
    }
}

/// The next picture; `None` if it does not fit.
async fn next(
    pictures: &Quota,
    count: u64,
    most: usize,
    epoch: Instant,
) -> Result<Option<Sample>, GetBufferError> {
    let mut sample = pictures.get_buffer().await?;
    // Encoding takes milliseconds, so not on a thread that drives tasks.
    let encoded = task::spawn_blocking(move || {
        let pixels = draw(count);
        let encoder = Encoder::new(&mut sample, QUALITY);
        let encoded = encoder.encode(&pixels, WIDTH, HEIGHT, ColorType::Rgb);
        let fits = encoded.is_ok() && sample.len() <= most;
        ingest::stamp(&mut sample, epoch);
        fits.then_some(sample)
    });
    Ok(encoded.await.unwrap_or(None))
}

/// Draws picture number `count`: bars that drift, a line that sweeps, and the number.
fn draw(count: u64) -> Vec<u8> {
    let (width, height) = (usize::from(WIDTH), usize::from(HEIGHT));
    let shift = usize::try_from(count * 2 % u64::from(WIDTH)).unwrap_or(0);
    let sweep = usize::try_from(count * 3 % u64::from(HEIGHT)).unwrap_or(0);
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let bar = BARS[(x + shift) % width * BARS.len() / width];
            let bright = y.abs_diff(sweep) < 2;
            pixels.extend(bar.map(|colour| if bright { 255 } else { colour }));
        }
    }
    write_number(&mut pixels, count);
    pixels
}

/// Writes the number on a dark plate in the middle.
fn write_number(pixels: &mut [u8], number: u64) {
    const SCALE: usize = 10;
    let digits = format!("{number:06}");
    let plate = (digits.len() * 4 * SCALE + SCALE, 7 * SCALE);
    let corner = (
        (usize::from(WIDTH) - plate.0) / 2,
        (usize::from(HEIGHT) - plate.1) / 2,
    );
    fill(pixels, corner, plate, [16, 16, 24]);
    for (column, digit) in digits.bytes().enumerate() {
        let rows = DIGITS[usize::from(digit - b'0')];
        for (y, row) in rows.into_iter().enumerate() {
            for x in (0..3).filter(|x| row & (0b100 >> x) != 0) {
                let at = (
                    corner.0 + (1 + column * 4 + x) * SCALE,
                    corner.1 + (1 + y) * SCALE,
                );
                fill(pixels, at, (SCALE, SCALE), [240, 240, 240]);
            }
        }
    }
}

fn fill(pixels: &mut [u8], at: (usize, usize), size: (usize, usize), colour: [u8; 3]) {
    for y in at.1..at.1 + size.1 {
        for x in at.0..at.0 + size.0 {
            let pixel = (y * usize::from(WIDTH) + x) * 3;
            pixels[pixel..pixel + 3].copy_from_slice(&colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        channel::Channels,
        jpeg::parser::{Event, FrameParser, Skipped},
        memory::{self, FEWEST_BUFFERS},
    };
    use bytes::Bytes;
    use sample_pool::fan_out::HoldLimit;

    #[tokio::test]
    async fn each_picture_is_a_jpeg_of_its_own_and_they_differ() {
        let pool = crate::memory::pool(10, 100_000).unwrap();
        let (quota, epoch) = (pool.quota("test", 2), Instant::now());
        let first = next(&quota, 1, 100_000, epoch).await.unwrap().unwrap();
        let second = next(&quota, 2, 100_000, epoch).await.unwrap().unwrap();
        assert_ne!(first[..], second[..]);
        let mut parser = FrameParser::new();
        let mut stream = Bytes::copy_from_slice(&first);
        let mut picture = Vec::new();
        loop {
            match parser.next(&mut stream).unwrap() {
                Some(Event::Begin { length }) => assert_eq!(length, None),
                Some(Event::Piece(piece)) => picture.extend(piece),
                other => {
                    assert_eq!(other, Some(Event::End));
                    break;
                }
            }
        }
        assert_eq!(picture, first[..]);
        assert!(stream.is_empty());
        assert_eq!(parser.skipped(), Skipped::default());
    }

    #[tokio::test]
    async fn a_picture_that_does_not_fit_is_an_error() {
        let pool = crate::memory::pool(10, 2000).unwrap();
        let quota = pool.quota("test", 1);
        let none = next(&quota, 1, 2000, Instant::now()).await.unwrap();
        assert!(none.is_none());
        assert_eq!(pool.free_count(), 10);
    }

    /// It would draw without a viewer for as long as the server runs.
    #[tokio::test]
    async fn it_ends_when_its_channel_is_removed() {
        let pool = memory::pool(FEWEST_BUFFERS, 100_000).unwrap();
        let channels = Channels::new(&pool, &HoldLimit::new(FEWEST_BUFFERS / 2));
        let source = channels.open("test").unwrap();
        let running = tokio::spawn(run(source, 100_000, Instant::now()));
        // The first picture finds out by itself.
        while channels.status()[0].sequence == 0 {
            time::sleep(INTERVAL / 10).await;
        }
        assert!(!running.is_finished(), "before that it does not end");
        assert!(channels.remove("test"));
        let ended = time::timeout(Duration::from_secs(20), running).await;
        ended.expect("it ends").expect("no panic");
    }
}
