//! The command line.

use crate::{
    contender::Contender,
    scenario::{SCENARIOS, Scenario},
};

pub(crate) const USAGE: &str = "\
server-bench [--rounds N] [--append] [--contenders A,B] [--scenarios A,B]
server-bench --quick | --check | --report

  (nothing)         5 rounds; writes target/results.jsonl, RESULTS.md and chart.svg
  --rounds N        that many rounds
  --append          keeps the rounds that were measured before
  --contenders A,B  of sample_pool, bytes_mut, deadpool
  --scenarios A,B   one, as paced-10, or all whose names begin so, as paced
  --quick           one short round of all; prints the tables and writes nothing
  --check           a few seconds; asserts, and measures nothing
  --report          writes RESULTS.md and chart.svg from what was measured before";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    Measure { append: bool },
    Quick,
    Check,
    Report,
}

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) what: What,
    pub(crate) rounds: usize,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) scenarios: Vec<Scenario>,
}

impl Arguments {
    /// # Errors
    ///
    /// What is wrong with them.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Arguments {
            what: What::Measure { append: false },
            rounds: 5,
            contenders: Contender::ALL.to_vec(),
            scenarios: SCENARIOS.to_vec(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--quick" => (parsed.what, parsed.rounds) = (What::Quick, 1),
                "--check" => parsed.what = What::Check,
                "--report" => parsed.what = What::Report,
                "--append" => parsed.what = What::Measure { append: true },
                "--rounds" => {
                    parsed.rounds = value()?
                        .parse()
                        .map_err(|error| format!("{name}: {error}"))?
                }
                "--contenders" => parsed.contenders = contenders(&value()?)?,
                "--scenarios" => parsed.scenarios = scenarios(&value()?)?,
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        Ok(parsed)
    }
}

fn contenders(names: &str) -> Result<Vec<Contender>, String> {
    let contender = |name: &str| name.parse().map_err(|()| format!("no contender {name}"));
    names.split(',').map(contender).collect()
}

fn scenarios(names: &str) -> Result<Vec<Scenario>, String> {
    let mut all = Vec::new();
    for name in names.split(',') {
        let exact = SCENARIOS.iter().filter(|scenario| scenario.name == name);
        let begins = SCENARIOS
            .iter()
            .filter(|scenario| scenario.name.starts_with(name));
        match (exact.count(), begins.clone().count()) {
            (0, 0) => return Err(format!("no scenario begins with {name}")),
            (0, _) => all.extend(begins),
            _ => all.extend(SCENARIOS.iter().filter(|scenario| scenario.name == name)),
        }
    }
    Ok(all)
}
