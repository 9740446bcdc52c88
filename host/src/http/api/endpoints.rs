//! Endpoints: outbound webhooks, set up and looked after.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Id, Params, Patch};
use super::super::page::{self, Page};
use super::steps::{self, StepForm, StepView};
use super::{deliveries, events, tenants};
use crate::clock::{mint, random};
use crate::domain::delivery::State as Standing;
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::event::check_label;
use crate::domain::header::Header;
use crate::domain::id::EndpointId;
use crate::domain::pipeline::Place;
use crate::domain::retry::RetryPolicy;
use crate::domain::signature::SigningSecret;
use crate::domain::subscription::{Subscription, TypePattern};
use crate::domain::tenant::DEFAULT_DIALECT;
use crate::domain::time::Timestamp;
use crate::domain::url::DeliveryUrl;
use crate::intake::replay::Through;
use crate::store::ledger::DeliveryQuery;

/// At most this many type patterns, accounts or tags in a subscription.
const MAX_SELECTED: usize = 256;
/// How long an old secret goes on signing, unless told otherwise: a day.
const DEFAULT_OVERLAP: u64 = 24 * 60 * 60;
/// And at most: seven days.
const MAX_OVERLAP: u64 = 7 * DEFAULT_OVERLAP;
const SWITCHED_OFF: &str = "switched off by its owner";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/endpoints", post(create).get(list))
        .route("/endpoints/{id}", get(show).patch(change).delete(delete))
        .route("/endpoints/{id}/pause", post(pause))
        .route("/endpoints/{id}/resume", post(resume))
        .route("/endpoints/{id}/rotate-secret", post(rotate_secret))
        .route("/endpoints/{id}/replay", post(replay))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    name: String,
    url: String,
    event_types: Vec<String>,
    #[serde(default)]
    accounts: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    dialect: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    steps: Vec<StepForm>,
    secret: Option<String>,
    active: Option<bool>,
    retry: Option<RetryPolicy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    url: Option<String>,
    event_types: Option<Vec<String>>,
    accounts: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    dialect: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    steps: Option<Vec<StepForm>>,
    active: Option<bool>,
    #[serde(default)]
    retry: Patch<RetryPolicy>,
}

#[derive(Serialize)]
struct View<'a> {
    id: EndpointId,
    name: &'a str,
    url: &'a str,
    event_types: &'a [TypePattern],
    accounts: &'a [String],
    tags: &'a [String],
    dialect: &'a str,
    headers: BTreeMap<&'a str, &'a str>,
    steps: Vec<StepView<'a>>,
    retry: Option<&'a RetryPolicy>,
    active: bool,
    state: &'static str,
    reason: Option<&'a str>,
    created_at: Timestamp,
}

/// The one view that has a secret in it.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    endpoint: View<'a>,
    /// Shown once.
    secret: String,
}

impl<'a> View<'a> {
    fn of(endpoint: &'a Endpoint) -> Self {
        Self {
            id: endpoint.id,
            name: &endpoint.name,
            url: endpoint.url.as_str(),
            event_types: &endpoint.subscription.event_types,
            accounts: &endpoint.subscription.accounts,
            tags: &endpoint.subscription.tags,
            dialect: &endpoint.dialect,
            headers: endpoint.headers.iter().map(|header| (&*header.name, &*header.value)).collect(),
            steps: steps::views(&endpoint.pipeline),
            retry: endpoint.retry.as_ref(),
            active: !matches!(endpoint.status, Status::Disabled { .. }),
            state: endpoint.status.state(),
            reason: endpoint.status.reason(),
            created_at: endpoint.created_at,
        }
    }
}

/// `POST /v1/endpoints`
async fn create(
    State(app): State<App>,
    caller: TenantCaller,
    input::Json(form): input::Json<Form>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let secret = match &form.secret {
        Some(text) => SigningSecret::parse(text).map_err(|problem| ApiError::invalid("secret", problem))?,
        None => SigningSecret::new(random()),
    };
    let endpoint = Endpoint {
        id: mint(now),
        tenant: caller.id(),
        name: input::name(form.name)?,
        url: url(&app, &form.url)?,
        subscription: Subscription {
            event_types: patterns(form.event_types)?,
            accounts: labels("accounts", form.accounts)?,
            tags: labels("tags", form.tags)?,
        },
        headers: headers(&form.headers)?,
        pipeline: steps::pipeline(&app, &caller, Place::Endpoint, form.steps).await?,
        retry: form.retry.map(schedule).transpose()?,
        dialect: tenants::dialect(form.dialect)?.unwrap_or_else(|| DEFAULT_DIALECT.to_owned()),
        status: status(form.active.unwrap_or(true)),
        created_at: now,
    };
    app.catalog.create_endpoint(&endpoint, &secret).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    let created = Created { endpoint: View::of(&endpoint), secret: secret.reveal() };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

#[derive(Deserialize)]
struct ListParams {
    cursor: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/endpoints`
async fn list(caller: TenantCaller, Params(params): Params<ListParams>) -> Result<Response, ApiError> {
    let limit = page::limit(params.limit)?;
    let before: Option<EndpointId> = page::cursor(params.cursor.as_deref())?;
    let endpoints = caller.picture().endpoints.values().rev().map(|sealed| &sealed.endpoint);
    let found = endpoints.filter(|one| before.is_none_or(|before| one.id < before)).take(limit as usize + 1);
    Ok(Json(Page::of(found.collect(), limit, |endpoint| endpoint.id, View::of)).into_response())
}

/// `GET /v1/endpoints/{id}`
async fn show(caller: TenantCaller, Id(id): Id<EndpointId>) -> Result<Response, ApiError> {
    Ok(Json(View::of(&find(&caller, id)?)).into_response())
}

/// `PATCH /v1/endpoints/{id}`
async fn change(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<EndpointId>,
    input::Json(change): input::Json<Change>,
) -> Result<Response, ApiError> {
    let mut endpoint = find(&caller, id)?;
    if let Some(name) = change.name {
        endpoint.name = input::name(name)?;
    }
    if let Some(text) = change.url {
        endpoint.url = url(&app, &text)?;
    }
    if let Some(types) = change.event_types {
        endpoint.subscription.event_types = patterns(types)?;
    }
    if let Some(accounts) = change.accounts {
        endpoint.subscription.accounts = labels("accounts", accounts)?;
    }
    if let Some(tags) = change.tags {
        endpoint.subscription.tags = labels("tags", tags)?;
    }
    if let Some(dialect) = tenants::dialect(change.dialect)? {
        endpoint.dialect = dialect;
    }
    if let Some(fields) = change.headers {
        endpoint.headers = headers(&fields)?;
    }
    if let Some(forms) = change.steps {
        endpoint.pipeline = steps::pipeline(&app, &caller, Place::Endpoint, forms).await?;
    }
    match change.retry {
        Patch::Keep => {}
        Patch::Clear => endpoint.retry = None,
        Patch::Set(policy) => endpoint.retry = Some(schedule(policy)?),
    }
    match (change.active, &endpoint.status) {
        (Some(true), Status::Disabled { .. }) => endpoint.status = Status::Active,
        (Some(false), _) => endpoint.status = status(false),
        _ => {}
    }
    save(&app, &caller, endpoint).await
}

/// `DELETE /v1/endpoints/{id}`: what is pending is cancelled as it comes up.
async fn delete(State(app): State<App>, caller: TenantCaller, Id(id): Id<EndpointId>) -> Result<StatusCode, ApiError> {
    app.catalog.delete_endpoint(caller.id(), id).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    // What was held comes up as well, and is cancelled like the rest.
    app.intake.release(caller.id(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/endpoints/{id}/pause`: deliveries are made and held.
async fn pause(State(app): State<App>, caller: TenantCaller, Id(id): Id<EndpointId>) -> Result<Response, ApiError> {
    let mut endpoint = find(&caller, id)?;
    if let Status::Disabled { reason } = &endpoint.status {
        let problem = format!("the endpoint is disabled: {reason}; set `active` to true first");
        return Err(ApiError::Conflict { field: None, problem });
    }
    endpoint.status = Status::Paused;
    save(&app, &caller, endpoint).await
}

/// `POST /v1/endpoints/{id}/resume`: what was held goes out.
async fn resume(State(app): State<App>, caller: TenantCaller, Id(id): Id<EndpointId>) -> Result<Response, ApiError> {
    let mut endpoint = find(&caller, id)?;
    endpoint.status = Status::Active;
    save(&app, &caller, endpoint).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateForm {
    overlap_seconds: Option<u64>,
    secret: Option<String>,
}

#[derive(Serialize)]
struct Rotated {
    /// Shown once.
    secret: String,
    /// Until then messages carry a signature of each secret.
    overlap_until: Timestamp,
}

/// `POST /v1/endpoints/{id}/rotate-secret`
async fn rotate_secret(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<EndpointId>,
    input::Json(form): input::Json<RotateForm>,
) -> Result<Json<Rotated>, ApiError> {
    let overlap = form.overlap_seconds.unwrap_or(DEFAULT_OVERLAP);
    if overlap > MAX_OVERLAP {
        return Err(ApiError::invalid("overlap_seconds", format!("give 0 to {MAX_OVERLAP}")));
    }
    let secret = match &form.secret {
        Some(text) => SigningSecret::parse(text).map_err(|problem| ApiError::invalid("secret", problem))?,
        None => SigningSecret::new(random()),
    };
    let now = app.clock.now();
    let overlap_until = now + Duration::from_secs(overlap);
    app.catalog.rotate_secret(caller.id(), id, &secret, now, overlap_until).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok(Json(Rotated { secret: secret.reveal(), overlap_until }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayForm {
    since: String,
    until: Option<String>,
    states: Option<Vec<String>>,
    pipeline: Through,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Replayed {
    deliveries: u64,
    dry_run: bool,
}

/// `POST /v1/endpoints/{id}/replay`
async fn replay(
    State(app): State<App>,
    caller: TenantCaller,
    Id(id): Id<EndpointId>,
    input::Json(form): input::Json<ReplayForm>,
) -> Result<(StatusCode, Json<Replayed>), ApiError> {
    find(&caller, id)?;
    let states = match form.states {
        Some(words) => words.iter().map(|word| deliveries::state(word)).collect::<Result<_, _>>()?,
        None => vec![Standing::Dead],
    };
    let query = DeliveryQuery {
        endpoint: Some(id),
        states,
        since: events::instant("since", Some(form.since))?,
        // What a replay makes must not be found by it.
        until: Some(events::instant("until", form.until)?.unwrap_or_else(|| app.clock.now())),
        ..DeliveryQuery::default()
    };
    let deliveries = if form.dry_run {
        app.ledger.count_deliveries(caller.id(), query).await?
    } else {
        app.intake.replay(caller.id(), query, form.pipeline).await?
    };
    Ok((StatusCode::ACCEPTED, Json(Replayed { deliveries, dry_run: form.dry_run })))
}

fn find(caller: &TenantCaller, id: EndpointId) -> Result<Endpoint, ApiError> {
    caller.picture().endpoints.get(&id).map(|sealed| sealed.endpoint.clone()).ok_or(ApiError::NotFound)
}

async fn save(app: &App, caller: &TenantCaller, endpoint: Endpoint) -> Result<Response, ApiError> {
    app.catalog.update_endpoint(&endpoint).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    if endpoint.status != Status::Paused {
        app.intake.release(caller.id(), endpoint.id).await?;
    }
    Ok(Json(View::of(&endpoint)).into_response())
}

fn url(app: &App, text: &str) -> Result<DeliveryUrl, ApiError> {
    DeliveryUrl::parse(text, &app.urls).map_err(|problem| ApiError::invalid("url", problem))
}

fn patterns(texts: Vec<String>) -> Result<Vec<TypePattern>, ApiError> {
    if texts.is_empty() || texts.len() > MAX_SELECTED {
        return Err(ApiError::invalid("event_types", format!("give 1 to {MAX_SELECTED}, such as [\"order.*\"]")));
    }
    let pattern = |(at, text): (usize, &String)| input::field(&format!("event_types[{at}]"), text);
    texts.iter().enumerate().map(pattern).collect()
}

fn labels(field: &str, labels: Vec<String>) -> Result<Vec<String>, ApiError> {
    if labels.len() > MAX_SELECTED {
        return Err(ApiError::invalid(field, format!("at most {MAX_SELECTED} are allowed")));
    }
    match labels.iter().find_map(|label| check_label(label).err()) {
        Some(problem) => Err(ApiError::invalid(field, problem)),
        None => Ok(labels),
    }
}

fn headers(fields: &BTreeMap<String, String>) -> Result<Vec<Header>, ApiError> {
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Header::parse_all(fields).map_err(|problem| ApiError::invalid("headers", problem))
}

fn schedule(policy: RetryPolicy) -> Result<RetryPolicy, ApiError> {
    policy.check().map_err(|problem| ApiError::invalid("retry.schedule", problem))
}

fn status(active: bool) -> Status {
    if active { Status::Active } else { Status::Disabled { reason: SWITCHED_OFF.to_owned() } }
}
