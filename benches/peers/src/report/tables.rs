//! The tables: who took how long, and how that is to the crate's own figure.

use super::{CHARTS, chart};
use crate::{
    run::{Figures, Measured},
    statistics,
    table::{Base, OURS, Role, Unit},
    verdict::{Verdict, ratio_to},
};
use hdrhistogram::Histogram;
use std::fmt::Write;

/// All tables, by scenario, each scenario with its charts.
pub(super) fn section(all: &[Measured]) -> String {
    let mut text = "## Figures\n".to_owned();
    let mut scenario = "";
    for measured in all {
        if measured.table.scenario != scenario {
            scenario = measured.table.scenario;
            let _ = write!(text, "\n### {}\n", capitalized(scenario));
            if let Some(picture) = chart::of_scenario(all, scenario) {
                let _ = write!(text, "\n![{}]({CHARTS}/{})\n", picture.title, picture.file);
            }
        }
        text.push_str(&table(measured));
    }
    text
}

fn table(measured: &Measured) -> String {
    let unit = match measured.table.unit {
        Unit::Nanoseconds => "ns",
        Unit::Mebibytes => "MiB",
    };
    let mut text = format!(
        "\n**{}**\n\n| | {unit} | from | to | beside it, {OURS} takes |\n",
        capitalized(&measured.table.case)
    );
    text.push_str("|---|---:|---:|---:|---:|\n");
    for figures in &measured.rows {
        let (low, high) = statistics::spread(&figures.rounds);
        let name = if figures.role == Role::Ours {
            format!("**{}**", figures.name)
        } else {
            figures.name.clone()
        };
        let middle = number(statistics::median(&figures.rounds));
        let beside = beside(measured, figures);
        let _ = writeln!(
            text,
            "| {name} | {middle} | {} | {} | {beside} |",
            number(low),
            number(high)
        );
    }
    text.push_str(&latencies(measured));
    for target in &measured.table.targets {
        let verdict = Verdict::new(measured, target);
        let result = if verdict.met { "met" } else { "**missed**" };
        let _ = write!(
            text,
            "\nAsked for: {} {}. Found: {}, {result}.\n",
            target.subject, verdict.asked, verdict.found
        );
    }
    text
}

/// Percentiles of all rounds together, where single latencies were measured, and how ours are to those that the target
/// names.
fn latencies(measured: &Measured) -> String {
    let mut text = String::new();
    for row in &measured.rows {
        let Some(latencies) = &row.latencies else {
            continue;
        };
        if text.is_empty() {
            text.push_str("\nAll hand-offs of all rounds, in ns:\n\n| | p50 | p99 | p99.9 | longest | hand-offs |\n|---|---:|---:|---:|---:|---:|\n");
        }
        let _ = write!(text, "| {}", row.name);
        for nanoseconds in percentiles(latencies) {
            let _ = write!(text, " | {nanoseconds}");
        }
        let _ = writeln!(text, " | {} |", latencies.len());
    }
    for target in &measured.table.targets {
        let Base::Row(base) = target.base else {
            continue;
        };
        let rows = [target.subject, base].map(|name| measured.row(name).latencies.as_ref());
        if let [Some(ours), Some(theirs)] = rows.map(|row| row.map(percentiles)) {
            let _ = write!(text, "| **{} / {base}**", target.subject);
            for (ours, theirs) in ours.into_iter().zip(theirs) {
                let _ = write!(text, " | {:.2}", ours as f64 / theirs as f64);
            }
            text.push_str(" | |\n");
        }
    }
    text
}

fn percentiles(latencies: &Histogram<u64>) -> [u64; 4] {
    let at = |quantile| latencies.value_at_quantile(quantile);
    [at(0.5), at(0.99), at(0.999), latencies.max()]
}

/// How many targets are met, and how many there are.
pub(super) fn met(all: &[Measured]) -> (usize, usize) {
    let targets = all.iter().flat_map(|measured| {
        measured
            .table
            .targets
            .iter()
            .map(move |target| (measured, target))
    });
    let met: Vec<_> = targets
        .map(|(measured, target)| Verdict::new(measured, target).met)
        .collect();
    (met.iter().filter(|met| **met).count(), met.len())
}

/// Every target of every table on one line, those that were missed first.
pub(super) fn targets(all: &[Measured]) -> String {
    let mut rows: Vec<(bool, String)> = Vec::new();
    for measured in all {
        for target in &measured.table.targets {
            let verdict = Verdict::new(measured, target);
            let result = if verdict.met { "met" } else { "**missed**" };
            let name = format!("{}: {}", measured.table.scenario, measured.table.case);
            let row = format!(
                "| {name} | {} {} | {} | {result} |\n",
                target.subject, verdict.asked, verdict.found
            );
            rows.push((verdict.met, row));
        }
    }
    rows.sort_by_key(|(met, _)| *met);
    let (met, all) = met(all);
    let head = format!(
        "## Targets\n\n{met} of {all} are met. Each figure is the median of the rounds' ratios.\n\n\
         | scenario | asked for | found | |\n|---|---|---:|---|\n",
    );
    rows.into_iter().fold(head, |text, (_, row)| text + &row)
}

/// How the crate's own figure is to this one.
fn beside(measured: &Measured, figures: &Figures) -> String {
    if figures.role == Role::Ours {
        return String::new();
    }
    format!(
        "{:.2} times",
        ratio_to(measured.ours_beside(figures), figures)
    )
}

/// Three digits and no more.
pub(super) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// One table for a terminal.
pub(super) fn as_text(measured: &Measured) -> String {
    let mut text = format!("\n{}, {}\n", measured.table.scenario, measured.table.case);
    for figures in &measured.rows {
        let (low, high) = statistics::spread(&figures.rounds);
        let middle = number(statistics::median(&figures.rounds));
        let spread = format!("{} to {}", number(low), number(high));
        let _ = writeln!(
            text,
            "  {:<40} {middle:>9}  {spread:>22}  {}",
            figures.name,
            beside(measured, figures)
        );
    }
    for target in &measured.table.targets {
        let verdict = Verdict::new(measured, target);
        let result = if verdict.met { "met" } else { "MISSED" };
        let _ = writeln!(
            text,
            "  {result}: {} {}: {}",
            target.subject, verdict.asked, verdict.found
        );
    }
    text
}
