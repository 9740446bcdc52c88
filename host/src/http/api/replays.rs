//! Replays: begun at an endpoint, watched, cancelled.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Id, Params};
use super::super::page::{self, Page};
use super::{deliveries, events};
use crate::clock::mint;
use crate::domain::audit::{Action, Change};
use crate::domain::delivery::State as Standing;
use crate::domain::event::check_label;
use crate::domain::id::{EndpointId, ReplayId};
use crate::domain::replay::{Progress, Replay, Selection, Through};
use crate::domain::subscription::TypePattern;
use crate::domain::time::Timestamp;
use crate::intake::replay::Job;
use crate::store::StoreError;
use crate::store::ledger::ReplayQuery;

/// A tenant's replays that run at once.
const MAX_RUNNING: u32 = 10;
/// Type patterns in one.
const MAX_TYPES: usize = 256;
/// A small replay is done before its answer is written.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(list)).routes(routes!(show)).routes(routes!(cancel))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewReplay)]
struct Form {
    #[schema(value_type = Timestamp)]
    since: String,
    #[schema(value_type = Option<Timestamp>)]
    until: Option<String>,
    #[schema(value_type = Option<Vec<Standing>>)]
    states: Option<Vec<String>>,
    #[serde(default, alias = "types")]
    #[schema(value_type = Vec<TypePattern>)]
    event_types: Vec<String>,
    /// Only of this managed account's events.
    account: Option<String>,
    pipeline: Through,
    #[serde(default)]
    dry_run: bool,
}

/// A replay as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
struct View {
    /// Absent in a dry run, which makes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ReplayId>,
    endpoint_id: EndpointId,
    /// Absent in a dry run too.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Progress>,
    pipeline: Through,
    states: Vec<Standing>,
    event_types: Vec<TypePattern>,
    /// Of whose events alone it is; null: of any.
    account: Option<String>,
    since: Option<Timestamp>,
    until: Timestamp,
    /// How many there were to make when it began, and how many were made.
    deliveries: u64,
    made: u64,
    updated_at: Timestamp,
    dry_run: bool,
}

impl View {
    fn of(replay: Replay, dry_run: bool) -> Self {
        let Selection { endpoint, states, event_types, account, since, until } = replay.selection;
        Self {
            id: (!dry_run).then_some(replay.id),
            endpoint_id: endpoint,
            state: (!dry_run).then_some(replay.progress),
            pipeline: replay.through,
            states,
            event_types,
            account,
            since,
            until,
            deliveries: replay.found,
            made: replay.made,
            updated_at: replay.updated_at,
            dry_run,
        }
    }
}

/// Makes deliveries of the past once more.
///
/// With `dry_run` nothing is made: the answer says how many it would be.
#[utoipa::path(
    post,
    path = "/endpoints/{id}/replay",
    operation_id = "replay_endpoint",
    tag = "replays",
    request_body(content = Form, example = json!({"since": "2026-01-01T00:00:00Z", "states": ["dead"], "pipeline": "current", "dry_run": true})),
    responses((status = 202, body = View), (status = 409)),
)]
async fn create(
    State(app): State<App>,
    caller: TenantCaller,
    Id(endpoint): Id<EndpointId>,
    input::Json(form): input::Json<Form>,
) -> Result<(StatusCode, Json<View>), ApiError> {
    if !caller.picture().endpoints.contains_key(&endpoint) {
        return Err(ApiError::NotFound);
    }
    let now = app.clock.now();
    let mut replay = Replay {
        id: mint(now),
        tenant: caller.id(),
        selection: Selection {
            endpoint,
            states: match form.states {
                Some(words) if words.is_empty() => {
                    return Err(ApiError::invalid("states", "give at least one, such as [\"dead\"]"));
                }
                Some(words) => words.iter().map(|word| deliveries::state(word)).collect::<Result<_, _>>()?,
                None => vec![Standing::Dead],
            },
            event_types: patterns(&form.event_types)?,
            account: form.account.map(account).transpose()?,
            since: events::instant("since", Some(form.since))?,
            // What a replay makes must not be found by it.
            until: events::instant("until", form.until)?.map_or(now, |until| until.min(now)),
        },
        through: form.pipeline,
        found: 0,
        made: 0,
        after: None,
        progress: Progress::Running,
        updated_at: now,
    };
    replay.found = app.ledger.count_deliveries(caller.id(), replay.query()).await?;
    if form.dry_run {
        return Ok((StatusCode::ACCEPTED, Json(View::of(replay, true))));
    }
    let span = |field, at: Option<Timestamp>| Change::new(field, Value::Null, json!(at));
    let selection = &replay.selection;
    let states = Change::new("states", Value::Null, json!(selection.states));
    let types = Change::new("event_types", Value::Null, json!(selection.event_types));
    let pipeline = Change::new("pipeline", Value::Null, json!(replay.through));
    let account = selection.account.as_ref().map(|account| Change::new("account", Value::Null, json!(account)));
    let (since, until) = (span("since", selection.since), span("until", Some(selection.until)));
    let changes = [since, until, states, types, pipeline].into_iter().chain(account).collect();
    // Before the first: a replay that is cut short was one, too.
    app.catalog.noting(caller.entry(&app, Action::EndpointReplayed, endpoint, changes)).note().await?;
    match app.ledger.create_replay(&replay, MAX_RUNNING).await {
        Err(StoreError::OverLimit) => {
            let problem = format!("{MAX_RUNNING} replays are running; wait for one of them, or cancel it");
            return Err(ApiError::Conflict { field: None, problem });
        }
        created => created?,
    }
    let (done, is_done) = oneshot::channel();
    app.intake.replay(Job::new(replay.clone(), Some(done)));
    let _too_large_to_wait_for = tokio::time::timeout(PATIENCE, is_done).await;
    let replay = app.ledger.replay(caller.id(), replay.id).await?.unwrap_or(replay);
    Ok((StatusCode::ACCEPTED, Json(View::of(replay, false))))
}

fn account(name: String) -> Result<String, ApiError> {
    check_label(&name).map_err(|problem| ApiError::invalid("account", problem))?;
    Ok(name)
}

fn patterns(texts: &[String]) -> Result<Vec<TypePattern>, ApiError> {
    if texts.len() > MAX_TYPES {
        return Err(ApiError::invalid("event_types", format!("at most {MAX_TYPES} are allowed")));
    }
    let pattern = |(at, text): (usize, &String)| input::field(&format!("event_types[{at}]"), text);
    texts.iter().enumerate().map(pattern).collect()
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// An endpoint's id.
    endpoint: Option<String>,
    /// The managed account of whose events alone they are.
    account: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// Lists replays, newest first.
#[utoipa::path(
    get,
    path = "/replays",
    operation_id = "list_replays",
    tag = "replays",
    params(ListParams),
    responses((status = 200, body = Page<View>)),
)]
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<View>>, ApiError> {
    let limit = page::limit(params.limit)?;
    let wrong = |_| ApiError::invalid("endpoint", "give an endpoint's id");
    let query = ReplayQuery {
        endpoint: params.endpoint.map(|text| text.parse().map_err(wrong)).transpose()?,
        account: params.account,
        older_than: page::cursor(params.cursor.as_deref())?,
        limit: limit + 1,
    };
    let found = app.ledger.replays(caller.id(), query).await?;
    Ok(Json(Page::of(found, limit, |replay| replay.id, |replay| View::of(replay, false))))
}

/// Shows how far a replay has come.
#[utoipa::path(
    get,
    path = "/replays/{id}",
    operation_id = "show_replay",
    tag = "replays",
    responses((status = 200, body = View)),
)]
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<ReplayId>) -> Result<Json<View>, ApiError> {
    let replay = app.ledger.replay(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(View::of(replay, false)))
}

/// Cancels a replay: no more are made, and those that were are sent.
#[utoipa::path(
    post,
    path = "/replays/{id}/cancel",
    operation_id = "cancel_replay",
    tag = "replays",
    responses((status = 200, body = View), (status = 409)),
)]
async fn cancel(State(app): State<App>, caller: TenantCaller, Id(id): Id<ReplayId>) -> Result<Json<View>, ApiError> {
    app.ledger.replay(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    app.catalog.noting(caller.entry(&app, Action::ReplayCancelled, id, Vec::new())).note().await?;
    let cancelled = app.ledger.end_replay(caller.id(), id, Progress::Cancelled, app.clock.now()).await?;
    let replay = app.ledger.replay(caller.id(), id).await?.ok_or(ApiError::NotFound)?;
    if !cancelled && replay.progress != Progress::Cancelled {
        let problem = format!("the replay is {}; only a running one can be cancelled", replay.progress.as_str());
        return Err(ApiError::Conflict { field: None, problem });
    }
    Ok(Json(View::of(replay, false)))
}
