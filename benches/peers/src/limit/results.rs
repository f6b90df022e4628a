//! What was found at the limit, and the file in which a run leaves it for a later one to stand beside.

use super::pattern::{DEADPOOL, KANAL, SEMAPHORE};
use std::{error::Error, fmt::Write, fs, path::Path};

/// How long each of the others must take at least, in units of our time.
pub(crate) const GOALS: [(&str, f64); 3] = [(SEMAPHORE, 0.95), (DEADPOOL, 0.95), (KANAL, 0.67)];

/// What was found for one pattern.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Found {
    pub(crate) pattern: String,
    /// Our nanoseconds for each buffer that was taken.
    pub(crate) ours: f64,
    /// The others' time divided by ours, in the order of [`GOALS`]: the medians of the rounds.
    pub(crate) ratios: [f64; 3],
    /// The shares of our gets that waited and that missed.
    pub(crate) waited: f64,
    pub(crate) missed: f64,
}

impl Found {
    /// Whether each goal was reached, in the order of [`GOALS`].
    pub(crate) fn met(&self) -> [bool; 3] {
        let mut met = [false; 3];
        for (met, (ratio, (_, goal))) in met.iter_mut().zip(self.ratios.iter().zip(GOALS)) {
            *met = *ratio >= goal;
        }
        met
    }

    pub(crate) fn all_met(&self) -> bool {
        self.met() == [true; 3]
    }
}

/// All that a run found.
pub(crate) struct Results {
    pub(crate) seed: u64,
    pub(crate) rounds: usize,
    pub(crate) found: Vec<Found>,
}

const HEAD: &str = "pattern\tns\tSemaphore + ArrayQueue\tdeadpool\tkanal\twaited\tmissed";

impl Results {
    /// What was found for a pattern, by its name.
    pub(crate) fn of(&self, pattern: &str) -> Option<&Found> {
        self.found.iter().find(|found| found.pattern == pattern)
    }

    pub(crate) fn save(&self, file: &Path) -> Result<(), Box<dyn Error>> {
        fs::write(file, self.to_text()).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(())
    }

    pub(crate) fn read(file: &Path) -> Result<Self, Box<dyn Error>> {
        let text = fs::read_to_string(file);
        let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
        Self::from_text(&text).ok_or_else(|| format!("{}: no results", file.display()).into())
    }

    fn to_text(&self) -> String {
        let mut text = format!("seed\t{}\nrounds\t{}\n{HEAD}\n", self.seed, self.rounds);
        for found in &self.found {
            let [semaphore, deadpool, kanal] = found.ratios;
            let _ = writeln!(
                text,
                "{}\t{}\t{semaphore}\t{deadpool}\t{kanal}\t{}\t{}",
                found.pattern, found.ours, found.waited, found.missed
            );
        }
        text
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let seed = lines.next()?.strip_prefix("seed\t")?.parse().ok()?;
        let rounds = lines.next()?.strip_prefix("rounds\t")?.parse().ok()?;
        if lines.next()? != HEAD {
            return None;
        }
        let found = lines.map(|line| {
            let (pattern, figures) = line.split_once('\t')?;
            let figures: Vec<f64> = figures
                .split('\t')
                .map(|figure| figure.parse().ok())
                .collect::<Option<_>>()?;
            let &[ours, semaphore, deadpool, kanal, waited, missed] = figures.as_slice() else {
                return None;
            };
            Some(Found {
                pattern: pattern.to_owned(),
                ours,
                ratios: [semaphore, deadpool, kanal],
                waited,
                missed,
            })
        });
        Some(Results {
            seed,
            rounds,
            found: found.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ratios: [f64; 3]) -> Found {
        Found {
            pattern: "walk: 8 tasks on 8 buffers, 2 workers".to_owned(),
            ours: 12.25,
            ratios,
            waited: 0.125,
            missed: 0.5,
        }
    }

    /// kanal has a goal of its own; with one goal for all of them a loss would be called a win.
    #[test]
    fn each_other_is_held_against_its_own_goal() {
        assert!(found([0.95, 0.95, 0.67]).all_met());
        assert_eq!(found([0.94, 0.94, 0.94]).met(), [false, false, true]);
        assert_eq!(found([1.0, 1.0, 0.66]).met(), [true, true, false]);
    }

    /// A figure that is rounded or in the wrong column would draw a change that there was not.
    #[test]
    fn a_file_reads_back_as_it_was_written() {
        let results = Results {
            seed: 7,
            rounds: 15,
            found: vec![found([1.0 / 3.0, 2.5, 0.1])],
        };
        let read = Results::from_text(&results.to_text()).expect("what was written");
        assert_eq!((read.seed, read.rounds), (7, 15));
        assert_eq!(read.found, results.found);
        let cut_off = results.to_text().replace("\t0.5\n", "\n");
        assert!(Results::from_text(&cut_off).is_none());
    }
}
