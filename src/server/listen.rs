//! What is served over HTTP: the one place where frontends are mounted.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};

use super::host::{Bounds, Host};
use super::{Shared, access, body, health, metrics, reload, status};
use crate::frontends::graphql;
use crate::frontends::http::{self, HttpError};

const BOUNDS: Bounds = Bounds {
    places: 1024,
    reserve: 64,
    header: Duration::from_secs(30),
    reserve_header: Duration::from_secs(5),
    write: Duration::from_secs(30),
};

/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(30);

/// What serves HTTP.
pub(super) fn host(shared: &Arc<Shared>) -> Host {
    Host { bounds: BOUNDS, app: app(shared), reserve: reserve(shared) }
}

/// Everything that is served over HTTP.
fn app(shared: &Arc<Shared>) -> Router {
    let frontends = http::router(shared.engine.clone()).merge(graphql::router(shared.engine.clone()));
    let reload = Router::new()
        .route(
            "/reload",
            post(reload::reload).fallback(async || HttpError::method("POST, with the tables as JSON")),
        )
        .with_state(Arc::clone(shared));
    let app = own(shared).merge(reload).merge(frontends).fallback(async || {
        HttpError::new(StatusCode::NOT_FOUND, "name", "nothing is served at this path").with_hint(
            "There are /sql, /graphql, /schema.graphql, /status, /reload, /healthz, /readyz and /metrics",
        )
    });
    guarded(app, shared)
}

/// What is served when all places are taken: whether the server is well, and what it does.
fn reserve(shared: &Arc<Shared>) -> Router {
    let app = own(shared).fallback(async || {
        let message = format!("all {} places for connections are taken", BOUNDS.places);
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "limit", message)
            .with_hint("Keep fewer connections open, or try again later")
    });
    guarded(app, shared)
}

fn own(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/status", get(status::status))
        .with_state(Arc::clone(shared))
}

fn guarded(app: Router, shared: &Arc<Shared>) -> Router {
    app.layer(middleware::from_fn_with_state(BODY_LIMIT, body::bound))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), access::check))
}
