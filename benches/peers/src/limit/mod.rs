//! At the limit: patterns that take all that the pool has, or almost, beside those who bound the same.
//!
//! In each round of a pattern every contender runs once. A verdict is the median of the rounds' ratios of the other's time
//! to ours.

mod pattern;
mod random;
mod results;
mod sets;
mod work;

pub(crate) use results::{Found, GOALS, Results};
pub(crate) use work::Clock;

use crate::{
    contenders::Counters,
    process::OtherProcess,
    run::{self, Effort},
    statistics,
    table::OURS,
    verdict::ratio_to,
};
use pattern::{Counted, Pattern};
use std::{
    error::Error,
    hash::{BuildHasher, RandomState},
};

/// What is measured, and for how long.
pub(crate) struct Plan {
    pub(crate) effort: Effort,
    pub(crate) clock: Clock,
    /// How many patterns are drawn beside the fixed ones.
    pub(crate) drawn: usize,
    pub(crate) seed: u64,
    /// Only patterns whose name contains one of these; all if there are none.
    pub(crate) only: Vec<String>,
}

/// A seed that is short enough to be typed.
pub(crate) fn new_seed() -> u64 {
    RandomState::new().hash_one(()) % 1_000_000
}

impl Plan {
    fn patterns(&self) -> Result<Vec<Pattern>, String> {
        let mut patterns = Pattern::fixed();
        patterns.extend(Pattern::drawn(self.seed, self.drawn));
        if !self.only.is_empty() {
            patterns.retain(|pattern| {
                let name = pattern.to_string();
                self.only.iter().any(|part| name.contains(part))
            });
        }
        if patterns.is_empty() {
            return Err(format!("no pattern is called {}", self.only.join(" or ")));
        }
        Ok(patterns)
    }
}

/// Measures all patterns of the plan and prints each when it is done.
pub(crate) fn measure(plan: &Plan, other: &mut OtherProcess) -> Result<Results, Box<dyn Error>> {
    let patterns = plan.patterns()?;
    println!(
        "\nat the limit: the others' time divided by ours; --seed {} repeats it",
        plan.seed
    );
    println!(
        "{:<62} {:>7}  semaphore deadpool  kanal   waited missed",
        "", "ns"
    );
    let mut all = Vec::new();
    for pattern in patterns {
        let counted = Counted::default();
        let measured = run::measure(pattern.table(plan.clock, &counted), &plan.effort, other)?;
        let ours = measured.row(OURS);
        let Counters {
            taken,
            waited,
            missed,
        } = counted.get();
        let gets = (taken + missed) as f64;
        let found = Found {
            pattern: pattern.to_string(),
            ours: statistics::median(&ours.rounds),
            ratios: GOALS.map(|(name, _)| ratio_to(measured.row(name), ours)),
            waited: waited as f64 / gets,
            missed: missed as f64 / gets,
        };
        println!("{}", line(&found));
        all.push(found);
    }
    let met = all.iter().filter(|found| found.all_met()).count();
    println!("{met} of {} patterns reach their goals", all.len());
    Ok(Results {
        seed: plan.seed,
        rounds: plan.effort.rounds,
        found: all,
    })
}

/// Runs all patterns of the plan for what they assert; returns how many there are.
pub(crate) fn check(plan: &Plan, other: &mut OtherProcess) -> Result<usize, Box<dyn Error>> {
    let patterns = plan.patterns()?;
    for pattern in &patterns {
        run::check(&pattern.table(plan.clock, &Counted::default()), other)?;
    }
    Ok(patterns.len())
}

/// A ratio that misses its goal has a star.
fn line(found: &Found) -> String {
    let met = found.met();
    let mark = |at: usize| if met[at] { ' ' } else { '*' };
    format!(
        "{:<62} {:>7.1}   {:>6.2}{}  {:>6.2}{} {:>6.2}{}  {:>5.1} % {:>4.1} %",
        found.pattern,
        found.ours,
        found.ratios[0],
        mark(0),
        found.ratios[1],
        mark(1),
        found.ratios[2],
        mark(2),
        found.waited * 100.0,
        found.missed * 100.0,
    )
}
