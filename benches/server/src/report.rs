//! The tables, and the page that they stand on.

use crate::{
    contender::Contender,
    machine,
    measurement::Measured,
    results::{Results, Spread},
    scenario::{Pace, Scenario},
};
use std::{fmt::Write, io, path::Path};

const RIVALS: [Contender; 2] = [Contender::BytesMut, Contender::Deadpool];

/// All of `RESULTS.md`.
pub(crate) fn page(results: &Results, package: &Path) -> io::Result<String> {
    Ok(format!(
        "# The live server as a whole: figures\n\n\
         Written by `cargo run --release --manifest-path benches/server/Cargo.toml`; do not edit. What is measured,\n\
         what is not and what it teaches: [`README.md`](README.md).\n\n\
         {} rounds. {}\n\n![Bytes per CPU second beside the others](chart.svg)\n\n{}",
        results.rounds(),
        machine::describe(package)?,
        tables(results)
    ))
}

/// Everything that was measured.
pub(crate) fn tables(results: &Results) -> String {
    let mut text = String::new();
    for paced in [true, false] {
        let scenarios: Vec<_> = results
            .scenarios()
            .filter(|scenario| (scenario.pace != Pace::Saturated) == paced)
            .collect();
        if scenarios.is_empty() {
            continue;
        }
        text += match paced {
            true => "## At the pace of a camera\n\n",
            false => "## As fast as it goes\n\n",
        };
        text += "| viewers | buffers from | MB per CPU second | CPU, % of a core | in the kernel, % of it | peak RSS, MB | allocations per frame | page faults per frame | worst gap, ms | skipped |\n";
        text += "|---|---|---|---|---|---|---|---|---|---|\n";
        for scenario in scenarios {
            for contender in Contender::ALL {
                text += &row(results, scenario, contender).unwrap_or_default();
            }
        }
        text += "\n";
    }
    text += &ratios(results);
    text
}

fn row(results: &Results, scenario: &Scenario, contender: Contender) -> Option<String> {
    let figure = |figure: fn(&Measured) -> f64| results.spread(scenario, contender, figure);
    Some(format!(
        "| {} | {contender} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} |\n",
        describe(scenario),
        figure(|it| it.bytes_per_cpu_second() / 1e6)?,
        figure(|it| it.cpu_seconds / it.seconds * 100.0)?.median,
        figure(|it| it.system_seconds / it.cpu_seconds * 100.0)?.median,
        figure(|it| it.peak_resident_bytes as f64 / 1e6)?,
        figure(Measured::allocations_per_frame)?.median,
        figure(|it| it.minor_faults as f64 / it.frames as f64)?.median,
        figure(|it| it.worst_gap_seconds * 1e3)?,
        figure(|it| it.skipped as f64)?.median,
    ))
}

pub(crate) fn describe(scenario: &Scenario) -> String {
    let slow = match scenario.slow {
        0 => String::new(),
        slow => format!(" + {slow} slow"),
    };
    let pace = match scenario.pace {
        Pace::PerSecond(frames) => format!(", {frames}/s"),
        Pace::Saturated => String::new(),
    };
    format!(
        "{}{slow}, {} KiB{pace}",
        scenario.viewers,
        scenario.frame_bytes / 1024
    )
}

/// Ours beside each rival, and whether the rounds agree on who is ahead.
fn ratios(results: &Results) -> String {
    let mut text = String::from(
        "## sample-pool beside the others\n\n\
         Each figure of sample-pool divided by the rival's of the same round: median (least to greatest). More is better for\n\
         bytes per CPU second, less for the others. *Ahead* and *behind* are said only where all rounds agree.\n\n\
         | viewers | beside | bytes per CPU second | | peak RSS | | worst gap | |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for scenario in results.scenarios() {
        for rival in RIVALS {
            let ratio = |figure: fn(&Measured) -> f64| results.ratio(scenario, rival, figure);
            let (Some(cpu), Some(resident), Some(gap)) = (
                ratio(Measured::bytes_per_cpu_second),
                ratio(|it| it.peak_resident_bytes as f64),
                ratio(|it| it.worst_gap_seconds),
            ) else {
                continue;
            };
            // A String takes whatever is written.
            let _written = writeln!(
                text,
                "| {} | {rival} | {cpu:.2} | {} | {resident:.2} | {} | {gap:.2} | {} |",
                describe(scenario),
                verdict(cpu, true),
                verdict(resident, false),
                verdict(gap, false),
            );
        }
    }
    text
}

fn verdict(ratio: Spread, more_is_better: bool) -> &'static str {
    let above = ratio.least > 1.0;
    let below = ratio.greatest < 1.0;
    match more_is_better {
        true if above => "ahead",
        true if below => "**behind**",
        false if below => "ahead",
        false if above => "**behind**",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ahead_is_said_only_if_all_rounds_agree() {
        let spread = |least, greatest| Spread {
            least,
            median: f64::midpoint(least, greatest),
            greatest,
        };
        assert_eq!(verdict(spread(1.01, 1.2), true), "ahead");
        assert_eq!(verdict(spread(0.8, 0.99), true), "**behind**");
        assert_eq!(verdict(spread(0.8, 0.99), false), "ahead");
        assert_eq!(verdict(spread(1.01, 1.2), false), "**behind**");
        assert_eq!(verdict(spread(0.99, 1.01), true), "");
        assert_eq!(verdict(spread(0.99, 1.01), false), "");
    }
}
