//! The rounds: all rows of a table take turns.

use crate::{
    process::OtherProcess,
    table::{Measurement, Outcome, Process, Role, Row, Table, Unit},
};
use hdrhistogram::Histogram;
use std::{error::Error, time::Duration};

/// How often a check repeats each operation: more often than any pool has buffers to lose.
const CHECKED_OPERATIONS: u64 = 300;

/// How long and how often.
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// About how long each row is measured in each round.
    pub(crate) each: Duration,
}

/// What the rounds found for one row.
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) process: Process,
    pub(crate) role: Role,
    /// One for each round.
    pub(crate) rounds: Vec<f64>,
    pub(crate) latencies: Option<Histogram<u64>>,
}

impl Figures {
    fn of(row: &Row) -> Self {
        Figures {
            name: row.name.clone(),
            process: row.process,
            role: row.role,
            rounds: Vec::new(),
            latencies: None,
        }
    }
}

/// A table that was measured.
pub(crate) struct Measured {
    pub(crate) table: Table,
    pub(crate) rows: Vec<Figures>,
}

impl Measured {
    /// The figures of the row with this name.
    pub(crate) fn row(&self, name: &str) -> &Figures {
        let found = self.rows.iter().find(|row| row.name == name);
        found.unwrap_or_else(|| panic!("no row {name} in {}", self.table.scenario))
    }

    /// The figures of everyone else.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &Figures> {
        self.rows.iter().filter(|row| row.role == Role::Peer)
    }

    /// The crate's own figures that are to stand beside these: those with the same allocator if there are any, and
    /// otherwise the first.
    pub(crate) fn ours_beside(&self, figures: &Figures) -> &Figures {
        let ours = || self.rows.iter().filter(|row| row.role == Role::Ours);
        let alike = ours().find(|row| row.process == figures.process);
        alike
            .or_else(|| ours().next())
            .expect("a row of the crate's own")
    }

    /// A table that was measured elsewhere.
    pub(crate) fn with_rounds(table: Table, rounds: Vec<Vec<f64>>) -> Self {
        let rows = table.rows.iter().map(Figures::of).zip(rounds);
        let rows = rows
            .map(|(row, rounds)| Figures { rounds, ..row })
            .collect();
        Measured { table, rows }
    }
}

/// One row while it is measured, here or in the process with the other allocator.
enum Measuring {
    Here(Measurement),
    There {
        scenario: &'static str,
        case: String,
        row: String,
    },
}

impl Measuring {
    fn new(table: &Table, row: &Row) -> Self {
        match row.process {
            Process::Glibc => Measuring::Here((row.make)()),
            Process::Mimalloc => Measuring::There {
                scenario: table.scenario,
                case: table.case.clone(),
                row: row.name.clone(),
            },
        }
    }

    fn measure(
        &mut self,
        other: &mut OtherProcess,
        operations: u64,
    ) -> Result<Outcome, Box<dyn Error>> {
        match self {
            Measuring::Here(measure) => Ok(measure(operations)),
            Measuring::There {
                scenario,
                case,
                row,
            } => other.measure(scenario, case, row, operations),
        }
    }
}

/// Runs each row of a table a few times. What a row asserts of its answer is all that is found out.
pub(crate) fn check(table: &Table, other: &mut OtherProcess) -> Result<(), Box<dyn Error>> {
    for row in &table.rows {
        let mut row = Measuring::new(table, row);
        for operations in [1, CHECKED_OPERATIONS] {
            let outcome = row.measure(other, operations)?;
            assert!(
                outcome.value >= 0.0,
                "no value in {}, {}",
                table.scenario,
                table.case
            );
        }
    }
    Ok(())
}

/// Measures a table: warms each row up, finds how many operations fill its time, and then goes round.
pub(crate) fn measure(
    table: Table,
    effort: &Effort,
    other: &mut OtherProcess,
) -> Result<Measured, Box<dyn Error>> {
    let mut measuring: Vec<_> = table
        .rows
        .iter()
        .map(|row| Measuring::new(&table, row))
        .collect();
    let mut operations = Vec::new();
    for row in &mut measuring {
        operations.push(match table.unit {
            Unit::Nanoseconds => operations_for(effort.each, |n| row.measure(other, n))?,
            Unit::Mebibytes => 1,
        });
    }
    let mut rows: Vec<_> = table.rows.iter().map(Figures::of).collect();
    for round in 0..effort.rounds {
        // Who comes first changes from round to round.
        for turn in 0..rows.len() {
            let at = (turn + round) % rows.len();
            let outcome = measuring[at].measure(other, operations[at])?;
            rows[at].rounds.push(outcome.value);
            if let Some(latencies) = outcome.latencies {
                match &mut rows[at].latencies {
                    Some(all) => all.add(latencies)?,
                    none => *none = Some(latencies),
                }
            }
        }
    }
    Ok(Measured { table, rows })
}

/// How many operations take about `time`, found by trying more and more. This warms the row up as well.
fn operations_for(
    time: Duration,
    mut measure: impl FnMut(u64) -> Result<Outcome, Box<dyn Error>>,
) -> Result<u64, Box<dyn Error>> {
    let mut operations = 1;
    loop {
        // The faster of two: a thread that started late would make few operations look like many.
        let elapsed = measure(operations)?
            .elapsed
            .min(measure(operations)?.elapsed);
        if elapsed >= time / 8 {
            let wanted = operations as f64 * time.as_secs_f64() / elapsed.as_secs_f64();
            return Ok((wanted as u64).max(1));
        }
        operations *= 4;
    }
}
