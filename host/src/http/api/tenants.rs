//! Tenants: the operator's.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::App;
use super::super::auth::Operator;
use super::super::error::ApiError;
use super::super::input::{self, Id, Params, Patch};
use super::super::page::{self, Page};
use super::{keys, plugins};
use crate::clock::mint;
use crate::domain::audit::{self, Action};
use crate::domain::budget::Excess;
use crate::domain::dialect::Dialect;
use crate::domain::id::TenantId;
use crate::domain::key::Key;
use crate::domain::limits::Limits;
use crate::domain::retention::OwnRetention;
use crate::domain::tenant::{DEFAULT_DIALECT, Tenant};
use crate::store::picture::digests;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/tenants", post(create).get(list))
        .route("/tenants/{id}", get(show).patch(change).delete(delete))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    name: String,
    plan: Option<String>,
    dialect: Option<String>,
    limits: Option<Limits>,
    retention: Option<OwnRetention>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    #[serde(default)]
    plan: Patch<String>,
    dialect: Option<String>,
    limits: Option<Limits>,
    retention: Option<OwnRetention>,
}

/// The one view that has a key in it.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    tenant: Tenant,
    /// Shown once.
    key: String,
}

/// `POST /v1/tenants`
async fn create(
    State(app): State<App>,
    operator: Operator,
    input::Json(form): input::Json<Form>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let now = app.clock.now();
    let dialect = dialect(&app, form.dialect.as_deref().unwrap_or(DEFAULT_DIALECT))?;
    let tenant = Tenant {
        id: mint(now),
        name: input::name(form.name)?,
        plan: form.plan.map(|text| plan(&dialect, text)).transpose()?,
        dialect: dialect.name.clone(),
        limits: limits(form.limits.unwrap_or_default())?,
        retention: retention(&app, form.retention.unwrap_or_default())?,
        created_at: now,
    };
    let key = Key::admin(mint(now), now);
    let mut changes = audit::created(&tenant);
    changes.push(audit::Change::new("key", Value::Null, json!(key.id)));
    let entry = operator.entry(&app, tenant.id, (Action::TenantCreated, tenant.id), changes);
    let (text, key) = keys::minted(key);
    app.catalog.noting(entry).create_tenant(&tenant, key).await?;
    app.picture.refresh(&*app.catalog, tenant.id).await?;
    Ok((StatusCode::CREATED, Json(Created { tenant, key: text })))
}

#[derive(Deserialize)]
struct ListParams {
    cursor: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/tenants`
async fn list(
    State(app): State<App>,
    _operator: Operator,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Tenant>>, ApiError> {
    let limit = page::limit(params.limit)?;
    let before: Option<TenantId> = page::cursor(params.cursor.as_deref())?;
    let tenants = app.picture.tenants().into_iter().rev().map(|part| part.tenant.clone());
    let found = tenants.filter(|tenant| before.is_none_or(|before| tenant.id < before)).take(limit as usize + 1);
    Ok(Json(Page::of(found.collect(), limit, |tenant| tenant.id, |tenant| tenant)))
}

/// `GET /v1/tenants/{id}`
async fn show(State(app): State<App>, _operator: Operator, Id(id): Id<TenantId>) -> Result<Json<Tenant>, ApiError> {
    Ok(Json(find(&app, id)?))
}

/// `PATCH /v1/tenants/{id}`
async fn change(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<TenantId>,
    input::Json(change): input::Json<Change>,
) -> Result<Json<Tenant>, ApiError> {
    let before = find(&app, id)?;
    let mut tenant = before.clone();
    if let Some(name) = change.name {
        tenant.name = input::name(name)?;
    }
    let dialect = dialect(&app, change.dialect.as_deref().unwrap_or(&tenant.dialect))?;
    tenant.dialect = dialect.name.clone();
    match change.plan {
        Patch::Keep => tenant.plan = tenant.plan.map(|text| plan(&dialect, text)).transpose()?,
        Patch::Clear => tenant.plan = None,
        Patch::Set(text) => tenant.plan = Some(plan(&dialect, text)?),
    }
    if let Some(given) = change.limits {
        tenant.limits = limits(given)?;
    }
    if let Some(given) = change.retention {
        tenant.retention = retention(&app, given)?;
    }
    let entry = operator.entry(&app, id, (Action::TenantUpdated, id), audit::updated(&before, &tenant));
    app.catalog.noting(entry).update_tenant(&tenant).await?;
    app.picture.refresh(&*app.catalog, id).await?;
    Ok(Json(tenant))
}

/// `DELETE /v1/tenants/{id}`: its keys and URLs end at once; upkeep deletes what
/// happened.
async fn delete(State(app): State<App>, operator: Operator, Id(id): Id<TenantId>) -> Result<StatusCode, ApiError> {
    let part = app.picture.tenant(id).ok_or(ApiError::NotFound)?;
    let entry = operator.entry(&app, id, (Action::TenantDeleted, id), audit::deleted(&part.tenant));
    app.catalog.noting(entry).delete_tenant(id, app.clock.now()).await?;
    app.picture.refresh(&*app.catalog, id).await?;
    plugins::forget_unused(&app, digests(&part.plugins).collect()).await;
    Ok(StatusCode::NO_CONTENT)
}

fn find(app: &App, id: TenantId) -> Result<Tenant, ApiError> {
    app.picture.tenant(id).map(|part| part.tenant.clone()).ok_or(ApiError::NotFound)
}

/// Limits that can be meant.
fn limits(given: Limits) -> Result<Limits, ApiError> {
    match given.check() {
        Ok(()) => Ok(given),
        Err(Excess { field, wanted, allowed }) => {
            Err(ApiError::invalid(format!("limits.{field}"), format!("{wanted} is not between 1 and {allowed}")))
        }
    }
}

/// No longer than the server keeps it.
fn retention(app: &App, given: OwnRetention) -> Result<OwnRetention, ApiError> {
    match given.check(&app.retention) {
        Ok(()) => Ok(given),
        Err(too_long) => Err(ApiError::invalid(format!("retention.{}", too_long.field), too_long)),
    }
}

/// A plan's name: one of the dialect's, where the dialect has plans.
fn plan(dialect: &Dialect, text: String) -> Result<String, ApiError> {
    crate::domain::event::check_label(&text).map_err(|problem| ApiError::invalid("plan", problem))?;
    let known: Vec<&str> = dialect.plans.iter().map(|plan| plan.name.as_str()).collect();
    match known.iter().find(|name| name.eq_ignore_ascii_case(&text)) {
        Some(name) => Ok((*name).to_owned()),
        None if known.is_empty() => Ok(text),
        None => Err(ApiError::invalid("plan", format!("{} has the plans {}", dialect.title, known.join(", ")))),
    }
}

/// A dialect that this server speaks.
pub(super) fn dialect(app: &App, name: &str) -> Result<Arc<Dialect>, ApiError> {
    let unknown = || {
        let names = app.dialects.names();
        ApiError::invalid("dialect", format!("there is no `{}`; there are {names}", name.escape_debug()))
    };
    app.dialects.get(name).cloned().ok_or_else(unknown)
}
