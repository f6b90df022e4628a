//! How long threads were ready to run and had no core: the machine's doing, and not the server's.

use std::{collections::BTreeMap, fs, io, time::Duration};

/// Each thread's, since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits(BTreeMap<u32, Duration>);

impl Waits {
    /// Those of all threads of these processes.
    pub(crate) fn of(processes: &[u32]) -> io::Result<Self> {
        let mut waits = BTreeMap::new();
        for process in processes {
            for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                let thread = thread?;
                let Ok(times) = fs::read_to_string(thread.path().join("schedstat")) else {
                    // It has ended meanwhile.
                    continue;
                };
                let number = thread.file_name().to_str().and_then(|it| it.parse().ok());
                let waited = times.split_whitespace().nth(1);
                let waited = waited.and_then(|it| it.parse().ok());
                let (Some(number), Some(waited)) = (number, waited) else {
                    return Err(io::Error::other(format!("schedstat: {times}")));
                };
                waits.insert(number, Duration::from_nanos(waited));
            }
        }
        Ok(Waits(waits))
    }

    fn since<'a>(&'a self, before: &'a Waits) -> impl Iterator<Item = Duration> + 'a {
        let before = |thread| before.0.get(thread).copied().unwrap_or_default();
        let waits = self.0.iter();
        waits.map(move |(thread, waited)| waited.saturating_sub(before(thread)))
    }

    /// By the thread that waited most.
    pub(crate) fn longest_since(&self, before: &Waits) -> Duration {
        self.since(before).max().unwrap_or_default()
    }

    /// By all threads together.
    pub(crate) fn all_since(&self, before: &Waits) -> Duration {
        self.since(before).sum()
    }

    #[cfg(test)]
    pub(crate) fn with(threads: &[(u32, u64)]) -> Self {
        let thread = |&(number, seconds)| (number, Duration::from_secs(seconds));
        Waits(threads.iter().map(thread).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_begin_and_end_and_each_is_counted_alone() {
        let before = Waits::with(&[(1, 5), (2, 1)]);
        let after = Waits::with(&[(1, 7), (3, 3)]);
        assert_eq!(after.longest_since(&before), Duration::from_secs(3));
        assert_eq!(after.all_since(&before), Duration::from_secs(5));
        assert_eq!(after.longest_since(&after), Duration::ZERO);
    }

    #[test]
    fn this_process_has_threads() {
        assert!(!Waits::of(&[std::process::id()]).unwrap().0.is_empty());
    }
}
