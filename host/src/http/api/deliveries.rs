//! Deliveries: listed, read with every attempt, retried, cancelled.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Id, Params};
use super::super::page::{self, SearchedPage};
use super::events;
use super::requests::Bytes;
use crate::domain::audit::Action;
use crate::domain::delivery::State as Standing;
use crate::domain::header::Header;
use crate::domain::id::{AttemptId, DeliveryId, EndpointId, EventId};
use crate::domain::message::Message;
use crate::domain::pipeline::StepReport;
use crate::domain::time::Timestamp;
use crate::store::ledger::{LogQuery, Logged, StoredAttempt, Which};
use crate::store::picture::SealedEndpoint;

/// At most this many bytes are searched for, and endpoints by their name.
const MAX_TEXT: usize = 256;
const MAX_NAMED: usize = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(retry)).routes(routes!(cancel))
}

/// A delivery in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
struct Summary {
    id: DeliveryId,
    event_id: EventId,
    /// Null where the event is gone.
    event_type: Option<String>,
    endpoint_id: EndpointId,
    /// Null where the endpoint is gone.
    endpoint_name: Option<String>,
    state: Standing,
    /// Why, where there is something to say.
    reason: Option<String>,
    attempt_count: u32,
    /// Of the last attempt's answer, where one came.
    last_status: Option<u16>,
    next_attempt_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    replay_of: Option<DeliveryId>,
}

/// A delivery with its steps, its message and every attempt.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryDetails)]
struct Whole {
    #[serde(flatten)]
    summary: Summary,
    steps: Vec<StepReport>,
    /// Null until the pipeline has run, when it made none, and once it is not
    /// kept any more.
    message: Option<MessageView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_gone_at: Option<Timestamp>,
    attempts: Vec<AttemptView>,
}

/// The HTTP request that was made of the event, before signing.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(super) struct MessageView {
    method: &'static str,
    target: Option<String>,
    headers: Vec<Header>,
    #[serde(flatten)]
    body: Bytes,
}

impl MessageView {
    pub(super) fn of(message: &Message) -> Self {
        Self {
            method: message.method.as_str(),
            target: message.target.clone(),
            headers: message.headers.clone(),
            body: Bytes::of(&message.body),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    id: AttemptId,
    number: u32,
    started_at: Timestamp,
    duration_ms: u64,
    url: String,
    /// The headers that each attempt makes anew: the signature's, and `traceparent`.
    signed_headers: Vec<Header>,
    /// `accepted`, `refused`, or why no answer came.
    outcome: String,
    status: Option<u16>,
    error: Option<String>,
    /// Null where none came, and once it is not kept any more.
    response: Option<AnswerView>,
    /// An answer came, and was kept for its time.
    #[serde(skip_serializing_if = "is_false")]
    response_gone: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Answer)]
struct AnswerView {
    headers: Vec<Header>,
    #[serde(flatten)]
    body: Bytes,
    /// The body went on; this is its beginning.
    cut: bool,
}

impl AttemptView {
    fn of(attempt: StoredAttempt) -> Self {
        let answer = |answer: crate::domain::attempt::Answer| AnswerView {
            headers: answer.headers,
            body: Bytes::of(&answer.body),
            cut: answer.cut,
        };
        Self {
            id: attempt.id,
            number: attempt.number,
            started_at: attempt.started_at,
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            url: attempt.url,
            signed_headers: attempt.signed_headers,
            response_gone: attempt.status.is_some() && attempt.answer.is_none(),
            outcome: attempt.outcome,
            status: attempt.status,
            error: attempt.error,
            response: attempt.answer.map(answer),
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Summary {
    fn of(logged: Logged, endpoints: &BTreeMap<EndpointId, SealedEndpoint>) -> Self {
        let Logged { delivery, event_type, last_status } = logged;
        let endpoint = endpoints.get(&delivery.endpoint).map(|sealed| &sealed.endpoint);
        let waits = delivery.state == Standing::Pending;
        let is_held = waits && endpoint.is_some_and(|endpoint| endpoint.status.holds());
        let why = match () {
            () if is_held => Some("held until the endpoint is active"),
            () if delivery.is_in_line => Some("waits for those before it: the endpoint is ordered"),
            () => None,
        };
        Self {
            id: delivery.id,
            event_id: delivery.event,
            event_type,
            endpoint_id: delivery.endpoint,
            endpoint_name: endpoint.map(|endpoint| endpoint.name.clone()),
            state: delivery.state,
            reason: why.map(str::to_owned).or(delivery.reason),
            attempt_count: delivery.attempts,
            last_status,
            next_attempt_at: delivery.next_attempt_at.filter(|_| !is_held),
            created_at: delivery.created_at,
            updated_at: delivery.updated_at,
            replay_of: delivery.replay_of,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// An event's id.
    event: Option<String>,
    /// An endpoint's id.
    endpoint: Option<String>,
    /// `pending`, `delivered`, `dropped`, `dead` or `cancelled`.
    state: Option<String>,
    /// A pattern that the event's type has to fit, such as `order.*`.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// The managed account that its event is of.
    account: Option<String>,
    /// Created at or after (RFC 3339).
    after: Option<String>,
    /// Created before (RFC 3339).
    before: Option<String>,
    /// In the event's id, type or subject, in the endpoint's id or name, or in the
    /// reason; or the delivery's id. 1 to 256 bytes.
    text: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Lists deliveries, newest first.
///
/// A `text`, a `type` or an `account` is looked for in 3,000 deliveries at a time, and a state or an endpoint beside
/// other filters in 6,000: `searched` says so, and `next` goes on from there, also where nothing was found.
#[utoipa::path(
    get,
    path = "/deliveries",
    operation_id = "list_deliveries",
    tag = "deliveries",
    params(ListParams),
    responses((status = 200, body = SearchedPage<Summary>)),
)]
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ListParams>,
) -> Result<Json<SearchedPage<Summary>>, ApiError> {
    let limit = page::limit(params.limit)?;
    let event = params.event.map(|text| text.parse().map_err(|_| ApiError::invalid("event", "give an event's id")));
    let wrong = |_| ApiError::invalid("endpoint", "give an endpoint's id");
    let endpoints = &caller.picture().endpoints;
    let text = params.text.map(searched_for).transpose()?;
    let query = LogQuery {
        only: None,
        event: event.transpose()?,
        endpoint: params.endpoint.map(|text| text.parse().map_err(wrong)).transpose()?,
        state: params.state.as_deref().map(state).transpose()?,
        event_type: params.event_type.map(|text| input::field("type", &text)).transpose()?,
        account: params.account,
        endpoints_of_text: text.as_deref().map(|text| named(endpoints, text)).unwrap_or_default(),
        text,
        since: events::instant("after", params.after)?,
        until: events::instant("before", params.before)?,
        older_than: page::cursor(params.cursor.as_deref())?,
        limit,
    };
    let found = app.ledger.delivery_log(caller.id(), query).await?;
    Ok(Json(SearchedPage::of(found, |logged| Summary::of(logged, endpoints))))
}

fn searched_for(text: String) -> Result<String, ApiError> {
    match text.len() {
        1..=MAX_TEXT => Ok(text),
        _ => Err(ApiError::invalid("text", format!("give 1 to {MAX_TEXT} bytes"))),
    }
}

/// Endpoints with the text in their name. Many of them are as good as all, and a
/// statement takes only so many.
fn named(endpoints: &BTreeMap<EndpointId, SealedEndpoint>, text: &str) -> Vec<EndpointId> {
    let text = text.to_lowercase();
    let named = endpoints.iter().filter(|(_, sealed)| sealed.endpoint.name.to_lowercase().contains(&text));
    named.map(|(id, _)| *id).take(MAX_NAMED).collect()
}

/// One delivery as lists show it.
async fn logged(app: &App, caller: &TenantCaller, id: DeliveryId) -> Result<Logged, ApiError> {
    let query = LogQuery { only: Some(id), limit: 1, ..LogQuery::default() };
    app.ledger.delivery_log(caller.id(), query).await?.items.pop().ok_or(ApiError::NotFound)
}

/// A delivery's state by its word.
pub(super) fn state(text: &str) -> Result<Standing, ApiError> {
    Standing::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Standing::ALL.iter().map(|state| state.as_str()).collect();
        ApiError::invalid("state", format!("give one of {}", known.join(", ")))
    })
}

/// Shows a delivery with its steps, its message and every attempt.
#[utoipa::path(
    get,
    path = "/deliveries/{id}",
    operation_id = "show_delivery",
    tag = "deliveries",
    responses((status = 200, body = Whole)),
)]
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<DeliveryId>) -> Result<Json<Whole>, ApiError> {
    let tenant = caller.id();
    let logged = logged(&app, &caller, id).await?;
    let prepared = app.ledger.prepared(tenant, id).await?;
    let attempts = app.ledger.attempts(tenant, id).await?;
    let event = app.ledger.event(tenant, logged.delivery.event).await?;
    let message = prepared.as_ref().and_then(|prepared| prepared.message.as_deref()).map(MessageView::of);
    Ok(Json(Whole {
        summary: Summary::of(logged, &caller.picture().endpoints),
        steps: prepared.map(|prepared| prepared.steps).unwrap_or_default(),
        message,
        message_gone_at: event.and_then(|event| event.data_gone_at),
        attempts: attempts.into_iter().map(AttemptView::of).collect(),
    }))
}

/// Makes a delivery due now, whatever its schedule says.
///
/// Only one that is pending or dead.
#[utoipa::path(
    post,
    path = "/deliveries/{id}/retry",
    operation_id = "retry_delivery",
    tag = "deliveries",
    responses((status = 202, body = Summary), (status = 409)),
)]
async fn retry(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<DeliveryId>,
) -> Result<(StatusCode, Json<Summary>), ApiError> {
    app.ledger.delivery(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    app.catalog.noting(caller.entry(&app, Action::DeliveryRetried, id, Vec::new())).note().await?;
    if let Err(state) = app.ledger.retry(caller.id(), id, app.clock.now()).await? {
        let problem = format!("the delivery is {}; only a pending or a dead one can be retried", state.as_str());
        return Err(ApiError::Conflict { field: None, problem });
    }
    let logged = logged(&app, &caller, id).await?;
    app.handoff.lanes.probe(logged.delivery.endpoint);
    Ok((StatusCode::ACCEPTED, Json(Summary::of(logged, &caller.picture().endpoints))))
}

/// Cancels a delivery: it is not attempted any more.
///
/// Only one that is pending and not being attempted at this moment.
#[utoipa::path(
    post,
    path = "/deliveries/{id}/cancel",
    operation_id = "cancel_delivery",
    tag = "deliveries",
    responses((status = 200, body = Summary), (status = 409)),
)]
async fn cancel(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<DeliveryId>,
) -> Result<Json<Summary>, ApiError> {
    app.ledger.delivery(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    app.catalog.noting(caller.entry(&app, Action::DeliveryCancelled, id, Vec::new())).note().await?;
    let cancelled = app.ledger.cancel(caller.id(), Which::One(id), app.clock.now()).await?;
    let logged = logged(&app, &caller, id).await?;
    if cancelled == 0 {
        let problem = match logged.delivery.state {
            Standing::Pending => "the delivery is being attempted at this moment; cancel it again if that fails".into(),
            state => format!("the delivery is {}; only a pending one can be cancelled", state.as_str()),
        };
        return Err(ApiError::Conflict { field: None, problem });
    }
    app.handoff.nudge();
    Ok(Json(Summary::of(logged, &caller.picture().endpoints)))
}
