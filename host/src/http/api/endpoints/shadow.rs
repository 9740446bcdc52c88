//! `POST /v1/endpoints/{id}/shadow`: what other steps would have made of the
//! last events, next to what the endpoint's own make of them. Nothing is stored
//! or sent.
//!
//! It is as much work as one call can ask for, and goes on when its caller hangs
//! up: a tenant has one at a time, and each is done in small portions.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::super::App;
use super::super::super::auth::TenantCaller;
use super::super::super::error::ApiError;
use super::super::super::input::{self, Id};
use super::super::steps::{self, StepForm};
use super::super::tenants;
use super::find;
use crate::domain::dialect::Dialect;
use crate::domain::diff::{Difference, diff};
use crate::domain::event::{Event, EventType};
use crate::domain::id::{EndpointId, EventId};
use crate::domain::message::Message;
use crate::domain::pipeline::{Pipeline, Place};
use crate::domain::place::PlaceId;
use crate::sandbox::{EndpointResult, EndpointRun};
use crate::store::ledger::EventQuery;

/// Events that are compared unless told otherwise, and at most.
const USUALLY: u32 = 1_000;
const AT_MOST: u32 = 20_000;
/// Events that are looked at for those that the endpoint wants, at most.
const LOOKED_AT: u64 = 200_000;
/// Read at a time and run in one visit to the sandbox, at most: more saves
/// nothing that can be measured.
const PORTION: u32 = 50;
/// A portion that took longer or held more makes the next one smaller.
const QUICK: Duration = Duration::from_millis(500);
const LIGHT: usize = 4 * 1024 * 1024;
/// No more is begun after this long: callers have a minute.
const PATIENCE: Duration = Duration::from_secs(40);
/// Events that are shown of each kind, and differences of each.
const SHOWN: u32 = 10;
/// Of all that were compared, the newest few with what they came to.
const NEWEST: usize = 10;
const DIFFERENCES: usize = 20;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewShadowRun)]
pub(super) struct Form {
    steps: Vec<StepForm>,
    #[schema(minimum = 1, maximum = 20000)]
    last: Option<u32>,
}

/// How many events came to what.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = ShadowCounts)]
struct Counts {
    /// Both send the same message, drop the event, or fail.
    same: u32,
    /// Both send, and not the same.
    changed: u32,
    /// The other steps drop what would have been sent or had failed.
    dropped: u32,
    /// The other steps fail and the endpoint's own did not.
    failed: u32,
    /// The other steps send what was dropped or had failed.
    added: u32,
}

/// What running it cost and came to.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = ShadowCost)]
struct Cost {
    fuel: u64,
    duration_us: u64,
    sent: u32,
    dropped: u32,
    failed: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ShadowRun)]
pub(super) struct Comparison {
    compared: u32,
    /// Events that were looked at, whether or not the endpoint wants them.
    looked_at: u64,
    /// Whether all were compared that were asked for or are there; otherwise
    /// time ran out.
    complete: bool,
    #[serde(flatten)]
    counts: Counts,
    current: Cost,
    candidate: Cost,
    /// The newest few of each kind that is not the same.
    examples: Vec<Example>,
    /// What the other steps make of the newest few.
    newest: Vec<Newest>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ShadowExample)]
struct Example {
    event_id: EventId,
    kind: &'static str,
    current: Outcome,
    candidate: Outcome,
    /// From the current message to the candidate's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diff: Vec<Difference>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ShadowNewest)]
struct Newest {
    event_id: EventId,
    event_type: EventType,
    tags: Vec<String>,
    #[serde(flatten)]
    candidate: Outcome,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ShadowOutcome)]
struct Outcome {
    /// `send`, `drop` or `fail`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Compares what other steps would have made of the last events.
///
/// Next to what the endpoint's own make of them. Nothing is stored or sent.
#[utoipa::path(
    post,
    path = "/endpoints/{id}/shadow",
    operation_id = "shadow_endpoint",
    tag = "endpoints",
    request_body(content = Form, example = json!({
        "steps": [{"plugin": "tag-filter", "config": {"expression": "paid"}}],
        "last": 100
    })),
    responses((status = 200, body = Comparison)),
)]
pub(super) async fn shadow(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<EndpointId>,
    input::Json(form): input::Json<Form>,
) -> Result<Json<Comparison>, ApiError> {
    let endpoint = find(&caller, id)?;
    let last = form.last.unwrap_or(USUALLY);
    if !(1..=AT_MOST).contains(&last) {
        return Err(ApiError::invalid("last", format!("give 1 to {AT_MOST}")));
    }
    let dialect = tenants::dialect(&app, &endpoint.dialect)?;
    let _turn = app.shadows.take(caller.id()).ok_or(ApiError::OneAtATime("a shadow run"))?;
    let candidate = steps::pipeline(&app, &caller, Place::Endpoint, form.steps).await?;
    let mut comparison = Comparison {
        compared: 0,
        looked_at: 0,
        complete: false,
        counts: Counts::default(),
        current: Cost::default(),
        candidate: Cost::default(),
        examples: Vec::new(),
        newest: Vec::new(),
    };
    let mut began = app.clock.now();
    let end = began + PATIENCE;
    let (mut older_than, mut portion) = (None, 1);
    while began < end {
        let query = EventQuery { older_than, limit: portion, with_data: true, ..EventQuery::default() };
        let page = app.ledger.events(caller.id(), query).await?;
        older_than = page.next;
        let (read, room) = (page.items.len(), (last - comparison.compared) as usize);
        let bytes = page.items.iter().map(|event| event.data.get().len()).sum();
        let wanted = page.items.into_iter().filter(|event| dialect.wants(&endpoint.subscription, event).is_ok());
        let events: Vec<Arc<Event>> = wanted.take(room).map(Arc::new).collect();
        comparison.looked_at += read as u64;
        let pipelines = [&endpoint.pipeline, &candidate];
        compare(&app, &caller, &dialect, (id, pipelines), &events, &mut comparison).await?;
        let enough = comparison.compared == last || comparison.looked_at >= LOOKED_AT;
        if enough || older_than.is_none() {
            comparison.complete = true;
            break;
        }
        let now = app.clock.now();
        portion = next_portion(portion, now.since(began), bytes);
        began = now;
    }
    Ok(Json(comparison))
}

/// Nobody knows what steps cost before they have run, so it begins with one
/// event and grows while that is cheap.
fn next_portion(before: u32, took: Duration, bytes: usize) -> u32 {
    if took <= QUICK && bytes <= LIGHT { (before * 2).min(PORTION) } else { (before / 2).max(1) }
}

async fn compare(
    app: &App,
    caller: &TenantCaller,
    dialect: &Dialect,
    (endpoint, [current, candidate]): (EndpointId, [&Pipeline; 2]),
    events: &[Arc<Event>],
    comparison: &mut Comparison,
) -> Result<(), ApiError> {
    let tenant = caller.picture();
    let place = PlaceId::Endpoint(endpoint);
    let (before, after) = tokio::join!(
        app.composer.preview_all(tenant, dialect, current, place, events),
        app.composer.preview_all(tenant, dialect, candidate, place, events),
    );
    for ((event, before), after) in events.iter().zip(before?).zip(after?) {
        let unavailable = |run: &EndpointRun| matches!(run.result, EndpointResult::Unavailable);
        if unavailable(&before) || unavailable(&after) {
            return Err(ApiError::Busy);
        }
        comparison.add(event, &before, &after);
    }
    Ok(())
}

impl Comparison {
    fn add(&mut self, event: &Event, before: &EndpointRun, after: &EndpointRun) {
        use EndpointResult::{Dropped, Failed, Send};
        self.compared += 1;
        if self.newest.len() < NEWEST {
            self.newest.push(Newest::of(event, after));
        }
        self.current.add(before);
        self.candidate.add(after);
        let counts = &mut self.counts;
        let (kind, count) = match (&before.result, &after.result) {
            (Send(one), Send(other)) if one != other => ("changed", &mut counts.changed),
            (Send(_) | Failed { .. }, Dropped { .. }) => ("dropped", &mut counts.dropped),
            (Send(_) | Dropped { .. }, Failed { .. }) => ("failed", &mut counts.failed),
            (Dropped { .. } | Failed { .. }, Send(_)) => ("added", &mut counts.added),
            _ => {
                counts.same += 1;
                return;
            }
        };
        *count += 1;
        if *count > SHOWN {
            return;
        }
        let diff = match (&before.result, &after.result) {
            (Send(one), Send(other)) => diff(&document(one), &document(other), DIFFERENCES),
            _ => Vec::new(),
        };
        let [current, candidate] = [before, after].map(|run| Outcome::of(&run.result));
        self.examples.push(Example { event_id: event.id, kind, current, candidate, diff });
    }
}

impl Cost {
    fn add(&mut self, run: &EndpointRun) {
        self.fuel += run.steps.iter().map(|step| step.fuel).sum::<u64>();
        self.duration_us += run.steps.iter().map(|step| step.duration_us).sum::<u64>();
        match &run.result {
            EndpointResult::Send(_) => self.sent += 1,
            EndpointResult::Dropped { .. } => self.dropped += 1,
            EndpointResult::Failed { .. } => self.failed += 1,
            EndpointResult::Unavailable => {}
        }
    }
}

impl Newest {
    fn of(event: &Event, run: &EndpointRun) -> Self {
        let (event_type, tags) = (event.event_type.clone(), event.tags.clone());
        Self { event_id: event.id, event_type, tags, candidate: Outcome::of(&run.result) }
    }
}

impl Outcome {
    fn of(result: &EndpointResult) -> Self {
        match result {
            EndpointResult::Send(_) => Self { outcome: "send", reason: None },
            EndpointResult::Dropped { reason } => Self { outcome: "drop", reason: Some(reason.clone()) },
            EndpointResult::Failed { number, plugin, message } => {
                Self { outcome: "fail", reason: Some(format!("step {number} ({plugin}): {message}")) }
            }
            EndpointResult::Unavailable => Self { outcome: "fail", reason: None },
        }
    }
}

/// A message as a document that can be compared: its body parsed where it is
/// JSON.
fn document(message: &Message) -> Value {
    let text = || Value::String(String::from_utf8_lossy(&message.body).into_owned());
    let body = serde_json::from_slice(&message.body).unwrap_or_else(|_| text());
    let header = |header: &crate::domain::header::Header| (header.name.clone(), Value::from(header.value.clone()));
    let headers: serde_json::Map<String, Value> = message.headers.iter().map(header).collect();
    json!({"method": message.method.as_str(), "target": message.target, "headers": headers, "body": body})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_grow_while_they_are_cheap_and_shrink_when_they_are_not() {
        let quick = |before| next_portion(before, QUICK, LIGHT);
        assert_eq!([1, 2, 25, 32, PORTION].map(quick), [2, 4, 50, PORTION, PORTION]);
        let slow = |before| next_portion(before, QUICK + Duration::from_millis(1), 0);
        assert_eq!([PORTION, 3, 1].map(slow), [PORTION / 2, 1, 1]);
        let heavy = |before| next_portion(before, Duration::ZERO, LIGHT + 1);
        assert_eq!([PORTION, 3, 1].map(heavy), [PORTION / 2, 1, 1]);
    }
}
