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

use arguments::{Arguments, Refused};
use async_nats::ServerAddr;
use std::process::ExitCode;

const USAGE: &str = "\
many_machines origin|edge [--nats ADDR[,ADDR...]] [what live_server can be told]

  origin           takes in what sources send, shows it, and publishes it
  edge             shows what an origin publishes
  --nats ADDR,...  servers of one NATS cluster (default nats://127.0.0.1:4222)

What live_server can be told:
";

/// Which of the two a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Origin,
    Edge,
}

#[tokio::main]
async fn main() -> ExitCode {
    let (role, servers, arguments) = match parse(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(Refused::Help) => {
            println!("{USAGE}{}", arguments::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(Refused::Wrong(what)) => {
            eprintln!("many_machines: {what}\n\n{USAGE}{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match life::serve(role, servers, arguments).await {
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

fn parse(
    mut given: impl Iterator<Item = String>,
) -> Result<(Role, Vec<ServerAddr>, Arguments), Refused> {
    let wrong = |what: String| Refused::Wrong(what);
    let role = match given.next().as_deref() {
        Some("origin") => Role::Origin,
        Some("edge") => Role::Edge,
        Some("--help" | "-h") => return Err(Refused::Help),
        other => {
            return Err(wrong(format!(
                "origin or edge, not {}",
                other.unwrap_or("nothing").escape_debug()
            )));
        }
    };
    let mut servers = "nats://127.0.0.1:4222".to_owned();
    let mut rest = Vec::new();
    while let Some(name) = given.next() {
        if name == "--nats" {
            servers = given
                .next()
                .ok_or_else(|| wrong("--nats needs a value".to_owned()))?;
        } else {
            rest.push(name);
        }
    }
    let servers = servers.split(',').map(|server| {
        let parsed = server.parse::<ServerAddr>();
        let parsed =
            parsed.map_err(|error| wrong(format!("--nats cannot be {server:?}: {error}")))?;
        match parsed.scheme() {
            "nats" => Ok(parsed),
            scheme => Err(wrong(format!(
                "this is built without what {}:// needs",
                scheme.escape_debug()
            ))),
        }
    });
    Ok((
        role,
        servers.collect::<Result<_, _>>()?,
        Arguments::parse(rest)?,
    ))
}
