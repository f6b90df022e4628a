//! The events and metrics of a pool, with a `tracing` subscriber and a metrics recorder that print them.
//!
//! ```text
//! cargo run --example telemetry --features tracing,metrics
//! ```
//!
//! A server installs its own subscriber, and an exporter such as the one for Prometheus.

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use sample_pool::{
    Pool,
    metrics::{self, PoolMetrics},
};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE) // waits are TRACE; drains and exhaustion are DEBUG
        .with_writer(std::io::stdout)
        .with_ansi(false)
        .without_time()
        .init();
    let recorder = DebuggingRecorder::new();
    let recorded = recorder.snapshotter();
    recorder.install().expect("no other recorder is installed");
    metrics::describe();

    let pool = Pool::builder()
        .name("frames")
        .buffers(2)
        .size(4096)
        .track_holders(true)
        .measure_waits(true)
        .build()?;
    // One for each pool: it remembers which waits it has recorded, and a second one would record them again.
    let mut metrics = PoolMetrics::new(&pool);
    let watching = tokio::spawn(pool.detect_stalls(Duration::from_millis(50), |_| {}));

    let held = pool.get_buffers(2).await?;
    assert!(pool.try_get_buffer().is_err()); // event: the pool is exhausted
    let get = tokio::spawn(pool.get_buffer_owned()); // event: a get waits
    tokio::time::sleep(Duration::from_millis(100)).await; // event: it has waited too long
    drop(held);
    drop(get.await??); // event: its wait ended
    let callback = pool.on_release(|_| panic!("a bug in a callback"));
    std::panic::set_hook(Box::new(|_| {})); // do not print the panic message
    drop(pool.get_buffer().await?); // event: the callback panicked
    drop(callback);

    // A server records often, in a task: `tokio::spawn(metrics.record_every(Duration::from_secs(1)))`.
    assert!(metrics.record());
    pool.decommit(); // events: a drain began, and ended
    drop(pool);
    watching.await?;

    for (key, _unit, _described, value) in recorded.snapshot().into_vec() {
        let key = key.key();
        match value {
            DebugValue::Gauge(value) => println!("{} {value}", key.name()),
            DebugValue::Counter(value) => println!("{} {value}", key.name()),
            DebugValue::Histogram(waits) => {
                for wait in waits {
                    println!("{} {wait:.3}", key.name());
                }
            }
        }
    }
    Ok(())
}
