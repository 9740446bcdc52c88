//! `GET /v1/activity`: how much happened when, for charts.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::Params;
use super::events::instant;
use crate::domain::activity::{BUCKET, Bucket, KEPT, Span};
use crate::domain::time::Timestamp;

/// Unless told otherwise, a day is shown.
const USUALLY_MS: i64 = 24 * 60 * 60 * 1000;
/// At most this many steps, which are as many as a wide screen has points.
const MOST: usize = 2_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ActivityParams {
    /// From then on (RFC 3339); a day before `until` unless you say otherwise.
    since: Option<String>,
    /// Until then (RFC 3339); now unless you say otherwise.
    until: Option<String>,
    /// In seconds: 300 or a multiple of it.
    step: Option<u64>,
}

#[derive(Serialize, ToSchema)]
struct ActivityView {
    step_seconds: u64,
    /// Every step, also those in which nothing happened.
    items: Vec<ActivityStep>,
}

#[derive(Serialize, ToSchema)]
struct ActivityStep {
    /// When it begins.
    at: Timestamp,
    events: u64,
    /// Deliveries that came to rest.
    delivered: u64,
    dead: u64,
    dropped: u64,
    attempts: u64,
    /// Of these, the ones that were not accepted.
    failed: u64,
    /// Half of the attempts took no longer; about, and null without attempts.
    p50_ms: Option<u32>,
    p95_ms: Option<u32>,
}

impl From<(Timestamp, Bucket)> for ActivityStep {
    fn from((at, bucket): (Timestamp, Bucket)) -> Self {
        let Bucket { events, delivered, dead, dropped, attempts, failed, latencies } = bucket;
        let (p50_ms, p95_ms) = (latencies.percentile(0.5), latencies.percentile(0.95));
        Self { at, events, delivered, dead, dropped, attempts, failed, p50_ms, p95_ms }
    }
}

/// Shows how much happened when: events, deliveries, attempts and how long they took.
///
/// The last 24 hours in steps of five minutes unless you say otherwise. It is kept for 31 days, and what was
/// counted in the last seconds before a crash is lost.
#[utoipa::path(
    get,
    path = "/activity",
    operation_id = "show_activity",
    tag = "stats",
    params(ActivityParams),
    responses((status = 200, body = ActivityView)),
)]
async fn show(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ActivityParams>,
) -> Result<Json<ActivityView>, ApiError> {
    let span = span(params, app.clock.now())?;
    let written = app.ledger.activity(caller.id(), span.since(), span.until());
    let found = app.intake.activity.with_written(caller.id(), written).await?;
    let items = span.fill(found).into_iter().map(ActivityStep::from).collect();
    Ok(Json(ActivityView { step_seconds: span.step().as_secs(), items }))
}

fn span(params: ActivityParams, now: Timestamp) -> Result<Span, ApiError> {
    let step = params.step.unwrap_or(BUCKET.as_secs());
    if step == 0 || !step.is_multiple_of(BUCKET.as_secs()) || step > KEPT.as_secs() {
        let (least, most) = (BUCKET.as_secs(), KEPT.as_secs());
        return Err(ApiError::invalid("step", format!("give seconds: a multiple of {least}, at most {most}")));
    }
    let until = instant("until", params.until)?.unwrap_or(now);
    let day_before = Timestamp::from_millis(until.as_millis().saturating_sub(USUALLY_MS));
    let since = instant("since", params.since)?.unwrap_or(day_before);
    if since > until {
        return Err(ApiError::invalid("since", "give a time before `until`"));
    }
    let span = Span::new(since, until, std::time::Duration::from_secs(step));
    if span.steps() > MOST {
        let problem = format!("{} steps, at most {MOST} are answered; give a longer one", span.steps());
        return Err(ApiError::invalid("step", problem));
    }
    Ok(span)
}
