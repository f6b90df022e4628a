//! A live video relay: sources post fragmented MP4 or motion JPEG, any number of viewers watch it.
//!
//! ```text
//! cargo run --release
//! ffmpeg -re -i film.mp4 -map "0:V?" -map "0:a?" -c copy -movflags frag_keyframe+empty_moov+default_base_moof -frag_duration 500000 -f mp4 -method POST http://127.0.0.1:8000/ingest/film
//! ffmpeg -re -i film.mp4 -f mpjpeg -method POST http://127.0.0.1:8000/ingest/cam
//! ```
//!
//! Then open the address that it prints; `--help` lists its options. What a client may use is limited:
//! see [`limits`]. Every frame is copied once, from hyper's buffer into a sample; from there each viewer is sent
//! the same bytes. Ctrl-C ends it, and prints how many samples were returned.
//!
//! | file              | idea                                                             |
//! |-------------------|------------------------------------------------------------------|
//! | `main`            | the program                                                      |
//! | `arguments`       | the command line                                                 |
//! | `life`            | the beginning and the end                                        |
//! | `memory`          | the pool, and how its buffers are divided                        |
//! | `server`          | the routes of what is live, and what each answers                |
//! | `token`           | who may feed a channel                                           |
//! | `ingest`          | a source's body into samples                                     |
//! | `jpeg`            | pictures in a stream of motion JPEG, and as parts of a response  |
//! | `mp4`             | fragments in a stream of MP4, and what plays them                |
//! | `piece`           | what a sample is: a picture, or a piece of a fragment            |
//! | `channel`         | a fan-out for each, and who feeds it                             |
//! | `pace`            | how long a source waits for viewers that read at once            |
//! | `viewer`          | the response to a viewer                                         |
//! | `viewers`         | what viewers may hold, and who is closed                         |
//! | `watching`        | how far behind each viewer is                                    |
//! | `limits`          | what a client may cost                                           |
//! | `serving`         | accepting connections and serving HTTP on them                   |
//! | `connection`      | connections that can be closed with all that is queued           |
//! | `test_pattern`    | a source of its own                                              |
//! | `page`            | the page                                                         |
//! | `status`          | what the page shows, as JSON                                     |
//! | `prometheus`      | figures of the pool and the channels, for Prometheus             |

mod arguments;
mod channel;
mod connection;
mod ingest;
mod jpeg;
mod life;
mod limits;
mod memory;
mod mp4;
mod pace;
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

use arguments::{Arguments, ENVIRONMENT};
use clap::Parser;
use life::{Begun, Error};
use std::{env, process::ExitCode};

/// A live video relay: sources post fragmented MP4 or motion JPEG, any number of viewers watch it
#[derive(Debug, Parser)]
#[command(name = "live_server", after_help = ENVIRONMENT)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    let line: CommandLine = arguments::parse(env::args_os()).unwrap_or_else(|error| error.exit());
    match serve(line.arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("live_server: {}", in_full(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, on one line: a message does not repeat that of its source.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// Runs the server until it is stopped. `true` if every sample was returned.
async fn serve(arguments: Arguments) -> Result<bool, Error> {
    let Begun {
        listener,
        server,
        end,
    } = life::begin(&arguments).await?;
    life::start_test_pattern(&server)?;
    let routes = life::allow(arguments.allow_origin.as_deref(), life::routes(&server))?;
    let serving = serving::serve(listener, routes, arguments.limits(), server.ending.clone());
    let serving = tokio::spawn(serving);
    life::end_requested().await?;
    end.send_replace(true);
    Ok(life::finish(&server, serving).await)
}
