//! What must hold, whatever the figures: asserted in a few seconds.

use crate::{
    contender::Contender,
    measurement::{Measured, Times, measure},
    scenario::{Pace, Scenario},
};
use bytes::{BufMut, BytesMut};
use sample_pool::Pool;
use std::{hint::black_box, io, time::Duration};
use usage::Usage;

const TIMES: Times = Times {
    warm_up: Duration::from_millis(200),
    measured: Duration::from_millis(1000),
};

/// Long enough for the slow one to have read what the kernel keeps for it.
const DELIVERY_TIMES: Times = Times {
    warm_up: Duration::from_millis(200),
    measured: Duration::from_millis(2300),
};

const DELIVERY: Scenario = Scenario {
    name: "delivery",
    viewers: 5,
    slow: 1,
    frame_bytes: 64 * 1024,
    pace: Pace::Saturated,
};

/// Frames that are read one by one, so that what hyper allocates for each does not vary.
const ALLOCATIONS: Scenario = Scenario {
    name: "allocations",
    viewers: 1,
    slow: 0,
    frame_bytes: 1024,
    pace: Pace::PerSecond(500),
};

/// For what differs from run to run: the queries for the figures, and reads that hold two frames.
const TOLERANCE: f64 = 0.5;

/// Fails with what does not hold.
pub(crate) fn check() -> io::Result<()> {
    for contender in Contender::ALL {
        delivery(&measure(&DELIVERY, contender, DELIVERY_TIMES)?)?;
    }
    // Alone first: the runtimes of the measurements leave nothing behind that allocates.
    let fresh_alone = allocations_of(fresh_buffer);
    let pool = Pool::builder()
        .buffers(2)
        .size(1024)
        .build()
        .map_err(io::Error::other)?;
    let ours_alone = allocations_of(|| pooled_buffer(&pool));
    let fresh = measure(&ALLOCATIONS, Contender::BytesMut, TIMES)?.allocations_per_frame();
    let ours = measure(&ALLOCATIONS, Contender::SamplePool, TIMES)?.allocations_per_frame();
    let rest = fresh - fresh_alone;
    println!(
        "allocations per frame: {fresh:.2} with a fresh BytesMut, of which {fresh_alone:.2} are for the buffer; \
         {ours:.2} with sample-pool, of which {ours_alone:.2} should be"
    );
    hold(
        ours_alone < TOLERANCE,
        "a buffer of the pool is taken and frozen without an allocation",
    )?;
    hold(
        rest > 1.0,
        "axum and hyper allocate as well, or the servers were not counted",
    )?;
    hold(
        ours <= rest + TOLERANCE,
        "beside what the server does anyway, a frame costs no allocation",
    )
}

/// That every byte was right, every frame came to every viewer but the slow one and every buffer was returned was
/// asserted by the measurement; here, that there was something to assert.
fn delivery(measured: &Measured) -> io::Result<()> {
    let &Measured {
        contender,
        frames,
        delivered_frames,
        slow_frames,
        slow_skipped,
        closed_viewers,
        ..
    } = measured;
    println!(
        "{contender}: {frames} frames to {} viewers, {delivered_frames} deliveries, none skipped; \
         the slow one: {slow_frames} received, {slow_skipped} skipped",
        DELIVERY.viewers
    );
    hold(frames > 50, "the server delivers more than 50 frames")?;
    hold(
        delivered_frames > 50,
        "the viewers receive more than 50 frames",
    )?;
    hold(slow_frames > 0, "the slow viewer receives frames")?;
    hold(slow_skipped > 0, "the slow viewer skips frames")?;
    hold(closed_viewers == 0, "no viewer was closed")
}

fn hold(holds: bool, what: &str) -> io::Result<()> {
    if holds {
        Ok(())
    } else {
        Err(io::Error::other(format!("this does not hold: {what}")))
    }
}

fn allocations_of(mut once: impl FnMut()) -> f64 {
    const TIMES: u32 = 1000;
    let before = Usage::now().allocations;
    for _ in 0..TIMES {
        once();
    }
    (Usage::now().allocations - before) as f64 / f64::from(TIMES)
}

fn fresh_buffer() {
    let mut buffer = BytesMut::with_capacity(1024);
    buffer.put_slice(b"frame");
    let bytes = buffer.freeze();
    drop(black_box((bytes.clone(), bytes)));
}

fn pooled_buffer(pool: &Pool) {
    let mut sample = pool.try_get_buffer().expect("two are free");
    sample.put_slice(b"frame");
    let shared = sample.freeze();
    drop(black_box((shared.clone(), shared)));
}
