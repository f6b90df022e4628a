//! Measures the live server as a whole. `README.md` says what is measured and how.
//!
//! | file          | idea                                                       |
//! |---------------|------------------------------------------------------------|
//! | `arguments`   | the command line                                           |
//! | `scenario`    | what is sent, how fast, to how many                        |
//! | `contender`   | where the buffers of a server come from                    |
//! | `server`      | the server, in a process of its own                        |
//! | `footage`     | what the frames hold                                       |
//! | `source`      | the sender                                                 |
//! | `reader`      | finds the frames in a response, and compares them          |
//! | `viewer`      | one viewer                                                 |
//! | `audience`    | the viewers, and what they saw                             |
//! | `measurement` | one scenario with one contender                            |
//! | `check`       | what must hold, whatever the figures                       |
//! | `results`     | what was measured, kept and summarised                     |
//! | `report`      | the tables                                                 |
//! | `load`        | a thousand viewers for long, apart from the rest           |
//! | `machine`     | where the figures come from                                |
//! | `chart`       | the picture                                                |

mod arguments;
mod audience;
mod chart;
mod check;
mod contender;
mod footage;
mod load;
mod machine;
mod measurement;
mod reader;
mod report;
mod results;
mod scenario;
mod server;
mod source;
mod viewer;

use arguments::{Arguments, USAGE, What};
use measurement::{Times, measure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use results::Results;
use std::{fs, io, path::Path, process::ExitCode, time::Duration};

/// Long enough for a median to be steady, and short enough for the whole run.
const TIMES: Times = Times {
    warm_up: Duration::from_millis(300),
    measured: Duration::from_millis(1200),
};
const QUICK: Times = Times {
    warm_up: Duration::from_millis(200),
    measured: Duration::from_millis(400),
};

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let done = match given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", contender, buffers, size] => serve(contender, buffers, size),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => match Arguments::parse(given) {
            Ok(arguments) => run(&arguments),
            Err(wrong) => {
                eprintln!("server-bench: {wrong}\n\n{USAGE}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("server-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How this program calls itself.
fn serve(contender: &str, buffers: &str, size: &str) -> io::Result<()> {
    let wrong = || io::Error::other("serve CONTENDER BUFFERS SIZE");
    let contender: contender::Contender = contender.parse().map_err(|()| wrong())?;
    match (buffers.parse(), size.parse()) {
        (Ok(buffers), Ok(size)) => contender.serve(buffers, size),
        _ => Err(wrong()),
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = package.join("target/results.jsonl");
    let results = match arguments.what {
        What::Check => return check::check(),
        What::CheckLoad => {
            allow_open_files(load::VIEWERS)?;
            return load::check(&arguments.contenders);
        }
        What::Load { length } => {
            allow_open_files(load::VIEWERS)?;
            return load::measure(&arguments.contenders, length, package);
        }
        What::Quick => {
            let results = rounds(arguments, QUICK, Results::default(), |_| Ok(()))?;
            println!("{}", report::tables(&results));
            return Ok(());
        }
        What::Report => Results::load(&kept)?,
        What::Measure { append } => {
            let before = if append {
                Results::load(&kept)?
            } else {
                Results::default()
            };
            rounds(arguments, TIMES, before, |results| results.save(&kept))?
        }
    };
    fs::write(package.join("RESULTS.md"), report::page(&results, package)?)?;
    fs::write(package.join("chart.svg"), chart::draw(&results))?;
    println!("{}", report::tables(&results));
    Ok(())
}

/// The contenders take turns in each scenario of each round, and who begins changes from round to round.
fn rounds(
    arguments: &Arguments,
    times: Times,
    mut results: Results,
    mut after_each: impl FnMut(&Results) -> io::Result<()>,
) -> io::Result<Results> {
    let viewers = arguments
        .scenarios
        .iter()
        .map(|scenario| scenario.viewers + scenario.slow);
    allow_open_files(viewers.max().unwrap_or(0))?;
    for _ in 0..arguments.rounds {
        let mut contenders = arguments.contenders.clone();
        let first = results.rounds() % contenders.len().max(1);
        contenders.rotate_left(first);
        let mut round = Vec::new();
        for scenario in &arguments.scenarios {
            for &contender in &contenders {
                let measured = measure(scenario, contender, times).map_err(|error| {
                    io::Error::other(format!("{}, {contender}: {error}", scenario.name))
                })?;
                eprintln!(
                    "{:<18} {contender:<14} {:>7.0} MB per CPU second",
                    scenario.name,
                    measured.bytes_per_cpu_second() / 1e6
                );
                round.push(measured);
            }
        }
        results.push(round);
        after_each(&results)?;
    }
    Ok(results)
}

/// Each process has one open file for each viewer. Both have the limit of this one.
fn allow_open_files(viewers: usize) -> io::Result<()> {
    let needed = viewers as u64 + 200;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < needed {
        return Err(io::Error::other(format!(
            "{needed} open files are needed and {hard} allowed: ulimit -Hn {needed}"
        )));
    }
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, needed, hard)?;
    }
    Ok(())
}
