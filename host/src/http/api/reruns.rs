//! `POST /v1/sources/{id}/rerun`: requests that were quarantined, through the
//! pipeline as it is now, or through another one to see what it would do.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Id};
use super::steps::{self, StepForm};
use crate::domain::audit::{Action, Change};
use crate::domain::id::{RequestId, SourceId};
use crate::domain::pipeline::Place;
use crate::domain::place::PlaceId;
use crate::domain::source::Source;
use crate::domain::time::Timestamp;
use crate::intake::IntakeError;
use crate::sandbox::SourceResult;
use crate::store::StoreError;
use crate::store::ledger::{RerunQuery, StoredRequest};

/// Read at a time.
const PAGE: u32 = 50;
/// No more is begun after this long: callers have a minute.
const PATIENCE: Duration = Duration::from_secs(40);
/// Reasons that are shown.
const SHOWN: usize = 10;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(rerun))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRerun)]
struct Form {
    /// Received at or after.
    #[schema(value_type = Option<Timestamp>)]
    since: Option<String>,
    /// Received before.
    #[schema(value_type = Option<Timestamp>)]
    until: Option<String>,
    /// `quarantined`, or `ignored` as well.
    #[serde(default = "quarantined")]
    states: Vec<String>,
    /// What `next` was.
    #[schema(value_type = Option<RequestId>)]
    after: Option<String>,
    /// Instead of the source's own; only for a dry run.
    steps: Option<Vec<StepForm>>,
    #[serde(default)]
    dry_run: bool,
}

fn quarantined() -> Vec<String> {
    vec!["quarantined".to_owned()]
}

/// What the requests came to, or would.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = RerunReport)]
struct View {
    requests: u32,
    accepted: u32,
    events: u32,
    ignored: u32,
    quarantined: u32,
    /// Of the first few that are quarantined again.
    reasons: Vec<Reason>,
    /// Whether all were run; otherwise time or room ran out.
    complete: bool,
    /// The same call goes on behind the last that was run if this is its
    /// `after`: what was quarantined again stays behind. Null when all were run.
    next: Option<RequestId>,
    dry_run: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RerunReason)]
struct Reason {
    request_id: RequestId,
    reason: String,
}

/// Runs requests that led to nothing through the pipeline as it is now.
///
/// With `dry_run`, also through other steps: nothing is stored then.
#[utoipa::path(
    post,
    path = "/sources/{id}/rerun",
    operation_id = "rerun_source",
    tag = "sources",
    request_body(content = Form, example = json!({"states": ["quarantined"], "dry_run": true})),
    responses((status = 200, body = View)),
)]
async fn rerun(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<SourceId>,
    input::Json(form): input::Json<Form>,
) -> Result<Json<View>, ApiError> {
    let mut source = caller.picture().sources.get(&id).cloned().ok_or(ApiError::NotFound)?;
    let query = form.query(id)?;
    if let Some(steps) = form.steps {
        if !form.dry_run {
            return Err(ApiError::invalid("steps", "only a dry run takes other steps; change the source's first"));
        }
        source.pipeline = steps::pipeline(&app, &caller, Place::Source, steps).await?;
    }
    if !form.dry_run {
        let span = |field, at: Option<Timestamp>| Change::new(field, Value::Null, json!(at));
        let states = Change::new("states", Value::Null, json!(query.states));
        let changes = vec![span("since", query.since), span("until", query.until), states];
        app.catalog.noting(caller.entry(&app, Action::SourceRerun, id, changes)).note().await?;
    }
    let mut view = View { dry_run: form.dry_run, ..View::default() };
    match all(&app, &caller, &source, query, &mut view).await {
        // What was done is told, and where to go on.
        Err(ApiError::Busy) if view.next.is_some() => {}
        ended => ended?,
    }
    Ok(Json(view))
}

impl Form {
    fn query(&self, source: SourceId) -> Result<RerunQuery, ApiError> {
        let instant = |field: &'static str, text: Option<&str>| {
            let wrong = |_| ApiError::invalid(field, "give RFC 3339, such as 2026-11-21T08:30:00Z");
            text.map(|text| text.parse::<Timestamp>().map_err(wrong)).transpose()
        };
        if let Some(state) = self.states.iter().find(|state| !["quarantined", "ignored"].contains(&state.as_str())) {
            let problem = format!("`{}` requests are not run again; give quarantined or ignored", state.escape_debug());
            return Err(ApiError::invalid("states", problem));
        }
        let wrong = |_| ApiError::invalid("after", "give what `next` of the answer before was");
        Ok(RerunQuery {
            source,
            states: self.states.clone(),
            since: instant("since", self.since.as_deref())?,
            until: instant("until", self.until.as_deref())?,
            after: self.after.as_ref().map(|text| text.parse().map_err(wrong)).transpose()?,
            limit: PAGE,
        })
    }
}

/// Runs the requests in the order in which they came, each as it is when it is
/// its turn. The end is looked at after each: a call that is made again and
/// again gets on, however long one request takes.
async fn all(
    app: &App,
    caller: &TenantCaller,
    source: &Source,
    mut query: RerunQuery,
    view: &mut View,
) -> Result<(), ApiError> {
    let end = app.clock.now() + PATIENCE;
    loop {
        let page = app.ledger.requests_to_rerun(caller.id(), query.clone()).await?;
        for id in &page {
            match app.ledger.request(caller.id(), *id).await? {
                Some(stored) if query.states.iter().any(|state| state == stored.fate.state()) => {
                    one(app, caller, source, stored, view).await?;
                }
                // Another call has run it meanwhile.
                _ => {}
            }
            view.next = Some(*id);
            if app.clock.now() >= end {
                return Ok(());
            }
        }
        if page.len() < PAGE as usize {
            (view.complete, view.next) = (true, None);
            return Ok(());
        }
        query.after = view.next;
    }
}

async fn one(
    app: &App,
    caller: &TenantCaller,
    source: &Source,
    stored: StoredRequest,
    view: &mut View,
) -> Result<(), ApiError> {
    let request_id = stored.request.id;
    let (events, quarantined) = if view.dry_run {
        let now = app.clock.now();
        let outside = app.composer.reach.preview(caller.id(), Some(PlaceId::Source(source.id)), false);
        let run = app.intake.interpret(caller.picture(), source, Arc::new(stored.request), now, outside).await;
        match run.result {
            SourceResult::Events(events) => (events.len(), None),
            SourceResult::Ignored { .. } => (0, None),
            SourceResult::Unreadable { reason } => (0, Some(reason)),
            SourceResult::Failed { number, plugin, message } => {
                (0, Some(format!("step {number} ({plugin}): {message}")))
            }
            SourceResult::Unavailable => return Err(ApiError::Busy),
        }
    } else {
        match app.intake.rerun(caller.picture(), source, stored).await {
            Ok(receipt) => (receipt.event_ids.len(), receipt.quarantined),
            // Another call has run it meanwhile, and counts it.
            Err(IntakeError::Store(StoreError::Changed)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    };
    view.requests += 1;
    view.events += u32::try_from(events).unwrap_or(u32::MAX);
    match quarantined {
        Some(reason) => {
            view.quarantined += 1;
            if view.reasons.len() < SHOWN {
                view.reasons.push(Reason { request_id, reason });
            }
        }
        None if events == 0 => view.ignored += 1,
        None => view.accepted += 1,
    }
    Ok(())
}
