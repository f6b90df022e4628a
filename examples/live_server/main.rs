//! A live video relay: sources post fragmented MP4 or motion JPEG, any number of viewers watch it.
//!
//! ```text
//! cargo run --release --example live_server
//! ffmpeg -re -i film.mp4 -c copy -movflags frag_keyframe+empty_moov+default_base_moof -f mp4 -method POST http://127.0.0.1:8000/ingest/film
//! ffmpeg -re -i film.mp4 -f mpjpeg -method POST http://127.0.0.1:8000/ingest/cam
//! ```
//!
//! Then open the address that it prints; `--help` tells what else it can be told. What a client may cost is limited:
//! see [`limits`]. Every frame is copied once, from hyper's buffer into a sample; from there each viewer is sent
//! the same bytes. Ctrl-C ends it, and tells how many samples came home.
//!
//! | file              | idea                                                             |
//! |-------------------|------------------------------------------------------------------|
//! | `main`            | the life of the server                                           |
//! | `arguments`       | the command line                                                 |
//! | `memory`          | the pool, and how its buffers are divided                        |
//! | `server`          | the routes of what is live, and what each answers                |
//! | `token`           | who may feed a channel                                           |
//! | `ingest`          | a source's body into samples                                     |
//! | `jpeg`            | pictures in a stream of motion JPEG, and as parts of a response  |
//! | `mp4`             | fragments in a stream of MP4, and what plays them                |
//! | `piece`           | what a sample is: a picture, or a piece of a fragment            |
//! | `channel`         | a fan-out for each, and who feeds it                             |
//! | `viewer`          | the response to a viewer                                         |
//! | `viewers`         | what viewers may hold, and who is closed                         |
//! | `watching`        | how far behind each viewer is                                    |
//! | `limits`          | what a client may cost                                           |
//! | `serving`         | accepting connections and serving HTTP on them                   |
//! | `connection`      | connections that can be closed with all that is queued           |
//! | `test_pattern`    | a source of its own                                              |
//! | `page`            | the page                                                         |
//! | `status`          | what the page shows, as JSON                                     |
//! | `prometheus`      | the same for Prometheus                                          |

mod arguments;
mod channel;
mod connection;
mod ingest;
mod jpeg;
mod limits;
mod memory;
mod mp4;
mod page;
mod piece;
mod prometheus;
mod server;
mod serving;
mod status;
mod test_pattern;
mod token;
mod viewer;
mod viewers;
mod watching;

use arguments::{Arguments, Refused};
use axum::{Router, http::Method};
use channel::{Channels, Kind};
use limits::END_TIME;
use server::Server;
use std::{process::ExitCode, time::Instant};
use token::Token;
use tokio::{net::TcpListener, signal, sync::watch, time};
use tower_http::cors::{AllowOrigin, CorsLayer};
use viewers::Viewers;

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
    let pool = memory::pool(arguments.buffers, arguments.size)?;
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
        token: Token::from_environment()?,
        pool,
    };
    start_test_pattern(&server)?;

    let routes = routes(&server, arguments.allow_origin.as_deref())?;
    let serving = serving::serve(listener, routes, arguments.limits, ending);
    let serving = tokio::spawn(serving);
    told_to_end().await?;
    end.send_replace(true);
    Ok(finish(&server, serving).await)
}

/// Everything that can be asked for. What pages of other sites may read is told to browsers.
fn routes(server: &Server, allow_origin: Option<&str>) -> Result<Router, Error> {
    let routes = server::router(server.clone())
        .merge(page::router())
        .merge(status::router(server.clone()))
        .merge(prometheus::router(server.clone()));
    let Some(origin) = allow_origin else {
        return Ok(routes);
    };
    let origin = match origin {
        "*" => AllowOrigin::any(),
        origin => AllowOrigin::exact(origin.parse()?),
    };
    let cors = CorsLayer::new()
        .allow_methods([Method::GET])
        .allow_origin(origin);
    Ok(routes.layer(cors))
}

fn start_test_pattern(server: &Server) -> Result<(), Error> {
    let source = server.channels.open("test").map_err(|no| no.to_string())?;
    source.begin(Kind::Jpeg).map_err(|no| no.to_string())?;
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
    if time::timeout(END_TIME, &mut serving).await.is_err() {
        // Somebody does not take the last of what was sent. This closes all connections.
        serving.abort();
    }
    let drained = time::timeout(END_TIME, server.pool.drained()).await;
    let status = server.pool.status();
    println!("{} of {} samples came home", status.free, status.buffers);
    for holder in server.pool.holders() {
        println!("still out: {holder}");
    }
    drained.is_ok()
}
