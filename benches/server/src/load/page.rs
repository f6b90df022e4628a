//! The figures: a table with a column for each contender, and the page that it stands on.

use super::{
    plan::{ABSENT, CHANNELS, Habit, PRESENT, RATE},
    process::Sample,
    run::Loaded,
    verdict::Quarter,
};
use crate::{contender::Contender, machine};
use std::{io, path::Path, time::Duration};

/// How a figure of ours is compared.
type Figure = Box<dyn Fn(&Loaded) -> Option<f64>>;

struct Row {
    what: &'static str,
    digits: usize,
    figure: Figure,
    compared: bool,
}

fn row(
    what: &'static str,
    digits: usize,
    figure: impl Fn(&Loaded) -> Option<f64> + 'static,
) -> Row {
    Row {
        what,
        digits,
        figure: Box::new(figure),
        compared: true,
    }
}

/// What is no figure of the server's, and so compared with nothing.
fn plain(
    what: &'static str,
    digits: usize,
    figure: impl Fn(&Loaded) -> Option<f64> + 'static,
) -> Row {
    Row {
        compared: false,
        ..row(what, digits, figure)
    }
}

const MEGA: f64 = 1e6;

fn rows() -> Vec<Row> {
    let resident = |it: &Loaded, quarter| {
        it.median(quarter, |sample| sample.usage.resident_bytes) as f64 / MEGA
    };
    let descriptors =
        |it: &Loaded, quarter| it.median(quarter, |sample| sample.descriptors as u64) as f64;
    let slow = |it: &Loaded, habit| it.delivered.slow[habit as usize].closed as f64;
    vec![
        plain("seconds", 0, |it| Some(it.seconds)),
        plain("delivered, GB", 2, |it| {
            Some(it.delivered.bytes as f64 / 1e9)
        }),
        plain("frames delivered", 0, |it| Some(it.delivered.frames as f64)),
        row("CPU seconds per delivered GB", 3, |it| {
            Some(it.cpu_seconds() / (it.delivered.bytes as f64 / 1e9))
        }),
        row("CPU of the server, % of a core", 0, |it| {
            Some(it.cpu_seconds() / it.seconds * 100.0)
        }),
        row("allocations per delivered frame", 3, |it| {
            Some(it.allocations() / it.delivered.frames as f64)
        }),
        row("worst gap of a healthy viewer, ms", 0, |it| {
            Some(it.delivered.gaps.worst.as_secs_f64() * 1e3)
        }),
        row("99.9 % of the gaps, ms", 0, |it| {
            Some(it.delivered.gaps.percentile(0.999))
        }),
        row("99 % of the gaps, ms", 0, |it| {
            Some(it.delivered.gaps.percentile(0.99))
        }),
        row("frames that healthy viewers skipped", 0, |it| {
            Some(it.delivered.healthy_skipped as f64)
        }),
        row("RSS after the first quarter, MB", 2, move |it| {
            Some(resident(it, Quarter::Second))
        }),
        row("RSS at the end, MB", 2, move |it| {
            Some(resident(it, Quarter::Last))
        }),
        row("peak RSS, MB", 2, |it| {
            Some(it.most(|sample| sample.usage.peak_resident_bytes) as f64 / MEGA)
        }),
        row("descriptors after the first quarter", 0, move |it| {
            Some(descriptors(it, Quarter::Second))
        }),
        row("descriptors at the end", 0, move |it| {
            Some(descriptors(it, Quarter::Last))
        }),
        row("most descriptors", 0, |it| {
            Some(it.most(|sample| sample.descriptors as u64) as f64)
        }),
        row("descriptors when all have left", 0, |it| {
            Some(it.descriptors_after as f64)
        }),
        row("threads", 0, |it| {
            Some(it.most(|sample| sample.threads as u64) as f64)
        }),
        row("fewest free buffers, of 128", 0, |it| {
            it.fewest_free().map(|free| free as f64)
        }),
        row("free buffers at the end", 0, |it| {
            it.free.map(|free| free as f64)
        }),
        row("slow viewers closed: those that trickle", 0, move |it| {
            Some(slow(it, Habit::Trickles))
        }),
        row("those that pause", 0, move |it| {
            Some(slow(it, Habit::Pauses))
        }),
        row("those that stop", 0, move |it| Some(slow(it, Habit::Stops))),
        row("those that stop and were kept", 0, |it| {
            Some(it.delivered.slow[Habit::Stops as usize].kept as f64)
        }),
        plain(
            "viewers that the server closed, found out or not",
            0,
            |it| {
                let closed = |sample: &Sample| sample.closed_viewers as f64;
                Some(closed(it.samples.last()?) - closed(it.samples.first()?))
            },
        ),
        plain("times that a source came back", 0, |it| {
            Some(it.returns as f64)
        }),
        plain("times that a viewer came back for it", 0, |it| {
            Some(it.delivered.came_back as f64)
        }),
        plain("CPU of the load generator, % of a core", 0, |it| {
            Some(it.generator_seconds / it.seconds * 100.0)
        }),
        plain("seconds that threads of both waited for a core", 1, |it| {
            Some(it.waited())
        }),
        plain("machine in use, by the kernel's ticks, %", 0, |it| {
            Some(it.machine_busy * 100.0)
        }),
    ]
}

/// A column for each, and ours divided by the other's.
pub(crate) fn table(all: &[Loaded]) -> String {
    let ours = all.iter().find(|it| it.contender == Contender::SamplePool);
    let other = all.iter().find(|it| it.contender != Contender::SamplePool);
    let names: Vec<String> = all.iter().map(|it| it.contender.to_string()).collect();
    let ratios = ours.is_some() && other.is_some();
    let heading = if ratios { " ratio |" } else { "" };
    let mut text = format!("| | {} |{heading}\n", names.join(" | "));
    let columns = all.len() + usize::from(ratios);
    text += &format!("|---|{}\n", "---|".repeat(columns));
    for Row {
        what,
        digits,
        figure,
        compared,
    } in rows()
    {
        text += &format!("| {what} |");
        for it in all {
            match figure(it) {
                Some(value) => text += &format!(" {value:.digits$} |"),
                None => text += " not known |",
            }
        }
        let ratio = ours.and_then(&figure).zip(other.and_then(&figure));
        match ratio.filter(|&(_, other)| compared && other != 0.0) {
            Some((ours, other)) => text += &format!(" {:.2} |\n", ours / other),
            None if ratios => text += " |\n",
            None => text += "\n",
        }
    }
    text
}

fn channels() -> String {
    let mut text = String::from(
        "| channel | frames, KiB | its source | healthy viewers | slow |\n|---|---|---|---|---|\n",
    );
    for channel in &CHANNELS {
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            channel.name,
            channel.frame_bytes / 1024,
            channel.leaves,
            channel.healthy,
            channel.slow
        );
    }
    text
}

/// Where it is written: a load of more than a minute has a page of its own.
pub(crate) fn file(length: Duration) -> String {
    match length.as_secs() / 60 {
        0 | 1 => "LOAD.md".to_owned(),
        minutes => format!("LOAD_{minutes}_MINUTES.md"),
    }
}

const COMPARED: &str = "\
    The ratio is sample-pool's figure divided by the other's; less is better for CPU, allocations, gaps and memory.\n\
    One run each, so a difference of a tenth says nothing.\n";

/// All of that page.
pub(crate) fn page(all: &[Loaded], package: &Path) -> io::Result<String> {
    let minutes = all.first().map_or(0.0, |it| it.seconds / 60.0);
    let contenders: Vec<_> = all.iter().map(|it| it.contender.argument()).collect();
    let contenders = contenders.join(",");
    Ok(format!(
        "# The live server under load: figures\n\n\
         Do not edit: what is measured, and what must hold, [`README.md`](README.md#under-load) says. Written by\n\n\
         ```sh\n\
         cargo run --release --manifest-path benches/server/Cargo.toml -- \\\n    \
         --load --minutes {minutes:.0} --contenders {contenders}\n\
         ```\n\n\
         {}\n\n{}\n\
         {}A healthy viewer's gap is the time between two frames of a source that stays, which are 40 ms apart.\n\n\
         ## Who takes part\n\n\
         {RATE} frames a second from each source; one that comes and goes is there for {} s and away for {} s.\n\n{}",
        machine::describe(package)?,
        table(all),
        if all.len() > 1 { COMPARED } else { "" },
        PRESENT.as_secs(),
        ABSENT.as_secs(),
        channels()
    ))
}
