//! API keys: a tenant's own, and the operator's way to them.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::auth::{Operator, TenantCaller};
use super::super::error::ApiError;
use super::super::input::{self, Id, Params};
use super::super::page::{self, Page};
use crate::clock::{mint, random};
use crate::domain::audit::{self, Action, Entry};
use crate::domain::id::{KeyId, TenantId};
use crate::domain::key::{Key, KeyText};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::catalog::NewKey;
use crate::store::picture::TenantPicture;

/// At most this many in one tenant, those that have expired included: every
/// tenant's are in memory.
const MAX_KEYS: u32 = 1000;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/keys", get(list).post(create))
        .route("/keys/{id}", get(show).delete(revoke))
        .route("/tenants/{id}/keys", get(list_of).post(create_for))
        .route("/tenants/{id}/keys/{key}", get(show_of).delete(revoke_of))
}

/// `{name?, role?, expires_at?}`; nothing at all is an admin key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    name: Option<String>,
    role: Option<String>,
    expires_at: Option<String>,
}

impl Form {
    fn parse(self, now: Timestamp) -> Result<Key, ApiError> {
        let known = Role::ALL.map(Role::as_str).join(", ");
        let role =
            |text: String| Role::parse(&text).ok_or_else(|| ApiError::invalid("role", format!("give one of {known}")));
        let end = |text: String| match text.parse::<Timestamp>() {
            Ok(end) if end > now => Ok(end),
            Ok(_) => Err(ApiError::invalid("expires_at", "has passed already")),
            Err(_) => Err(ApiError::invalid("expires_at", "give RFC 3339, such as 2030-11-21T08:30:00Z")),
        };
        Ok(Key {
            id: mint(now),
            name: self.name.map(input::name).transpose()?,
            role: self.role.map(role).transpose()?.unwrap_or(Role::Admin),
            expires_at: self.expires_at.map(end).transpose()?,
            created_at: now,
        })
    }
}

#[derive(Serialize)]
struct View {
    id: KeyId,
    name: Option<String>,
    role: &'static str,
    expires_at: Option<Timestamp>,
    /// It opens nothing any more.
    expired: bool,
    created_at: Timestamp,
}

impl View {
    fn of(key: &Key, now: Timestamp) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            role: key.role.as_str(),
            expires_at: key.expires_at,
            expired: key.expired_at(now).is_some(),
            created_at: key.created_at,
        }
    }
}

#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    view: View,
    /// Shown once.
    key: String,
}

/// A key's text, and what is stored of it.
pub(super) fn minted(key: Key) -> (String, NewKey) {
    let text = KeyText::new(random());
    (text.reveal().to_owned(), NewKey { hash: text.hash(), key })
}

/// `POST /v1/keys`
async fn create(
    State(app): State<App>,
    caller: TenantCaller,
    input::Json(form): input::Json<Form>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let key = form.parse(app.clock.now())?;
    let entry = caller.entry(&app, Action::KeyCreated, key.id, audit::created(&key));
    store(&app, caller.id(), key, entry).await
}

/// `POST /v1/tenants/{id}/keys`
async fn create_for(
    State(app): State<App>,
    operator: Operator,
    Id(tenant): Id<TenantId>,
    input::Json(form): input::Json<Form>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    app.picture.tenant(tenant).ok_or(ApiError::NotFound)?;
    let key = form.parse(app.clock.now())?;
    let entry = operator.entry(&app, tenant, (Action::KeyCreated, key.id), audit::created(&key));
    store(&app, tenant, key, entry).await
}

async fn store(app: &App, tenant: TenantId, key: Key, entry: Entry) -> Result<(StatusCode, Json<Created>), ApiError> {
    let view = View::of(&key, key.created_at);
    let (text, key) = minted(key);
    app.catalog.noting(entry).create_key(tenant, key, MAX_KEYS).await.map_err(|error| match error {
        StoreError::OverLimit => ApiError::Conflict {
            field: None,
            problem: format!("there are {MAX_KEYS} keys already; revoke those that nobody uses"),
        },
        other => other.into(),
    })?;
    app.picture.refresh(&*app.catalog, tenant).await?;
    Ok((StatusCode::CREATED, Json(Created { view, key: text })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    cursor: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/keys`
async fn list(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<View>>, ApiError> {
    page_of(&app, caller.picture(), params)
}

/// `GET /v1/tenants/{id}/keys`
async fn list_of(
    State(app): State<App>,
    _operator: Operator,
    Id(tenant): Id<TenantId>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<View>>, ApiError> {
    page_of(&app, &*app.picture.tenant(tenant).ok_or(ApiError::NotFound)?, params)
}

fn page_of(app: &App, tenant: &TenantPicture, params: ListParams) -> Result<Json<Page<View>>, ApiError> {
    let limit = page::limit(params.limit)?;
    let before: Option<KeyId> = page::cursor(params.cursor.as_deref())?;
    let keys = tenant.keys.iter().rev().map(|(_, key)| &**key);
    let found = keys.filter(|key| before.is_none_or(|before| key.id < before)).take(limit as usize + 1);
    let now = app.clock.now();
    Ok(Json(Page::of(found.collect(), limit, |key| key.id, |key| View::of(key, now))))
}

/// `GET /v1/keys/{id}`
async fn show(State(app): State<App>, caller: TenantCaller, Id(id): Id<KeyId>) -> Result<Json<View>, ApiError> {
    Ok(Json(View::of(find(caller.picture(), id)?, app.clock.now())))
}

/// `GET /v1/tenants/{id}/keys/{key}`
async fn show_of(
    State(app): State<App>,
    _operator: Operator,
    Path(path): Path<(String, String)>,
) -> Result<Json<View>, ApiError> {
    let (tenant, id) = both(&path)?;
    let tenant = app.picture.tenant(tenant).ok_or(ApiError::NotFound)?;
    Ok(Json(View::of(find(&tenant, id)?, app.clock.now())))
}

/// `DELETE /v1/keys/{id}`: it opens nothing from now on. A tenant keeps a key that
/// is valid and an admin's.
async fn revoke(State(app): State<App>, caller: TenantCaller, Id(id): Id<KeyId>) -> Result<StatusCode, ApiError> {
    let changes = audit::deleted(find(caller.picture(), id)?);
    let entry = caller.entry(&app, Action::KeyRevoked, id, changes);
    app.catalog.noting(entry).delete_key(caller.id(), id, Some(app.clock.now())).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /v1/tenants/{id}/keys/{key}`: whichever it is, the operator can make
/// another.
async fn revoke_of(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (tenant, id) = both(&path)?;
    let part = app.picture.tenant(tenant).ok_or(ApiError::NotFound)?;
    let entry = operator.entry(&app, tenant, (Action::KeyRevoked, id), audit::deleted(find(&part, id)?));
    app.catalog.noting(entry).delete_key(tenant, id, None).await?;
    app.picture.refresh(&*app.catalog, tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn both((tenant, key): &(String, String)) -> Result<(TenantId, KeyId), ApiError> {
    let not_found = || ApiError::NotFound;
    Ok((tenant.parse().map_err(|_| not_found())?, key.parse().map_err(|_| not_found())?))
}

fn find(tenant: &TenantPicture, id: KeyId) -> Result<&Key, ApiError> {
    tenant.keys.iter().find(|(_, key)| key.id == id).map(|(_, key)| &**key).ok_or(ApiError::NotFound)
}
