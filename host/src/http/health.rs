//! Whether the server lives and whether it should be sent traffic.

use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use super::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/healthz", get(live)).route("/readyz", get(ready))
}

/// Says that the server lives.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "is_live",
    tag = "server",
    responses((status = 200, body = String, content_type = "text/plain"))
)]
async fn live() -> &'static str {
    "ok"
}

/// Says whether the server should be sent traffic: a write goes through.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "is_ready",
    tag = "server",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 503, body = String, content_type = "text/plain", description = "It should not")
    )
)]
async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    if !app.ready.load(Ordering::Acquire) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    match app.ledger.ping().await {
        Ok(()) => (StatusCode::OK, "ready"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store takes no writes"),
    }
}
