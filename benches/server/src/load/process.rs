//! The server's process from outside, once a second.

use super::waits::Waits;
use crate::server;
use std::{
    fs, io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use usage::Usage;

const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// Those of the server's threads and of the load generator's.
    pub(crate) waits: Waits,
    pub(crate) usage: Usage,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    /// How many buffers were free, if that is known.
    pub(crate) free: Option<usize>,
    /// How many viewers the server has closed so far.
    pub(crate) closed_viewers: u64,
}

impl Sample {
    pub(crate) fn take(process: u32, port: u16) -> io::Result<Self> {
        let status = server::status(port)?;
        Ok(Sample {
            at: Instant::now(),
            waits: Waits::of(&[process, std::process::id()])?,
            usage: status.usage,
            descriptors: descriptors(process)?,
            threads: fs::read_dir(format!("/proc/{process}/task"))?.count(),
            free: status.free,
            closed_viewers: status.closed_viewers,
        })
    }
}

/// One now and then one each second, until it is stopped, and one more.
pub(crate) fn watch(process: u32, port: u16, stop: &AtomicBool) -> io::Result<Vec<Sample>> {
    let mut samples = vec![Sample::take(process, port)?];
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        next += INTERVAL;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        samples.push(Sample::take(process, port)?);
    }
    Ok(samples)
}

pub(crate) fn descriptors(process: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count())
}

/// What all processes of the machine have used so far, and what they could have.
pub(crate) fn machine() -> io::Result<(u64, u64)> {
    // Behind them stands what guests have used, which is counted once already.
    const TIMES: usize = 8;
    const IDLE: [usize; 2] = [3, 4];
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    let times = first.split_whitespace().skip(1).take(TIMES);
    let times: Vec<u64> = times.filter_map(|time| time.parse().ok()).collect();
    let all = times.iter().sum();
    let idle: u64 = IDLE.iter().filter_map(|&at| times.get(at)).sum();
    Ok((all - idle, all))
}
