//! Steps move to another version of their plugin, all at once, and back.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input;
use super::steps;
use crate::domain::audit::{Action, Change};
use crate::domain::pipeline::{Pipeline, Place, Step};
use crate::domain::place::PlaceId;
use crate::domain::plugin::{PluginName, PluginVersion};
use crate::domain::upgrade::{Moved, Repinned, taken_back};
use crate::store::catalog::{MoveLog, StepMove};
use crate::store::picture::TenantPicture;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(upgrade)).routes(routes!(rollback))
}

/// `{version?, from?, only?, dry_run?}`
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUpgrade)]
struct Form {
    /// Absent: the newest.
    version: Option<u32>,
    /// Only steps that pin this one.
    from: Option<u32>,
    /// Only these sources and endpoints.
    only: Option<Vec<String>>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRollback)]
struct Back {
    #[serde(default)]
    dry_run: bool,
}

/// What moved, or would.
#[derive(Serialize, ToSchema)]
#[schema(as = Upgrade)]
struct View {
    plugin: PluginName,
    moved: Vec<Moved>,
    /// Steps that were changed since the upgrade, and stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Vec<Moved>>,
    dry_run: bool,
}

/// Moves steps to another version of their plugin.
///
/// Every step accepts the other version, or none moves.
#[utoipa::path(
    post,
    path = "/plugins/{name}/upgrade",
    operation_id = "upgrade_plugin",
    tag = "plugins",
    request_body(content = Form, example = json!({"dry_run": true})),
    responses((status = 200, body = View), (status = 409)),
)]
async fn upgrade(
    State(app): State<App>,
    caller: TenantCaller,
    Path(name): Path<String>,
    input::Json(form): input::Json<Form>,
) -> Result<Json<View>, ApiError> {
    let plugin: PluginName = name.parse().map_err(|_| ApiError::NotFound)?;
    let tenant = caller.picture();
    let only = form.only.as_deref().map(|only| places(tenant, only)).transpose()?;
    let house = app.picture.house();
    let target = steps::version(tenant, &house, &plugin, form.version)?;
    let chosen = |whose: &PlaceId| only.as_ref().is_none_or(|only| only.contains(whose));
    let (mut pipelines, mut moved) = (Vec::new(), Vec::new());
    for (whose, place, before) in everything(tenant).filter(|(whose, ..)| chosen(whose)) {
        let mut after = before.clone();
        for (at, step) in after.steps.iter_mut().enumerate() {
            let pins = step.plugin == plugin && step.version != target.version;
            if pins && form.from.is_none_or(|from| step.version == from) {
                moved.push(Moved { whose, step: at, from: step.version, to: target.version });
                *step = fitted(&app, &caller, step, place, at, target).await.map_err(|error| about(whose, error))?;
            }
        }
        if after != *before {
            pipelines.push(Repinned { whose, before: before.clone(), after });
        }
    }
    if !form.dry_run && !moved.is_empty() {
        let log = MoveLog::Add { moved: moved.clone(), at: app.clock.now() };
        commit(&app, &caller, &moved, StepMove { plugin: plugin.clone(), pipelines, log }).await?;
    }
    Ok(Json(View { plugin, moved, kept: None, dry_run: form.dry_run }))
}

/// Takes the last upgrade back that was not taken back yet.
#[utoipa::path(
    post,
    path = "/plugins/{name}/rollback",
    operation_id = "rollback_plugin",
    tag = "plugins",
    request_body(content = Back, example = json!({"dry_run": true})),
    responses((status = 200, body = View), (status = 409)),
)]
async fn rollback(
    State(app): State<App>,
    caller: TenantCaller,
    Path(name): Path<String>,
    input::Json(form): input::Json<Back>,
) -> Result<Json<View>, ApiError> {
    let plugin: PluginName = name.parse().map_err(|_| ApiError::NotFound)?;
    let tenant = caller.picture();
    let house = app.picture.house();
    let Some((number, last)) = app.catalog.last_move(caller.id(), &plugin).await? else {
        let problem = format!("no upgrade of `{plugin}` is left to be taken back");
        return Err(ApiError::Conflict { field: None, problem });
    };
    let (mut pipelines, mut moved) = (Vec::new(), Vec::new());
    for (whose, place, before) in everything(tenant) {
        let mut after = before.clone();
        for one in taken_back(&plugin, before, last.iter().filter(|one| one.whose == whose)) {
            let target = steps::version(tenant, &house, &plugin, Some(one.from)).map_err(|error| gone(whose, error))?;
            let step = fitted(&app, &caller, &before.steps[one.step], place, one.step, target).await;
            after.steps[one.step] = step.map_err(|error| about(whose, error))?;
            moved.push(Moved { from: one.to, to: one.from, ..one.clone() });
        }
        if after != *before {
            pipelines.push(Repinned { whose, before: before.clone(), after });
        }
    }
    let went = |one: &Moved| moved.iter().any(|back| (back.whose, back.step) == (one.whose, one.step));
    let kept = last.into_iter().filter(|one| !went(one)).collect();
    if !form.dry_run {
        let log = MoveLog::TakeBack { number };
        commit(&app, &caller, &moved, StepMove { plugin: plugin.clone(), pipelines, log }).await?;
    }
    Ok(Json(View { plugin, moved, kept: Some(kept), dry_run: form.dry_run }))
}

/// The step with another version, which accepts its place, its configuration
/// and its grants.
async fn fitted(
    app: &App,
    caller: &TenantCaller,
    step: &Step,
    place: Place,
    at: usize,
    target: &PluginVersion,
) -> Result<Step, ApiError> {
    let step = Step { version: target.version, digest: target.digest, ..step.clone() };
    steps::refit(app, caller, place, at, target, step).await
}

async fn commit(app: &App, caller: &TenantCaller, moved: &[Moved], change: StepMove) -> Result<(), ApiError> {
    let (plugin, steps) = (change.plugin.to_string(), change.pipelines.len());
    let action = match &change.log {
        MoveLog::Add { .. } => Action::PluginUpgraded,
        MoveLog::TakeBack { .. } => Action::PluginRolledBack,
    };
    let version =
        |one: &Moved| Change::new(format!("{} steps[{}]", one.whose, one.step), one.from.into(), one.to.into());
    let entry = caller.entry(app, action, &plugin, moved.iter().map(version).collect());
    app.catalog.noting(entry).move_steps(caller.id(), change).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    tracing::info!(tenant.id = %caller.id(), plugin.name = plugin, pipelines = steps, "steps moved to another version");
    Ok(())
}

/// Every pipeline of the tenant.
fn everything(tenant: &TenantPicture) -> impl Iterator<Item = (PlaceId, Place, &Pipeline)> {
    let sources = tenant.sources.values();
    let sources = sources.map(|source| (PlaceId::Source(source.id), Place::Source, &source.pipeline));
    let endpoints = tenant.endpoints.values().map(|sealed| &sealed.endpoint);
    sources.chain(endpoints.map(|endpoint| (PlaceId::Endpoint(endpoint.id), Place::Endpoint, &endpoint.pipeline)))
}

/// The tenant's own, or else which is not.
fn places(tenant: &TenantPicture, texts: &[String]) -> Result<Vec<PlaceId>, ApiError> {
    let has = |place: &PlaceId| match place {
        PlaceId::Source(id) => tenant.sources.contains_key(id),
        PlaceId::Endpoint(id) => tenant.endpoints.contains_key(id),
    };
    let place = |(at, text): (usize, &String)| {
        let problem = || format!("`{}` is no source's and no endpoint's id", text.escape_debug());
        text.parse::<PlaceId>().ok().filter(has).ok_or_else(|| ApiError::invalid(format!("only[{at}]"), problem()))
    };
    texts.iter().enumerate().map(place).collect()
}

/// The version that a step would go back to is not there any more. Its caller
/// named none, so that no field is wrong.
fn gone(whose: PlaceId, error: ApiError) -> ApiError {
    match error {
        ApiError::Invalid { problem, .. } => {
            let problem = format!("{whose} cannot go back, and so nothing has moved: {problem}");
            ApiError::Conflict { field: None, problem }
        }
        other => other,
    }
}

/// The same error, with whose step it is about.
fn about(whose: PlaceId, error: ApiError) -> ApiError {
    match error {
        ApiError::Invalid { field, problem } => {
            ApiError::Invalid { field, problem: format!("{whose}, and so nothing has moved: {problem}") }
        }
        other => other,
    }
}
