//! The summary at the head of the page: what is met, one line for each operation, and where we lose.

use super::{Limit, losses, tables};
use crate::{
    limit::{Found, GOALS},
    profile,
    run::{Figures, Measured},
    scenarios::FLOOR,
    statistics,
    table::{Base, Role, Target, Unit},
    verdict::{fastest_peer, ratio_to},
};
use std::fmt::Write;

/// More is no summary.
const MOST_LINES: usize = 40;

const HEAD: &str =
    "| operation | ns | of the floor | beside | we take |\n|---|---:|---:|---|---:|\n";

pub(super) fn section(all: &[Measured], limit: &Limit<'_>) -> String {
    let (met, targets) = tables::met(all);
    let found = &limit.now.found;
    let reached = found.iter().filter(|found| found.all_met()).count();
    let mut text = format!(
        "## Summary\n\n\
         {met} of {targets} targets are met, and {reached} of {} patterns at the limit reach their goals. Each operation stands\n\
         beside the one that is nearest to us, or furthest ahead, in the table where that is worst.\n\n{HEAD}",
        found.len()
    );
    for measured in worst_tables(all) {
        text.push_str(&line(measured));
    }
    for kind in ["saw", "walk", "pipe"] {
        let of_kind = found.iter().filter(|found| found.pattern.starts_with(kind));
        text.push_str(&worst_pattern(kind, of_kind).unwrap_or_default());
    }
    text.push_str("\nWhere we lose:\n\n");
    let missed: Vec<_> = all.iter().flat_map(losses::missed).collect();
    let room = MOST_LINES.saturating_sub(text.lines().count() + 1);
    let shown = missed.len().min(room);
    for missed in &missed[..shown] {
        let _ = writeln!(text, "- {missed}");
    }
    let _ = writeln!(
        text,
        "- {} more missed targets, {} patterns, and {} rows in which another is faster: see below",
        missed.len() - shown,
        found.len() - reached,
        all.iter().flat_map(losses::faster).count(),
    );
    text
}

/// Of each scenario, with each profile, the table that looks worst for us.
fn worst_tables(all: &[Measured]) -> Vec<&Measured> {
    let mut worst: Vec<&Measured> = Vec::new();
    let timed = |measured: &&Measured| {
        measured.table.unit == Unit::Nanoseconds && measured.table.along.is_none()
    };
    for measured in all.iter().filter(timed) {
        let key = |measured: &Measured| (measured.table.scenario, profile::is_thin(measured));
        let ratio = |measured| beside(measured).map_or(0.0, |(_, _, ratio)| ratio);
        match worst.iter_mut().find(|other| key(other) == key(measured)) {
            Some(other) if ratio(measured) > ratio(other) => *other = measured,
            Some(_) => {}
            None => worst.push(measured),
        }
    }
    worst
}

/// Who stands beside which row of ours, and how that is to it: the nearest peer, or what the first target names, or the
/// first reference.
fn beside(measured: &Measured) -> Option<(&Figures, &str, f64)> {
    if measured.peers().next().is_some() {
        let (ratio, peer) = fastest_peer(measured);
        return Some((measured.ours_beside(measured.row(peer)), peer, ratio));
    }
    let row = |role| measured.rows.iter().find(|row| row.role == role);
    let (ours, base) = match measured.table.targets.first() {
        Some(Target {
            subject,
            base: Base::Row(base),
            ..
        }) => (measured.row(subject), measured.row(base)),
        _ => (row(Role::Ours)?, row(Role::Reference)?),
    };
    Some((ours, &base.name, ratio_to(ours, base)))
}

fn line(measured: &Measured) -> String {
    let Some((ours, other, ratio)) = beside(measured) else {
        return String::new();
    };
    let ns = tables::number(statistics::median(&ours.rounds));
    let floor = measured.rows.iter().find(|row| row.name == FLOOR);
    let floor = floor.map_or_else(String::new, |floor| format!("{:.2}", ratio_to(ours, floor)));
    let (scenario, case) = (measured.table.scenario, &measured.table.case);
    format!("| {scenario}: {case} | {ns} | {floor} | {other} | {ratio:.2} times |\n")
}

fn worst_pattern<'a>(kind: &str, found: impl Iterator<Item = &'a Found>) -> Option<String> {
    let each = found.flat_map(|found| {
        let ratios = found.ratios.into_iter().zip(GOALS);
        ratios.map(move |(ratio, (other, _))| (found, ratio, other))
    });
    let (found, ratio, other) = each.min_by(|(_, a, _), (_, b, _)| a.total_cmp(b))?;
    let rest = found.pattern.strip_prefix(kind).unwrap_or(&found.pattern);
    Some(format!(
        "| at the limit: {kind}{rest} | {} | | {other} | {:.2} times |\n",
        tables::number(found.ours),
        1.0 / ratio,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limit::Results,
        scenarios,
        table::{Bound, OURS, Outcome, Table},
    };

    /// More than there are scenarios.
    const NAMES: [&str; 24] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r",
        "s", "t", "u", "v", "w", "x",
    ];

    fn lost(scenario: &'static str, ours: f64) -> Measured {
        let nothing = || |_| Outcome::constant(0.0);
        let table = Table::new(scenario, format!("ours {ours}"))
            .row(OURS, nothing)
            .row("peer", nothing)
            .target(OURS, Base::FastestPeer, Bound::AtMost(1.0));
        Measured::with_rounds(table, vec![vec![ours; 3], vec![1.0; 3]])
    }

    fn summary(all: &[Measured]) -> String {
        let now = Results {
            seed: 1,
            rounds: 15,
            found: Vec::new(),
        };
        section(
            all,
            &Limit {
                now: &now,
                before: None,
            },
        )
    }

    /// Each missed target takes a line, and there can be as many as there are tables.
    #[test]
    fn a_run_that_misses_everything_has_a_short_summary_too() {
        for scenarios in [1, 12, NAMES.len()] {
            let all = NAMES[..scenarios].iter().map(|name| lost(name, 2.0));
            let text = summary(&all.collect::<Vec<_>>());
            assert!(text.lines().count() <= MOST_LINES, "{scenarios}: {text}");
        }
    }

    /// The lines of the operations alone must leave room for what we lose.
    #[test]
    fn there_are_no_more_scenarios_than_the_summary_has_room_for() {
        let mut named: Vec<_> = scenarios::all()
            .into_iter()
            .filter(|table| table.unit == Unit::Nanoseconds && table.along.is_none())
            .flat_map(|table| {
                let thin = table.thin.then_some((table.scenario, true));
                [Some((table.scenario, false)), thin]
            })
            .flatten()
            .collect();
        named.sort();
        named.dedup();
        // The patterns at the limit take three more lines.
        assert!(named.len() + 3 <= NAMES.len(), "{named:?}");
    }

    /// With the first of them instead, a loss would be hidden by the order of the tables.
    #[test]
    fn of_several_tables_the_worst_is_shown() {
        let text = summary(&[lost("a", 2.0), lost("a", 7.0), lost("a", 3.0)]);
        assert!(
            text.contains("| a: ours 7 | 7.00 |  | peer | 7.00 times |"),
            "{text}"
        );
        assert!(!text.contains("| a: ours 3 |"), "{text}");
    }
}
