//! API keys: of the caller's tenant, and of any tenant for the operator.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::caretaker::Caretaker;
use super::super::error::ApiError;
use super::super::input::{self, Id, Params};
use super::super::page::{Page, Paging};
use crate::clock::{mint, random};
use crate::domain::audit::{self, Action};
use crate::domain::id::KeyId;
use crate::domain::key::{Key, KeyText};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::catalog::NewKey;
use crate::store::picture::TenantPicture;

/// At most this many in one tenant, those that have expired included: every
/// tenant's are in memory.
const MAX_KEYS: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, revoke))
}

/// `{name?, role?, expires_at?}`; nothing at all is an admin key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
struct Form {
    #[schema(min_length = 1, max_length = 256)]
    name: Option<String>,
    #[schema(value_type = Option<Role>)]
    role: Option<String>,
    #[schema(value_type = Option<Timestamp>)]
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

#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct View {
    id: KeyId,
    name: Option<String>,
    #[schema(value_type = Role)]
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

#[derive(Serialize, ToSchema)]
#[schema(as = CreatedKey)]
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

/// Makes an API key.
///
/// Without a role it is an admin. The key itself is in this answer and nowhere else.
#[utoipa::path(
    post,
    path = "/keys",
    operation_id = "create_key",
    tag = "keys",
    request_body(content = Form, example = json!({"name": "shop", "role": "publish"})),
    responses((status = 201, body = Created), (status = 409)),
)]
async fn create(
    State(app): State<App>,
    caretaker: Caretaker,
    input::Json(form): input::Json<Form>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let tenant = caretaker.tenant(&app)?.tenant.id;
    let key = form.parse(app.clock.now())?;
    let entry = caretaker.entry(&app, Action::KeyCreated, key.id, audit::created(&key));
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

/// Lists API keys, newest first.
#[utoipa::path(
    get,
    path = "/keys",
    operation_id = "list_keys",
    tag = "keys",
    params(Paging),
    responses((status = 200, body = Page<View>)),
)]
async fn list(
    State(app): State<App>,
    caretaker: Caretaker,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<View>>, ApiError> {
    let (tenant, now) = (caretaker.tenant(&app)?, app.clock.now());
    let keys = tenant.keys.iter().rev().map(|(_, key)| &**key);
    Page::among(keys, &paging, |key| key.id, |key| View::of(key, now)).map(Json)
}

/// Shows an API key, but for its text.
#[utoipa::path(
    get,
    path = "/keys/{id}",
    operation_id = "show_key",
    tag = "keys",
    responses((status = 200, body = View)),
)]
async fn show(State(app): State<App>, caretaker: Caretaker, Id(id): Id<KeyId>) -> Result<Json<View>, ApiError> {
    Ok(Json(View::of(find(&*caretaker.tenant(&app)?, id)?, app.clock.now())))
}

/// Revokes an API key: it opens nothing from now on.
///
/// The last valid one of an admin is kept, unless it is the operator who revokes it: the operator can make another.
#[utoipa::path(
    delete,
    path = "/keys/{id}",
    operation_id = "revoke_key",
    tag = "keys",
    responses((status = 204), (status = 409)),
)]
async fn revoke(State(app): State<App>, caretaker: Caretaker, Id(id): Id<KeyId>) -> Result<StatusCode, ApiError> {
    let part = caretaker.tenant(&app)?;
    let tenant = part.tenant.id;
    let entry = caretaker.entry(&app, Action::KeyRevoked, id, audit::deleted(find(&part, id)?));
    let admin_at = (!caretaker.is_operator()).then(|| app.clock.now());
    app.catalog.noting(entry).delete_key(tenant, id, admin_at).await?;
    app.picture.refresh(&*app.catalog, tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn find(tenant: &TenantPicture, id: KeyId) -> Result<&Key, ApiError> {
    tenant.keys.iter().find(|(_, key)| key.id == id).map(|(_, key)| &**key).ok_or(ApiError::NotFound)
}
