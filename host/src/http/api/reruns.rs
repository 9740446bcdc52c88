//! `POST /v1/sources/{id}/rerun`: requests that were quarantined, through the
//! pipeline as it is now, or through another one to see what it would do.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Id};
use super::steps::{self, StepForm};
use crate::domain::id::{RequestId, SourceId};
use crate::domain::pipeline::Place;
use crate::domain::place::PlaceId;
use crate::domain::source::Source;
use crate::domain::time::Timestamp;
use crate::intake::IntakeError;
use crate::sandbox::SourceResult;
use crate::store::StoreError;
use crate::store::ledger::{RequestQuery, StoredRequest};

/// Read at a time.
const PAGE: u32 = 50;
/// No more is begun after this long: callers have a minute.
const PATIENCE: Duration = Duration::from_secs(40);
/// Reasons that are shown.
const SHOWN: usize = 10;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/sources/{id}/rerun", post(rerun))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    /// Received at or after.
    since: Option<String>,
    /// Received before.
    until: Option<String>,
    /// `quarantined`, or `ignored` as well.
    #[serde(default = "quarantined")]
    states: Vec<String>,
    /// Instead of the source's own; only for a dry run.
    steps: Option<Vec<StepForm>>,
    #[serde(default)]
    dry_run: bool,
}

fn quarantined() -> Vec<String> {
    vec!["quarantined".to_owned()]
}

/// What the requests came to, or would.
#[derive(Default, Serialize)]
struct View {
    requests: u32,
    accepted: u32,
    events: u32,
    ignored: u32,
    quarantined: u32,
    /// Of the first few that are quarantined again.
    reasons: Vec<Reason>,
    /// Whether all were run; otherwise time ran out, and the same call goes on.
    complete: bool,
    dry_run: bool,
}

#[derive(Serialize)]
struct Reason {
    request_id: RequestId,
    reason: String,
}

async fn rerun(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<SourceId>,
    input::Json(form): input::Json<Form>,
) -> Result<Json<View>, ApiError> {
    let mut source = caller.picture().sources.get(&id).cloned().ok_or(ApiError::NotFound)?;
    let instant = |field: &'static str, text: Option<String>| {
        let wrong = |_| ApiError::invalid(field, "give RFC 3339, such as 2026-11-21T08:30:00Z");
        text.map(|text| text.parse::<Timestamp>().map_err(wrong)).transpose()
    };
    let (since, until) = (instant("since", form.since)?, instant("until", form.until)?);
    if let Some(state) = form.states.iter().find(|state| !["quarantined", "ignored"].contains(&state.as_str())) {
        let problem = format!("`{}` requests are not run again; give quarantined or ignored", state.escape_debug());
        return Err(ApiError::invalid("states", problem));
    }
    if let Some(steps) = form.steps {
        if !form.dry_run {
            return Err(ApiError::invalid("steps", "only a dry run takes other steps; change the source's first"));
        }
        source.pipeline = steps::pipeline(&app, &caller, Place::Source, steps).await?;
    }
    let mut view = View { dry_run: form.dry_run, ..View::default() };
    let end = app.clock.now() + PATIENCE;
    for state in form.states {
        // The oldest may be needed by those after it, so they are read first
        // and run in the order in which they came.
        let mut found = find(&app, &caller, id, &state, since, until).await?;
        found.reverse();
        for request in found {
            if app.clock.now() > end {
                return Ok(Json(view));
            }
            let Some(stored) = app.ledger.request(caller.id(), request).await? else { continue };
            if stored.fate.state() == state {
                one(&app, &caller, &source, stored, &mut view).await?;
            }
        }
    }
    view.complete = true;
    Ok(Json(view))
}

/// The requests in question, the newest first.
async fn find(
    app: &App,
    caller: &TenantCaller,
    source: SourceId,
    state: &str,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<RequestId>, ApiError> {
    let mut found = Vec::new();
    let mut older_than = until.map(RequestId::floor);
    loop {
        let query = RequestQuery { source: Some(source), state: Some(state.to_owned()), older_than, limit: PAGE };
        let page = app.ledger.requests(caller.id(), query).await?;
        let (read, enough) = (page.len(), found.len());
        let young = |id: &RequestId| since.is_none_or(|since| id.minted_at() >= since);
        found.extend(page.iter().map(|stored| stored.request.id).filter(young));
        older_than = page.last().map(|stored| stored.request.id);
        if read < PAGE as usize || found.len() - enough < read {
            return Ok(found);
        }
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
