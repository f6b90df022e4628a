//! The report: the status of a pool and the holders of its samples by call site, for people to read.

#![forbid(unsafe_code)]

use crate::{
    core::{engine::Engine, getters::HeldSlot, handle::Pool},
    values::{
        escape::escaped,
        quota_status::QuotaStatus,
        status::{State, Status},
        undelivered::{self, Undelivered},
        wait_histogram::WaitHistogram,
    },
};
use std::{
    fmt,
    panic::Location,
    sync::Arc,
    time::{Duration, Instant},
};

/// The status of a pool and the holders of its samples, by call site. It is made to be printed; see [`Pool::report`].
///
/// It is not a snapshot: the parts are read one after the other while samples move, so they may not agree with each
/// other. If no thread uses the pool at that time, all parts are exact.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Report {
    /// The name that [`Builder::name`](crate::Builder::name) set.
    pub name: Option<Arc<str>>,
    /// The status of the pool. Each field documents how exact it is.
    pub status: Status,
    /// The lengths of the waits; `None` unless [`Builder::measure_waits`](crate::Builder::measure_waits) was set.
    pub wait_histogram: Option<WaitHistogram>,
    /// The quotas in use, in the order in which they were made.
    pub quotas: Vec<QuotaStatus>,
    /// The call sites whose samples users hold, the one with the most samples first; `None` unless
    /// [`Builder::track_holders`](crate::Builder::track_holders) was set.
    pub call_sites: Option<Vec<CallSite>>,
    /// The call sites whose gets have samples that no user received yet, the one with the most samples first; `None`
    /// unless [`Builder::track_holders`](crate::Builder::track_holders) was set.
    pub undelivered: Option<Vec<Undelivered>>,
}

/// The held samples that one line of the program asked for, through one quota or through none.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSite {
    /// The line that asked for the samples. It is not where they were frozen, cloned or sent later.
    pub location: &'static Location<'static>,
    /// The name of the quota in which they are in use.
    pub quota: Option<Arc<str>>,
    /// How many samples from there are held now.
    pub samples: usize,
    /// How long the oldest of them has been outstanding.
    pub oldest: Duration,
    /// How many bytes were written to them; as uncertain as [`Status::bytes_used`].
    pub bytes_used: usize,
    /// How many bytes their buffers take, and so keep from others.
    pub bytes_pinned: usize,
    /// How many handles to them exist. Each clone and each slice is one; a [`Bytes`](bytes::Bytes) is one together with
    /// all its own clones.
    pub handles: usize,
}

impl Pool {
    /// Returns the status of the pool and the holders of its samples by call site, to be printed.
    ///
    /// Without [`Builder::track_holders`](crate::Builder::track_holders) the holders are unknown, and the report says
    /// so. Without [`Builder::measure_waits`](crate::Builder::measure_waits) it has no lengths of waits. It costs as
    /// much as [`status`](Pool::status) and [`holders`](Pool::holders).
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().name("relay").buffers(8).track_holders(true).build()?;
    /// let packets = pool.try_get_buffers(3)?;
    /// println!("{}", pool.report());
    /// # let said = pool.report().to_string();
    /// # assert!(said.starts_with("pool \"relay\": 5 of 8 free, 3 outstanding, none waiting; 0 bytes used of "), "{said}");
    /// # assert!(said.contains("\n  3 samples for ") && said.contains(file!()), "{said}");
    /// # drop(packets);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// prints
    ///
    /// ```text
    /// pool "relay": 5 of 8 free, 3 outstanding, none waiting; 0 bytes used of 192.0 KiB pinned
    ///   3 samples for 1.2ms, 0 bytes used of 192.0 KiB pinned, 3 handles: src/main.rs:4:20
    /// ```
    #[must_use]
    pub fn report(&self) -> Report {
        Report::of(ReportData::of(self.engine()))
    }
}

/// The data of a report, as it was read.
pub(crate) struct ReportData {
    name: Option<Arc<str>>,
    status: Status,
    wait_histogram: Option<WaitHistogram>,
    stride: usize,
    quotas: Vec<QuotaStatus>,
    held: Option<Vec<HeldSlot>>,
    undelivered: Option<Vec<Undelivered>>,
}

impl ReportData {
    pub(crate) fn of(engine: &Engine) -> ReportData {
        // The accounts have locks of their own, which are not taken under the pool's.
        let quotas = engine.quotas();
        let (status, held, shared) = engine.status_and_held();
        ReportData {
            name: engine.shared_name(),
            status,
            wait_histogram: engine.wait_histogram(),
            stride: shared.stride(),
            quotas,
            undelivered: held.as_ref().map(|_held| shared.undelivered()),
            held,
        }
    }
}

impl Report {
    /// Groups the data. This needs no lock.
    pub(crate) fn of(data: ReportData) -> Self {
        Report {
            name: data.name,
            status: data.status,
            wait_histogram: data.wait_histogram,
            quotas: data.quotas,
            call_sites: data.held.map(|held| by_call_site(held, data.stride)),
            undelivered: data.undelivered.map(undelivered::by_location),
        }
    }

    /// How many samples are in transit: outstanding, but neither held nor kept by a get whose call site is known.
    fn moving(&self, call_sites: &[CallSite]) -> usize {
        let held: usize = call_sites.iter().map(|site| site.samples).sum();
        let undelivered = self.undelivered.iter().flatten();
        let kept: usize = undelivered.map(|get| get.handed + get.gathered).sum();
        self.status.outstanding.saturating_sub(held + kept)
    }
}

fn by_call_site(mut held: Vec<HeldSlot>, stride: usize) -> Vec<CallSite> {
    // By value: one call site can have several `Location`s, at several addresses.
    held.sort_by(|one, next| call_site_of(one).cmp(&call_site_of(next)));
    let groups = held.chunk_by(|one, next| call_site_of(one) == call_site_of(next));
    // One reading of the clock for all, so that their ages can be compared.
    let now = Instant::now();
    let call_sites = groups.map(|group| CallSite::of(group, stride, now));
    let mut call_sites: Vec<_> = call_sites.collect();
    call_sites.sort_by_key(|site| std::cmp::Reverse((site.samples, site.oldest)));
    call_sites
}

fn call_site_of(held: &HeldSlot) -> (&Location<'static>, Option<&str>) {
    (held.location, held.quota.as_deref())
}

impl CallSite {
    /// The call site of `held`, which one line asked for. There is at least one sample.
    fn of(held: &[HeldSlot], stride: usize, now: Instant) -> Self {
        let ages = held
            .iter()
            .map(|held| now.saturating_duration_since(held.since));
        CallSite {
            location: held[0].location,
            quota: held[0].quota.clone(),
            samples: held.len(),
            oldest: ages.max().unwrap_or_default(),
            bytes_used: held.iter().map(|held| held.written).sum(),
            bytes_pinned: held.len() * stride,
            handles: held.iter().map(HeldSlot::handles).sum(),
        }
    }
}

/// A line for the pool, then one for each quota and each call site. There is no line feed at the end. Characters of a
/// name that cannot be printed are escaped, so a name cannot fake a line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = &self.status;
        f.write_str("pool")?;
        if let Some(name) = &self.name {
            // `Debug`, because the name stands in quotation marks: it escapes these too.
            write!(f, " {name:?}")?;
        }
        match status.state {
            State::Unconfigured => f.write_str(", not configured")?,
            State::Configured => f.write_str(", not committed")?,
            State::Committed => {}
            State::Draining => f.write_str(", draining")?,
        }
        write!(f, ": {} of {} free", status.free, status.buffers)?;
        if status.priority_free > 0 {
            write!(f, ", {} of them for high priority", status.priority_free)?;
        }
        write!(f, ", {} outstanding, ", status.outstanding)?;
        match status.waiting {
            0 => f.write_str("none waiting")?,
            waiting => write!(f, "{waiting} waiting")?,
        }
        if let Some(oldest) = status.oldest_wait {
            write!(f, ", the first for {oldest:.1?}")?;
        }
        let (used, pinned) = (Size(status.bytes_used), Size(status.bytes_pinned));
        write!(f, "; {used} used of {pinned} pinned")?;
        if let Some(times) = self
            .wait_histogram
            .as_ref()
            .filter(|times| times.count() > 0)
        {
            // A quantile is rounded up to the end of its bucket, but the longest wait is known exactly.
            let longest = status.max_wait.unwrap_or(Duration::MAX);
            let of = |share| times.quantile(share).unwrap_or_default().min(longest);
            let (half, nearly_all) = (of(0.5), of(0.99));
            let count = Count(times.count(), "wait");
            write!(f, "\n  {count} so far: half took at most {half:.1?}")?;
            write!(f, ", 99 of 100 at most {nearly_all:.1?}")?;
        }
        for quota in &self.quotas {
            write!(f, "\n  quota {quota}")?;
        }
        let Some(call_sites) = &self.call_sites else {
            return f.write_str("\n  holders are not known: track_holders was not set");
        };
        for site in call_sites {
            write!(f, "\n  {site}")?;
        }
        for gets in self.undelivered.iter().flatten() {
            write!(f, "\n  {gets}")?;
        }
        match self.moving(call_sites) {
            0 => Ok(()),
            moving => write!(f, "\n  {} on the way", Count(moving as u64, "sample")),
        }
    }
}

/// `3 samples for 1.2s, 12.0 KiB used of 192.0 KiB pinned, 4 handles: src/main.rs:10:5`
impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples = Count(self.samples as u64, "sample");
        let handles = Count(self.handles as u64, "handle");
        let (used, pinned) = (Size(self.bytes_used), Size(self.bytes_pinned));
        write!(
            f,
            "{samples} for {:.1?}, {used} used of {pinned} pinned, {handles}",
            self.oldest
        )?;
        if let Some(quota) = &self.quota {
            write!(f, ", of {}", escaped(quota))?;
        }
        write!(f, ": {}", self.location)
    }
}

/// A number and what it counts, in the singular or the plural.
struct Count(u64, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

/// A number of bytes, printed in bytes, KiB, MiB or GiB by its size.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1024 => Count(self.0 as u64, "byte").fmt(f),
            1024..1_048_576 => write!(f, "{:.1} KiB", bytes / 1024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", bytes / 1_048_576.0),
            _ => write!(f, "{:.1} GiB", bytes / 1_073_741_824.0),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_printed_in_the_unit_that_suits_it() {
        for (bytes, printed) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (3 << 20, "3.0 MiB"),
            (5 << 29, "2.5 GiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), printed);
        }
    }
}
