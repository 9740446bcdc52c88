//! Named secrets: what steps may be let sign with. A value comes in and never
//! goes out.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input;
use crate::domain::audit::{Action, Change};
use crate::domain::named_secret::NamedSecret;
use crate::domain::pipeline::Pipeline;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::picture::TenantPicture;

/// At most this many in one tenant: every tenant's are in memory.
const MAX_SECRETS: u32 = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(keep, delete))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSecret)]
struct Form {
    #[schema(min_length = 1, max_length = 4096)]
    value: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NamedSecret)]
struct View<'a> {
    name: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> View<'a> {
    fn of(secret: &'a NamedSecret) -> Self {
        Self { name: &secret.name, created_at: secret.created_at, updated_at: secret.updated_at }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Secrets)]
struct List<'a> {
    items: Vec<View<'a>>,
    next: Option<String>,
}

/// Lists the names of the secrets that steps may be let sign with.
#[utoipa::path(
    get,
    path = "/secrets",
    operation_id = "list_secrets",
    tag = "secrets",
    responses((status = 200, body = List)),
)]
async fn list(caller: TenantCaller) -> Response {
    let items = caller.picture().secrets.values().map(View::of).collect();
    Json(List { items, next: None }).into_response()
}

/// Stores a secret, or a new value of it.
///
/// It counts from the next call on, and is never shown.
#[utoipa::path(
    put,
    path = "/secrets/{name}",
    operation_id = "put_secret",
    tag = "secrets",
    request_body(content = Form, example = json!({"value": "a-signing-key"})),
    responses((status = 200, body = View)),
)]
async fn keep(
    State(app): State<App>,
    caller: TenantCaller,
    Path(name): Path<String>,
    input::Json(form): input::Json<Form>,
) -> Result<Response, ApiError> {
    NamedSecret::check_name(&name).map_err(|problem| ApiError::invalid("name", problem))?;
    let known = &caller.picture().secrets;
    let secret = NamedSecret::value(form.value).map_err(|problem| ApiError::invalid("value", problem))?;
    let now = app.clock.now();
    let created_at = known.get(&name).map_or(now, |before| before.created_at);
    let secret = NamedSecret { name, secret, created_at, updated_at: now };
    let entry = caller.entry(&app, Action::SecretPut, &secret.name, vec![Change::secret("value")]);
    app.catalog.noting(entry).put_secret(caller.id(), &secret, MAX_SECRETS).await.map_err(|error| match error {
        StoreError::OverLimit => ApiError::invalid("name", format!("there are {MAX_SECRETS} secrets already")),
        other => other.into(),
    })?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok(Json(View::of(&secret)).into_response())
}

/// Deletes a secret, unless a step is granted it.
#[utoipa::path(
    delete,
    path = "/secrets/{name}",
    operation_id = "delete_secret",
    tag = "secrets",
    responses((status = 204), (status = 409)),
)]
async fn delete(
    State(app): State<App>,
    caller: TenantCaller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    if let Some(user) = user_of(caller.picture(), &name) {
        let problem = format!("{user} has a step that is granted `{name}`; take the grant back first");
        return Err(ApiError::Conflict { field: Some("name".to_owned()), problem });
    }
    let entry = caller.entry(&app, Action::SecretDeleted, &name, vec![Change::secret("value")]);
    app.catalog.noting(entry).delete_secret(caller.id(), &name).await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whatever has a step that is granted this secret.
fn user_of(tenant: &TenantPicture, name: &str) -> Option<String> {
    let uses = |pipeline: &Pipeline| pipeline.steps.iter().any(|step| step.grants.secrets.contains(name));
    let source = tenant.sources.values().find(|source| uses(&source.pipeline)).map(|source| source.id.to_string());
    source.or_else(|| {
        let mut endpoints = tenant.endpoints.values().map(|sealed| &sealed.endpoint);
        endpoints.find(|endpoint| uses(&endpoint.pipeline)).map(|endpoint| endpoint.id.to_string())
    })
}
