//! Whether the server lives and whether it should be sent traffic.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use super::App;

/// A write that went through within this time says that writes do.
const LATELY: Duration = Duration::from_secs(5);
/// A write that takes longer is as good as none.
const PATIENCE: Duration = Duration::from_secs(3);
/// With less than this on the disk, the log cannot grow by what one second of
/// load writes.
const LEAST_FREE: u64 = 32 * 1024 * 1024;

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

/// Says whether the server should be sent traffic: a write goes through, and
/// nothing is missing that the server cannot do without. Where several share a
/// database, this one counts among them.
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
async fn ready(State(app): State<App>) -> (StatusCode, String) {
    let why_not = match app.retired.get() {
        Some(why) => Some(why.clone()),
        None => why_not(&app).await.map(str::to_owned),
    };
    match why_not {
        None => (StatusCode::OK, "ready".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

/// Asks for a write only when none has gone through lately: whoever calls often
/// costs no more than whoever calls seldom.
async fn why_not(app: &App) -> Option<&'static str> {
    if let Some(why) = app.membership.why_not(app.clock.now()) {
        return Some(why);
    }
    let vitals = app.ledger.vitals();
    if vitals.waiting >= vitals.room / 8 * 7 {
        return Some("too much waits to be written");
    }
    if vitals.free_bytes.is_some_and(|free| free < LEAST_FREE) {
        return Some("the disk is nearly full");
    }
    if !vitals.is_failing && vitals.written.is_some_and(|since| since < LATELY) {
        return None;
    }
    match tokio::time::timeout(PATIENCE, app.ledger.ping()).await {
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some("the store takes no writes"),
        Err(_elapsed) => Some("a write takes too long"),
    }
}
