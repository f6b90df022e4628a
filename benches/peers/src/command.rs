//! The command: what is asked for on the command line.

use crate::{
    limit,
    process::OtherProcess,
    profile::{self, Profile},
    report,
    run::{self, Effort},
    scenarios::memory,
    table::Table,
};
use lexopt::prelude::*;
use std::{error::Error, path::PathBuf, time::Duration};

const FULL: Effort = Effort {
    rounds: 7,
    each: Duration::from_millis(60),
};
const QUICK: Effort = Effort {
    rounds: 3,
    each: Duration::from_millis(8),
};

/// The word that stands for all patterns at the limit.
const LIMIT: &str = "limit";
const LIMIT_ROUNDS: usize = 15;
const LIMIT_EACH: Duration = Duration::from_millis(30);
/// How many patterns are drawn: for the page, and for half a minute.
const DRAWN: usize = 40;
const FEW_DRAWN: usize = 7;

/// What is asked for.
#[derive(Default)]
struct Arguments {
    quick: bool,
    check: bool,
    scenario: Option<String>,
    memory: Option<String>,
    rounds: Option<usize>,
    seed: Option<u64>,
    only: Vec<String>,
    before: Option<PathBuf>,
    save: Option<PathBuf>,
    thin: Option<PathBuf>,
    page: Option<PathBuf>,
    processor: bool,
}

fn arguments() -> Result<Arguments, lexopt::Error> {
    let mut asked = Arguments::default();
    let mut given = lexopt::Parser::from_env();
    while let Some(argument) = given.next()? {
        match argument {
            // Cargo says this to every bench.
            Long("bench") => {}
            Long("quick") => asked.quick = true,
            Long("check") => asked.check = true,
            Long("rounds") => asked.rounds = Some(given.value()?.parse()?),
            Long("seed") => asked.seed = Some(given.value()?.parse()?),
            Long("only") => asked.only.push(given.value()?.string()?),
            Long("before") => asked.before = Some(given.value()?.into()),
            Long("thin") => asked.thin = Some(given.value()?.into()),
            Long("page") => asked.page = Some(given.value()?.into()),
            Long("processor") => asked.processor = true,
            Long("save") => asked.save = Some(given.value()?.into()),
            Value(value) if value == memory::ARGUMENT => {
                asked.memory = Some(given.value()?.string()?)
            }
            Value(value) => asked.scenario = Some(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(asked)
}

impl Arguments {
    fn is_limit(&self) -> bool {
        self.scenario.as_deref() == Some(LIMIT)
    }

    /// The tables that are asked for, without the patterns at the limit.
    fn tables(&self) -> Result<Vec<Table>, String> {
        let mut tables = profile::tables();
        if self.is_limit() {
            tables.clear();
        } else if let Some(part) = &self.scenario {
            tables.retain(|table| format!("{}, {}", table.scenario, table.case).contains(part));
            if tables.is_empty() {
                return Err(format!("no scenario is called {part}"));
            }
        }
        Ok(tables)
    }

    /// The patterns at the limit, if they are asked for.
    fn limit(&self) -> Option<limit::Plan> {
        let whole = self.scenario.is_none() && Profile::THIS == Profile::Release;
        let wanted = self.is_limit() || whole;
        wanted.then(|| limit::Plan {
            effort: Effort {
                rounds: self.rounds.unwrap_or(LIMIT_ROUNDS).max(1),
                each: LIMIT_EACH,
            },
            clock: if self.processor {
                limit::Clock::Processor
            } else {
                limit::Clock::Wall
            },
            drawn: if self.quick { FEW_DRAWN } else { DRAWN },
            seed: self.seed.unwrap_or_else(limit::new_seed),
            only: self.only.clone(),
        })
    }
}

/// Runs the command; `other_process` is the program with the other allocator.
///
/// # Errors
///
/// What is wrong with the command line, or with a process or file that it needs.
pub fn command(other_process: &str) -> Result<(), Box<dyn Error>> {
    let asked = arguments()?;
    if let Some(case) = &asked.memory {
        return memory::measure(case);
    }
    let tables = asked.tables()?;
    let limit = asked.limit();
    // Before anything is measured: a file that cannot be read would be noticed minutes later.
    let before = asked.before.as_deref().map(limit::Results::read);
    let before = before.transpose()?;
    let thin = asked.thin.as_deref().map(profile::read_thin);
    let thin = thin.transpose()?.unwrap_or_default();
    let mut other = OtherProcess::start(other_process)?;
    if asked.check {
        return check(&tables, limit.as_ref(), &mut other);
    }
    let effort = if asked.quick { QUICK } else { FULL };
    let mut all = Vec::new();
    for table in tables {
        let measured = run::measure(table, &effort, &mut other)?;
        print!("{}", report::as_text(&measured));
        all.push(measured);
    }
    let Some(plan) = limit else {
        return match &asked.save {
            Some(file) => profile::save(&all, file),
            None => Ok(()),
        };
    };
    let at_the_limit = limit::measure(&plan, &mut other)?;
    if let Some(file) = &asked.save {
        at_the_limit.save(file)?;
    }
    let docs = (!asked.quick && !asked.processor).then(report::docs);
    if let Some(folder) = asked.page.or(docs).filter(|_| asked.scenario.is_none()) {
        let limit = report::Limit {
            now: &at_the_limit,
            before: before.as_ref(),
        };
        let all = profile::beside(all, thin);
        let file = report::write(&folder, &all, &limit, &effort)?;
        println!("\nwritten to {}", file.display());
    }
    Ok(())
}

/// Runs everything for what it asserts.
fn check(
    tables: &[Table],
    limit: Option<&limit::Plan>,
    other: &mut OtherProcess,
) -> Result<(), Box<dyn Error>> {
    for table in tables {
        run::check(table, other)?;
    }
    if !tables.is_empty() {
        let rows: usize = tables.iter().map(|table| table.rows.len()).sum();
        println!(
            "{} tables with {rows} rows gave the right answers",
            tables.len()
        );
    }
    if let Some(plan) = limit {
        let patterns = limit::check(plan, other)?;
        println!(
            "{patterns} patterns at the limit gave the right answers, with seed {}",
            plan.seed
        );
    }
    Ok(())
}
