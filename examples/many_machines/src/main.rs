//! The live server on many machines: one origin takes in what sources send, any number of edges show it.
//!
//! ```text
//! nats-server
//! cargo run --release -p many_machines -- origin
//! cargo run --release -p many_machines -- edge --listen 127.0.0.1:8001
//! ```
//!
//! Between them is a broker, NATS. The origin is the live server, with one viewer more for each channel: it publishes
//! what it sees. An edge is the live server, with one source for each channel: it subscribes. `README.md` beside this
//! tells who copies what, and what is lost when.
//!
//! | file        | idea                                                                 |
//! |-------------|----------------------------------------------------------------------|
//! | `main`      | which of the two, and the files of the live server                   |
//! | `life`      | the life of either                                                   |
//! | `broker`    | the connection to the broker, and everything that bounds it          |
//! | `publish`   | the origin: a viewer of each channel that publishes                  |
//! | `follow`    | the edge: messages into channels                                     |
//! | `incoming`  | the edge: messages into samples, and whole frames to viewers         |
//! | `figures`   | what both count, and how they tell it                                |
//!
//! The format of the messages is a library of its own, `many_machines`, because it needs neither a socket nor a pool.

#![forbid(unsafe_code)]
#![allow(
    clippy::collapsible_if,
    reason = "the live server's files are for an older Rust than async-nats, without `if let … && let …`"
)]

#[path = "../../live_server/src/arguments.rs"]
mod arguments;
#[path = "../../live_server/src/channel.rs"]
mod channel;
#[path = "../../live_server/src/connection.rs"]
mod connection;
#[path = "../../live_server/src/ingest/mod.rs"]
mod ingest;
#[path = "../../live_server/src/jpeg/mod.rs"]
mod jpeg;
#[path = "../../live_server/src/life.rs"]
mod life_of_a_server;
#[path = "../../live_server/src/limits.rs"]
mod limits;
#[path = "../../live_server/src/memory.rs"]
mod memory;
#[path = "../../live_server/src/mp4/mod.rs"]
mod mp4;
#[path = "../../live_server/src/pace.rs"]
mod pace;
#[path = "../../live_server/src/page.rs"]
mod page;
#[path = "../../live_server/src/piece.rs"]
mod piece;
#[path = "../../live_server/src/prometheus.rs"]
mod prometheus;
#[path = "../../live_server/src/server.rs"]
mod server;
#[path = "../../live_server/src/serving.rs"]
mod serving;
#[path = "../../live_server/src/status.rs"]
mod status;
#[path = "../../live_server/src/test_pattern.rs"]
mod test_pattern;
#[path = "../../live_server/src/token.rs"]
mod token;
#[path = "../../live_server/src/viewer.rs"]
mod viewer;
#[path = "../../live_server/src/viewers.rs"]
mod viewers;
#[path = "../../live_server/src/watching.rs"]
mod watching;

mod broker;
mod figures;
mod follow;
mod incoming;
mod life;
mod publish;

use arguments::{Arguments, ENVIRONMENT};
use async_nats::ServerAddr;
use clap::{Parser, ValueEnum};
use std::{env, process::ExitCode};

/// The live server on many machines: one origin takes in what sources send, any number of edges show it
#[derive(Debug, Parser)]
#[command(name = "many_machines", after_help = ENVIRONMENT)]
struct CommandLine {
    role: Role,

    /// Servers of one NATS cluster, with commas between them
    #[arg(long, value_name = "ADDR", value_delimiter = ',', default_value = "nats://127.0.0.1:4222", value_parser = nats)]
    nats: Vec<ServerAddr>,

    #[command(flatten)]
    arguments: Arguments,
}

/// Which of the two a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Takes in what sources send, shows it, and publishes it
    Origin,
    /// Shows what an origin publishes
    Edge,
}

#[tokio::main]
async fn main() -> ExitCode {
    let line: CommandLine = arguments::parse(env::args_os()).unwrap_or_else(|error| error.exit());
    match life::serve(line.role, line.nats, line.arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("many_machines: {}", in_full(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, on one line: a message does not repeat that of its source.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// The address of a broker that this is built for.
fn nats(address: &str) -> Result<ServerAddr, String> {
    let parsed: ServerAddr = address.parse().map_err(|error| format!("{error}"))?;
    match parsed.scheme() {
        "nats" => Ok(parsed),
        scheme => Err(format!("this is built without what {scheme}:// needs")),
    }
}
