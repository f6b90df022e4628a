//! A producer that works from the release callback, as a DirectShow source does; then the same with
//! `released()`.
//!
//! ```text
//! cargo run --example set_notify
//! ```
//!
//! The callback runs in the thread that dropped the last reference, so it does no work itself: it only notifies
//! the producer that a sample may be free. The producer misses no release, because it *registers before
//! checking*.

use bytes::{BufMut, Bytes};
use sample_pool::{GetBufferError, Pool};
use tokio::sync::mpsc;

const FRAMES: u32 = 10;

/// Fills and sends samples until none is free or all frames are sent.
fn produce(pool: &Pool, next: &mut u32, to: &mpsc::UnboundedSender<Bytes>) {
    while *next < FRAMES {
        let mut sample = match pool.try_get_buffer() {
            Ok(sample) => sample,
            Err(GetBufferError::Exhausted) => return,
            Err(error) => panic!("the pool is committed and not flushing: {error}"),
        };
        sample.put_u32(*next);
        *next += 1;
        to.send(sample.into_bytes()).expect("the consumer listens");
    }
}

/// Receives frames one after the other and drops each; checks that none is missing.
async fn consume(mut frames: mpsc::UnboundedReceiver<Bytes>) -> u32 {
    let mut count = 0u32;
    while let Some(frame) = frames.recv().await {
        assert_eq!(frame, count.to_be_bytes()[..], "frames come in order");
        count += 1;
        drop(frame);
        tokio::task::yield_now().await;
    }
    count
}

async fn with_a_callback(pool: &Pool) -> u32 {
    let (to, frames) = mpsc::unbounded_channel();
    let consumer = tokio::spawn(consume(frames));
    let (wake, mut woken) = mpsc::unbounded_channel();
    let guard = pool.on_release(move |pool| {
        // A hint: another task may take the sample before the producer does.
        println!("  released, {} free", pool.free_count());
        // This fails when the producer has ended, and then the hint is not needed.
        let _gone = wake.send(());
    });
    let mut next = 0;
    produce(pool, &mut next, &to);
    while next < FRAMES && woken.recv().await.is_some() {
        produce(pool, &mut next, &to);
    }
    drop((guard, to));
    consumer.await.expect("the consumer checks and returns")
}

async fn with_released(pool: &Pool) -> u32 {
    let (to, frames) = mpsc::unbounded_channel();
    let consumer = tokio::spawn(consume(frames));
    let mut next = 0;
    while next < FRAMES {
        let released = pool.released();
        produce(pool, &mut next, &to);
        if next < FRAMES {
            released.await;
        }
    }
    drop(to);
    consumer.await.expect("the consumer checks and returns")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder().buffers(3).size(64).build()?;
    println!("with a callback:");
    assert_eq!(with_a_callback(&pool).await, FRAMES);
    println!("with released():");
    assert_eq!(with_released(&pool).await, FRAMES);
    println!(
        "  {FRAMES} frames each through 3 buffers, {} are free",
        pool.free_count()
    );
    assert_eq!(pool.free_count(), 3);
    Ok(())
}
