//! A live video relay: sources post motion JPEG, any number of viewers watch it.
//!
//! ```text
//! cargo run --release --example live_server -- [--listen ADDR] [--buffers N] [--size BYTES] [--connections N] [--per-address N]
//! ffmpeg -re -i film.mp4 -f mpjpeg -method POST http://127.0.0.1:8000/ingest/cam
//! ```
//!
//! Then open the address that it prints. What a client may cost is limited: see [`limits`]. Every frame is
//! copied once, from hyper's buffer into a sample; from there each viewer is sent the same bytes. Ctrl-C ends
//! it, and tells how many samples came home.
//!
//! | file              | idea                                                             |
//! |-------------------|------------------------------------------------------------------|
//! | `main`            | the life of the server                                           |
//! | `arguments`       | the command line                                                 |
//! | `server`          | the routes                                                       |
//! | `frames`          | where frames begin and end in a stream                           |
//! | `ingest`          | a source's body into samples                                     |
//! | `frame`           | a sample as a part of a response                                 |
//! | `channel`         | a fan-out for each, and who feeds it                             |
//! | `viewer`          | the response to a viewer                                         |
//! | `viewers`         | what viewers may hold, and who is closed                         |
//! | `limits`          | what a client may cost                                           |
//! | `serving`         | accepting connections and serving HTTP on them                   |
//! | `connection`      | connections that can be closed with all that is queued           |
//! | `test_pattern`    | a source of its own                                              |
//! | `status`          | what the page draws                                              |

mod arguments;
mod channel;
mod connection;
mod frame;
mod frames;
mod ingest;
mod limits;
#[allow(dead_code, reason = "the ingest does not take MP4 yet")]
mod mp4;
mod server;
mod serving;
mod status;
mod test_pattern;
mod viewer;
mod viewers;

use arguments::{Arguments, Refused};
use channel::Channels;
use server::Server;
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, signal, sync::watch, time};
use viewers::Viewers;

/// How long the end may take: for connections to finish, and then for samples to come home.
const END_LIMIT: Duration = Duration::from_secs(2);

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(Refused::Help) => {
            println!("{}", Refused::Help);
            return ExitCode::SUCCESS;
        }
        Err(refused) => {
            eprintln!("live_server: {refused}");
            return ExitCode::from(2);
        }
    };
    match serve(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("live_server: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the server until it is told to end. `true` if every sample came home.
async fn serve(arguments: Arguments) -> Result<bool, Error> {
    let pool = frame::pool(arguments.buffers, arguments.size)?;
    let listen = arguments.listen;
    let refused = |error| format!("{listen}: {error}; --listen 127.0.0.1:0 picks a free port");
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    println!("http://{}", listener.local_addr()?);

    let (end, ending) = watch::channel(false);
    let viewers = Viewers::new(arguments.buffers);
    let server = Server {
        channels: Channels::new(&pool, viewers.hands()),
        viewers,
        most: arguments.size,
        epoch: Instant::now(),
        ending: ending.clone(),
        pool,
    };
    start_test_pattern(&server)?;

    let routes = server::router(server.clone());
    let serving = serving::serve(listener, routes, arguments.limits, ending);
    let serving = tokio::spawn(serving);
    told_to_end().await?;
    end.send_replace(true);
    Ok(finish(&server, serving).await)
}

fn start_test_pattern(server: &Server) -> Result<(), Error> {
    let source = server.channels.open("test").map_err(|no| no.to_string())?;
    let pool = server.pool.clone();
    tokio::spawn(test_pattern::run(pool, source, server.most, server.epoch));
    Ok(())
}

/// Waits for Ctrl-C, or for whoever supervises the process to end it.
async fn told_to_end() -> Result<(), Error> {
    #[cfg(unix)]
    {
        let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    signal::ctrl_c().await?;
    Ok(())
}

/// Ends the viewers, decommits, and waits for the samples with a limit.
async fn finish(server: &Server, mut serving: tokio::task::JoinHandle<()>) -> bool {
    server.channels.end();
    server.pool.decommit();
    if time::timeout(END_LIMIT, &mut serving).await.is_err() {
        // Somebody does not take the last of what was sent. This closes all connections.
        serving.abort();
    }
    let drained = time::timeout(END_LIMIT, server.pool.drained()).await;
    let status = server.pool.status();
    println!("{} of {} samples came home", status.free, status.buffers);
    for holder in server.pool.holders() {
        println!("still out: {holder}");
    }
    drained.is_ok()
}
