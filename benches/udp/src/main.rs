//! Measures relays of UDP. `RESULTS.md` says what is measured and how.
//!
//! | file          | idea                                                        |
//! |---------------|-------------------------------------------------------------|
//! | `arguments`   | the command line                                            |
//! | `scenario`    | how many viewers, how datagrams arrive and how they are cut |
//! | `network`     | two network namespaces with a pair of devices between them  |
//! | `pattern`     | what is in the datagrams                                    |
//! | `source`      | the sender                                                  |
//! | `viewers`     | the sinks, which check every byte                           |
//! | `relay`       | the relays, and the loop of their process                   |
//! | `process`     | a relay in a process of its own, and its CPU time           |
//! | `measurement` | one scenario with one relay                                 |
//! | `check`       | what must hold, whatever the figures                        |
//! | `results`     | what was measured, and its ratios                           |
//! | `report`      | the page                                                    |
//! | `machine`     | where the figures come from                                 |

mod arguments;
mod check;
mod machine;
mod measurement;
mod network;
mod pattern;
mod process;
mod relay;
mod report;
mod results;
mod scenario;
mod source;
mod viewers;

use arguments::Arguments;
use network::Network;
use relay::Relay;
use results::Results;
use scenario::{Length, Scenario};
use std::{fs, io, path::Path, process::ExitCode};

/// Rounds of the run that writes the page.
const ROUNDS: usize = 15;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<ExitCode> {
    let arguments = Arguments::parse().map_err(io::Error::other)?;
    if let Some(relay) = arguments.relay {
        relay::serve(relay)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(inside) = network::enter()? {
        return Ok(inside);
    }
    let network = Network::new()?;
    if arguments.check {
        check::check(&network)?;
        return Ok(ExitCode::SUCCESS);
    }
    let length = match arguments.quick {
        true => Length::Short,
        false => Length::Long,
    };
    let rounds = arguments
        .rounds
        .unwrap_or(if arguments.quick { 1 } else { ROUNDS });
    let results = measure(&network, rounds, length, arguments.scenario.as_deref())?;
    if arguments.writes() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = package.join("RESULTS.md");
        fs::write(&page, report::page(&results, &network, package)?)?;
        println!("written: {}", page.display());
    } else {
        print!("{}", report::tables(&results));
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures all relays in turn. Who comes first changes with each round.
fn measure(
    network: &Network,
    rounds: usize,
    length: Length,
    chosen: Option<&str>,
) -> io::Result<Results> {
    let mut results = Results::default();
    for round in 0..rounds {
        for scenario in Scenario::all() {
            let name = scenario.to_string();
            if !network.can(scenario.cut) || chosen.is_some_and(|part| !name.contains(part)) {
                continue;
            }
            for turn in 0..Relay::ALL.len() {
                let relay = Relay::ALL[(round + turn) % Relay::ALL.len()];
                let measured = measurement::measure(network, &scenario, relay, length)?;
                eprintln!("round {}, {name}, {relay}: {measured}", round + 1);
                results.add(round, scenario, relay, measured);
            }
        }
    }
    Ok(results)
}
