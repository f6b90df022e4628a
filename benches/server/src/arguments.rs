//! The command line.

use crate::{
    contender::Contender,
    scenario::{SCENARIOS, Scenario},
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) const USAGE: &str = "\
server-bench [--rounds N] [--append] [--contenders A,B] [--scenarios A,B]
server-bench --quick | --check | --report
server-bench --load [--minutes N | --check] [--contenders A,B]

  (nothing)         5 rounds; writes target/results.jsonl, RESULTS.md and chart.svg
  --rounds N        that many rounds
  --append          keeps the rounds that were measured before
  --contenders A,B  of sample_pool, bytes_mut, deadpool
  --scenarios A,B   one, as paced-10, or all whose names begin so, as paced
  --quick           one short round of all; prints the tables and writes nothing
  --check           a few seconds; asserts, and measures nothing
  --report          writes RESULTS.md and chart.svg from what was measured before
  --load            1,000 viewers for a minute, with sample_pool and with bytes_mut; asserts, and writes LOAD.md
  --minutes N       that many
  --load --check    half a minute; asserts, and writes nothing";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    Measure { append: bool },
    Quick,
    Check,
    Report,
    Load { length: Duration },
    CheckLoad,
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
        let (mut load, mut minutes, mut chosen) = (false, None, None);
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
                "--contenders" => chosen = Some(contenders(&value()?)?),
                "--load" => load = true,
                "--minutes" => minutes = Some(length(&value()?)?),
                "--scenarios" => parsed.scenarios = scenarios(&value()?)?,
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        parsed.what = match (parsed.what, load, minutes) {
            (what, false, None) => what,
            (_, false, Some(_)) => return Err("--minutes is for --load".to_owned()),
            (What::Measure { append: false }, true, minutes) => What::Load {
                length: minutes.unwrap_or(MINUTE),
            },
            (What::Check, true, None) => What::CheckLoad,
            (what, true, _) => return Err(format!("--load goes with no {what:?}")),
        };
        parsed.contenders = match chosen {
            Some(chosen) => chosen,
            None if load => vec![Contender::SamplePool, Contender::BytesMut],
            None => Contender::ALL.to_vec(),
        };
        Ok(parsed)
    }
}

/// So many minutes, and enough of them for a quarter to have some seconds.
fn length(minutes: &str) -> Result<Duration, String> {
    let minutes: f64 = minutes
        .parse()
        .map_err(|error| format!("--minutes: {error}"))?;
    if !(0.4..=100_000.0).contains(&minutes) {
        return Err("--minutes: from 0.4 to 100000".to_owned());
    }
    Ok(MINUTE.mul_f64(minutes))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn what(line: &str) -> Result<What, String> {
        let parsed = Arguments::parse(line.split_whitespace().map(str::to_owned));
        parsed.map(|parsed| parsed.what)
    }

    #[test]
    fn load_goes_with_a_length_or_with_a_check() {
        let long = |length| Ok(What::Load { length });
        assert_eq!(what("--load"), long(MINUTE));
        assert_eq!(what("--minutes 60 --load"), long(60 * MINUTE));
        assert_eq!(what("--check --load"), Ok(What::CheckLoad));
        assert_eq!(what("--load --check"), Ok(What::CheckLoad));
        assert_eq!(what("--check"), Ok(What::Check));
        for wrong in [
            "--minutes 1",
            "--load --quick",
            "--load --check --minutes 1",
            "--load --minutes 0",
        ] {
            assert!(what(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn load_is_for_two_contenders_unless_others_are_chosen() {
        let contenders = |line: &str| {
            let parsed = Arguments::parse(line.split_whitespace().map(str::to_owned));
            parsed.unwrap().contenders
        };
        assert_eq!(
            contenders("--load"),
            [Contender::SamplePool, Contender::BytesMut]
        );
        assert_eq!(
            contenders("--load --contenders deadpool"),
            [Contender::Deadpool]
        );
        assert_eq!(contenders("--check"), Contender::ALL);
    }
}
