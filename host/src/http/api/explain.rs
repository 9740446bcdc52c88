//! Explanations: what became of an event at each of the tenant's endpoints, or
//! why nothing did.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::Id;
use super::tenants;
use crate::domain::delivery::State as Standing;
use crate::domain::dialect::Plan;
use crate::domain::endpoint::Endpoint;
use crate::domain::event::EventType;
use crate::domain::explain::{Case, Explanation, Story, explain};
use crate::domain::health::Circuit;
use crate::domain::id::{DeliveryId, EndpointId, EventId, RequestId, TenantId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::{Delivery, DeliveryQuery};

/// At most this many deliveries of one event are read at once, the newest. Beyond
/// that, endpoints are asked for one by one.
const LOOKED_AT: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
#[schema(as = ExplainedEvent)]
struct View<'a> {
    event_id: EventId,
    #[serde(rename = "type")]
    event_type: &'a EventType,
    /// The request that it was made of.
    request_id: Option<RequestId>,
    /// In one sentence.
    summary: String,
    endpoints: Vec<Line<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EndpointExplanation)]
struct Line<'a> {
    endpoint_id: EndpointId,
    name: &'a str,
    url: &'a str,
    delivery_id: Option<DeliveryId>,
    #[serde(flatten)]
    explanation: Explanation,
}

/// Explains what became of an event at each endpoint, or why nothing did.
#[utoipa::path(
    get,
    path = "/events/{id}/explain",
    operation_id = "explain_event",
    tag = "events",
    responses((status = 200, body = View)),
)]
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<EventId>) -> Result<Response, ApiError> {
    let tenant = caller.id();
    let event = app.ledger.event(tenant, id).await?.ok_or(ApiError::NotFound)?;
    let query = DeliveryQuery { event: Some(id), limit: LOOKED_AT, ..DeliveryQuery::default() };
    let deliveries = app.ledger.deliveries(tenant, query).await?;
    let endpoints: Vec<&Endpoint> = caller.picture().endpoints.values().map(|sealed| &sealed.endpoint).collect();
    let covered = caller.picture().covered_urls(&app.dialects);
    // The newest comes first.
    let mut newest: HashMap<EndpointId, Delivery> = HashMap::new();
    let is_all = deliveries.len() < LOOKED_AT as usize;
    for delivery in deliveries {
        newest.entry(delivery.endpoint).or_insert(delivery);
    }
    if !is_all {
        for endpoint in endpoints.iter().filter(|endpoint| !newest.contains_key(&endpoint.id)).collect::<Vec<_>>() {
            let query =
                DeliveryQuery { event: Some(id), endpoint: Some(endpoint.id), limit: 1, ..DeliveryQuery::default() };
            newest.extend(app.ledger.deliveries(tenant, query).await?.pop().map(|delivery| (endpoint.id, delivery)));
        }
    }
    let mut receivers: HashMap<&str, Vec<&Endpoint>> = HashMap::new();
    for endpoint in &endpoints {
        if newest.get(&endpoint.id).is_some_and(|delivery| delivery.state == Standing::Delivered) {
            receivers.entry(endpoint.url.as_str()).or_default().push(endpoint);
        }
    }
    let mut lines = Vec::with_capacity(endpoints.len());
    for endpoint in &endpoints {
        let delivery = newest.get(&endpoint.id);
        let story = match delivery {
            Some(delivery) => Some(story(&app, tenant, delivery).await?),
            None => None,
        };
        let case = Case {
            event: &event,
            endpoint,
            dialect: &*tenants::dialect(&app, &endpoint.dialect)?,
            over_plan: if covered.has(endpoint) { None } else { over_plan(&app, &caller) },
            story,
            twins: twins(endpoint, receivers.get(endpoint.url.as_str())),
            open_until: open_until(&app, endpoint),
            now: app.clock.now(),
        };
        lines.push(Line {
            endpoint_id: endpoint.id,
            name: &endpoint.name,
            url: endpoint.url.as_str(),
            delivery_id: delivery.map(|delivery| delivery.id),
            explanation: explain(&case),
        });
    }
    let (event_type, request_id) = (&event.event_type, event.request_id);
    let summary = summary(&lines);
    Ok(Json(View { event_id: id, event_type, request_id, summary, endpoints: lines }).into_response())
}

fn summary(lines: &[Line<'_>]) -> String {
    let count = |state: &str| lines.iter().filter(|line| line.explanation.state == state).count();
    let parts = [
        (count("delivered"), "got it"),
        (count("pending"), "will get it"),
        (count("dead") + count("cancelled"), "could not be given it"),
        (count("dropped") + count("skipped"), "did not want it or may not have it"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    match lines.len() {
        0 => "There is no endpoint, so nobody got the event: create one.".to_owned(),
        1 => format!("Of 1 endpoint, {}.", said.join(", ")),
        all => format!("Of {all} endpoints, {}.", said.join(", ")),
    }
}

fn over_plan<'a>(app: &'a App, caller: &TenantCaller) -> Option<(&'a Plan, Option<&'a Plan>)> {
    let (dialect, plan) = caller.picture().limiting_plan(&app.dialects)?;
    Some((plan, dialect.larger_than(plan)))
}

/// At most this many of them are told.
const MAX_TWINS: usize = 5;

/// Endpoints with the same URL that got the event too.
fn twins<'a>(endpoint: &Endpoint, receivers: Option<&Vec<&'a Endpoint>>) -> Vec<&'a str> {
    let others = receivers.into_iter().flatten().filter(|other| other.id != endpoint.id);
    others.take(MAX_TWINS).map(|twin| twin.name.as_str()).collect()
}

fn open_until(app: &App, endpoint: &Endpoint) -> Option<Timestamp> {
    match app.handoff.lanes.health(endpoint.id).circuit(app.clock.now()) {
        Circuit::Open { until } => Some(until),
        Circuit::HalfOpen | Circuit::Closed => None,
    }
}

async fn story(app: &App, tenant: TenantId, delivery: &Delivery) -> Result<Story, StoreError> {
    let last = app.ledger.attempts(tenant, delivery.id).await?.pop();
    let prepared = app.ledger.prepared(tenant, delivery.id).await?;
    Ok(Story {
        delivery: delivery.id,
        state: delivery.state,
        reason: delivery.reason.clone(),
        attempts: delivery.attempts,
        status: last.as_ref().and_then(|attempt| attempt.status),
        outcome: last.as_ref().map(|attempt| attempt.outcome.clone()),
        error: last.and_then(|attempt| attempt.error),
        next_attempt_at: delivery.next_attempt_at.map(|at| at.to_string()),
        is_in_line: delivery.is_in_line,
        steps: prepared.map(|prepared| prepared.steps).unwrap_or_default(),
    })
}
