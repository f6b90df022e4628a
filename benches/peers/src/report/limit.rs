//! The patterns at the limit: how long the others take, in units of our time, now and before.

use super::{CHARTS, chart};
use crate::limit::{Found, GOALS, Results};
use std::fmt::Write;

/// What is written of the limit.
pub(crate) struct Limit<'a> {
    pub(crate) now: &'a Results,
    /// An earlier run, if there is one to stand beside.
    pub(crate) before: Option<&'a Results>,
}

impl Limit<'_> {
    /// The same pattern in the earlier run.
    pub(super) fn before(&self, found: &Found) -> Option<&Found> {
        self.before?.of(&found.pattern)
    }
}

pub(super) fn section(limit: &Limit<'_>) -> String {
    let found = &limit.now.found;
    let met = found.iter().filter(|found| found.all_met()).count();
    let picture = chart::of_limit(limit);
    let mut text = format!(
        "## At the limit\n\n\
         Patterns that take all that the pool has, or almost. Each figure is the other's time divided by ours: the median of\n\
         {} paired rounds. {met} of {} patterns reach their goals. Those after the first nine are drawn from a seed;\n\
         `-- limit --seed {}` repeats them.\n\n\
         ![{}]({CHARTS}/{})\n\n",
        limit.now.rounds,
        found.len(),
        limit.now.seed,
        picture.title,
        picture.file,
    );
    text.push_str(&head(limit.before.is_some()));
    for found in found {
        text.push_str(&row(limit, found));
    }
    text
}

fn head(before: bool) -> String {
    let mut names = "| | ns |".to_owned();
    let mut rule = "|---|---:|".to_owned();
    for (name, goal) in GOALS {
        if before {
            let _ = write!(names, " {name}, before |");
            rule.push_str("---:|");
        }
        let _ = write!(names, " {name}, at least {goal} |");
        rule.push_str("---:|");
    }
    format!("{names} gets that waited | gets that missed |\n{rule}---:|---:|\n")
}

fn row(limit: &Limit<'_>, found: &Found) -> String {
    let before = limit.before(found);
    let mut text = format!(
        "| {} | {} |",
        found.pattern,
        super::tables::number(found.ours)
    );
    for (at, met) in found.met().into_iter().enumerate() {
        if limit.before.is_some() {
            let before = before.map_or_else(String::new, |old| format!("{:.2}", old.ratios[at]));
            let _ = write!(text, " {before} |");
        }
        let ratio = found.ratios[at];
        let _ = if met {
            write!(text, " {ratio:.2} |")
        } else {
            write!(text, " **{ratio:.2}** |")
        };
    }
    let (waited, missed) = (found.waited * 100.0, found.missed * 100.0);
    let _ = writeln!(text, " {waited:.1} % | {missed:.1} % |");
    text
}
