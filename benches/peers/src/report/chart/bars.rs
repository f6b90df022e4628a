//! Bars: who takes how long.

use super::{WIDTH, escaped, figure};
use crate::{run::Measured, statistics, table::Role};
use std::fmt::Write;

const LABELS: f64 = 250.0;
const ROW: f64 = 22.0;
const TOP: f64 = 34.0;
/// Room for the figure behind the longest bar.
const FIGURES: f64 = 90.0;

/// The bars of each table below those of the last, and where they end.
pub(super) fn draw(tables: &[&Measured]) -> (String, f64) {
    let mut svg = String::new();
    let mut y = TOP;
    for measured in tables {
        y = bars(&mut svg, measured, y);
    }
    (svg, y)
}

fn bars(svg: &mut String, measured: &Measured, mut y: f64) -> f64 {
    let case = escaped(&measured.table.case);
    let _ = writeln!(
        svg,
        "<text class=\"quiet\" x=\"8\" y=\"{:.0}\">{case}</text>",
        y + 15.0
    );
    y += ROW;
    let medians = measured
        .rows
        .iter()
        .map(|row| statistics::median(&row.rounds));
    let medians: Vec<f64> = medians.collect();
    let longest = medians.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    for (row, median) in measured.rows.iter().zip(&medians) {
        let class = match row.role {
            Role::Ours => "ours",
            Role::Peer => "peer",
            Role::Reference => "reference",
        };
        let length = (median / longest * (WIDTH - LABELS - FIGURES)).max(1.0);
        let text = y + 15.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{text:.0}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{LABELS}\" y=\"{:.0}\" width=\"{length:.1}\" height=\"{:.0}\" rx=\"2\"/>\
             <text class=\"quiet\" x=\"{:.0}\" y=\"{text:.0}\">{}</text>",
            LABELS - 8.0,
            escaped(&row.name),
            y + 3.0,
            ROW - 6.0,
            LABELS + length + 6.0,
            figure(*median),
        );
        y += ROW;
    }
    y + 10.0
}
