//! Events: published, listed, read, cancelled.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Id, MAX_BODY, Params};
use super::super::page::{self, SearchedPage};
use super::schema::Published;
use crate::domain::audit::Action;
use crate::domain::event::{Draft, Event, EventType, MAX_DELAY};
use crate::domain::id::EventId;
use crate::domain::time::Timestamp;
use crate::domain::trace::{TRACEPARENT, TraceParent};
use crate::intake::IntakeError;
use crate::store::ledger::{EventQuery, Which};

/// At most this many events in one call.
pub(super) const MAX_BATCH: usize = 500;
/// At most this many bytes in an idempotency key.
const MAX_KEY: usize = 256;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(publish, list)).routes(routes!(show)).routes(routes!(cancel))
}

/// `{type, data, subject?, account?, tags?, occurred_at?, deliver_at?}`
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEvent)]
pub(super) struct EventForm {
    #[serde(rename = "type")]
    #[schema(value_type = EventType)]
    event_type: String,
    #[schema(value_type = serde_json::Value)]
    data: Box<RawValue>,
    #[schema(min_length = 1, max_length = 256)]
    subject: Option<String>,
    #[schema(min_length = 1, max_length = 256)]
    account: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[schema(value_type = Option<Timestamp>)]
    occurred_at: Option<String>,
    #[schema(value_type = Option<Timestamp>)]
    deliver_at: Option<String>,
}

impl EventForm {
    /// The draft that this means; `at` is put before the field in an error.
    pub(super) fn parse(self, at: &str, now: Timestamp) -> Result<Draft, ApiError> {
        let name = |field: &str| format!("{at}{field}");
        let deliver_at = instant(&name("deliver_at"), self.deliver_at)?;
        if deliver_at.is_some_and(|at| at > now + MAX_DELAY) {
            let days = MAX_DELAY.as_secs() / 86_400;
            return Err(ApiError::invalid(name("deliver_at"), format!("give a time within {days} days from now")));
        }
        let draft = Draft {
            event_type: input::field(&name("type"), &self.event_type)?,
            occurred_at: instant(&name("occurred_at"), self.occurred_at)?,
            deliver_at,
            subject: self.subject,
            account: self.account,
            tags: self.tags,
            data: self.data.into(),
        };
        draft.check().map_err(|error| ApiError::invalid(name(error.field), error.problem))
    }
}

/// What came of it: of one, or of a list.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Publication {
    One { id: EventId },
    Many { ids: Vec<EventId> },
}

/// Publishes an event, or up to 500 of them.
///
/// 202 means that the events and their deliveries are on the disk. One event is answered with its
/// `id`, a list with `ids`. The same `Idempotency-Key` with the same body is the same call for 24
/// hours: nothing is stored twice.
#[utoipa::path(
    post,
    path = "/events",
    operation_id = "publish_events",
    tag = "events",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 256 visible ASCII characters"),
        ("traceparent" = Option<String>, Header, description = "The trace that the events are part of (W3C Trace Context)")),
    request_body(content = Published, example = json!({"type": "order.paid", "data": {"id": 7}, "subject": "customer-7", "tags": ["paid"]})),
    responses((status = 202, body = Publication), (status = 409), (status = 413), (status = 429)),
)]
async fn publish(State(app): State<App>, caller: TenantCaller, request: Request) -> Result<Response, ApiError> {
    let key = idempotency_key(&request)?;
    let trace = traceparent(request.headers());
    let body = input::read_body(request.into_body(), MAX_BODY).await?;
    let key = key.map(|key| (key, Sha256::digest(&body).into()));
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !is_list {
        let draft = input::parse::<EventForm>(&body)?.parse("", app.clock.now())?;
        let ids = app.intake.publish(caller.picture(), vec![draft], key, trace).await?;
        let id = *ids.first().ok_or(ApiError::NotFound)?;
        return Ok((StatusCode::ACCEPTED, Json(Publication::One { id })).into_response());
    }
    let forms: Vec<EventForm> = input::parse(&body)?;
    if forms.is_empty() || forms.len() > MAX_BATCH {
        return Err(ApiError::invalid("", format!("{} events, give 1 to {MAX_BATCH}", forms.len())));
    }
    let now = app.clock.now();
    let drafts = forms.into_iter().enumerate().map(|(at, form)| form.parse(&format!("[{at}]."), now));
    let drafts = drafts.collect::<Result<Vec<Draft>, _>>()?;
    let published = app.intake.publish(caller.picture(), drafts, key, trace).await;
    let ids = published.map_err(|error| match error {
        IntakeError::Misfit(misfit) => ApiError::Misfit {
            field: format!("[{}].data", misfit.at),
            pointer: format!("/{}/data{}", misfit.at, misfit.pointer),
            problem: misfit.to_string(),
        },
        other => other.into(),
    })?;
    Ok((StatusCode::ACCEPTED, Json(Publication::Many { ids })).into_response())
}

/// The trace that came along, if it came once: of two, neither can be believed.
/// One that cannot be read is none (W3C Trace Context).
fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut given = headers.get_all(TRACEPARENT).iter();
    match (given.next(), given.next()) {
        (Some(one), None) => one.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

fn idempotency_key(request: &Request) -> Result<Option<String>, ApiError> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::invalid("Idempotency-Key", format!("give 1 to {MAX_KEY} visible ASCII characters"))),
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// A pattern that its type has to fit, such as `order.*`.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// One of its tags.
    tag: Option<String>,
    /// Whom or what it is about.
    subject: Option<String>,
    /// The managed account that it is of.
    account: Option<String>,
    after: Option<String>,
    before: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Lists events, newest first.
///
/// A `type`, a `tag` and an `account` are looked for in 10,000 events at a time: `searched` says so, and `next` goes
/// on from there, also where nothing was found. A page also ends where its data become 8 MiB.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "list_events",
    tag = "events",
    params(ListParams),
    responses((status = 200, body = SearchedPage<Event>)),
)]
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ListParams>,
) -> Result<Json<SearchedPage<Event>>, ApiError> {
    let limit = page::limit(params.limit)?;
    let query = EventQuery {
        event_type: params.event_type.map(|text| input::field("type", &text)).transpose()?,
        tag: params.tag,
        subject: params.subject,
        account: params.account,
        without_account: false,
        with_data: false,
        max_data: None,
        after: instant("after", params.after)?,
        before: instant("before", params.before)?,
        older_than: page::cursor(params.cursor.as_deref())?,
        limit,
    };
    let found = app.ledger.events(caller.id(), query).await?;
    Ok(Json(SearchedPage::of(found, |event| event)))
}

/// Shows an event with its data.
#[utoipa::path(
    get,
    path = "/events/{id}",
    operation_id = "show_event",
    tag = "events",
    responses((status = 200, body = Event)),
)]
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<EventId>) -> Result<Json<Event>, ApiError> {
    app.ledger.event(caller.id(), id).await?.map(Json).ok_or(ApiError::NotFound)
}

#[derive(Serialize, ToSchema)]
struct Cancelled {
    /// Deliveries; those that are at rest or being attempted are not among them.
    cancelled: u64,
}

/// Cancels what is still to be sent of an event.
///
/// Such as before its time has come. Deliveries that are at rest or being attempted are left alone.
#[utoipa::path(
    post,
    path = "/events/{id}/cancel",
    operation_id = "cancel_event",
    tag = "events",
    responses((status = 200, body = Cancelled)),
)]
async fn cancel(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<EventId>,
) -> Result<Json<Cancelled>, ApiError> {
    app.ledger.event(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    app.catalog.noting(caller.entry(&app, Action::EventCancelled, id, Vec::new())).note().await?;
    let cancelled = app.ledger.cancel(caller.id(), Which::Of(id), app.clock.now()).await?;
    app.handoff.nudge();
    Ok(Json(Cancelled { cancelled }))
}

/// An instant in a query string or a body.
pub(super) fn instant(name: &str, text: Option<String>) -> Result<Option<Timestamp>, ApiError> {
    let wrong = |_| ApiError::invalid(name, "give RFC 3339, such as 2026-11-21T08:30:00Z");
    text.map(|text| text.parse::<Timestamp>().map_err(wrong)).transpose()
}
