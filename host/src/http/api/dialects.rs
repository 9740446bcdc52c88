//! Dialects and senders: what this server can speak, and whom it can listen to.
//! For anybody with a key; nothing in them is a tenant's.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::super::App;
use super::super::auth::Anybody;
use super::super::error::ApiError;
use super::event_types::KindView;
use crate::domain::dialect::Dialect;
use crate::domain::sender::Sender;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/dialects", get(list)).route("/dialects/{name}", get(show)).route("/senders", get(senders))
}

/// A dialect as its file says it, with what its events are called on the wire.
#[derive(Serialize)]
struct View<'a> {
    #[serde(flatten)]
    dialect: &'a Dialect,
    events: Vec<KindView<'a>>,
    tag_trigger: Option<KindView<'a>>,
}

impl<'a> View<'a> {
    fn of(dialect: &'a Dialect) -> Self {
        Self {
            events: dialect.events.iter().map(|kind| KindView::of(kind, dialect)).collect(),
            tag_trigger: dialect.tag_trigger.as_ref().map(|kind| KindView::of(kind, dialect)),
            dialect,
        }
    }
}

#[derive(Serialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// `GET /v1/dialects`
async fn list(State(app): State<App>, _caller: Anybody) -> Response {
    let items = app.dialects.all().map(|dialect| View::of(dialect)).collect();
    Json(List { items, next: None }).into_response()
}

/// `GET /v1/dialects/{name}`
async fn show(State(app): State<App>, _caller: Anybody, Path(name): Path<String>) -> Result<Response, ApiError> {
    let dialect = app.dialects.get(&name).ok_or(ApiError::NotFound)?;
    Ok(Json(View::of(dialect)).into_response())
}

/// `GET /v1/senders`: what a source's `verification.scheme` can be, beside the
/// schemes that are nobody's.
async fn senders(State(app): State<App>, _caller: Anybody) -> Response {
    let items: Vec<&Sender> = app.senders.all().map(|sender| &**sender).collect();
    Json(List { items, next: None }).into_response()
}
