//! What was measured, and its ratios, round by round.

use crate::{measurement::Measured, relay::Relay, scenario::Scenario};
use std::fmt;

#[derive(Debug, Default)]
pub(crate) struct Results(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    round: usize,
    scenario: Scenario,
    relay: Relay,
    measured: Measured,
}

impl Results {
    pub(crate) fn add(
        &mut self,
        round: usize,
        scenario: Scenario,
        relay: Relay,
        measured: Measured,
    ) {
        self.0.push(Entry {
            round,
            scenario,
            relay,
            measured,
        });
    }

    pub(crate) fn rounds(&self) -> usize {
        self.0.last().map_or(0, |entry| entry.round + 1)
    }

    /// All rounds of a scenario with a relay, in order.
    fn of(&self, scenario: &Scenario, relay: Relay) -> impl Iterator<Item = &Measured> {
        let is_it = move |entry: &&Entry| entry.scenario == *scenario && entry.relay == relay;
        self.0.iter().filter(is_it).map(|entry| &entry.measured)
    }

    /// `None` if it was not measured.
    pub(crate) fn cost(&self, scenario: &Scenario, relay: Relay) -> Option<Spread> {
        let costs = self.of(scenario, relay).map(Measured::cpu_seconds_per_gb);
        Spread::of(costs.collect())
    }

    /// The cost of one relay divided by that of another, in the same round.
    pub(crate) fn ratio(&self, scenario: &Scenario, relay: Relay, base: Relay) -> Option<Spread> {
        let pairs = self.of(scenario, relay).zip(self.of(scenario, base));
        let ratio = |(it, base): (&Measured, &Measured)| {
            it.cpu_seconds_per_gb() / base.cpu_seconds_per_gb()
        };
        Spread::of(pairs.map(ratio).collect())
    }

    /// The least share that was delivered in a round.
    pub(crate) fn delivered(&self, scenario: &Scenario, relay: Relay) -> Option<f64> {
        let shares = self.of(scenario, relay).map(Measured::delivered_share);
        shares.reduce(f64::min)
    }

    /// Frames that were sent late, of all frames.
    pub(crate) fn held_back(&self) -> (u64, u64) {
        let add = |(late, all), entry: &Entry| {
            let Measured {
                held_back, frames, ..
            } = entry.measured;
            (late + held_back, all + frames)
        };
        self.0.iter().fold((0, 0), add)
    }
}

/// The median of the rounds, the least and the greatest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Option<Spread> {
        figures.sort_by(f64::total_cmp);
        let (&least, &greatest) = (figures.first()?, figures.last()?);
        let middle = figures.len() / 2;
        let median = match figures.len() % 2 {
            1 => figures[middle],
            _ => f64::midpoint(figures[middle - 1], figures[middle]),
        };
        Some(Spread {
            median,
            least,
            greatest,
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = f.precision().unwrap_or(2);
        let Spread {
            median,
            least,
            greatest,
        } = self;
        write!(
            f,
            "{median:.places$} ({least:.places$} to {greatest:.places$})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(cpu_seconds: f64) -> Measured {
        Measured {
            cpu_seconds,
            due: 100,
            delivered: 100,
            frames: 2,
            held_back: 1,
        }
    }

    /// The ratio of the medians would be 1 here: each figure must be held against its own round.
    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let scenario = Scenario::all().next().unwrap();
        let mut results = Results::default();
        for (round, (plain, quinn)) in [(2.0, 1.0), (4.0, 2.0), (1.0, 6.0)].into_iter().enumerate()
        {
            results.add(round, scenario, Relay::Plain, measured(plain));
            results.add(round, scenario, Relay::Quinn, measured(quinn));
        }
        let ratio = results
            .ratio(&scenario, Relay::Quinn, Relay::Plain)
            .unwrap();
        assert_eq!(ratio.to_string(), "0.50 (0.50 to 6.00)");
        assert_eq!(results.rounds(), 3);
        assert_eq!(results.held_back(), (6, 12));
    }

    /// A mean would follow the outlier.
    #[test]
    fn one_slow_round_does_not_move_the_median() {
        assert_eq!(Spread::of(vec![3.0, 900.0, 1.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of(vec![4.0, 1.0, 900.0, 2.0]).unwrap().median, 3.0);
        assert!(Spread::of(Vec::new()).is_none());
    }
}
