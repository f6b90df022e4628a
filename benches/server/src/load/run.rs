//! One contender's server under the load, from its start to its end.

use super::{
    crowd::{Crowd, Delivered},
    plan::{self, CHANNELS, LARGEST},
    process::{self, Sample},
    sources::{self, Fed},
};
use crate::{
    contender::Contender,
    server::{self, BUFFERS, Server},
};
use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{
    task::{self, JoinHandle, LocalSet},
    time,
};
use usage::Usage;

/// How long viewers may take to join, to receive what was sent last, and to be forgotten.
const LIMIT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// For either side to see that a connection is gone.
const SETTLE: Duration = Duration::from_millis(300);

/// Between the last viewer's coming and the first figure.
const WARM_UP: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) contender: Contender,
    pub(crate) seconds: f64,
    pub(crate) delivered: Delivered,
    /// Of the server, each second.
    pub(crate) samples: Vec<Sample>,
    /// How often sources have left and come back.
    pub(crate) returns: u64,
    /// The server's open files before anybody came, and after all had left.
    pub(crate) descriptors_before: usize,
    pub(crate) descriptors_after: usize,
    /// How many buffers were free at the end, of how many; `None` if that is not known.
    pub(crate) free: Option<usize>,
    pub(crate) buffers: usize,
    /// CPU time of the load generator.
    pub(crate) generator_seconds: f64,
    /// How much of the machine was in use, by any process, of one.
    pub(crate) machine_busy: f64,
}

impl Loaded {
    /// From the first sample to the last.
    fn over(&self, figure: impl Fn(&Usage) -> f64) -> f64 {
        match &self.samples[..] {
            [first, .., last] => figure(&last.usage) - figure(&first.usage),
            _ => 0.0,
        }
    }

    /// CPU time of the server.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.over(|usage| usage.cpu_seconds)
    }

    pub(crate) fn allocations(&self) -> f64 {
        self.over(|usage| usage.allocations as f64)
    }
}

/// Fails if a byte of a frame is wrong, if one comes out of order, if a healthy viewer is closed, or if the last frame does
/// not reach everybody who is healthy.
pub(crate) fn run(contender: Contender, length: Duration) -> io::Result<Loaded> {
    let server = Server::start(contender, LARGEST)?;
    let (process, port) = (server.process(), server.port);
    // Once, so that whatever it opens for its first answer is open; and then without that connection.
    server::status(port)?;
    thread::sleep(SETTLE);
    let descriptors_before = process::descriptors(process)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured = LocalSet::new().block_on(&runtime, measure(process, port, length));
    // With the runtime go the viewers' connections.
    drop(runtime);
    let mut loaded = measured?.of(contender, descriptors_before);
    loaded.descriptors_after = descriptors_once_all_left(process, descriptors_before)?;
    loaded.free = server.end()?;
    Ok(loaded)
}

/// What is measured while they watch.
struct Measured {
    seconds: f64,
    delivered: Delivered,
    samples: Vec<Sample>,
    returns: u64,
    generator_seconds: f64,
    machine_busy: f64,
}

impl Measured {
    fn of(self, contender: Contender, descriptors_before: usize) -> Loaded {
        Loaded {
            contender,
            seconds: self.seconds,
            delivered: self.delivered,
            samples: self.samples,
            returns: self.returns,
            descriptors_before,
            descriptors_after: 0,
            free: None,
            buffers: BUFFERS,
            generator_seconds: self.generator_seconds,
            machine_busy: self.machine_busy,
        }
    }
}

/// Tells threads to stop, also when the run has failed: the runtime waits for them.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn measure(process: u32, port: u16, length: Duration) -> io::Result<Measured> {
    let crowd = Crowd::new(port);
    let stop = Stop(Arc::default());
    let mut feeding: Vec<JoinHandle<io::Result<Fed>>> = Vec::new();
    for stage in &crowd.stages {
        let (channel, footage) = (stage.channel, stage.footage.clone());
        let stop = stop.0.clone();
        // No camera waits for another, so their frames do not come together.
        time::sleep(plan::interval() / CHANNELS.len() as u32).await;
        feeding.push(task::spawn_blocking(move || {
            sources::feed(channel, port, &footage, &stop)
        }));
    }
    let begun = || {
        let status = server::status(port)?;
        let has_begun = |name| status.channel(name).is_some_and(|it| it.sequence > 0);
        Ok(CHANNELS.iter().all(|channel| has_begun(channel.name)))
    };
    wait_until(&crowd, "all sources have begun", begun).await?;
    crowd.come();
    wait_until(&crowd, "all viewers have come", || Ok(crowd.is_complete())).await?;
    time::sleep(WARM_UP).await;

    crowd.delivered.take();
    let end = Stop(Arc::default());
    let over = end.0.clone();
    let samples = task::spawn_blocking(move || process::watch(process, port, &over));
    let (used, machine) = (Usage::now().cpu_seconds, process::machine()?);
    let began = Instant::now();
    while began.elapsed() < length {
        fail_if_wrong(&crowd)?;
        if let Some(failed) = feeding.iter().position(JoinHandle::is_finished) {
            let fed = feeding.swap_remove(failed).await?;
            return Err(fed
                .err()
                .unwrap_or_else(|| io::Error::other("a source ended")));
        }
        time::sleep(LOOK).await;
    }
    drop(end);
    let samples = samples.await??;
    let generator_seconds = Usage::now().cpu_seconds - used;
    let (busy, all) = process::machine()?;
    let delivered = crowd.delivered.borrow().clone();
    let seconds = began.elapsed().as_secs_f64();

    drop(stop);
    let mut returns = 0;
    for (stage, feeding) in crowd.stages.iter().zip(feeding) {
        let fed = feeding.await??;
        returns += fed.returns;
        let what = format!("all of {} have the last frame", stage.channel.name);
        wait_until(&crowd, &what, || Ok(stage.all_have(fed.last))).await?;
    }
    // No viewer waits for anything now, and one who is closed for it would not be missed.
    time::sleep(SETTLE).await;
    fail_if_wrong(&crowd)?;
    Ok(Measured {
        seconds,
        delivered,
        samples,
        returns,
        generator_seconds,
        machine_busy: (busy - machine.0) as f64 / (all - machine.1) as f64,
    })
}

fn fail_if_wrong(crowd: &Crowd) -> io::Result<()> {
    match crowd.wrong.take() {
        Some(wrong) => Err(io::Error::other(wrong)),
        None => Ok(()),
    }
}

async fn wait_until(
    crowd: &Rc<Crowd>,
    what: &str,
    mut holds: impl FnMut() -> io::Result<bool>,
) -> io::Result<()> {
    let limit = Instant::now() + LIMIT;
    while !holds()? {
        fail_if_wrong(crowd)?;
        if Instant::now() > limit {
            let seconds = LIMIT.as_secs();
            return Err(io::Error::other(format!(
                "waited {seconds} s in vain until {what}"
            )));
        }
        time::sleep(LOOK).await;
    }
    Ok(())
}

/// How many it has open, once it has no more than before or the limit is over.
fn descriptors_once_all_left(process: u32, before: usize) -> io::Result<usize> {
    let limit = Instant::now() + LIMIT;
    loop {
        let now = process::descriptors(process)?;
        if now <= before || Instant::now() > limit {
            return Ok(now);
        }
        thread::sleep(LOOK);
    }
}
