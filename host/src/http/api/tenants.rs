//! Tenants: the operator's.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::Operator;
use super::super::error::ApiError;
use super::super::input::{self, Id, Params, Patch};
use super::super::page::{Page, Paging};
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

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show, change, delete))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTenant)]
struct Form {
    #[schema(min_length = 1, max_length = 256)]
    name: String,
    plan: Option<String>,
    dialect: Option<String>,
    limits: Option<Limits>,
    retention: Option<OwnRetention>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantChange)]
struct Change {
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    plan: Patch<String>,
    dialect: Option<String>,
    limits: Option<Limits>,
    retention: Option<OwnRetention>,
}

/// The one view that has a key in it.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedTenant)]
struct Created {
    #[serde(flatten)]
    tenant: Tenant,
    /// Shown once.
    key: String,
}

/// Makes a tenant.
///
/// The answer has its first key, which is shown nowhere else.
#[utoipa::path(
    post,
    path = "/tenants",
    operation_id = "create_tenant",
    tag = "tenants",
    request_body(content = Form, example = json!({"name": "acme", "dialect": "standard-webhooks", "limits": {"events_per_second": 100}})),
    responses((status = 201, body = Created), (status = 409)),
)]
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
    // It has to be called something in lists and in the audit log.
    let key = Key { name: Some("first key".to_owned()), ..Key::admin(mint(now), now) };
    let mut changes = audit::created(&tenant);
    changes.push(audit::Change::new("key", Value::Null, json!(key.id)));
    let entry = operator.entry(&app, tenant.id, (Action::TenantCreated, tenant.id), changes);
    let (text, key) = keys::minted(key);
    app.catalog.noting(entry).create_tenant(&tenant, key).await?;
    app.picture.refresh(&*app.catalog, tenant.id).await?;
    Ok((StatusCode::CREATED, Json(Created { tenant, key: text })))
}

/// Lists tenants, newest first.
#[utoipa::path(
    get,
    path = "/tenants",
    operation_id = "list_tenants",
    tag = "tenants",
    params(Paging),
    responses((status = 200, body = Page<Tenant>)),
)]
async fn list(
    State(app): State<App>,
    _operator: Operator,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Tenant>>, ApiError> {
    let tenants = app.picture.tenants().into_iter().rev();
    Page::among(tenants, &paging, |part| part.tenant.id, |part| part.tenant.clone()).map(Json)
}

/// Shows a tenant.
#[utoipa::path(
    get,
    path = "/tenants/{id}",
    operation_id = "show_tenant",
    tag = "tenants",
    responses((status = 200, body = Tenant)),
)]
async fn show(State(app): State<App>, _operator: Operator, Id(id): Id<TenantId>) -> Result<Json<Tenant>, ApiError> {
    Ok(Json(find(&app, id)?))
}

/// Changes what is given of a tenant.
#[utoipa::path(
    patch,
    path = "/tenants/{id}",
    operation_id = "change_tenant",
    tag = "tenants",
    request_body(content = Change, example = json!({"limits": {"events_per_day": 1000000}, "retention": {"bodies": "7d"}})),
    responses((status = 200, body = Tenant), (status = 409)),
)]
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

/// Deletes a tenant.
///
/// Its keys and URLs end at once; what happened is deleted bit by bit.
#[utoipa::path(
    delete,
    path = "/tenants/{id}",
    operation_id = "delete_tenant",
    tag = "tenants",
    responses((status = 204)),
)]
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
