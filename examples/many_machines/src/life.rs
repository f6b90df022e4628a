//! The life of an origin or an edge: the live server's, with the broker beside it.

use crate::{
    Role,
    arguments::Arguments,
    figures::{self, Figures},
    follow,
    life_of_a_server::{self, Begun, Error},
    publish, serving,
};
use async_nats::ServerAddr;
use axum::{Router, http::StatusCode, routing::any};
use std::sync::Arc;
use tokio::task;

/// Runs until it is stopped. `true` if every sample was returned.
pub(crate) async fn serve(
    role: Role,
    servers: Vec<ServerAddr>,
    arguments: Arguments,
) -> Result<bool, Error> {
    let Begun {
        listener,
        server,
        end,
    } = life_of_a_server::begin(&arguments).await?;
    let figures = Arc::new(Figures::default());
    let reporting = task::spawn(figures::report(figures.clone()));
    let broker = match role {
        Role::Origin => {
            life_of_a_server::start_test_pattern(&server)?;
            task::spawn(publish::run(server.clone(), servers, figures.clone()))
        }
        Role::Edge => task::spawn(follow::run(server.clone(), servers, figures.clone())),
    };

    let routes = life_of_a_server::routes(&server).merge(figures::router(figures));
    let routes = match role {
        Role::Origin => routes,
        Role::Edge => without_ingest(routes),
    };
    let routes = life_of_a_server::allow(arguments.allow_origin.as_deref(), routes)?;
    let serving = serving::serve(listener, routes, arguments.limits(), server.ending.clone());
    let serving = task::spawn(serving);
    life_of_a_server::end_requested().await?;
    end.send_replace(true);
    reporting.abort();
    // It drops what it was about to publish, or has not shown yet.
    broker.abort();
    Ok(life_of_a_server::finish(&server, serving).await)
}

/// The same, but no client can feed a channel.
fn without_ingest(routes: Router) -> Router {
    let fed_by_the_origin = any(async || {
        let said = "an edge shows what its origin publishes; send to the origin\n";
        (StatusCode::FORBIDDEN, said)
    });
    // In front of the route of the same name.
    Router::new()
        .route("/ingest/{channel}", fed_by_the_origin)
        .fallback_service(routes)
}
