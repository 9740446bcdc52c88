//! Deliveries: listed, read with every attempt, retried.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{Id, Params};
use super::super::page::{self, Page};
use super::requests::Bytes;
use crate::domain::delivery::State as Standing;
use crate::domain::header::Header;
use crate::domain::id::{AttemptId, DeliveryId, EndpointId, EventId};
use crate::domain::message::Message;
use crate::domain::pipeline::StepReport;
use crate::domain::time::Timestamp;
use crate::store::ledger::{Delivery, DeliveryQuery, StoredAttempt};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/deliveries", get(list))
        .route("/deliveries/{id}", get(show))
        .route("/deliveries/{id}/retry", post(retry))
}

/// A delivery in a list.
#[derive(Serialize)]
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
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    summary: Summary,
    steps: Vec<StepReport>,
    /// Null until the pipeline has run, and when it made none.
    message: Option<MessageView>,
    attempts: Vec<AttemptView>,
}

/// The HTTP request that was made of the event, before signing.
#[derive(Serialize)]
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

#[derive(Serialize)]
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
    response: Option<AnswerView>,
}

#[derive(Serialize)]
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
            outcome: attempt.outcome,
            status: attempt.status,
            error: attempt.error,
            response: attempt.answer.map(answer),
        }
    }
}

impl From<Delivery> for Summary {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            event_id: delivery.event,
            endpoint_id: delivery.endpoint,
            state: delivery.state,
            reason: delivery.reason,
            attempt_count: delivery.attempts,
            next_attempt_at: delivery.next_attempt_at,
            created_at: delivery.created_at,
            updated_at: delivery.updated_at,
            replay_of: delivery.replay_of,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    event: Option<String>,
    endpoint: Option<String>,
    state: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/deliveries`
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
    Ok(Json(Page::of(found, limit, |delivery| delivery.id, Summary::from)))
}

/// A delivery's state by its word.
pub(super) fn state(text: &str) -> Result<Standing, ApiError> {
    Standing::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Standing::ALL.iter().map(|state| state.as_str()).collect();
        ApiError::invalid("state", format!("give one of {}", known.join(", ")))
    })
}

/// `GET /v1/deliveries/{id}`
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<DeliveryId>) -> Result<Json<Whole>, ApiError> {
    let tenant = caller.id();
    let delivery = app.ledger.delivery(tenant, id).await?.ok_or(ApiError::NotFound)?;
    let prepared = app.ledger.prepared(tenant, id).await?;
    let attempts = app.ledger.attempts(tenant, id).await?;
    let message = prepared.as_ref().and_then(|prepared| prepared.message.as_deref()).map(MessageView::of);
    Ok(Json(Whole {
        summary: delivery.into(),
        steps: prepared.map(|prepared| prepared.steps).unwrap_or_default(),
        message,
        attempts: attempts.into_iter().map(AttemptView::of).collect(),
    }))
}

/// `POST /v1/deliveries/{id}/retry`: due now, whatever its schedule says.
async fn retry(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<DeliveryId>,
) -> Result<(StatusCode, Json<Summary>), ApiError> {
    if let Err(state) = app.ledger.retry(caller.id(), id, app.clock.now()).await? {
        let problem = format!("the delivery is {}; only a pending or a dead one can be retried", state.as_str());
        return Err(ApiError::Conflict { field: None, problem });
    }
    let delivery = app.ledger.delivery(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    app.handoff.lanes.probe(delivery.endpoint);
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}
