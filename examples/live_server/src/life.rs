//! The beginning and the end of a server.

use crate::{
    arguments::Arguments,
    channel::Channels,
    limits::END_TIME,
    memory, page, prometheus,
    server::{self, Server},
    status, test_pattern,
    token::Token,
    viewers::Viewers,
};
use axum::{
    Router,
    http::{HeaderValue, Method, header},
    middleware,
    response::Response,
};
use std::{io, time::Instant};
use tokio::{
    net::TcpListener,
    signal,
    sync::watch,
    task::{self, JoinHandle},
    time,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub(crate) type Error = Box<dyn std::error::Error>;

/// A server that serves no connection yet.
pub(crate) struct Begun {
    pub(crate) listener: TcpListener,
    pub(crate) server: Server,
    /// Set to true, it ends the server.
    pub(crate) end: watch::Sender<bool>,
}

/// Listens, and prints where.
pub(crate) async fn begin(arguments: &Arguments) -> Result<Begun, Error> {
    let pool = memory::pool(arguments.buffers, arguments.size)?;
    let token = Token::from_environment()?;
    let listen = arguments.listen;
    let refused = |error| format!("{listen}: {error}; --listen 127.0.0.1:0 picks a free port");
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    println!("http://{}", listener.local_addr()?);

    let (end, ending) = watch::channel(false);
    let viewers = Viewers::new(arguments.buffers);
    let server = Server {
        channels: Channels::new(&pool, viewers.hold_limit()),
        viewers,
        most: arguments.size,
        source_timeout: arguments.source_timeout(),
        epoch: Instant::now(),
        ending,
        token,
        pool,
    };
    Ok(Begun {
        listener,
        server,
        end,
    })
}

pub(crate) fn start_test_pattern(server: &Server) -> Result<(), Error> {
    let source = server.channels.open("test").map_err(|no| no.to_string())?;
    task::spawn(test_pattern::run(source, server.most, server.epoch));
    Ok(())
}

/// Everything that can be asked for.
pub(crate) fn routes(server: &Server) -> Router {
    server::router(server.clone())
        .merge(page::router())
        .merge(status::router(server.clone()))
        .merge(prometheus::router(server.clone()))
}

/// For what is no page. A source can put the boundary of a part with HTML into its pictures, and a browser that shows the
/// stream by itself would run its scripts as the server's own. So none runs, whatever it is. A film that is opened by itself
/// asks for its media once more, and gets them only if it keeps its origin, which is of no use to anything without scripts.
const NO_PAGE: &str = "default-src 'none'; media-src 'self'; sandbox allow-same-origin";

/// Tells browsers that what is shown is nothing to run, and which site's pages may read it: `*` for all.
pub(crate) fn allow(origin: Option<&str>, routes: Router) -> Result<Router, Error> {
    let routes = routes.layer(middleware::map_response(confine));
    let origin = match origin {
        None => return Ok(routes),
        Some("*") => AllowOrigin::any(),
        Some(origin) => AllowOrigin::exact(origin.parse()?),
    };
    let cors = CorsLayer::new().allow_methods([Method::GET]);
    Ok(routes.layer(cors.allow_origin(origin)))
}

/// Adds to each answer what a browser may make of it. The page has a policy of its own.
async fn confine(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, NO_PAGE),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let value = HeaderValue::from_static(value);
        headers.entry(name).or_insert(value);
    }
    response
}

/// Waits for Ctrl-C, or for a supervisor to end the process.
pub(crate) async fn end_requested() -> Result<(), Error> {
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

/// Ends the viewers, decommits, and waits for the samples with a limit. `true` if all were returned.
pub(crate) async fn finish(server: &Server, mut serving: JoinHandle<()>) -> bool {
    server.channels.end();
    server.pool.decommit();
    if time::timeout(END_TIME, &mut serving).await.is_err() {
        // Somebody does not take the last of what was sent. This closes all connections.
        serving.abort();
    }
    let drained = time::timeout(END_TIME, server.pool.drained()).await;
    // The reader of what the server prints may be gone.
    let _unread = tell(server, &mut io::stdout());
    drained.is_ok()
}

fn tell(server: &Server, out: &mut impl io::Write) -> io::Result<()> {
    let status = server.pool.status();
    writeln!(
        out,
        "{} of {} samples were returned",
        status.free, status.buffers
    )?;
    if status.outstanding > 0 {
        // By channel and by line, and what was handed to a get that is not polled.
        writeln!(out, "still out: {}", server.pool.report())?;
    }
    Ok(())
}
