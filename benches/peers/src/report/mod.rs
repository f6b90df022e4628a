//! What is written of the figures: `docs/benchmarks.md` and its charts.

mod chart;
mod limit;
mod load;
mod losses;
mod machine;
mod summary;
mod tables;
mod versions;

pub(crate) use limit::Limit;

use crate::run::{Effort, Measured};
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

const HOW_TO_RUN: &str = include_str!("../../prose/how_to_run.md");
const WHAT_IS_MEASURED: &str = include_str!("../../prose/what_is_measured.md");
const WHERE_WE_LOSE: &str = include_str!("../../prose/where_we_lose.md");

/// Where the charts are, seen from the page.
const CHARTS: &str = "charts";

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the page belongs.
pub(crate) fn docs() -> PathBuf {
    root().join("docs")
}

/// Writes `benchmarks.md` and the charts into this folder, and says where.
pub(crate) fn write(
    folder: &Path,
    all: &[Measured],
    limit: &Limit<'_>,
    effort: &Effort,
) -> Result<PathBuf, Box<dyn Error>> {
    let charts = folder.join(CHARTS);
    fs::create_dir_all(&charts)?;
    for picture in chart::all(all).into_iter().chain([chart::of_limit(limit)]) {
        fs::write(charts.join(&picture.file), picture.svg)?;
    }
    let file = folder.join("benchmarks.md");
    fs::write(&file, document(all, limit, effort)?)?;
    Ok(file.canonicalize()?)
}

fn document(
    all: &[Measured],
    limit: &Limit<'_>,
    effort: &Effort,
) -> Result<String, Box<dyn Error>> {
    let sections = [
        "# Benchmarks\n\nWritten by the command below. Compare the ratios and not the digits.\n"
            .to_owned(),
        summary::section(all, limit),
        HOW_TO_RUN.to_owned(),
        machine::section(effort)?,
        versions::section(),
        tables::targets(all),
        tables::section(all),
        limit::section(limit),
        load::section()?,
        WHAT_IS_MEASURED.to_owned(),
        format!("{}\n{WHERE_WE_LOSE}", losses::section(all)),
    ];
    Ok(sections.join("\n"))
}

/// The table as text, for a terminal.
pub(crate) fn as_text(measured: &Measured) -> String {
    tables::as_text(measured)
}
