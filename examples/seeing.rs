//! How to see why a pool is exhausted: how much memory is pinned and unused, which lines hold it, and which get
//! has waited too long.
//!
//! ```text
//! cargo run --example seeing
//! ```
//!
//! A relay reads packets and keeps the name of each sender. A name is a slice of a few bytes that pins a whole
//! buffer, so after eight packets the relay waits for samples that it holds itself. The stall detector reports
//! this, with the line that took the samples. To fix it, the relay copies the names.

use bytes::{BufMut, Bytes};
use sample_pool::{GetBufferError, Pool};
use std::time::Duration;

const PACKETS: usize = 20;
const NAME: usize = 12;

/// Reads a packet of a kilobyte.
async fn read_packet(pool: &Pool, number: usize) -> Result<Bytes, GetBufferError> {
    let mut sample = pool.get_buffer_timeout(Duration::from_millis(300)).await?;
    write_packet(&mut sample, number);
    Ok(sample.into_bytes())
}

fn write_packet(mut to: impl BufMut, number: usize) {
    to.put_slice(format!("sender {number:05}").as_bytes());
    to.put_bytes(7, 1024 - NAME);
}

/// Keeps the name of each sender, as `keep` returns it. Returns the names that were read before an error.
async fn relay(pool: &Pool, keep: impl Fn(&Bytes) -> Bytes) -> Vec<Bytes> {
    let mut names = Vec::new();
    for number in 0..PACKETS {
        match read_packet(pool, number).await {
            Ok(packet) => names.push(keep(&packet)),
            Err(error) => {
                println!("packet {number}: {error}");
                break;
            }
        }
    }
    names
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder()
        .name("packets")
        .buffers(8)
        .size(16 * 1024)
        .track_holders(true) // for the lines that hold samples
        .measure_waits(true) // for the time that gets wait
        .build()?;

    // In a server this goes to the log.
    tokio::spawn(pool.detect_stalls(Duration::from_millis(100), |stall| println!("{stall}")));

    println!("with slices:");
    let names = relay(&pool, |packet| packet.slice(..NAME)).await;
    assert_eq!(names.len(), 8, "one for each buffer");
    let status = pool.status();
    println!(
        "kept: {} names of {NAME} bytes, in samples of {} bytes, which pin {}",
        names.len(),
        status.bytes_used,
        status.bytes_pinned
    );
    drop(names);

    println!("\nwith copies:");
    let names = relay(&pool, |packet| Bytes::copy_from_slice(&packet[..NAME])).await;
    assert_eq!(names.len(), PACKETS);
    println!("kept: {} names\n{}", names.len(), pool.report());
    assert_eq!(pool.status().bytes_pinned, 0);
    Ok(())
}
