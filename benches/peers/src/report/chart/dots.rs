//! Dots: the others' time in units of ours, one line for each pattern at the limit.

use super::{WIDTH, escaped};
use crate::{
    limit::{Found, GOALS},
    report::Limit,
};
use std::fmt::Write;

/// Readable on light and on dark paper, in the order of [`GOALS`].
const COLOURS: [&str; 3] = ["#388bfd", "#3fb950", "#db6d28"];

/// Room for one character of a pattern's name, on average.
const CHARACTER: f64 = 6.9;
/// Room between the names and the dots.
const GAP: f64 = 10.0;
const RIGHT: f64 = 30.0;
const ROW: f64 = 18.0;
const TOP: f64 = 34.0;
/// Where the scale ends: who takes longer than that is drawn here.
const MOST: f64 = 3.0;
/// Where the names of the others begin, in the order of [`GOALS`]. The first is the longest.
const LEGEND: [f64; 3] = [20.0, 320.0, 520.0];

/// The dots of all patterns, and where the chart ends.
pub(in crate::report) fn draw(limit: &Limit<'_>) -> (String, f64) {
    let mut svg = String::new();
    let names = limit.now.found.iter().map(|found| found.pattern.len());
    let labels = names.max().unwrap_or(0) as f64 * CHARACTER + 2.0 * GAP;
    let x = |ratio: f64| labels + ratio.min(MOST) / MOST * (WIDTH - labels - RIGHT);
    let top = TOP + ROW * 3.0;
    let bottom = top + ROW * limit.now.found.len() as f64;
    for (number, (name, goal)) in GOALS.into_iter().enumerate() {
        let left = LEGEND[number];
        let colour = COLOURS[number];
        let _ = writeln!(
            svg,
            "<circle fill=\"{colour}\" cx=\"{left}\" cy=\"{0}\" r=\"5\"/>\
             <text x=\"{1}\" y=\"{2}\">{name}, at least {goal}</text>",
            TOP + 9.0,
            left + 12.0,
            TOP + 14.0,
        );
        let _ = writeln!(
            svg,
            "<line stroke=\"{colour}\" stroke-dasharray=\"2 3\" x1=\"{0:.1}\" y1=\"{top}\" x2=\"{0:.1}\" y2=\"{bottom}\"/>",
            x(goal),
        );
    }
    let rings = match limit.before {
        Some(_) => "; rings are what was found before",
        None => "",
    };
    let _ = writeln!(
        svg,
        "<text class=\"quiet\" x=\"8\" y=\"{}\">{MOST} stands for {MOST} and more{rings}</text>",
        TOP + ROW + 14.0,
    );
    for value in [0.0, 1.0, 2.0, MOST] {
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{0:.1}\" y1=\"{top}\" x2=\"{0:.1}\" y2=\"{bottom}\"/>\
             <text class=\"quiet\" x=\"{0:.1}\" y=\"{1}\" text-anchor=\"middle\">{value}</text>",
            x(value),
            bottom + 16.0,
        );
    }
    for (number, found) in limit.now.found.iter().enumerate() {
        let y = top + ROW * number as f64 + ROW / 2.0;
        let _ = writeln!(
            svg,
            "<text class=\"quiet\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            labels - GAP,
            y + 4.0,
            escaped(&found.pattern),
        );
        dots(&mut svg, x, limit.before(found), found, y);
    }
    (svg, bottom + 26.0)
}

/// A ring is what was found before, and a dot what is found now.
fn dots(svg: &mut String, x: impl Fn(f64) -> f64, before: Option<&Found>, now: &Found, y: f64) {
    for (at, colour) in COLOURS.into_iter().enumerate() {
        if let Some(before) = before {
            let _ = writeln!(
                svg,
                "<circle fill=\"none\" stroke=\"{colour}\" cx=\"{:.1}\" cy=\"{y}\" r=\"4\"/>",
                x(before.ratios[at]),
            );
        }
        let _ = writeln!(
            svg,
            "<circle fill=\"{colour}\" cx=\"{:.1}\" cy=\"{y}\" r=\"4\"/>",
            x(now.ratios[at]),
        );
    }
}
