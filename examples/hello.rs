//! A sample from `builder()` to `Bytes` that several tasks share, until it is returned to the pool.
//!
//! ```text
//! cargo run --example hello
//! ```

use bytes::{BufMut, Bytes};
use sample_pool::Pool;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder().buffers(2).size(1500).build()?;

    let mut sample = pool.get_buffer().await?;
    sample.put_slice(b"hello, everyone");
    let packet: Bytes = sample.into_bytes();

    let clients = (1..=3).map(|client| {
        let packet = packet.clone();
        tokio::spawn(async move { println!("client {client} got {} bytes", packet.len()) })
    });
    let clients: Vec<_> = clients.collect();
    println!("{} of 2 buffers are free", pool.free_count());
    drop(packet);
    for client in clients {
        client.await?;
    }
    println!("{} of 2 buffers are free", pool.free_count());
    assert_eq!(pool.free_count(), 2);
    Ok(())
}
