//! One scenario with one contender, from the start of the server to its end.

use crate::{
    audience::{Audience, CHANNEL, Seen},
    contender::Contender,
    footage::Footage,
    scenario::{Pace, Scenario},
    server::{self, BUFFERS, Server, Status},
    source::{Due, Source},
};
use serde::{Deserialize, Serialize};
use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};
use tokio::{
    task::{self, LocalSet},
    time,
};

/// How long viewers may take to join, and to receive what was sent last.
const LIMIT: Duration = Duration::from_secs(10);

/// How long a scenario runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) scenario: String,
    pub(crate) contender: Contender,
    pub(crate) seconds: f64,
    /// Of the server alone.
    pub(crate) cpu_seconds: f64,
    pub(crate) system_seconds: f64,
    pub(crate) minor_faults: u64,
    pub(crate) allocations: u64,
    pub(crate) allocated_bytes: u64,
    pub(crate) peak_resident_bytes: u64,
    /// How many frames the server read.
    pub(crate) frames: u64,
    /// What all viewers together, but for the slow ones, received of them.
    pub(crate) delivered_frames: u64,
    pub(crate) delivered_bytes: u64,
    pub(crate) skipped: u64,
    pub(crate) worst_gap_seconds: f64,
    pub(crate) slow_frames: u64,
    pub(crate) slow_skipped: u64,
    pub(crate) closed_viewers: u64,
}

/// Runs it. Fails if a byte of a frame was wrong, a viewer was closed, the last frame did not reach
/// everybody, or a buffer was not returned.
pub(crate) fn measure(
    scenario: &Scenario,
    contender: Contender,
    times: Times,
) -> io::Result<Measured> {
    let server = Server::start(contender, scenario.frame_bytes)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured =
        LocalSet::new().block_on(&runtime, run(scenario, contender, times, server.port))?;
    // With the runtime go the viewers' connections.
    drop(runtime);
    let free = server.end()?;
    let expected = (contender != Contender::BytesMut).then_some(BUFFERS);
    if free != expected {
        return Err(io::Error::other(format!(
            "buffers that were returned: {free:?} instead of {expected:?}"
        )));
    }
    Ok(measured)
}

async fn run(
    scenario: &Scenario,
    contender: Contender,
    times: Times,
    port: u16,
) -> io::Result<Measured> {
    let footage = Arc::new(Footage::new(scenario.frame_bytes));
    let (all_received, received) = mpsc::channel();
    let (all_received, due) = match scenario.interval() {
        Some(interval) => (None, Due::Each(interval)),
        None => (Some(all_received), Due::Received(received)),
    };
    let audience = Audience::new(footage.clone(), scenario.viewers, all_received);
    let source = Source::open(port, CHANNEL, footage, 1)?;
    wait_until(&audience, "the first frame is there", || {
        Ok(server::status(port)?.frames() == 1)
    })
    .await?;
    for _ in 0..scenario.viewers {
        task::spawn_local(audience.clone().watch(port));
    }
    for _ in 0..scenario.slow {
        task::spawn_local(audience.clone().watch_slowly(port));
    }
    wait_until(&audience, "all viewers have the first frame", || {
        Ok(audience.all_have(1))
    })
    .await?;

    let stop = Arc::new(AtomicBool::new(false));
    let sending = {
        let stop = stop.clone();
        task::spawn_blocking(move || source.run(&due, &stop))
    };
    time::sleep(times.warm_up).await;
    let (began, before) = (Instant::now(), status(port).await?);
    audience.begin();
    time::sleep(times.measured).await;
    let (ended, after) = (Instant::now(), status(port).await?);
    let (healthy, slow) = (*audience.healthy.borrow(), *audience.slow.borrow());
    stop.store(true, Ordering::Relaxed);
    let sent = sending.await?;
    // What a viewer found wrong keeps the source waiting as well, and is the better answer.
    if let Some(wrong) = audience.wrong.take() {
        return Err(io::Error::other(wrong));
    }
    let sent = sent?;
    wait_until(&audience, "all viewers have the last frame", || {
        Ok(audience.all_have(sent))
    })
    .await?;
    if let Some(wrong) = audience.wrong.take() {
        return Err(io::Error::other(wrong));
    }
    // Every viewer had the first frame before the second was sent, and now has the last.
    let (received, skipped) = (audience.ever_received.get(), audience.ever_skipped.get());
    let due = sent * scenario.viewers as u64;
    if received + skipped != due {
        return Err(io::Error::other(format!(
            "{due} deliveries were due; {received} came and {skipped} were skipped"
        )));
    }
    if scenario.pace == Pace::Saturated && skipped > 0 {
        return Err(io::Error::other(format!(
            "{skipped} frames were skipped, and no viewer lagged"
        )));
    }
    Ok(Measured::new(
        scenario,
        contender,
        ended - began,
        &before,
        &after,
        healthy,
        slow,
    ))
}

async fn status(port: u16) -> io::Result<Status> {
    task::spawn_blocking(move || server::status(port)).await?
}

async fn wait_until(
    audience: &Rc<Audience>,
    what: &str,
    mut holds: impl FnMut() -> io::Result<bool>,
) -> io::Result<()> {
    let limit = Instant::now() + LIMIT;
    while !holds()? {
        if let Some(wrong) = audience.wrong.take() {
            return Err(io::Error::other(wrong));
        }
        if Instant::now() > limit {
            return Err(io::Error::other(format!(
                "waited {} s in vain until {what}",
                LIMIT.as_secs()
            )));
        }
        time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

impl Measured {
    fn new(
        scenario: &Scenario,
        contender: Contender,
        elapsed: Duration,
        before: &Status,
        after: &Status,
        healthy: Seen,
        slow: Seen,
    ) -> Self {
        let (earlier, later) = (&before.usage, &after.usage);
        Measured {
            scenario: scenario.name.to_owned(),
            contender,
            seconds: elapsed.as_secs_f64(),
            cpu_seconds: later.cpu_seconds - earlier.cpu_seconds,
            system_seconds: later.system_seconds - earlier.system_seconds,
            minor_faults: later.minor_faults - earlier.minor_faults,
            allocations: later.allocations - earlier.allocations,
            allocated_bytes: later.allocated_bytes - earlier.allocated_bytes,
            peak_resident_bytes: later.peak_resident_bytes,
            frames: after.frames() - before.frames(),
            delivered_frames: healthy.frames,
            delivered_bytes: healthy.bytes,
            skipped: healthy.skipped,
            worst_gap_seconds: healthy.worst_gap.as_secs_f64(),
            slow_frames: slow.frames,
            slow_skipped: slow.skipped,
            closed_viewers: after.closed_viewers,
        }
    }

    pub(crate) fn bytes_per_cpu_second(&self) -> f64 {
        self.delivered_bytes as f64 / self.cpu_seconds
    }

    pub(crate) fn allocations_per_frame(&self) -> f64 {
        self.allocations as f64 / self.frames as f64
    }
}
