//! What was measured: kept as lines of JSON, summarised as medians with their spread.

use crate::{
    contender::Contender,
    measurement::Measured,
    scenario::{SCENARIOS, Scenario},
};
use std::{fmt, fs, io, path::Path};

#[derive(Default)]
pub(crate) struct Results {
    rounds: Vec<Vec<Measured>>,
}

/// The median of some figures, the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// `None` of no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let median = match figures.len() {
            0 => return None,
            length if length % 2 == 0 => f64::midpoint(figures[middle - 1], figures[middle]),
            _ => figures[middle],
        };
        Some(Spread {
            least: figures[0],
            median,
            greatest: *figures.last()?,
        })
    }
}

/// The precision is that of each figure.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        write!(
            f,
            "{:.digits$} ({:.digits$} to {:.digits$})",
            self.median, self.least, self.greatest
        )
    }
}

impl Results {
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let lines = fs::read_to_string(path)?;
        let rounds = lines
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        Ok(Results { rounds })
    }

    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let lines = self
            .rounds
            .iter()
            .map(|round| Ok(serde_json::to_string(round)? + "\n"));
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(path, lines.collect::<io::Result<String>>()?)
    }

    pub(crate) fn push(&mut self, round: Vec<Measured>) {
        self.rounds.push(round);
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// Those that were measured, in their order.
    pub(crate) fn scenarios(&self) -> impl Iterator<Item = &'static Scenario> {
        SCENARIOS.iter().filter(|scenario| {
            self.all()
                .any(|measured| measured.scenario == scenario.name)
        })
    }

    fn all(&self) -> impl Iterator<Item = &Measured> {
        self.rounds.iter().flatten()
    }

    pub(crate) fn spread(
        &self,
        scenario: &Scenario,
        contender: Contender,
        figure: impl Fn(&Measured) -> f64,
    ) -> Option<Spread> {
        let these = self
            .all()
            .filter(|it| it.scenario == scenario.name && it.contender == contender);
        Spread::of(these.map(figure))
    }

    /// A figure of ours divided by the same of a rival in the same round.
    pub(crate) fn ratio(
        &self,
        scenario: &Scenario,
        rival: Contender,
        figure: impl Fn(&Measured) -> f64,
    ) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| {
            let of = |contender| {
                let is_it =
                    |it: &&Measured| it.scenario == scenario.name && it.contender == contender;
                round.iter().find(is_it).map(&figure)
            };
            Some(of(Contender::SamplePool)? / of(rival)?)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle_whatever_the_order() {
        let spread = |figures: &[f64]| Spread::of(figures.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0, 1.0, 2.0]).unwrap().median, 2.0);
        let even = spread(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((even.least, even.median, even.greatest), (1.0, 2.5, 4.0));
        assert_eq!(format!("{even:.1}"), "2.5 (1.0 to 4.0)");
    }
}
