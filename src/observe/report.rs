//! What a pool says of itself, to be read: how it stands, and who holds its samples.

#![forbid(unsafe_code)]

use crate::{
    core::{
        engine::{Engine, Shared},
        handle::Pool,
        look::Held,
    },
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

/// How a pool stands and who holds its samples, by call site. Made to be printed; see [`Pool::report`].
///
/// Not a snapshot: the parts are read one after the other while samples move, so they need not agree with
/// each other. In a pool that nobody is using at the time, all are exact.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Report {
    /// What [`Builder::name`](crate::Builder::name) set.
    pub name: Option<Arc<str>>,
    /// How the pool stands. Each field says what it may be wrong about.
    pub status: Status,
    /// How long gets waited; `None` unless [`Builder::measure_waits`](crate::Builder::measure_waits).
    pub wait_histogram: Option<WaitHistogram>,
    /// The quotas that are in use, in the order in which they were made.
    pub quotas: Vec<QuotaStatus>,
    /// The lines that asked for what users hold, the one with the most samples first; `None` unless
    /// [`Builder::track_holders`](crate::Builder::track_holders).
    pub call_sites: Option<Vec<CallSite>>,
    /// The lines whose gets have samples that no user has yet, the one with the most samples first; `None` unless
    /// [`Builder::track_holders`](crate::Builder::track_holders).
    pub undelivered: Option<Vec<Undelivered>>,
}

/// What the samples have in common that one line of the program asked for, through one quota or none.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSite {
    /// The line that asked for the samples; not where they were frozen, cloned or sent since.
    pub location: &'static Location<'static>,
    /// The quota that they are charged to, by name.
    pub quota: Option<Arc<str>>,
    /// How many samples from there are held now.
    pub samples: usize,
    /// For how long the first of them has been out.
    pub oldest: Duration,
    /// How many bytes stand in them; as uncertain as [`Status::bytes_used`].
    pub bytes_used: usize,
    /// How many bytes of buffers they keep from others.
    pub bytes_pinned: usize,
    /// How many handles to them there are: clones and slices, and a [`Bytes`](bytes::Bytes) once with all
    /// its own clones.
    pub handles: usize,
}

impl Pool {
    /// How the pool stands and who holds its samples, by call site, to be printed.
    ///
    /// Without [`Builder::track_holders`](crate::Builder::track_holders) it cannot say who holds them, and
    /// says so; without [`Builder::measure_waits`](crate::Builder::measure_waits), nor how long gets wait.
    /// It costs what [`status`](Pool::status) and [`holders`](Pool::holders) cost.
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
    /// # assert!(said.starts_with("pool \"relay\": 5 of 8 free, 3 out, none waiting; 0 bytes used of 192.0 KiB"), "{said}");
    /// # assert!(said.contains("\n  3 samples for ") && said.contains(file!()), "{said}");
    /// # drop(packets);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// prints
    ///
    /// ```text
    /// pool "relay": 5 of 8 free, 3 out, none waiting; 0 bytes used of 192.0 KiB pinned
    ///   3 samples for 1.2ms, 0 bytes used of 192.0 KiB pinned, 3 handles: src/main.rs:4:20
    /// ```
    #[must_use]
    pub fn report(&self) -> Report {
        let engine = self.engine();
        let seen = Seen::of(engine, &engine.lock());
        Report::of(seen)
    }
}

/// What a report is made of, as it was seen under the lock.
pub(crate) struct Seen {
    name: Option<Arc<str>>,
    status: Status,
    wait_histogram: Option<WaitHistogram>,
    stride: usize,
    quotas: Vec<QuotaStatus>,
    held: Option<Vec<Held>>,
    undelivered: Option<Vec<Undelivered>>,
}

impl Seen {
    pub(crate) fn of(engine: &Engine, shared: &Shared) -> Seen {
        let tracks = engine.tracks_holders();
        Seen {
            name: engine.shared_name(),
            status: engine.status(shared),
            wait_histogram: engine.wait_histogram(),
            stride: shared.stride(),
            quotas: engine.quotas(),
            held: tracks.then(|| engine.held(shared).collect()),
            undelivered: tracks.then(|| shared.undelivered()),
        }
    }
}

impl Report {
    /// Groups what was seen. Nothing of it needs the lock.
    pub(crate) fn of(seen: Seen) -> Self {
        Report {
            name: seen.name,
            status: seen.status,
            wait_histogram: seen.wait_histogram,
            quotas: seen.quotas,
            call_sites: seen.held.map(|held| by_call_site(held, seen.stride)),
            undelivered: seen.undelivered.map(undelivered::by_location),
        }
    }

    /// How many samples are out, and neither held nor kept by a get whose line is known: they are moving.
    fn moving(&self, call_sites: &[CallSite]) -> usize {
        let held: usize = call_sites.iter().map(|site| site.samples).sum();
        let undelivered = self.undelivered.iter().flatten();
        let kept: usize = undelivered.map(|get| get.handed + get.gathered).sum();
        self.status.outstanding.saturating_sub(held + kept)
    }
}

fn by_call_site(mut held: Vec<Held>, stride: usize) -> Vec<CallSite> {
    // By value: a line can have several addresses.
    held.sort_by(|one, next| asked_by(one).cmp(&asked_by(next)));
    let groups = held.chunk_by(|one, next| asked_by(one) == asked_by(next));
    // One moment for all, so that their ages can be compared.
    let now = Instant::now();
    let call_sites = groups.map(|group| CallSite::of(group, stride, now));
    let mut call_sites: Vec<_> = call_sites.collect();
    call_sites.sort_by_key(|site| std::cmp::Reverse((site.samples, site.oldest)));
    call_sites
}

fn asked_by(held: &Held) -> (&Location<'static>, Option<&str>) {
    (held.location, held.quota.as_deref())
}

impl CallSite {
    /// Of samples that one line asked for; there is at least one.
    fn of(held: &[Held], stride: usize, now: Instant) -> Self {
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
            handles: held.iter().map(Held::handles).sum(),
        }
    }
}

/// The pool's head line, then one for each call site; no line feed at the end. What cannot be printed of a name is
/// escaped, so no name can forge a line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = &self.status;
        f.write_str("pool")?;
        if let Some(name) = &self.name {
            // In quotation marks, so these are escaped too.
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
            write!(f, ", {} of them reserved", status.priority_free)?;
        }
        write!(f, ", {} out, ", status.outstanding)?;
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
            // The longest is known exactly, and what is counted may be told a little longer.
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
            return f.write_str("\n  who holds what is not known: track_holders was not set");
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

/// So many of something.
struct Count(u64, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

/// A number of bytes, in the unit that suits it.
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
    fn a_size_is_told_in_the_unit_that_suits_it() {
        for (bytes, told) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (3 << 20, "3.0 MiB"),
            (5 << 29, "2.5 GiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), told);
        }
    }
}
