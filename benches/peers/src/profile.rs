//! The profile with which this was built, and what the build with thin LTO leaves for the page.

use crate::{run::Measured, scenarios, table::Table};
use std::{error::Error, fmt::Write, fs, path::Path};

/// How the compiler was asked to optimise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Profile {
    /// The default of `cargo build --release`.
    Release,
    /// Thin LTO and one codegen unit.
    Thin,
}

impl Profile {
    /// That of this build.
    pub(crate) const THIS: Profile = match env!("BUILD_PROFILE").as_bytes() {
        b"thin" => Profile::Thin,
        _ => Profile::Release,
    };
}

/// Ends the name of a table that was measured with thin LTO.
const THIN: &str = ", thin LTO";

/// The tables that this build measures, with the targets that count for it.
pub(crate) fn tables() -> Vec<Table> {
    of(Profile::THIS)
}

fn of(profile: Profile) -> Vec<Table> {
    let mut tables = scenarios::all();
    tables.retain(|table| profile == Profile::Release || table.thin);
    for table in &mut tables {
        table.targets.retain(|target| target.profile == profile);
    }
    tables
}

/// Leaves the figures in a file.
pub(crate) fn save(all: &[Measured], file: &Path) -> Result<(), Box<dyn Error>> {
    fs::write(file, to_text(all)).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(())
}

/// Reads what the build with thin LTO left. Its tables say in their names with which profile they were measured.
pub(crate) fn read_thin(file: &Path) -> Result<Vec<Measured>, Box<dyn Error>> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut all = Vec::new();
    for table in of(Profile::Thin) {
        let measured = from_text(table, &text)
            .map_err(|row| format!("{}: no figures of {row}", file.display()))?;
        all.push(measured);
    }
    Ok(all)
}

/// Puts each table with thin LTO behind the same table without.
pub(crate) fn beside(all: Vec<Measured>, thin: Vec<Measured>) -> Vec<Measured> {
    let mut thin: Vec<_> = thin.into_iter().map(Some).collect();
    let mut both = Vec::new();
    for measured in all {
        let same = thin.iter_mut().find(|other| {
            other.as_ref().is_some_and(|other| {
                let (ours, theirs) = (&measured.table, &other.table);
                ours.scenario == theirs.scenario && theirs.case == with_thin(&ours.case)
            })
        });
        both.push(measured);
        both.extend(same.and_then(Option::take));
    }
    both
}

/// Whether a table is from the build with thin LTO.
pub(crate) fn is_thin(measured: &Measured) -> bool {
    measured.table.case.ends_with(THIN)
}

fn with_thin(case: &str) -> String {
    format!("{case}{THIN}")
}

fn to_text(all: &[Measured]) -> String {
    let mut text = String::new();
    for measured in all {
        for row in &measured.rows {
            let _ = write!(text, "{}", key(&measured.table, &row.name));
            for value in &row.rounds {
                let _ = write!(text, "\t{value}");
            }
            text.push('\n');
        }
    }
    text
}

/// The name of the first row without figures, if there is one.
fn from_text(mut table: Table, text: &str) -> Result<Measured, String> {
    let mut all_rounds = Vec::new();
    for row in &table.rows {
        let key = key(&table, &row.name);
        let rounds = text.lines().find_map(|line| {
            let figures = line.strip_prefix(&key)?.strip_prefix('\t')?;
            let figures = figures.split('\t').map(|figure| figure.parse().ok());
            figures.collect::<Option<Vec<f64>>>()
        });
        all_rounds.push(rounds.ok_or_else(|| key.replace('\t', ", "))?);
    }
    table.case = with_thin(&table.case);
    Ok(Measured::with_rounds(table, all_rounds))
}

fn key(table: &Table, row: &str) -> String {
    format!("{}\t{}\t{row}", table.scenario, table.case)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{OURS, Outcome};

    fn table() -> Table {
        let nothing = || |_| Outcome::constant(0.0);
        Table::new("scenario", "case")
            .row(OURS, nothing)
            .row("sample-pool, owned", nothing)
    }

    /// One name begins with the other: the figures of the wrong row would stand in the page.
    #[test]
    fn each_row_reads_back_its_own_figures() {
        let rounds = vec![vec![1.5, 2.0], vec![7.0, 1.0 / 3.0]];
        let text = to_text(&[Measured::with_rounds(table(), rounds.clone())]);
        let read = from_text(table(), &text).expect("what was written");
        let found: Vec<_> = read.rows.into_iter().map(|row| row.rounds).collect();
        assert_eq!(found, rounds);
        assert_eq!(read.table.case, "case, thin LTO");
    }

    /// A file of another version of this program must not pass for a whole one.
    #[test]
    fn a_row_without_figures_is_an_error() {
        let text = to_text(&[Measured::with_rounds(table(), vec![vec![1.0], vec![2.0]])]);
        let first = text.lines().next().expect("a row");
        let missing = from_text(table(), first).err();
        assert_eq!(
            missing.as_deref(),
            Some("scenario, case, sample-pool, owned")
        );
    }
}
