//! Event types: the catalogue of a tenant's dialect, and what the tenant
//! described itself.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Patch};
use super::tenants;
use crate::domain::audit::{self, Action};
use crate::domain::dialect::Dialect;
use crate::domain::event::EventType;
use crate::domain::event_type::{EventKind, OwnKind};
use crate::sandbox::CheckFailure;

/// At most this many types of a tenant's own, and bytes in all their schemas and
/// examples: every tenant's are in memory.
const MAX_TYPES: usize = 500;
const MAX_TOTAL: usize = 1024 * 1024;
/// At most this many bytes in a description, a schema and an example.
const MAX_DESCRIPTION: usize = 4 * 1024;
const MAX_SCHEMA: usize = 64 * 1024;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(describe, delete))
}

/// A type of event, and what it is called on the wire.
#[derive(Serialize, ToSchema)]
#[schema(as = NamedEventKind)]
pub(super) struct KindView<'a> {
    #[serde(flatten)]
    kind: &'a EventKind,
    wire_name: String,
}

impl<'a> KindView<'a> {
    pub(super) fn of(kind: &'a EventKind, dialect: &Dialect) -> Self {
        Self { wire_name: dialect.wire_name(kind.event_type.as_str()).into_owned(), kind }
    }
}

/// A type of event in a tenant's catalogue.
#[derive(Serialize, ToSchema)]
#[schema(as = EventTypeEntry)]
struct Entry<'a> {
    #[serde(flatten)]
    view: KindView<'a>,
    /// `dialect` or `tenant`.
    origin: &'static str,
    /// Events whose data does not fit the schema are refused.
    check: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EventTypes)]
struct List<'a> {
    items: Vec<Entry<'a>>,
    next: Option<String>,
}

/// Lists the catalogue: the event types of the dialect and of your own.
///
/// The dialect's in its order, then those that you described yourself.
#[utoipa::path(
    get,
    path = "/event-types",
    operation_id = "list_event_types",
    tag = "event types",
    responses((status = 200, body = List)),
)]
async fn list(State(app): State<App>, caller: TenantCaller) -> Result<Response, ApiError> {
    let dialect = tenants::dialect(&app, &caller.picture().tenant.dialect)?;
    let own = &caller.picture().event_types;
    let entry = |kind, origin, check| Entry { view: KindView::of(kind, &dialect), origin, check };
    let of_dialect = dialect.kinds().map(|kind| match own.get(&kind.event_type) {
        Some(own) => entry(&own.kind, "tenant", own.check),
        None => entry(kind, "dialect", false),
    });
    let is_dialects = |event_type: &EventType| dialect.kinds().any(|kind| kind.event_type == *event_type);
    let more = own.values().filter(|own| !is_dialects(&own.kind.event_type));
    let items = of_dialect.chain(more.map(|own| entry(&own.kind, "tenant", own.check))).collect();
    Ok(Json(List { items, next: None }).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEventType)]
struct Form {
    name: Option<String>,
    description: Option<String>,
    /// Null: none, also where the dialect's type has one.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    schema: Patch<Value>,
    /// Null: none, likewise.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    example: Patch<Value>,
    /// Whether events that do not fit are refused: by default, when there is a
    /// schema.
    check: Option<bool>,
}

/// Describes an event type.
///
/// What is left out is taken from the dialect's type of the same name; a schema or an example that is null is
/// not. With a schema, events whose data does not fit are refused, unless `check` is false.
#[utoipa::path(
    put,
    path = "/event-types/{type}",
    operation_id = "describe_event_type",
    tag = "event types",
    request_body(content = Form, example = json!({
        "description": "An order was paid in full.",
        "schema": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
        "example": {"id": 7},
        "check": false
    })),
    responses((status = 200, body = Entry)),
)]
async fn describe(
    State(app): State<App>,
    caller: TenantCaller,
    Path(event_type): Path<String>,
    input::Json(form): input::Json<Form>,
) -> Result<Response, ApiError> {
    let event_type: EventType = input::field("type", &event_type)?;
    let known = &caller.picture().event_types;
    if known.len() >= MAX_TYPES && !known.contains_key(&event_type) {
        return Err(ApiError::invalid("type", format!("there are {MAX_TYPES} types already")));
    }
    let dialect = tenants::dialect(&app, &caller.picture().tenant.dialect)?;
    let usual = dialect.kinds().find(|kind| kind.event_type == event_type);
    let kind = EventKind {
        name: form.name.or_else(|| usual.map(|kind| kind.name.clone())).unwrap_or_else(|| event_type.to_string()),
        description: form.description.or_else(|| usual.map(|kind| kind.description.clone())).unwrap_or_default(),
        schema: form.schema.over(usual.and_then(|kind| kind.schema.clone()), |schema| schema),
        example: form.example.over(usual.and_then(|kind| kind.example.clone()), |example| example),
        event_type,
    };
    for (field, text) in [("name", &kind.name), ("description", &kind.description)] {
        if text.len() > MAX_DESCRIPTION || text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(ApiError::invalid(field, format!("at most {MAX_DESCRIPTION} bytes of plain text are allowed")));
        }
    }
    for (field, value) in [("schema", &kind.schema), ("example", &kind.example)] {
        if value.as_ref().is_some_and(|value| value.to_string().len() > MAX_SCHEMA) {
            return Err(ApiError::invalid(field, format!("at most {MAX_SCHEMA} bytes are allowed")));
        }
    }
    let others = known.values().filter(|own| own.kind.event_type != kind.event_type).map(|own| size(&own.kind));
    if others.sum::<usize>() + size(&kind) > MAX_TOTAL {
        return Err(ApiError::invalid("schema", format!("all types together may have {MAX_TOTAL} bytes")));
    }
    let check = form.check.unwrap_or(kind.schema.is_some());
    match &kind.schema {
        Some(schema) => check_schema(&app, &caller, schema).await?,
        None if check => return Err(ApiError::invalid("schema", "is needed to check events by")),
        None => {}
    }
    let own = OwnKind { kind, check };
    let changes = match known.get(&own.kind.event_type) {
        Some(before) => audit::updated(before, &own),
        None => audit::created(&own),
    };
    let entry = caller.entry(&app, Action::EventTypeDescribed, &own.kind.event_type, changes);
    app.catalog.noting(entry).put_event_type(caller.id(), &own).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    let entry = Entry { view: KindView::of(&own.kind, &dialect), origin: "tenant", check };
    Ok(Json(entry).into_response())
}

fn size(kind: &EventKind) -> usize {
    [&kind.schema, &kind.example].into_iter().flatten().map(|value| value.to_string().len()).sum()
}

async fn check_schema(app: &App, caller: &TenantCaller, schema: &Value) -> Result<(), ApiError> {
    match app.intake.check_schema(&caller.picture().tenant, schema).await {
        Ok(()) => Ok(()),
        Err(CheckFailure::Issues(issues)) => {
            let all: Vec<String> = issues.iter().map(|issue| format!("{}: {}", issue.path, issue.message)).collect();
            let first = issues.first().map_or("schema", |issue| issue.path.as_str());
            Err(ApiError::invalid(if first.is_empty() { "schema" } else { first }, all.join("; ")))
        }
        Err(CheckFailure::Faulted(message)) => {
            Err(ApiError::invalid("schema", format!("it is too much to be checked: {message}")))
        }
        Err(CheckFailure::Unavailable) => Err(ApiError::Busy),
    }
}

/// Deletes your own description of an event type.
///
/// A dialect's type stays as the dialect has it.
#[utoipa::path(
    delete,
    path = "/event-types/{type}",
    operation_id = "delete_event_type",
    tag = "event types",
    responses((status = 204)),
)]
async fn delete(
    State(app): State<App>,
    caller: TenantCaller,
    Path(event_type): Path<String>,
) -> Result<StatusCode, ApiError> {
    let event_type: EventType = event_type.parse().map_err(|_| ApiError::NotFound)?;
    let own = caller.picture().event_types.get(&event_type).ok_or(ApiError::NotFound)?;
    let entry = caller.entry(&app, Action::EventTypeDeleted, &event_type, audit::deleted(own));
    app.catalog.noting(entry).delete_event_type(caller.id(), &event_type).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok(StatusCode::NO_CONTENT)
}
