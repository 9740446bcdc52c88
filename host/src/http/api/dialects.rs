//! Dialects and senders: what this server can speak, and whom it can listen to.
//! For anybody with a key; nothing in them is a tenant's.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::Anybody;
use super::super::error::ApiError;
use super::event_types::KindView;
use crate::domain::dialect::Dialect;
use crate::domain::sender::Sender;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(senders))
}

/// A dialect as its file says it, with what its events are called on the wire.
#[derive(Serialize, ToSchema)]
#[schema(as = DialectDetails)]
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

#[derive(Serialize, ToSchema)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// Lists the dialects that this server speaks.
#[utoipa::path(
    get,
    path = "/dialects",
    operation_id = "list_dialects",
    tag = "dialects",
    responses((status = 200, body = List<View>)),
)]
async fn list(State(app): State<App>, _caller: Anybody) -> Response {
    let items = app.dialects.all().map(|dialect| View::of(dialect)).collect();
    Json(List { items, next: None }).into_response()
}

/// Shows a dialect with its event types.
#[utoipa::path(
    get,
    path = "/dialects/{name}",
    operation_id = "show_dialect",
    tag = "dialects",
    responses((status = 200, body = View)),
)]
async fn show(State(app): State<App>, _caller: Anybody, Path(name): Path<String>) -> Result<Response, ApiError> {
    let dialect = app.dialects.get(&name).ok_or(ApiError::NotFound)?;
    Ok(Json(View::of(dialect)).into_response())
}

/// Lists the senders that this server can listen to.
///
/// What a source's `verification.scheme` can be, beside the schemes that are nobody's.
#[utoipa::path(
    get,
    path = "/senders",
    operation_id = "list_senders",
    tag = "dialects",
    responses((status = 200, body = List<Sender>)),
)]
async fn senders(State(app): State<App>, _caller: Anybody) -> Response {
    let items: Vec<&Sender> = app.senders.all().map(|sender| &**sender).collect();
    Json(List { items, next: None }).into_response()
}
