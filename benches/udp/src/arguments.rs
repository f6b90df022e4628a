//! The command line.

use crate::relay::Relay;
use lexopt::prelude::*;

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Assert, and measure nothing.
    pub(crate) check: bool,
    /// One short round, which writes nothing.
    pub(crate) quick: bool,
    pub(crate) rounds: Option<usize>,
    /// Only scenarios whose name contains this. Writes nothing.
    pub(crate) scenario: Option<String>,
    /// This process is a relay.
    pub(crate) relay: Option<Relay>,
}

impl Arguments {
    pub(crate) fn parse() -> Result<Self, lexopt::Error> {
        let mut asked = Arguments::default();
        let mut given = lexopt::Parser::from_env();
        while let Some(argument) = given.next()? {
            match argument {
                Long("check") => asked.check = true,
                Long("quick") => asked.quick = true,
                Long("rounds") => asked.rounds = Some(given.value()?.parse()?),
                Long("relay") => {
                    let name = given.value()?.string()?;
                    let relay = Relay::from_argument(&name);
                    asked.relay = Some(relay.ok_or_else(|| format!("no relay {name}"))?);
                }
                Value(name) => asked.scenario = Some(name.string()?),
                other => return Err(other.unexpected()),
            }
        }
        Ok(asked)
    }

    /// Only a whole run is a page.
    pub(crate) fn writes(&self) -> bool {
        !self.quick && self.scenario.is_none() && self.rounds.is_none_or(|rounds| rounds >= 5)
    }
}
