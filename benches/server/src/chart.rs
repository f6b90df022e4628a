//! Bytes per CPU second of sample-pool beside each rival, as dots with their spread.

use crate::{
    contender::Contender,
    measurement::Measured,
    report::describe,
    results::{Results, Spread},
    scenario::{Pace, Scenario},
};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
const ROW: f64 = 34.0;

/// Its own background and its own dark colours, so that it can be read wherever it is shown.
const STYLE: &str = "\
svg { color-scheme: light dark; font: 13px sans-serif; }
.back { fill: #ffffff; } text { fill: #24292f; } .grid { stroke: #d0d7de; } .one { stroke: #57606a; stroke-width: 1.5; }
.bytes_mut { fill: #0969da; stroke: #0969da; } .deadpool { fill: #bc4c00; stroke: #bc4c00; }
line { stroke-width: 1; } line.bytes_mut, line.deadpool { stroke-width: 3; stroke-opacity: 0.45; }
@media (prefers-color-scheme: dark) {
.back { fill: #0d1117; } text { fill: #e6edf3; } .grid { stroke: #30363d; } .one { stroke: #9198a1; }
.bytes_mut { fill: #58a6ff; stroke: #58a6ff; } .deadpool { fill: #ff9e64; stroke: #ff9e64; }
}";

const RIVALS: [(Contender, f64); 2] = [(Contender::BytesMut, -6.0), (Contender::Deadpool, 6.0)];

pub(crate) fn draw(results: &Results) -> String {
    let scenarios: Vec<&Scenario> = results.scenarios().collect();
    let ratio =
        |scenario: &Scenario, rival| results.ratio(scenario, rival, Measured::bytes_per_cpu_second);
    let all = scenarios.iter().flat_map(|scenario| {
        RIVALS
            .iter()
            .filter_map(|(rival, _)| ratio(scenario, *rival))
    });
    let axis = Axis::over(all);
    let height = TOP + ROW * scenarios.len() as f64 + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Bytes per CPU second of sample-pool divided by those of each rival\">\n<style>\n{STYLE}\n</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text x=\"16\" y=\"24\" font-weight=\"bold\">Bytes per CPU second: sample-pool divided by the rival. Right of 1.0 it is ahead.</text>\n"
    );
    for ((rival, _), x) in RIVALS.iter().zip([LEFT, LEFT + 170.0]) {
        svg += &format!(
            "<circle class=\"{}\" cx=\"{x}\" cy=\"43\" r=\"5\"/><text x=\"{}\" y=\"48\">{rival}</text>\n",
            rival.argument(),
            x + 12.0
        );
    }
    svg += &axis.grid(height - 32.0);
    for (row, scenario) in scenarios.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        let pace = match scenario.pace {
            Pace::PerSecond(_) => "",
            Pace::Saturated => ", saturated",
        };
        svg += &format!(
            "<text x=\"16\" y=\"{}\">{}{pace}</text>\n",
            y + 4.0,
            describe(scenario)
        );
        for (rival, offset) in RIVALS {
            if let Some(ratio) = ratio(scenario, rival) {
                svg += &axis.dot(ratio, y + offset, rival.argument());
            }
        }
    }
    svg + "</svg>\n"
}

/// What the ratios lie between, a little wider.
struct Axis {
    least: f64,
    greatest: f64,
}

/// One line for each.
const STEP: f64 = 0.1;

impl Axis {
    fn over(all: impl Iterator<Item = Spread>) -> Self {
        let (least, greatest) = all.fold((1.0_f64, 1.0_f64), |(least, greatest), spread| {
            (least.min(spread.least), greatest.max(spread.greatest))
        });
        Axis {
            least: (least / STEP - 0.5).floor() * STEP,
            greatest: (greatest / STEP + 0.5).ceil() * STEP,
        }
    }

    fn x(&self, ratio: f64) -> f64 {
        LEFT + (ratio - self.least) / (self.greatest - self.least) * (WIDTH - LEFT - RIGHT)
    }

    fn grid(&self, bottom: f64) -> String {
        let (first, last) = (
            (self.least / STEP).round() as i64,
            (self.greatest / STEP).round() as i64,
        );
        let lines = (first..=last).map(|tenths| {
            let x = self.x(tenths as f64 * STEP);
            let class = if tenths == 10 { "one" } else { "grid" };
            format!(
                "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{:.1}</text>\n",
                bottom + 18.0,
                tenths as f64 * STEP
            )
        });
        lines.collect()
    }

    fn dot(&self, ratio: Spread, y: f64, class: &str) -> String {
        format!(
            "<line class=\"{class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\"/><circle class=\"{class}\" cx=\"{:.1}\" cy=\"{y}\" r=\"4.5\"/>\n",
            self.x(ratio.least),
            self.x(ratio.greatest),
            self.x(ratio.median)
        )
    }
}
