//! Lines: how what each contender takes grows with the parameter. The steps of the parameter are equally far apart.

use super::{WIDTH, escaped, figure};
use crate::{run::Measured, statistics};
use std::fmt::Write;

/// Readable on light and on dark paper; the second row is the crate's own, and blue as it is among bars.
const COLOURS: [&str; 6] = [
    "#8c959f", "#388bfd", "#d29922", "#3fb950", "#db6d28", "#a371f7",
];

const LEFT: f64 = 60.0;
const RIGHT: f64 = 30.0;
const LEGEND: f64 = 18.0;
const TOP: f64 = 34.0;
const PLOT: f64 = 200.0;

/// The lines of all rows, and where the chart ends.
pub(super) fn draw(tables: &[&Measured]) -> (String, f64) {
    let mut svg = String::new();
    let rows = &tables[0].table.rows;
    let median = |table: &Measured, row: usize| statistics::median(&table.rows[row].rounds);
    let highest = tables
        .iter()
        .flat_map(|table| (0..rows.len()).map(|row| median(table, row)))
        .fold(f64::MIN_POSITIVE, f64::max);

    let top = TOP + LEGEND * rows.len() as f64 + 10.0;
    let bottom = top + PLOT;
    let step = (WIDTH - LEFT - RIGHT) / (tables.len() - 1).max(1) as f64;
    let x = |at: usize| LEFT + step * at as f64;
    let y = |value: f64| bottom - value / highest * PLOT;

    for value in [0.0, highest / 2.0, highest] {
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{0:.1}\" x2=\"{1}\" y2=\"{0:.1}\"/>\
             <text class=\"quiet\" x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            y(value),
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(value) + 4.0,
            figure(value),
        );
    }
    for (at, parameter) in tables
        .iter()
        .filter_map(|table| table.table.along)
        .enumerate()
    {
        let _ = writeln!(
            svg,
            "<text class=\"quiet\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{parameter}</text>",
            x(at),
            bottom + 18.0,
        );
    }
    for (number, row) in rows.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points: Vec<String> = tables
            .iter()
            .enumerate()
            .map(|(at, table)| format!("{:.1},{:.1}", x(at), y(median(table, number))))
            .collect();
        let legend = TOP + LEGEND * number as f64;
        let _ = writeln!(
            svg,
            "<polyline class=\"line\" stroke=\"{colour}\" points=\"{}\"/>\
             <rect fill=\"{colour}\" x=\"{LEFT}\" y=\"{legend}\" width=\"14\" height=\"10\" rx=\"2\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            points.join(" "),
            LEFT + 20.0,
            legend + 10.0,
            escaped(&row.name),
        );
    }
    (svg, bottom + 30.0)
}
