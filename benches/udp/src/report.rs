//! The tables, and the page that they stand on.

use crate::{
    machine,
    network::Network,
    relay::Relay,
    results::Results,
    scenario::{Arrival, Cut, Scenario},
};
use std::{fmt::Write, io, path::Path};

const WHAT_IS_MEASURED: &str = include_str!("../prose/what_is_measured.md");
const WHAT_IT_TEACHES: &str = include_str!("../prose/what_it_teaches.md");

/// What the relay with batches may take of the plain one's CPU time, where the target is measured.
const TARGET: f64 = 0.3;

fn is_target(scenario: &Scenario) -> bool {
    (scenario.viewers, scenario.cut, scenario.arrival) == (20, Cut::Device, Arrival::Joined)
}

/// All of `RESULTS.md`.
pub(crate) fn page(results: &Results, network: &Network, package: &Path) -> io::Result<String> {
    let (late, frames) = results.held_back();
    Ok(format!(
        "# A relay of UDP: figures\n\n\
         Written by this command, which takes some ten minutes; do not edit:\n\n\
         ```sh\n\
         cargo run --release --manifest-path benches/udp/Cargo.toml               # {} rounds; writes this page\n\
         cargo run --release --manifest-path benches/udp/Cargo.toml -- --quick    # one short round; writes nothing\n\
         cargo run --release --manifest-path benches/udp/Cargo.toml -- --check    # asserts, in a few seconds\n\
         ```\n\n\
         `--rounds N` chooses; a word after `--`, as in `-- \"20 viewers\"`, chooses scenarios, and writes nothing. Linux only.\n\n\
         {} rounds on {network}. {}\n\
         {late} of {frames} frames were not sent at their time, because the relay or the viewers were not ready.\n\n\
         {}{}\n{WHAT_IT_TEACHES}\n{WHAT_IS_MEASURED}",
        crate::ROUNDS,
        results.rounds(),
        machine::describe(package)?,
        tables(results),
        losses(results),
    ))
}

/// Everything that was measured.
pub(crate) fn tables(results: &Results) -> String {
    let mut text = target(results);
    for (arrival, cut) in [
        (Arrival::Joined, Cut::Device),
        (Arrival::Joined, Cut::Kernel),
        (Arrival::Joined, Cut::Nowhere),
        (Arrival::Single, Cut::Device),
        (Arrival::Single, Cut::Kernel),
    ] {
        let mut rows = String::new();
        let is_here = |it: &Scenario| it.arrival == arrival && it.cut == cut;
        for scenario in Scenario::all().filter(is_here) {
            for relay in Relay::ALL {
                rows += &row(results, &scenario, relay).unwrap_or_default();
            }
        }
        if !rows.is_empty() {
            text += &format!(
                "## {}\n\n\
                 | viewers | relay | CPU seconds per delivered GB | of the plain relay | of quinn-udp | delivered, % |\n\
                 |---:|---|---:|---:|---:|---:|\n{rows}\n",
                heading(arrival, cut)
            );
        }
    }
    text
}

fn heading(arrival: Arrival, cut: Cut) -> &'static str {
    match (arrival, cut) {
        (Arrival::Joined, Cut::Device) => {
            "Frames arrive joined, and the device takes them whole; viewers without GRO"
        }
        (Arrival::Joined, Cut::Kernel) => {
            "Frames arrive joined, and the kernel cuts them before the device"
        }
        (Arrival::Joined, Cut::Nowhere) => {
            "Frames arrive joined, and the device takes them whole; viewers with GRO"
        }
        (Arrival::Single, Cut::Device) => {
            "Datagrams arrive one by one, and the device takes frames whole; viewers without GRO"
        }
        (Arrival::Single, Cut::Kernel) => {
            "Datagrams arrive one by one, and the kernel cuts frames before the device"
        }
        (Arrival::Single, Cut::Nowhere) => "Datagrams arrive one by one; viewers with GRO",
    }
}

fn row(results: &Results, scenario: &Scenario, relay: Relay) -> Option<String> {
    let beside = |base| match relay == base {
        true => Some(String::new()),
        false => Some(results.ratio(scenario, relay, base)?.to_string()),
    };
    Some(format!(
        "| {} | {relay} | {:.3} | {} | {} | {:.2} |\n",
        scenario.viewers,
        results.cost(scenario, relay)?,
        beside(Relay::Plain)?,
        beside(Relay::Quinn)?,
        results.delivered(scenario, relay)? * 100.0,
    ))
}

/// Whether the targets are met, and the relay whose batches can be kept, as ours can.
fn target(results: &Results) -> String {
    let scenario = Scenario::all().find(is_target);
    let ratio = |base| results.ratio(&scenario?, Relay::PoolBatches, base);
    let (Some(plain), Some(quinn), Some(copies)) = (
        ratio(Relay::Plain),
        ratio(Relay::Quinn),
        ratio(Relay::QuinnCopies),
    ) else {
        return String::new();
    };
    let verdict = |met| if met { "met" } else { "**missed**" };
    format!(
        "| sample-pool with batches, 20 viewers without GRO | its CPU time, of the other's | target | |\n|---|---:|---|---|\n\
         | beside one call a datagram | {plain} | at most {TARGET} | {} |\n\
         | beside quinn-udp with buffers that are used again | {quinn} | less, in all rounds | {} |\n\
         | beside quinn-udp with a copy of each batch, which can be kept as ours can | {copies} | | |\n\n",
        verdict(plain.median <= TARGET),
        match quinn.least < 1.0 && quinn.greatest > 1.0 {
            true => "**missed**: the rounds do not agree who takes less",
            false => verdict(quinn.greatest < 1.0),
        },
    )
}

/// Where another relay takes less.
fn losses(results: &Results) -> String {
    let mut text = String::from(
        "## Where we lose\n\n\
         Every row in which the median of the ratios is above 1, even if the rounds do not agree:\n\n",
    );
    let none = text.len();
    for scenario in Scenario::all() {
        for (ours, other) in [
            (Relay::PoolBatches, Relay::Plain),
            (Relay::PoolBatches, Relay::Quinn),
            (Relay::PoolSingle, Relay::Plain),
        ] {
            let Some(ratio) = results.ratio(&scenario, ours, other) else {
                continue;
            };
            if ratio.median > 1.0 {
                let agree = if ratio.least > 1.0 {
                    ", in all rounds"
                } else {
                    ""
                };
                // A String takes whatever is written.
                let _written =
                    writeln!(text, "- {scenario}: {ours} takes {ratio} of {other}{agree}");
            }
        }
    }
    if text.len() == none {
        text += "There is none.\n";
    }
    text
}
