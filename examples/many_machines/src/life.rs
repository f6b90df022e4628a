//! The life of an origin or an edge: the live server's, with the broker beside it.

use crate::{
    Role,
    arguments::Arguments,
    channel::{Channels, Kind},
    figures::{self, Figures},
    follow,
    limits::END_TIME,
    memory, page, prometheus, publish,
    server::{self, Server},
    serving, status, test_pattern,
    token::Token,
    viewers::Viewers,
};
use async_nats::ServerAddr;
use axum::{Router, http::StatusCode, routing::any};
use std::{sync::Arc, time::Instant};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::{self, JoinHandle},
    time,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

type Error = Box<dyn std::error::Error>;

/// Runs until it is told to end. `true` if every sample came home.
pub(crate) async fn serve(
    role: Role,
    servers: Vec<ServerAddr>,
    arguments: Arguments,
) -> Result<bool, Error> {
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
    let figures = Arc::new(Figures::default());
    let telling = task::spawn(figures::tell(figures.clone()));
    let broker = match role {
        Role::Origin => {
            start_test_pattern(&server)?;
            task::spawn(publish::run(server.clone(), servers, figures.clone()))
        }
        Role::Edge => task::spawn(follow::run(server.clone(), servers, figures.clone())),
    };

    let routes = routes(role, &server, figures, arguments.allow_origin.as_deref())?;
    let serving = task::spawn(serving::serve(listener, routes, arguments.limits, ending));
    told_to_end().await?;
    end.send_replace(true);
    telling.abort();
    Ok(finish(&server, serving, broker).await)
}

fn routes(
    role: Role,
    server: &Server,
    figures: Arc<Figures>,
    allow_origin: Option<&str>,
) -> Result<Router, Error> {
    let mut routes = server::router(server.clone())
        .merge(page::router())
        .merge(status::router(server.clone()))
        .merge(prometheus::router(server.clone()))
        .merge(figures::router(figures));
    if role == Role::Edge {
        let fed_by_the_origin = any(async || {
            let said = "an edge shows what its origin publishes; send to the origin\n";
            (StatusCode::FORBIDDEN, said)
        });
        // In front of the route of the same name.
        routes = Router::new()
            .route("/ingest/{channel}", fed_by_the_origin)
            .fallback_service(routes);
    }
    let Some(origin) = allow_origin else {
        return Ok(routes);
    };
    let origin = match origin {
        "*" => AllowOrigin::any(),
        origin => AllowOrigin::exact(origin.parse()?),
    };
    let cors = CorsLayer::new().allow_methods([axum::http::Method::GET]);
    Ok(routes.layer(cors.allow_origin(origin)))
}

fn start_test_pattern(server: &Server) -> Result<(), Error> {
    let source = server.channels.open("test").map_err(|no| no.to_string())?;
    source.begin(Kind::Jpeg).map_err(|no| no.to_string())?;
    let pool = server.pool.clone();
    task::spawn(test_pattern::run(pool, source, server.most, server.epoch));
    Ok(())
}

/// Waits for Ctrl-C, or for whoever supervises the process to end it.
async fn told_to_end() -> Result<(), Error> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Ends the viewers, lets go of the broker, decommits, and waits for the samples with a limit.
async fn finish(server: &Server, mut serving: JoinHandle<()>, broker: JoinHandle<()>) -> bool {
    broker.abort();
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
