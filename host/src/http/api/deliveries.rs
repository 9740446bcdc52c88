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
use super::super::input::{Id, Params};
use super::super::page::{self, Page};
use super::requests::Bytes;
use crate::domain::audit::Action;
use crate::domain::delivery::State as Standing;
use crate::domain::header::Header;
use crate::domain::id::{AttemptId, DeliveryId, EndpointId, EventId};
use crate::domain::message::Message;
use crate::domain::pipeline::StepReport;
use crate::domain::time::Timestamp;
use crate::store::ledger::{Delivery, DeliveryQuery, StoredAttempt, Which};
use crate::store::picture::SealedEndpoint;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(retry)).routes(routes!(cancel))
}

/// A delivery in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
struct Summary {
    id: DeliveryId,
    event_id: EventId,
    endpoint_id: EndpointId,
    state: Standing,
    /// Why, where there is something to say.
    reason: Option<String>,
    attempt_count: u32,
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
    /// The signature's headers, which each attempt makes anew.
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
    fn of(delivery: Delivery, endpoints: &BTreeMap<EndpointId, SealedEndpoint>) -> Self {
        let waits = delivery.state == Standing::Pending;
        let is_held = waits && endpoints.get(&delivery.endpoint).is_some_and(|sealed| sealed.endpoint.status.holds());
        let why = match () {
            () if is_held => Some("held until the endpoint is active"),
            () if delivery.is_in_line => Some("waits for those before it: the endpoint is ordered"),
            () => None,
        };
        Self {
            id: delivery.id,
            event_id: delivery.event,
            endpoint_id: delivery.endpoint,
            state: delivery.state,
            reason: why.map(str::to_owned).or(delivery.reason),
            attempt_count: delivery.attempts,
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
    event: Option<String>,
    endpoint: Option<String>,
    state: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Lists deliveries, newest first.
#[utoipa::path(
    get,
    path = "/deliveries",
    operation_id = "list_deliveries",
    tag = "deliveries",
    params(ListParams),
    responses((status = 200, body = Page<Summary>)),
)]
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Summary>>, ApiError> {
    let limit = page::limit(params.limit)?;
    let event = params.event.map(|text| text.parse().map_err(|_| ApiError::invalid("event", "give an event's id")));
    let wrong = |_| ApiError::invalid("endpoint", "give an endpoint's id");
    let query = DeliveryQuery {
        event: event.transpose()?,
        endpoint: params.endpoint.map(|text| text.parse().map_err(wrong)).transpose()?,
        states: params.state.as_deref().map(state).transpose()?.into_iter().collect(),
        older_than: page::cursor(params.cursor.as_deref())?,
        limit: limit + 1,
        ..DeliveryQuery::default()
    };
    let found = app.ledger.deliveries(caller.id(), query).await?;
    let endpoints = &caller.picture().endpoints;
    Ok(Json(Page::of(found, limit, |delivery| delivery.id, |delivery| Summary::of(delivery, endpoints))))
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
    let delivery = app.ledger.delivery(tenant, id).await?.ok_or(ApiError::NotFound)?;
    let prepared = app.ledger.prepared(tenant, id).await?;
    let attempts = app.ledger.attempts(tenant, id).await?;
    let event = app.ledger.event(tenant, delivery.event).await?;
    let message = prepared.as_ref().and_then(|prepared| prepared.message.as_deref()).map(MessageView::of);
    Ok(Json(Whole {
        summary: Summary::of(delivery, &caller.picture().endpoints),
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
    let delivery = app.ledger.delivery(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    app.handoff.lanes.probe(delivery.endpoint);
    Ok((StatusCode::ACCEPTED, Json(Summary::of(delivery, &caller.picture().endpoints))))
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
    let delivery = app.ledger.delivery(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    if cancelled == 0 {
        let problem = match delivery.state {
            Standing::Pending => "the delivery is being attempted at this moment; cancel it again if that fails".into(),
            state => format!("the delivery is {}; only a pending one can be cancelled", state.as_str()),
        };
        return Err(ApiError::Conflict { field: None, problem });
    }
    app.handoff.nudge();
    Ok(Json(Summary::of(delivery, &caller.picture().endpoints)))
}
