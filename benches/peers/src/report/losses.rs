//! Where the crate loses: computed, so that no row can be forgotten.

use crate::{
    run::Measured,
    verdict::{Verdict, ratio_to},
};
use std::fmt::Write;

/// Every missed target, and every row in which something else is faster.
pub(super) fn section(all: &[Measured]) -> String {
    let mut text = "## Where we lose\n\nTargets that were missed:\n\n".to_owned();
    list(&mut text, all.iter().flat_map(missed));
    text.push_str("\nWho is faster, by the median of the rounds' ratios:\n\n");
    list(&mut text, all.iter().flat_map(faster));
    text
}

fn list(text: &mut String, lines: impl Iterator<Item = String>) {
    let before = text.len();
    for line in lines {
        let _ = writeln!(text, "- {line}");
    }
    if text.len() == before {
        text.push_str("None in this run.\n");
    }
}

pub(super) fn missed(measured: &Measured) -> Vec<String> {
    let targets = measured.table.targets.iter();
    let verdicts = targets.map(|target| (target, Verdict::new(measured, target)));
    let missed = verdicts.filter(|(_, verdict)| !verdict.met);
    missed
        .map(|(target, verdict)| {
            let (scenario, case) = (measured.table.scenario, &measured.table.case);
            format!(
                "{scenario}, {case}: {} {}; found {}",
                target.subject, verdict.asked, verdict.found
            )
        })
        .collect()
}

pub(super) fn faster(measured: &Measured) -> Vec<String> {
    let beside = measured
        .peers()
        .map(|peer| (ratio_to(measured.ours_beside(peer), peer), peer));
    // What would be printed as even is even.
    let mut faster: Vec<_> = beside.filter(|(ratio, _)| *ratio >= 1.005).collect();
    faster.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    faster
        .into_iter()
        .map(|(ratio, peer)| {
            let (scenario, case) = (measured.table.scenario, &measured.table.case);
            format!(
                "{scenario}, {case}: {}; we take {ratio:.2} times as long",
                peer.name
            )
        })
        .collect()
}
