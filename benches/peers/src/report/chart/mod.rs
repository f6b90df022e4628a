//! Charts as SVG, readable on light and on dark paper: one for each scenario.

mod bars;
mod dots;
mod lines;

use super::Limit;
use crate::{run::Measured, table::Unit};

/// One chart.
pub(super) struct Picture {
    pub(super) file: String,
    pub(super) title: String,
    pub(super) svg: String,
}

const WIDTH: f64 = 720.0;

/// The text and the greys follow the reader's setting; the colours are readable on both.
const STYLE: &str = "<style>\
text{font:13px system-ui,sans-serif;fill:#1f2328}\
.title{font-weight:600;font-size:14px}\
.quiet{fill:#59636e}\
.ours{fill:#0969da}.peer{fill:#8c959f}.reference{fill:#d0d7de}\
.axis{stroke:#d0d7de}\
.line{fill:none;stroke-width:2}\
@media(prefers-color-scheme:dark){\
text{fill:#e6edf3}.quiet{fill:#9198a1}\
.ours{fill:#4493f8}.peer{fill:#6e7681}.reference{fill:#3d444d}\
.axis{stroke:#3d444d}}\
</style>";

/// Every chart of every scenario.
pub(super) fn all(all: &[Measured]) -> Vec<Picture> {
    let mut scenarios: Vec<&str> = all.iter().map(|measured| measured.table.scenario).collect();
    scenarios.dedup();
    scenarios
        .into_iter()
        .filter_map(|scenario| of_scenario(all, scenario))
        .collect()
}

/// The chart of a scenario: lines if it is about growth, and otherwise the bars of each of its tables.
pub(super) fn of_scenario(all: &[Measured], scenario: &str) -> Option<Picture> {
    let tables = all
        .iter()
        .filter(|measured| measured.table.scenario == scenario);
    let tables: Vec<_> = tables.collect();
    let first = tables.first()?;
    let unit = match first.table.unit {
        Unit::Nanoseconds => "ns",
        Unit::Mebibytes => "MiB",
    };
    let (better, (body, height)) = if first.table.along.is_some() {
        ("lower", lines::draw(&tables))
    } else {
        ("shorter", bars::draw(&tables))
    };
    let title = format!("{scenario}: {unit}, {better} is better");
    let file: String = scenario
        .chars()
        .filter(|letter| *letter != ',')
        .map(|letter| {
            if letter == ' ' {
                '_'
            } else {
                letter.to_ascii_lowercase()
            }
        })
        .collect();
    Some(Picture::new(format!("{file}.svg"), title, &body, height))
}

/// The chart of the patterns at the limit.
pub(super) fn of_limit(limit: &Limit<'_>) -> Picture {
    let (body, height) = dots::draw(limit);
    let title = "at the limit: the others' time divided by ours, more is better".to_owned();
    Picture::new("at_the_limit.svg".to_owned(), title, &body, height)
}

impl Picture {
    fn new(file: String, title: String, body: &str, height: f64) -> Self {
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{0}\">{STYLE}\n\
             <text class=\"title\" x=\"8\" y=\"20\">{0}</text>\n{body}</svg>\n",
            escaped(&title)
        );
        Picture { file, title, svg }
    }
}

fn figure(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
