//! The command: what is asked for on the command line.

use crate::{
    process::OtherProcess,
    report,
    run::{self, Effort},
    scenarios::{self, memory},
};
use lexopt::prelude::*;
use std::{error::Error, time::Duration};

const FULL: Effort = Effort {
    rounds: 7,
    each: Duration::from_millis(60),
};
const QUICK: Effort = Effort {
    rounds: 3,
    each: Duration::from_millis(8),
};

/// What is asked for.
#[derive(Default)]
struct Arguments {
    quick: bool,
    check: bool,
    scenario: Option<String>,
    memory: Option<String>,
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
            Value(value) if value == memory::ARGUMENT => {
                asked.memory = Some(given.value()?.string()?)
            }
            Value(value) => asked.scenario = Some(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(asked)
}

/// Runs the command; `other_process` is the program with the other allocator.
///
/// # Errors
///
/// What is wrong with the command line, or with a process or file that it needs.
pub fn command(other_process: &str) -> Result<(), Box<dyn Error>> {
    let asked = arguments()?;
    if let Some(case) = asked.memory {
        return memory::measure(&case);
    }
    let mut tables = scenarios::all();
    if let Some(part) = &asked.scenario {
        tables.retain(|table| format!("{}, {}", table.scenario, table.case).contains(part));
        if tables.is_empty() {
            return Err(format!("no scenario is called {part}").into());
        }
    }
    let mut other = OtherProcess::start(other_process)?;
    if asked.check {
        let rows: usize = tables.iter().map(|table| table.rows.len()).sum();
        for table in &tables {
            run::check(table, &mut other)?;
        }
        println!(
            "{} tables with {rows} rows gave the right answers",
            tables.len()
        );
        return Ok(());
    }
    let effort = if asked.quick { QUICK } else { FULL };
    let mut all = Vec::new();
    for table in tables {
        let measured = run::measure(table, &effort, &mut other)?;
        print!("{}", report::as_text(&measured));
        all.push(measured);
    }
    if !asked.quick && asked.scenario.is_none() {
        println!("\nwritten to {}", report::write(&all, &effort)?.display());
    }
    Ok(())
}
